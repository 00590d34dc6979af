// Shows why a site fails: the causes, and for each what speaks for it and who says so.
import { h, name } from "./dom.js";
import { component, date, first, moment, plain } from "./words.js";

const shownAtOnce = 4; // facts of one cause

// causes lists them, the likeliest first.
export function causes(list, prefix) {
  return h("ol", { class: "causes" }, list.map((c, i) => cause(c, `${prefix}-${i}`)));
}

function cause(c, id) {
  const percent = Math.round(Math.min(1, Math.max(0, c.confidence || 0)) * 100);
  const evidence = c.evidence || [];
  return h("li", { class: "cause" },
    h("div", { class: "cause-head" }, h("h3", null, plain(c.cause)),
      h("span", { class: "confidence" }, h("progress", { max: 100, value: percent, "aria-label": "Confidence" }), `${percent} %`)),
    c.component && h("p", { class: "cause-what" }, c.proven ? "Convicted by probes: " : "Suspected: ", componentName(c.component)),
    evidence.length > 0 && facts(evidence, id),
    h("p", { class: "small" }, "Remedy: ", c.remedy ? plain(c.remedy).toLowerCase() : "none that wpmend may take; a person must act"),
    c.advice && h("p", { class: "advice" }, c.advice));
}

// componentName shows "plugin:akismet" as akismet, with its kind beside it.
export function componentName(id) {
  const { kind, name: short } = component(id);
  return h("span", { class: "component" }, name(short, { class: "strong" }), kind && [" ", h("span", { class: "kind" }, kind)]);
}

function facts(evidence, id) {
  const rest = evidence.slice(shownAtOnce);
  return [
    h("dl", { class: "facts" }, evidence.slice(0, shownAtOnce).map(fact)),
    rest.length > 0 && h("details", { id }, h("summary", null, `${rest.length} more`), h("dl", { class: "facts" }, rest.map(fact))),
  ];
}

function fact(e) {
  return h("div", { class: "fact" }, h("dt", null, name(e.source), moment(e.time) && [" · ", moment(e.time)]), h("dd", null, name(e.text)));
}

const layerStates = { ok: "good", failed: "bad" };

// layers is the way from a visitor to the site's code, each step with what is known of it.
export function layers(list) {
  return h("ol", { class: "way", "aria-label": "The way from a visitor to the site's code" }, list.map((l) => h("li", { class: "way-" + (layerStates[l.state] || "plain") },
    h("span", { class: "way-name" }, first(plain(l.layer))), h("span", { class: "way-state" }, l.state),
    l.cause && h("span", { class: "small" }, plain(l.cause)))));
}

// timeline is an incident's story.
export function timeline(list) {
  let last = "";
  return h("ol", { class: "timeline" }, list.map((e) => {
    const today = new Date(e.time).toDateString();
    const shows = today !== last;
    last = today;
    return h("li", null, h("span", { class: "timeline-at" }, moment(e.time)), h("span", { class: "timeline-what" }, name(e.what), shows && list.length > 1 && h("span", { class: "timeline-day" }, date(e.time))));
  }));
}
