// Sends the form, puts the answer in place, tells it to screen readers.

const answers = document.getElementById("answers");
const said = document.getElementById("status");
const facts = document.getElementById("facts");
const boxes = document.querySelector("#picture .boxes");
const overlay = document.querySelector("#picture .overlay");
const pattern = document.getElementById("problem");

export function watchAnswers(form) {
  let running = null;

  async function ask() {
    running?.abort();
    const mine = new AbortController();
    running = mine;
    const file = form.elements.image.files[0];
    const most = Number(form.dataset.maxBytes);
    if (file && file.size > most) {
      fail("Picture too large", `It has ${mebibytes(file.size)}; this server takes ${mebibytes(most)}.`,
        "send a smaller picture");
      return;
    }
    answers.setAttribute("aria-busy", "true");
    said.textContent = "Asking …";
    try {
      const html = await send(form, mine.signal);
      if (running === mine) place(html);
    } catch (error) {
      if (running === mine && error.name !== "AbortError") {
        fail("No answer", "The server did not answer.", "is it still running?");
      }
    } finally {
      if (running === mine) answers.setAttribute("aria-busy", "false");
    }
  }

  answers.addEventListener("pointerover", (event) => mark(event.target.closest("[data-box]")));
  answers.addEventListener("pointerleave", () => mark(null));
  return { ask, fail, clearBoxes };
}

async function send(form, signal) {
  const response = await fetch(form.action, {
    method: "POST",
    body: new FormData(form),
    headers: { "X-Fragment": "answer" },
    signal,
  });
  if ((response.headers.get("content-type") ?? "").startsWith("text/html")) return response.text();
  const told = await response.json();
  fail(told.title, told.detail, told.hint);
  return null;
}

// The server escapes every value in the part of the page that it sends.
function place(html) {
  if (html === null) return;
  const open = new Set([...answers.querySelectorAll("details[open]")].map((each) => each.dataset.key));
  answers.innerHTML = html;
  for (const each of answers.querySelectorAll("details")) each.open = open.has(each.dataset.key);
  const answer = answers.querySelector(".answer");
  if (answer === null) {
    clearBoxes();
    said.textContent = "";
    return;
  }
  said.textContent = answer.dataset.summary;
  facts.textContent = answer.dataset.facts;
  const drawn = answer.querySelector(".overlay");
  overlay.setAttribute("viewBox", drawn.getAttribute("viewBox"));
  boxes.replaceChildren(...drawn.querySelector(".boxes").children);
  drawn.remove();
}

function clearBoxes() {
  boxes.replaceChildren();
}

function fail(title, detail, hint) {
  const problem = pattern.content.cloneNode(true);
  const parts = { title, detail, hint };
  for (const [name, text] of Object.entries(parts)) {
    const slot = problem.querySelector(`[data-slot="${name}"]`);
    if (text) slot.textContent = text;
    else slot.remove();
  }
  answers.replaceChildren(problem);
  clearBoxes();
  said.textContent = "";
}

function mark(line) {
  for (const each of document.querySelectorAll(".marked")) each.classList.remove("marked");
  if (line === null) return;
  line.classList.add("marked");
  boxes.querySelector(`[data-box="${CSS.escape(line.dataset.box)}"]`)?.classList.add("marked");
}

function mebibytes(count) {
  return `${(count / 2 ** 20).toFixed(1)} MiB`;
}
