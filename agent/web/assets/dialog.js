// Asks before something changes, and says what came of it.
import { h, replace } from "./dom.js";

let count = 0;

// open shows a dialog and returns when it is closed, with the value of the button that closed it.
export function open({ title, body, buttons, wide }) {
  const id = `dialog-${++count}`;
  const before = document.activeElement;
  return new Promise((resolve) => {
    const close = (value) => dialog.close(value);
    const dialog = h("dialog", { "aria-labelledby": id, class: wide ? "wide" : null },
      h("h2", { id }, title), h("div", { class: "dialog-body" }, body),
      h("div", { class: "dialog-end" }, buttons.map((b) => h("button", { type: "button", class: b.class, autofocus: b.focus, on: { click: () => close(b.value) } }, b.text))));
    dialog.addEventListener("click", (e) => e.target === dialog && close(""));
    dialog.addEventListener("close", () => {
      dialog.remove();
      // What was drawn anew meanwhile has the same id.
      const back = before && (before.isConnected ? before : before.id && document.getElementById(before.id));
      if (back) back.focus();
      resolve(dialog.returnValue);
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

// sure asks whether to do what cannot be done by mistake.
export async function sure(title, body, act) {
  return (await open({ title, body, buttons: [{ text: "Cancel", value: "", class: "quiet", focus: true }, { text: act, value: "yes", class: "primary" }] })) === "yes";
}

const stays = 9000; // a word of success; a failure stays until it is put away

// say tells, for eyes and ears.
export function say(text, tone = "good", remedy = "") {
  const toast = h("div", { class: "toast " + tone }, h("p", null, text, remedy && h("span", { class: "remedy" }, remedy)),
    h("button", { type: "button", class: "quiet close", "aria-label": "Put this message away", on: { click: () => toast.remove() } }, "×"));
  const toasts = document.getElementById("toasts");
  while (toasts.childElementCount > 3) toasts.firstElementChild.remove();
  toasts.append(toast);
  if (tone === "good") setTimeout(() => toast.remove(), stays);
}

// fail tells of an error; what is not the service's is a fault of the page.
export function fail(error, doing) {
  if (error && error.name === "AbortError") return;
  say(`${doing}: ${error.message}`, "bad", error.remedy ? `What to do: ${error.remedy}` : "");
}

// busy runs work for a button, which cannot be pressed twice meanwhile.
export async function busy(button, work) {
  if (button.getAttribute("aria-disabled") === "true") return;
  button.setAttribute("aria-disabled", "true");
  button.classList.add("working");
  try {
    await work();
  } finally {
    button.removeAttribute("aria-disabled");
    button.classList.remove("working");
  }
}

// trouble stands where something could not be had.
export function trouble(error) {
  return h("div", { class: "trouble", role: "alert" }, h("p", { class: "strong" }, error.message), error.remedy && h("p", null, "What to do: ", error.remedy));
}

export function show(element, error) {
  replace(element, trouble(error));
}
