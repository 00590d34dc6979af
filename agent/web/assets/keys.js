// Single keys for who works without a mouse. They can be switched off: some people's
// speech or trembling hands press keys that were not meant.

const kept = "wpmend-keys";
let enabled = true;
try {
  enabled = localStorage.getItem(kept) !== "off";
} catch {
  // a frame without storage: they stay on
}

export const on = () => enabled;

export function set(value) {
  enabled = value;
  try {
    localStorage.setItem(kept, value ? "on" : "off");
  } catch {
    // as above
  }
}

// list tells what the keys do.
export const list = () => [
  ["/", "search"], ["j", "next row"], ["k", "row before"], ["Enter", "open the row"],
  ["s", "all sites"], ["i", "incidents"], ["v", "what is in force"],
  ["c", "check this site now"], ["b", "find the culprit (bisect)"], ["h", "heal this site"], ["u", "undo, of an incident"],
  ["?", "this help"], ["Esc", "close"],
];

const places = { s: "#/", i: "#/incidents", v: "#/in-force" };
const buttons = { c: "start-check", b: "start-bisect", h: "start-heal" };

// begin listens; act holds what the page does for a key.
export function begin(act) {
  document.addEventListener("keydown", (e) => {
    if (!enabled || e.ctrlKey || e.metaKey || e.altKey || e.isComposing || document.querySelector("dialog[open]")) return;
    if (/^(INPUT|TEXTAREA|SELECT)$/.test(e.target.tagName) || e.target.isContentEditable) {
      if (e.key === "Escape") e.target.blur();
      return;
    }
    if (pressed(e.key, act)) e.preventDefault();
  });
}

function pressed(key, act) {
  if (key === "?") act.help();
  else if (key === "/") act.search();
  else if (key === "j" || key === "k") step(key === "j" ? 1 : -1);
  else if (places[key]) location.hash = places[key];
  else if (buttons[key]) press(document.getElementById(buttons[key]));
  else if (key === "u") press(document.querySelector(".view-head .undo"));
  else return false;
  return true;
}

function press(button) {
  if (!button) return;
  button.focus();
  button.click();
}

function step(by) {
  const rows = [...document.querySelectorAll("#main .row-link")];
  if (rows.length === 0) return;
  const now = rows.indexOf(document.activeElement);
  rows[Math.min(rows.length - 1, Math.max(0, now < 0 ? 0 : now + by))].focus();
}
