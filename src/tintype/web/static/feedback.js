// Sends the form that says whether it was right, and puts what comes back in its place.

const pending = "aria-busy";

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!(form instanceof HTMLFormElement) || !("feedback" in form.dataset)) return;
  event.preventDefault();
  if (form.getAttribute(pending) === "true") return;
  form.setAttribute(pending, "true");
  const said = form.querySelector(".said");
  try {
    const response = await fetch(form.action, {
      method: "POST",
      body: fields(form, event.submitter),
      headers: { "X-Fragment": "verdict" },
    });
    if ((response.headers.get("content-type") ?? "").startsWith("text/html")) {
      place(form, await response.text());
    } else {
      tell(said, (await response.json()).detail);
    }
  } catch {
    tell(said, "The server did not answer.");
  } finally {
    form.setAttribute(pending, "false");
  }
});

function fields(form, submitter) {
  const pairs = new URLSearchParams(new FormData(form));
  if (submitter?.name) pairs.set(submitter.name, submitter.value);
  return pairs;
}

// The server escapes every value in the part of the page that it sends.
function place(form, html) {
  const holder = document.createElement("template");
  holder.innerHTML = html;
  const fresh = holder.content.querySelector("form");
  form.replaceWith(fresh);
  fresh.querySelector(".said").focus();
}

function tell(said, words) {
  said.textContent = words;
  said.classList.add("failed");
}
