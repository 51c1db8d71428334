// Copy buttons. Where the clipboard is out of reach (plain http), the text is selected instead.

const SHOWN_FOR = 1600;

export function watchCopies() {
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (button === null) return;
    const source = document.getElementById(button.dataset.copy);
    try {
      await navigator.clipboard.writeText(source.textContent);
      tell(button, "Copied");
    } catch {
      getSelection().selectAllChildren(source);
      tell(button, "Selected");
    }
  });
}

function tell(button, word) {
  button.textContent = word;
  setTimeout(() => { button.textContent = "Copy"; }, SHOWN_FOR);
}
