// Pictures come in by dropping anywhere, by pasting, as samples; and are shown upright.

const stage = document.getElementById("stage");
const picture = document.getElementById("picture");
const shown = document.getElementById("shown");
const facts = document.getElementById("facts");

let address = null;

export function watchPictures({ take, fail }) {
  watchDrops({ take, fail });
  document.addEventListener("paste", (event) => {
    const file = firstFile(event.clipboardData);
    if (file === null) return;
    event.preventDefault();
    take(file);
  });
  for (const sample of document.querySelectorAll("[data-sample]")) {
    sample.addEventListener("click", async (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      const response = await fetch(`/samples/${encodeURIComponent(sample.dataset.sample)}`);
      const blob = await response.blob();
      take(new File([blob], sample.dataset.sample, { type: blob.type }));
      stage.scrollIntoView({ block: "nearest" });
    });
  }
}

function watchDrops({ take, fail }) {
  let depth = 0;
  const dragging = (on) => document.documentElement.classList.toggle("dragging", on);
  addEventListener("dragenter", () => { depth += 1; dragging(true); });
  addEventListener("dragleave", () => { depth -= 1; dragging(depth > 0); });
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    depth = 0;
    dragging(false);
    const file = firstFile(event.dataTransfer);
    if (file === null) fail("No picture", "What was dropped is no file.", "drop a picture file");
    else take(file);
  });
}

function firstFile(transfer) {
  return transfer?.files?.[0] ?? null;
}

// Too small to click a point in, and of an ordinary shape: drawn larger.
function isTiny(width, height) {
  return Math.max(width, height) < 200 && Math.max(width, height) < 2.5 * Math.min(width, height);
}

// Resolves once the browser knows the picture's size; resolves too where it cannot show it.
export async function show(file) {
  if (address !== null) URL.revokeObjectURL(address);
  address = URL.createObjectURL(file);
  stage.removeAttribute("data-empty");
  stage.removeAttribute("data-unshown");
  picture.hidden = false;
  facts.textContent = file.name;
  shown.alt = `The picture ${file.name}`;
  shown.src = address;
  try {
    await shown.decode();
    shown.classList.toggle("tiny", isTiny(shown.naturalWidth, shown.naturalHeight));
  } catch {
    stage.setAttribute("data-unshown", "");
  }
}
