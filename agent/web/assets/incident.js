// One incident: what was seen, found, done, and the way back.
import { anew } from "./again.js";
import { at, get, send } from "./api.js";
import { changes, undoIncident } from "./change.js";
import { busy, fail, show } from "./dialog.js";
import { h, name, replace, section } from "./dom.js";
import { causes, timeline } from "./evidence.js";
import { headline } from "./incidents.js";
import { Now } from "./search.js";
import { culprits } from "./work.js";
import { badge, count, date, outcome, plain, seconds } from "./words.js";

export function view(context, id) {
  const abort = new AbortController();
  const now = new Now();
  const head = h("div");
  const body = h("div", { class: "columns" });
  const trail = h("nav", { class: "trail", "aria-label": "Where this is" }, h("a", { href: "#/incidents" }, "Incidents"));
  const element = h("div", { class: "view" }, trail, head, now.element, body);
  let incident = null;
  let standing = [];
  const soon = anew(load);

  async function load() {
    try {
      const [got, inForce] = await Promise.all([get("incidents/" + at(id), { signal: abort.signal }), get("changes", { signal: abort.signal }).catch(() => ({ changes: [] }))]);
      standing = (inForce.changes || []).filter((c) => c.incident === got.id);
      draw(got);
    } catch (error) {
      if (error.name === "AbortError") return;
      context.failed(error);
      if (incident) return;
      replace(head, h("h1", null, "Incident"));
      show(body, error);
    }
  }

  function draw(got) {
    const begins = !incident;
    incident = got;
    const symptom = got.symptom || {};
    replace(trail, h("a", { href: "#/incidents" }, "Incidents"), " / ", h("a", { href: "#/site/" + at(got.site.id) }, name(got.site.domain)));
    replace(head,
      h("div", { class: "view-head" }, h("div", { class: "site-title" }, h("h1", null, headline(got)), badge(got.state)), h("div", { class: "actions" }, undo(), reports())),
      h("p", { class: "lead" }, lead(got)),
      h("dl", { class: "site-facts" }, [
        ["Site", h("a", { href: "#/site/" + at(got.site.id) }, name(got.site.domain))],
        ["Seen", [outcome(symptom.outcome), symptom.status > 0 && ` (HTTP ${symptom.status})`]],
        symptom.url && ["At", name(symptom.url, { class: "url" })],
        ["Began", date(got.opened)],
        date(got.ended) && ["Took", seconds(got.seconds)],
        got.probes > 0 && ["Search", `${count(got.probes, "probe")}, ${count(got.rounds, "round")}`],
      ].filter(Boolean).map(([label, value]) => h("div", null, h("dt", null, label), h("dd", null, value)))));
    replace(body,
      h("div", null,
        (got.culprits || []).length > 0 && section("culprits-title", got.culprits.length === 1 ? "The culprit" : "The culprits", culprits(got.culprits)),
        section("changes-title", "What was changed", (got.changes || []).length > 0 ? [changes(got.changes), stands()] : h("p", { class: "small" }, "Nothing: the site is as it was found.")),
        (got.advice || []).length > 0 && section("advice-title", "What you can do", h("ul", { class: "notes" }, got.advice.map((a) => h("li", null, name(a))))),
        (got.causes || []).length > 0 && section("evidence-title", "Causes and evidence", causes(got.causes, "incident"))),
      h("div", null, section("timeline-title", "Timeline", timeline(got.timeline || [])),
        (got.sites || []).length > 0 && section("others-title", "Failed with it", h("ul", { class: "plain" }, got.sites.map((x) => h("li", null, h("a", { href: "#/site/" + at(x.id) }, name(x.domain))))))));
    if (!begins) return;
    context.title(`Incident at ${got.site.domain}`);
    if (got.state === "open") context.follow(got.site.id);
  }

  function lead(i) {
    const why = i.reason ? ` (${plain(i.reason).toLowerCase()})` : "";
    if (i.state === "open") return "wpmend is at work on this site. What it finds appears here.";
    if (i.state === "resolved") return "wpmend removed the cause and proved that the site is well.";
    if (i.state === "transient") return "The failure went by itself; nothing was changed.";
    if (i.state === "undone") return "What was changed has been taken back by a person.";
    if (i.over && !i.over.startsWith("0001")) return `wpmend could not mend it${why}. The failure is over by now.`;
    return `wpmend could not mend it${why}: a person must look. What it tried was undone.`;
  }

  function undo() {
    if (standing.length === 0 || incident.state === "open") return null;
    return undoIncident({ id: incident.id, what: standing.map((c) => c.what), done: load, label: "Undo" });
  }

  function stands() {
    if (incident.state === "open") return null;
    return h("p", { class: "small" }, standing.length > 0 ? "In force." : incident.state === "undone" ? "Taken back: none of it is in force." : "No longer in force, or not yours to take back.");
  }

  function reports() {
    const button = h("button", { type: "button", id: "report", class: "quiet", on: { click: () => busy(button, save) } }, "Save the report");
    return button;
  }

  async function save() {
    try {
      const response = await send("GET", `incidents/${at(incident.id)}/report?format=html`, { accept: "text/html" });
      const link = h("a", { href: URL.createObjectURL(new Blob([await response.arrayBuffer()], { type: "application/octet-stream" })), download: `wpmend-${incident.id}.html` });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    } catch (error) {
      fail(error, "No report");
    }
  }

  function event(e) {
    if (!incident || !e.site || e.site.id !== incident.site.id) return;
    if (incident.state === "open" || e.kind !== "doing") now.hear(e);
    if (e.kind !== "incident") return;
    if (e.incident && e.incident.id === incident.id) draw(e.incident);
    soon();
  }

  function close() {
    abort.abort();
    soon.stop();
  }

  load();
  return { title: "Incident", element, refresh: load, event, close };
}
