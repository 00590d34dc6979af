// One site: how it stands, what can be done, what is installed, what bounds it.
import { anew } from "./again.js";
import { at, get } from "./api.js";
import { inForce, toggle } from "./change.js";
import { show, trouble } from "./dialog.js";
import { h, name, replace, section } from "./dom.js";
import { list } from "./incidents.js";
import { chain } from "./limits.js";
import { Now } from "./search.js";
import { php } from "./sites.js";
import { Work } from "./work.js";
import { badge, component, count } from "./words.js";

const shownAtOnce = 12; // components

export function view(context, id) {
  const abort = new AbortController();
  const head = h("div", { class: "view-head site-head" });
  const facts = h("dl", { class: "site-facts" });
  const rest = h("div", { class: "site-rest" });
  const element = h("div", { class: "view" }, h("nav", { class: "trail", "aria-label": "Where this is" }, h("a", { href: "#/" }, "Sites")), head, facts, rest);
  const now = new Now();
  const state = h("span", { class: "state" });
  const told = { title: "Site", element, refresh: () => load(), event, close };
  let site = null;
  let work = null;
  let whole = false; // what changes at the end of an incident alone is to be asked for as well
  const soon = anew(() => load(!whole));
  let all = false;

  const components = section("components-title", "Components");
  const limits = section("limits-title", "Limits");
  const incidents = section("incidents-title", "Incidents");
  const changed = section("in-force-title", "In force");
  const bodies = [components, limits, incidents, changed].map((x) => x.appendChild(h("div", { class: "card-body" }, h("p", { class: "small loading" }, "…"))));

  // load asks for all there is; few: for what changes while wpmend is at work.
  async function load(few) {
    if (!few) whole = false;
    let asked;
    try {
      asked = await get("sites/" + at(id), { signal: abort.signal });
    } catch (error) {
      if (error.name === "AbortError") return;
      context.failed(error);
      if (!site) {
        replace(head, h("h1", null, "Site"));
        show(rest, error);
      }
      return;
    }
    const begins = !site;
    site = asked;
    replace(state, badge(site.state));
    if (begins) build();
    fillFacts();
    const parts = [fill(2, () => get(`incidents?limit=8&site=${encodeURIComponent(site.id)}`, { signal: abort.signal }), (r) => (r.incidents || []).length > 0
      ? list(r.incidents, { site: false }) : h("p", { class: "small" }, "Nothing has happened to this site yet."))];
    if (!few) parts.push(...others());
    await Promise.all(parts);
  }

  function others() {
    return [
      fill(0, () => get(`sites/${at(site.id)}/components`, { signal: abort.signal }), drawComponents),
      fill(1, () => get(`sites/${at(site.id)}/limits`, { signal: abort.signal }), chain),
      fill(3, () => get("changes", { signal: abort.signal }), (r) => {
        const own = (r.changes || []).filter((c) => c.root === site.root);
        return own.length > 0 ? inForce(own, { admin: context.admin, done: () => load(), alone: true }) : h("p", { class: "small" }, "wpmend has changed nothing here that is still so.");
      }),
    ];
  }

  function build() {
    work = new Work({ site, admin: context.admin, ended: () => load() });
    replace(head, h("div", { class: "site-title" }, h("h1", null, name(site.domain)), state), work.actions);
    replace(rest, !context.admin && h("p", { class: "small" }, "You may check this site, search for the culprit in a private copy, and take back what wpmend did to it. Healing and switching components by hand are for administrators."),
      work.element, now.element, h("div", { class: "columns" }, h("div", null, incidents, changed, limits), h("div", null, components)));
    context.follow(site.id);
    context.title(site.domain);
    work.resume(abort.signal).catch((error) => context.failed(error));
  }

  function fillFacts() {
    const rows = [["Folder", site.root], ["Owner", site.owner], ["Gateway", site.gateway], ["Pool", site.pool && (site.running ? site.pool : `${site.pool} (not running)`)], ["PHP", php(site.php), site.php], ["WordPress", site.version]];
    replace(facts, rows.filter((r) => r[1]).map(([label, text, title]) => h("div", null, h("dt", null, label), h("dd", { title }, name(text)))));
  }

  async function fill(i, ask, draw) {
    try {
      const answer = await ask();
      replace(bodies[i], draw(answer));
    } catch (error) {
      if (error.name === "AbortError") return;
      context.failed(error);
      replace(bodies[i], trouble(error));
    }
  }

  function drawComponents(report) {
    const parts = report.components || [];
    const off = parts.filter((c) => c.off);
    const loaded = parts.filter((c) => c.active && !c.off);
    const idle = parts.filter((c) => !c.active && !c.off);
    const ordered = [...off, ...loaded, ...idle];
    const shown = all || ordered.length <= shownAtOnce + 3 ? ordered : ordered.slice(0, Math.max(shownAtOnce, off.length));
    if (ordered.length === 0) return h("p", { class: "small" }, "No plugin, theme or drop-in was found.");
    return [
      h("p", { class: "small" }, [count(loaded.length, "active component"), off.length > 0 && `${off.length} switched off by wpmend`, idle.length > 0 && `${idle.length} inactive`].filter(Boolean).join(" · ")),
      h("ul", { class: "components" }, shown.map((c) => h("li", { class: c.off ? "off" : c.active ? null : "idle" },
        h("div", { class: "component-what" }, name(component(c.component).name, { class: "strong", title: c.component }), h("span", { class: "small" }, [component(c.component).kind, c.version && [" ", name(c.version)], c.protected && " · protected"])),
        c.off ? h("span", { class: "tag warn" }, "off by wpmend") : !c.active && h("span", { class: "tag" }, "inactive"),
        context.admin && (c.active || c.off) && toggle({ site: site.id, domain: site.domain, component: c.component, enabled: !c.off, done: () => load() })))),
      shown.length < ordered.length && h("button", { type: "button", id: "all-components", class: "quiet more", on: { click: () => { all = true; replace(bodies[0], drawComponents(report)); } } }, `Show all ${ordered.length}`),
      (report.notes || []).map((n) => h("p", { class: "small" }, name(n))),
    ];
  }

  function event(e) {
    if (!site || !e.site || e.site.id !== site.id) return;
    now.hear(e);
    if (work) work.hear(e);
    if (e.kind !== "incident" && e.kind !== "job") return;
    if (e.kind === "job" && work && !work.job) work.resume(abort.signal).catch((error) => context.failed(error));
    whole ||= e.kind === "job" || !e.incident || e.incident.state !== "open";
    soon();
  }

  function close() {
    abort.abort();
    soon.stop();
    if (work) work.close();
  }

  load();
  return told;
}
