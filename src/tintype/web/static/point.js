// The point: clicked, moved by arrow keys, or typed. The two fields hold it; the cross follows.

const picture = document.getElementById("picture");
const shown = document.getElementById("shown");
const overlay = picture.querySelector(".overlay");
const cross = overlay.querySelector(".cross");
const x = document.getElementById("x");
const y = document.getElementById("y");

const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const KEY_DELAY = 350;

export function watchPoint({ changed }) {
  picture.addEventListener("click", (event) => {
    if (!shown.naturalWidth) return;
    const place = shown.getBoundingClientRect();
    set(
      ((event.clientX - place.left) / place.width) * shown.naturalWidth,
      ((event.clientY - place.top) / place.height) * shown.naturalHeight,
    );
    changed(0);
  });
  picture.addEventListener("keydown", (event) => {
    const step = KEYS[event.key];
    if (!step || !shown.naturalWidth || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    move(step, event.shiftKey);
    changed(KEY_DELAY);
  });
  for (const field of [x, y]) {
    field.addEventListener("input", () => {
      refreshPoint();
      if ((x.value === "") === (y.value === "")) changed(KEY_DELAY);
    });
  }
  document.getElementById("clear-point").addEventListener("click", () => {
    clearPoint();
    changed(0);
  });
}

// A hundredth of the picture a step, one pixel with Shift; the first step starts at the middle.
function move([right, down], fine) {
  const width = shown.naturalWidth;
  const height = shown.naturalHeight;
  const step = fine ? 1 : Math.max(1, Math.round(Math.max(width, height) / 100));
  const started = x.value !== "" && y.value !== "";
  const fromX = started ? Number(x.value) : Math.floor(width / 2);
  const fromY = started ? Number(y.value) : Math.floor(height / 2);
  set(fromX + right * step, fromY + down * step);
}

function set(left, top) {
  x.value = clip(left, shown.naturalWidth);
  y.value = clip(top, shown.naturalHeight);
  refreshPoint();
}

function clip(value, size) {
  return Math.min(Math.max(Math.floor(value), 0), size - 1);
}

export function clearPoint() {
  x.value = "";
  y.value = "";
  refreshPoint();
}

// Draw the cross where the fields say.
export function refreshPoint() {
  const width = shown.naturalWidth;
  if (!width || x.value === "" || y.value === "") {
    cross.setAttribute("visibility", "hidden");
    return;
  }
  overlay.setAttribute("viewBox", `0 0 ${width} ${shown.naturalHeight}`);
  const size = (width / shown.clientWidth) * 11;
  cross.setAttribute("visibility", "visible");
  // The middle of the pixel.
  cross.setAttribute("transform", `translate(${Number(x.value) + 0.5} ${Number(y.value) + 0.5}) scale(${size})`);
}

// Letters of the boxes keep their size on the screen, whatever the picture's size is.
new ResizeObserver(() => {
  if (!shown.naturalWidth || !shown.clientWidth) return;
  overlay.querySelector(".boxes").style.fontSize = `${(shown.naturalWidth / shown.clientWidth) * 14}px`;
  refreshPoint();
}).observe(shown);
