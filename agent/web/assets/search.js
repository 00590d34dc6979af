// Draws a search as it narrows: a field of its components, and a strip for every round.
import { h, s, name, replace } from "./dom.js";
import { badge, component, count, first, mark, plain } from "./words.js";

const namedUpTo = 72; // with more components the field is of cells without names
const listedUpTo = 8; // suspects that are named in a sentence

// Layer is one run of the search over one set of components.
class Layer {
  constructor() {
    this.names = [];
    this.rounds = [];
  }

  add(search) {
    const seen = new Set(this.names);
    const asked = (search.asked || []).map((a) => ({ ...a, masked: new Set(a.masked || []) }));
    for (const a of asked) for (const id of a.masked) seen.add(id);
    for (const id of [...(search.suspects || []), ...(search.aside || [])]) seen.add(id);
    if (seen.size > this.names.length) this.names = [...seen].sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
    this.rounds.push({ ...search, asked, suspects: new Set(search.suspects || []), aside: search.aside || [] });
  }

  get last() {
    return this.rounds[this.rounds.length - 1];
  }

  // state of one component, as the last round left it.
  state(id) {
    if (this.last.aside.includes(id)) return "culprit";
    return this.last.suspects.has(id) ? "suspect" : "cleared";
  }
}

// Drawing holds one search with its layers and draws it.
export class Drawing {
  constructor() {
    this.clear();
    this.sentence = h("p", { class: "search-now", "aria-live": "polite", "aria-atomic": "true" });
    this.layersBox = h("div", { class: "layers" });
    this.element = h("div", { class: "search" }, this.sentence, this.layersBox);
  }

  clear() {
    this.layers = [];
    if (this.element) this.draw();
  }

  get empty() {
    return this.layers.length === 0;
  }

  // hear takes an event of kind "search".
  hear(event) {
    const layer = this.layers[this.layers.length - 1];
    const search = event.search;
    if (!search || !(search.round > 0)) return;
    if (!layer || search.round <= layer.last.round) this.layers.push(new Layer());
    this.layers[this.layers.length - 1].add(search);
    // Many rounds come at once where a search is looked at late.
    this.frame ||= requestAnimationFrame(() => this.draw());
  }

  draw() {
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    const layer = this.layers[this.layers.length - 1];
    if (!layer) {
      replace(this.sentence);
      replace(this.layersBox);
      return;
    }
    const text = said(layer);
    if (this.sentence.textContent !== text) this.sentence.textContent = text;
    replace(this.layersBox, this.layers.map((l, i) => drawn(l, i, this.layers.length)));
  }
}

const short = (id) => component(id).name;

// said is the state of the search in a sentence, for those who hear it.
function said(layer) {
  const { round, suspects, aside, probes } = layer.last;
  const parts = [`Round ${round}, ${count(probes, "probe")}`];
  if (aside.length > 0) parts.push((aside.length === 1 ? "Culprit: " : "Culprits: ") + aside.map(short).join(", "));
  if (suspects.size === 0) parts.push(aside.length > 0 ? "no other suspect" : "no suspect left");
  else if (suspects.size <= listedUpTo && suspects.size < layer.names.length) parts.push(`${count(suspects.size, "suspect")}: ${[...suspects].map(short).join(", ")}`);
  else parts.push(`${suspects.size} of ${count(layer.names.length, "component")} suspected`);
  return parts.join(" · ");
}

function drawn(layer, index, layers) {
  return h("div", { class: "layer" },
    layers > 1 && h("h3", null, `Part ${index + 1}`),
    index === layers - 1 && [field(layer), legend()],
    h("ol", { class: "rounds", "aria-label": "Rounds of the search" }, layer.rounds.map((r) => strip(layer, r))));
}

function field(layer) {
  const named = layer.names.length <= namedUpTo;
  const states = layer.names.map((id) => [id, layer.state(id)]);
  const number = (state) => states.filter((x) => x[1] === state).length;
  return h("div", { class: named ? "field named" : "field", role: "img", "aria-label": `${layer.names.length} components: ${number("suspect")} suspected, ${number("cleared")} cleared, ${count(number("culprit"), "culprit")}` },
    states.map(([id, state]) => h("span", { class: "cell " + state, title: `${id}: ${state}` }, h("i"), named && name(short(id)))));
}

function legend() {
  return h("p", { class: "legend", "aria-hidden": "true" },
    ["suspect", "cleared", "culprit"].map((state) => h("span", { class: "cell " + state }, h("i"), state)),
    h("span", { class: "strip-key" }, h("i", { class: "in" }), "let in"), h("span", { class: "strip-key" }, h("i", { class: "out" }), "masked"));
}

const tone = (verdict) => ({ healthy: "good", failing: "bad" })[verdict] || "plain";

// strip is one round: what was let in, what was masked, and how the site answered.
function strip(layer, round) {
  const questions = [];
  for (const a of round.asked) {
    const before = questions[questions.length - 1];
    if (before && before.why === a.why && before.verdict === a.verdict) before.times++;
    else questions.push({ ...a, times: 1 });
  }
  return h("li", { class: "round" }, h("span", { class: "round-number", "aria-label": `Round ${round.round}` }, String(round.round)),
    h("div", { class: "questions" }, questions.map((a) => h("div", { class: "question" },
      bars(layer, round, a),
      h("span", { class: "asked" }, why(a)),
      h("span", { class: "verdict " + tone(a.verdict) }, mark(tone(a.verdict)), plain(a.verdict)),
      a.signature && a.verdict !== "healthy" && h("span", { class: "signature" }, name(a.signature))))));
}

function why(a) {
  const again = a.times > 1 ? `, ${a.times} times` : a.repeat ? ", again" : "";
  return [name(first(a.why)), again];
}

function bars(layer, round, a) {
  const n = layer.names.length;
  const wide = n > 120 ? 1 : 0.8;
  const paths = { out: "", in: "", suspect: "", culprit: "" };
  layer.names.forEach((id, i) => {
    const x = i + (1 - wide) / 2;
    if (a.masked.has(id)) paths.out += `M${x} 4h${wide}v2h${-wide}z`;
    else paths.in += `M${x} 0h${wide}v7.5h${-wide}z`;
    const state = round.aside.includes(id) ? "culprit" : round.suspects.has(id) ? "suspect" : "";
    if (state) paths[state] += `M${x} 9h${wide}v1h${-wide}z`;
  });
  return s("svg", { class: "bars " + tone(a.verdict), viewBox: `0 0 ${n} 10`, preserveAspectRatio: "none", "aria-hidden": "true", width: "100%", height: 18 },
    Object.entries(paths).map(([kind, d]) => d && s("path", { class: kind, d })));
}

// Now shows what the service does with a site at this moment, and the last search that it made.
export class Now {
  constructor() {
    this.drawing = new Drawing();
    this.list = h("ol", { class: "doing", "aria-label": "Steps" });
    this.state = h("span", null);
    this.element = h("section", { class: "card now", "aria-labelledby": "now-title", hidden: true },
      h("div", { class: "heading" }, h("h2", { id: "now-title" }, "The search"), this.state), this.drawing.element,
      h("details", { id: "now-steps", class: "steps" }, h("summary", null, "Every step"), this.list));
    this.latest = ""; // the incident or the job that is under way
    this.shown = ""; // that of the search that is drawn
  }

  // hear takes any event of the site.
  hear(event) {
    const { kind, incident, job } = event;
    if (kind === "incident" && incident) {
      this.begins(incident.id);
      if (incident.id === this.shown) this.set(incident.state);
    } else if (kind === "job") {
      this.begins(job);
      const [, state] = /: (done|failed|cancelled)$/.exec(event.text) || [];
      if (state && job === this.shown) this.set(state);
    } else if (kind === "search") {
      if (this.latest !== this.shown) {
        this.shown = this.latest;
        this.drawing.clear();
      }
      this.drawing.hear(event);
      this.set("running");
    }
    if (event.text) this.step(event);
    this.element.hidden = this.drawing.empty;
  }

  // begins takes up other work; the last search stays until it makes one.
  begins(id) {
    if (id === this.latest) return;
    this.latest = id;
    this.list.textContent = "";
  }

  // set shows how far the work is: an incident's state, or a job's.
  set(state) {
    replace(this.state, badge(state));
  }

  step(event) {
    this.list.append(h("li", null, name(event.text)));
    while (this.list.childElementCount > 200) this.list.firstElementChild.remove();
  }
}
