// The dashboard with scripts: the part that changes is fetched anew, as the server draws it.

const EVERY = 5000;

const board = document.getElementById("board");
const pause = document.getElementById("pause");

let timer = 0;

async function refresh() {
  if (document.hidden) return;
  try {
    const response = await fetch(location.href, { headers: { "X-Fragment": "board" } });
    if (!response.ok) throw new Error(response.statusText);
    put(await response.text());
  } catch {
    board.querySelector(".board-at").classList.add("stale");
  }
}

// What is looked at stays in place: the focus, and how far a wide table was scrolled.
function put(html) {
  const kept = [...board.querySelectorAll(".wide")].map((region) => region.scrollLeft);
  const focused = document.activeElement;
  const path = board.contains(focused) ? selectorOf(focused) : null;
  board.innerHTML = html;
  board.querySelectorAll(".wide").forEach((region, index) => { region.scrollLeft = kept[index] ?? 0; });
  if (path !== null) board.querySelector(path)?.focus({ preventScroll: true });
}

function selectorOf(element) {
  if (element.matches("a[href]")) return `a[href="${CSS.escape(element.getAttribute("href"))}"]`;
  const label = element.getAttribute("aria-label");
  return label === null ? null : `[aria-label="${CSS.escape(label)}"]`;
}

function run(running) {
  clearInterval(timer);
  if (running) timer = setInterval(refresh, EVERY);
  pause.setAttribute("aria-pressed", String(!running));
  pause.textContent = running ? "Pause" : "Go on";
}

pause.addEventListener("click", () => {
  const paused = pause.getAttribute("aria-pressed") === "true";
  run(paused);
  if (paused) refresh();
});
document.addEventListener("visibilitychange", refresh);
run(true);
