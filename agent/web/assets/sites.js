// All sites, those that fail first.
import { anew } from "./again.js";
import { at, get } from "./api.js";
import { show } from "./dialog.js";
import { h, name, replace } from "./dom.js";
import { badge } from "./words.js";

const rows = 50; // on one page
const calm = 250; // ms without typing, before the list is asked for

export function view(context) {
  let query = context.query.get("q") || "";
  let cursors = [""]; // of the pages up to this one
  let next = "";
  let timer = 0;
  let abort = null;
  const soon = anew(load);

  const search = h("input", { type: "search", id: "search", placeholder: "Domain, folder or owner", "aria-label": "Search sites", autocomplete: "off", spellcheck: "false", maxlength: 200, value: query, on: { input: later } });
  const summary = h("p", { class: "summary", role: "status" });
  const body = h("div", { class: "list" });
  const pager = h("nav", { class: "pager", "aria-label": "Pages" });
  const notes = h("div", { class: "host-notes" });
  const element = h("div", { class: "view" },
    h("div", { class: "view-head" }, h("h1", null, "Sites"), h("form", { role: "search", on: { submit: (e) => { e.preventDefault(); typed(); } } }, search)),
    summary, body, pager, notes);

  function later() {
    clearTimeout(timer);
    timer = setTimeout(typed, calm);
  }

  function typed() {
    query = search.value.trim();
    cursors = [""];
    context.remember(query ? "?q=" + encodeURIComponent(query) : "");
    load();
  }

  async function load() {
    if (abort) abort.abort();
    abort = new AbortController();
    const parts = new URLSearchParams({ limit: rows, sort: "state" });
    if (query) parts.set("q", query);
    if (cursors[cursors.length - 1]) parts.set("cursor", cursors[cursors.length - 1]);
    try {
      draw(await get("sites?" + parts, { signal: abort.signal }));
    } catch (error) {
      if (error.name === "AbortError") return;
      context.failed(error);
      if (body.childElementCount === 0) show(body, error);
    }
  }

  function draw(list) {
    const sites = list.sites || [];
    next = list.next || "";
    const first = (cursors.length - 1) * rows;
    replace(summary, sites.length > 0 && [range(first, sites.length), query && [" for “", name(query), "”"], attention(sites)]);
    replace(body, sites.length > 0 ? table(sites) : empty());
    replace(pager, cursors.length > 1 || next ? [
      h("button", { type: "button", id: "page-before", disabled: cursors.length < 2, on: { click: () => turn(-1) } }, "Previous"),
      h("span", null, `Page ${cursors.length}`),
      h("button", { type: "button", id: "page-after", disabled: !next, on: { click: () => turn(1) } }, "Next"),
    ] : null);
    const unread = list.notes || [];
    replace(notes, unread.length > 0 && h("details", { id: "unread" }, h("summary", null, `What could not be read of this host (${unread.length})`), h("ul", { class: "notes" }, unread.map((n) => h("li", null, name(n))))));
  }

  function range(first, n) {
    const all = context.service ? context.service.sites : 0;
    const shown = first === 0 && !next ? String(n) : `${first + 1}–${first + n}`;
    return query ? `${shown} ${n === 1 && first === 0 && !next ? "site" : "sites"}` : all > n ? `${shown} of ${all.toLocaleString("en")} sites` : `${shown} ${n === 1 ? "site" : "sites"}`;
  }

  function attention(sites) {
    const n = sites.filter((x) => x.state === "failing" || x.state === "escalated" || x.state === "recovering").length;
    if (cursors.length > 1) return null;
    return n > 0 ? [" · ", h("span", { class: "strong" }, `${n}${next && n === sites.length ? " or more" : ""} in trouble`)] : " · all quiet";
  }

  function empty() {
    if (query) return h("div", { class: "empty" }, h("p", { class: "strong" }, "No site matches"), h("p", null, "The search looks at domains, root folders, owners and ids."));
    if (context.service && !context.service.ready) return h("div", { class: "empty" }, h("p", { class: "strong" }, "Looking at the host…"), h("p", null, "The service has just begun. Its sites appear here in a moment."));
    return h("div", { class: "empty" }, h("p", { class: "strong" }, "No WordPress site found"), h("p", null, "wpmend asks the running gateway and PHP-FPM for them. ", h("code", null, "wpmend doctor"), " says what keeps it from seeing them."));
  }

  function turn(by) {
    if (by > 0) cursors.push(next);
    else cursors.pop();
    load().then(() => window.scrollTo(0, 0));
  }

  function table(sites) {
    const head = ["Site", "State", "Owner", "Pool", "PHP", "WordPress"];
    return h("table", { class: "sites", role: "table", "aria-label": "Sites" },
      h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, head.map((t) => h("th", { scope: "col", role: "columnheader", class: "col-" + t.toLowerCase() }, t)))),
      h("tbody", { role: "rowgroup" }, sites.map((x) => h("tr", { role: "row", class: "state-" + x.state },
        h("td", { role: "cell", class: "col-site" }, h("a", { href: "#/site/" + at(x.id), id: "site-" + x.id, class: "row-link", title: x.domain }, name(x.domain)), h("span", { class: "path", title: x.root }, name(x.root))),
        h("td", { role: "cell", class: "col-state" }, badge(x.state)),
        cell("owner", x.owner), cell("pool", x.pool), cell("php", php(x.php), x.php), cell("wordpress", x.version)))));
  }

  function cell(kind, text, title) {
    return h("td", { role: "cell", class: "col-" + kind, "data-label": { php: "PHP", wordpress: "WordPress" }[kind], title }, text ? name(text) : h("span", { class: "none" }, "–"));
  }

  load();
  return {
    title: "Sites", element, refresh: load, focus: search,
    event: (e) => e.kind === "incident" && soon(),
    close() {
      soon.stop();
      clearTimeout(timer);
      if (abort) abort.abort();
    },
  };
}

// php is the version in the path of a master's configuration, where it is there.
export function php(config) {
  const [, version] = /(?:^|[^0-9])(\d\.\d+|ea-php\d+)(?:[^0-9]|$)/.exec(config || "") || [];
  return version || (config || "").split("/").pop();
}
