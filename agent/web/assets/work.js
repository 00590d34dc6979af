// Starts work on a site and follows it to its end.
import { at, del, get, post } from "./api.js";
import { busy, fail, say, sure, trouble } from "./dialog.js";
import { h, name, replace } from "./dom.js";
import { causes, componentName, layers } from "./evidence.js";
import { badge, count, outcome, seconds, when } from "./words.js";

const names = { check: "Check", bisect: "Search for the culprit", heal: "Heal" };
const again = 1500; // ms, before a job is asked for once more when nobody answered

// Work is the panel with what can be started, and what is under way.
export class Work {
  constructor({ site, admin, started, ended }) {
    Object.assign(this, { site, started, ended });
    this.job = null;
    this.now = h("div", { class: "job" });
    this.result = h("div", { class: "result", "aria-live": "polite" });
    this.buttons = [
      this.button("check", "Check now", "primary", { walk: true }),
      this.button("bisect", "Find the culprit", "", {}),
      admin && this.button("heal", "Heal", "", {}),
    ].filter(Boolean);
    this.actions = h("div", { class: "actions" }, this.buttons);
    this.element = h("div", { class: "work" }, this.now, this.result);
  }

  button(kind, text, style, body) {
    const button = h("button", { type: "button", id: "start-" + kind, class: style, on: { click: () => busy(button, () => this.start(kind, body)) } }, text);
    return button;
  }

  async start(kind, body) {
    if (kind === "heal" && !await sure("Heal this site?", [
      h("p", null, "wpmend looks for the cause on ", name(this.site.domain, { class: "strong" }), ", switches off what is at fault, and proves that the site is well. What does not help is undone."),
    ], "Heal")) return;
    try {
      const job = await post(`sites/${at(this.site.id)}/${kind}s`, body);
      if (this.started) this.started(job);
      this.follow(job);
    } catch (error) {
      fail(error, names[kind] + " not started");
    }
  }

  // resume follows what is under way already.
  async resume(signal) {
    const { jobs = [] } = await get("jobs?limit=50", { signal });
    const own = jobs.filter((j) => j.site && j.site.id === this.site.id);
    const running = own.find((j) => j.state === "running");
    if (running) this.follow(running);
    else if (own.length > 0 && !this.job) this.show(own[0]);
  }

  async follow(job) {
    if (this.job && this.job.id === job.id) return;
    this.job = job;
    replace(this.result);
    this.showRunning(job);
    for (let ended = false; !ended && !this.closed && this.job.id === job.id;) {
      try {
        job = await get(`jobs/${at(job.id)}?wait=50`);
        ended = job.state !== "running";
      } catch (error) {
        if (error.status === 404) {
          replace(this.now, trouble({ message: "The service began anew and no longer knows this work.", remedy: "start it again" }));
          this.job = null;
          return;
        }
        if (error.status === 401 || error.status === 403) return;
        await new Promise((resolve) => setTimeout(resolve, again));
      }
    }
    if (this.closed || !this.job || this.job.id !== job.id) return;
    this.job = null;
    this.show(job);
    if (this.ended) this.ended(job);
  }

  showRunning(job) {
    this.line = h("span", { class: "job-line" });
    const cancel = h("button", { type: "button", id: "cancel-job", class: "quiet", on: {
      click: () => busy(cancel, () => del(`jobs/${at(job.id)}`).then(() => say("Cancelled; the site is as it was."), (error) => fail(error, "Not cancelled"))),
    } }, "Cancel");
    replace(this.now, h("div", { class: "job-now" }, badge("running"), h("span", { class: "strong" }, names[job.kind] || job.kind), this.line, cancel));
  }

  // hear shows the step that the work is at.
  hear(event) {
    if (this.job && event.job === this.job.id && this.line && event.text) replace(this.line, name(event.text));
  }

  show(job) {
    replace(this.now);
    const head = h("p", { class: "result-head" }, h("span", { class: "strong" }, names[job.kind] || job.kind), " ", h("span", { class: "small" }, "by ", name(job.by), " · ", when(job.ended || job.created)));
    if (job.state === "failed") replace(this.result, head, trouble({ message: (job.error || {}).detail || "It failed.", remedy: (job.error || {}).remedy }));
    else if (job.state === "cancelled") replace(this.result, head, h("p", null, badge("cancelled")));
    else replace(this.result, head, job.result ? this.told(job.kind, job.result) : null);
  }

  told(kind, r) {
    if (kind === "check") return checked(r);
    return [
      h("p", { class: "verdict-line" }, kind === "heal" ? badge(r.state) : badge(r.verdict === "healthy" ? "healthy" : r.verdict === "found" ? "failing" : "unknown"), " ", name(r.finding || outcome(r.outcome))),
      culprits(r.culprits || []),
      (r.causes || []).length > 0 && causes(r.causes, "heal"),
      h("p", { class: "small" }, [count(r.probes, "probe"), r.repeats > 0 && `${r.repeats} repeated`, seconds(r.seconds), kind === "bisect" && (r.live_changes > 0 ? `${count(r.live_changes, "change")} to the live site, put back` : "visitors saw nothing of it")].filter(Boolean).join(" · ")),
      r.incident && h("p", null, h("a", { href: "#/incident/" + at(r.incident) }, "The incident")),
      notes(r.notes),
    ];
  }

  close() {
    this.closed = true;
  }
}

function checked(r) {
  return [
    h("p", { class: "verdict-line" }, badge(r.healthy ? "healthy" : "failing"), " ", !r.healthy && h("span", { class: "strong" }, outcome(r.outcome)), [r.status > 0 && `HTTP ${r.status}`, `${seconds(r.seconds)}`].filter(Boolean).join(", "), " · ", name(r.url, { class: "url" })),
    r.detail && h("p", null, name(r.detail)),
    (r.layers || []).length > 0 && layers(r.layers),
    (r.causes || []).length > 0 && causes(r.causes, "check"),
    notes(r.notes),
  ];
}

function notes(list) {
  return (list || []).length > 0 && h("ul", { class: "notes" }, list.map((n) => h("li", null, name(n))));
}

// culprits names who was convicted.
export function culprits(list) {
  return list.length > 0 && h("ul", { class: "culprits" }, list.map((c) => h("li", null,
    h("p", { class: "culprit-name" }, componentName(c.component), c.version && h("span", { class: "small" }, " ", name(c.version))),
    c.signature && h("p", { class: "signature" }, name(c.signature)),
    (c.with || []).length > 0 && h("p", { class: "small" }, "fails only together with ", c.with.map((w, i) => [i > 0 && ", ", name(w)])),
    (c.dependants || []).length > 0 && h("p", { class: "small" }, "needed by ", c.dependants.map((w, i) => [i > 0 && ", ", name(w)]), ", which went off with it"))));
}
