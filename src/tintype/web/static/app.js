// The page with scripts. The form is the only state: whatever changes in it, the same form is sent
// as without scripts, and only the answer's part of the page is put in place.

import { watchAnswers } from "./answer.js";
import { watchCamera } from "./camera.js";
import { watchCopies } from "./copy.js";
import "./feedback.js";
import { show, watchPictures } from "./picture.js";
import { clearPoint, refreshPoint, watchPoint } from "./point.js";

const form = document.getElementById("ask");
const image = document.getElementById("image");
const answers = watchAnswers(form);

let timer = 0;

function askSoon(delay) {
  clearTimeout(timer);
  if (image.files.length > 0) timer = setTimeout(() => answers.ask(), delay);
}

function take(file) {
  const files = new DataTransfer();
  files.items.add(file);
  image.files = files.files;
  pictureChanged();
}

async function pictureChanged() {
  if (image.files.length === 0) return;
  clearPoint();
  answers.clearBoxes();
  askSoon(0);
  await show(image.files[0]);
  refreshPoint();
}

image.addEventListener("change", pictureChanged);
watchPictures({ take, fail: answers.fail });
watchCamera({ take });
watchCopies();
watchPoint({ changed: askSoon });

form.addEventListener("submit", (event) => {
  event.preventDefault();
  clearTimeout(timer);
  answers.ask();
});

form.addEventListener("change", (event) => {
  if (event.target !== image && event.target.name && !["x", "y"].includes(event.target.name)) {
    askSoon(0);
  }
});

// A page that was restored with a chosen file, by going back, say. Browsers put files back only
// after scripts like this one have run.
addEventListener("pageshow", () => {
  if (image.files.length > 0 && document.getElementById("picture").hidden) pictureChanged();
});
