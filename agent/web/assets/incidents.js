// What happened, newest first.
import { anew } from "./again.js";
import { at, get } from "./api.js";
import { show } from "./dialog.js";
import { h, name, replace } from "./dom.js";
import { badge, component, outcome, plain, seconds, when } from "./words.js";

const rows = 50;
const filters = [["", "All"], ["open", "Under way"], ["escalated", "Needs you"], ["resolved", "Resolved"], ["transient", "Went by itself"], ["undone", "Taken back"]];

export function view(context) {
  let state = filters.some((f) => f[0] === context.query.get("state")) ? context.query.get("state") : "";
  let cursors = [""];
  let next = "";
  const soon = anew(load);
  let abort = null;
  const body = h("div", { class: "list" });
  const pager = h("nav", { class: "pager", "aria-label": "Pages" });
  const select = h("select", { id: "state", "aria-label": "Show incidents that are", on: { change: () => choose(select.value) } }, filters.map(([value, text]) => h("option", { value, selected: value === state }, text)));
  const element = h("div", { class: "view" }, h("div", { class: "view-head" }, h("h1", null, "Incidents"), select), body, pager);

  function choose(value) {
    state = value;
    cursors = [""];
    context.remember(value ? "?state=" + value : "");
    load();
  }

  async function load() {
    if (abort) abort.abort();
    abort = new AbortController();
    const parts = new URLSearchParams({ limit: rows });
    if (state) parts.set("state", state);
    if (cursors[cursors.length - 1]) parts.set("cursor", cursors[cursors.length - 1]);
    try {
      const answer = await get("incidents?" + parts, { signal: abort.signal });
      const incidents = answer.incidents || [];
      next = answer.next || "";
      replace(body, incidents.length > 0 ? list(incidents) : h("div", { class: "empty" }, h("p", { class: "strong" }, state ? "None of these" : "Nothing has happened yet"), h("p", null, state ? "No incident stands so." : "When a site fails, what wpmend saw, tried and did is told here.")));
      replace(pager, cursors.length > 1 || next ? [
        h("button", { type: "button", id: "page-before", disabled: cursors.length < 2, on: { click: () => turn(-1) } }, "Newer"),
        h("span", null, `Page ${cursors.length}`),
        h("button", { type: "button", id: "page-after", disabled: !next, on: { click: () => turn(1) } }, "Older"),
      ] : null);
    } catch (error) {
      if (error.name === "AbortError") return;
      context.failed(error);
      if (body.childElementCount === 0) show(body, error);
    }
  }

  function turn(by) {
    if (by > 0) cursors.push(next);
    else cursors.pop();
    load().then(() => window.scrollTo(0, 0));
  }

  load();
  return {
    title: "Incidents", element, refresh: load, focus: select,
    event: (e) => e.kind === "incident" && soon(),
    close() {
      soon.stop();
      if (abort) abort.abort();
    },
  };
}

// list shows incidents, each as one row.
export function list(incidents, { site = true } = {}) {
  return h("ul", { class: "incidents" }, incidents.map((i) => h("li", { class: "state-" + i.state },
    badge(i.state),
    h("div", { class: "incident-what" },
      h("a", { href: "#/incident/" + at(i.id), id: "incident-" + i.id, class: "row-link" }, headline(i)),
      h("p", { class: "small" }, joined(site && i.site && name(i.site.domain, { class: "strong" }), (known(i) || i.state === "open") && outcome((i.symptom || {}).outcome),
        i.seconds > 0 && seconds(i.seconds), i.changes && i.changes.length > 0 && i.state === "resolved" && "changed by wpmend"))),
    h("span", { class: "incident-when" }, when(i.opened)))));
}

const known = (i) => (i.culprits || []).length > 0 || (i.causes || []).length > 0;

const joined = (...parts) => parts.filter(Boolean).map((part, n) => [n > 0 && " · ", part]);

// headline says an incident in a few words.
export function headline(i) {
  const culprits = (i.culprits || []).map((c) => component(c.component));
  if (culprits.length > 0) return ["Fault in ", culprits.map((c, n) => [n > 0 && (n === culprits.length - 1 ? " and " : ", "), name(c.name)])];
  if ((i.causes || []).length > 0) return plain(i.causes[0].cause);
  return i.state === "open" ? "Looking for the cause" : outcome((i.symptom || {}).outcome || "unknown");
}
