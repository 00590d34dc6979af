// What things are called on the page.
import { h, s, shown } from "./dom.js";

const states = {
  healthy: ["Healthy", "good"],
  failing: ["Failing", "bad"],
  recovering: ["Recovering", "busy"],
  escalated: ["Needs you", "warn"],
  unknown: ["Not yet known", "plain"],
  open: ["Under way", "busy"],
  resolved: ["Resolved", "good"],
  transient: ["Went by itself", "plain"],
  undone: ["Taken back", "plain"],
  running: ["Running", "busy"],
  done: ["Done", "good"],
  failed: ["Failed", "bad"],
  cancelled: ["Cancelled", "plain"],
};

const marks = {
  good: "M4.5 8.4 7 10.9l4.7-5.4",
  bad: "m5.2 5.2 5.6 5.6m0-5.6-5.6 5.6",
  busy: "M8 4.6V8l2.4 1.6",
  warn: "M8 4.4v4.2M8 11v.6",
  plain: "M5 8h6",
};

// badge shows a state: by a shape and a word, not by its colour alone.
export function badge(state) {
  const [word, tone] = states[state] || [shown(state), "plain"];
  return h("span", { class: "badge " + tone }, mark(tone), word);
}

export function mark(tone) {
  return s("svg", { viewBox: "0 0 16 16", width: 16, height: 16, "aria-hidden": "true", class: "mark" },
    s("circle", { cx: 8, cy: 8, r: 7 }), s("path", { d: marks[tone] || marks.plain }));
}

const outcomes = {
  healthy: "Healthy",
  "bad-gateway": "502 Bad Gateway",
  "gateway-timeout": "504 Gateway Timeout",
  unavailable: "503 Unavailable",
  unreachable: "Nobody answers",
  fatal: "PHP fatal error",
  blank: "Blank page",
  incomplete: "Answer broke off",
  "db-error": "No database",
  maintenance: "Maintenance page",
  barred: "Barred before PHP",
  unknown: "Could not be judged",
};

export const outcome = (word) => outcomes[word] || plain(word);

// plain makes words of a name such as "component-fault".
export function plain(word) {
  return first(shown(word).replaceAll("-", " "));
}

// first begins a text with a capital letter.
export function first(text) {
  const words = String(text || "");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

const kinds = { plugin: "plugin", "mu-plugin": "must-use plugin", theme: "theme", "drop-in": "drop-in" };

// component takes "plugin:akismet" apart.
export function component(id) {
  const text = shown(id);
  const at = text.indexOf(":");
  return at < 0 ? { kind: "", name: text } : { kind: kinds[text.slice(0, at)] || text.slice(0, at), name: text.slice(at + 1) };
}

// count is a number with its noun.
export const count = (n, one, many) => `${n.toLocaleString("en")} ${n === 1 ? one : many || one + "s"}`;

// seconds is a duration for people.
export function seconds(n) {
  if (!Number.isFinite(n)) return "";
  if (n < 1) return `${Math.round(n * 1000)} ms`;
  if (n < 10) return `${Math.round(n * 10) / 10} s`;
  if (n < 90) return `${Math.round(n)} s`;
  if (n < 7200) return `${Math.round(n / 60)} min`;
  if (n < 172800) return `${Math.round(n / 3600)} h`;
  return `${Math.round(n / 86400)} days`;
}

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const day = new Intl.DateTimeFormat(undefined, { year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", hourCycle: "h23" });

const valid = (at) => Boolean(at) && !Number.isNaN(Date.parse(at)) && !at.startsWith("0001-");

// when is a moment, told by how long ago it was; refresh() keeps it so.
export function when(at) {
  if (!valid(at)) return null;
  return h("time", { datetime: at, title: day.format(new Date(at)), "data-ago": true }, ago(at));
}

// moment is the time of day of a step.
export function moment(at) {
  return valid(at) ? h("time", { datetime: at, title: day.format(new Date(at)) }, clock.format(new Date(at))) : null;
}

export function date(at) {
  return valid(at) ? h("time", { datetime: at }, day.format(new Date(at))) : null;
}

function ago(at) {
  const gone = (Date.now() - Date.parse(at)) / 1000;
  if (gone < -60) return "in " + seconds(-gone);
  return gone < 10 ? "just now" : seconds(gone) + " ago";
}

export function refresh() {
  for (const element of document.querySelectorAll("time[data-ago]")) element.textContent = ago(element.dateTime);
}
