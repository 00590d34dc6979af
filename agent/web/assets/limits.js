// Draws a site's limits as one chain, to scale.
import { h, name, s } from "./dom.js";
import { seconds } from "./words.js";

// What each link must be to the next one that is known (agent's php/ini says the same of them).
const times = ["request_slowlog_timeout", "max_execution_time", "request_terminate_timeout", "gateway_read_timeout", "outer_timeout"];
const sizes = ["upload_max_filesize", "post_max_size", "memory_limit"];
const titles = {
  request_slowlog_timeout: "slow log notes a request after",
  max_execution_time: "PHP ends a script after",
  request_terminate_timeout: "FPM ends a request after",
  gateway_read_timeout: "the gateway gives up after",
  outer_timeout: "a proxy in front gives up after",
  upload_max_filesize: "one uploaded file",
  post_max_size: "one whole request",
  memory_limit: "memory of one request",
};
const relations = {
  request_slowlog_timeout: "<",
  max_execution_time: "≤",
  request_terminate_timeout: "<",
  gateway_read_timeout: "≤",
  upload_max_filesize: "≤",
};

// enough is the least that a gateway may wait for a pool that ends requests after t seconds:
// FPM looks every third of its limit, and 5 s are for the way.
const enough = (t) => (t * 4) / 3 + 5;

// chain shows a LimitsReport.
export function chain(report) {
  const links = new Map((report.links || []).map((l) => [l.name, l]));
  const wrong = new Set((report.violations || []).flatMap((v) => v.links || []));
  return [
    (report.violations || []).length > 0
      ? h("ul", { class: "violations" }, report.violations.map((v) => h("li", null, h("p", { class: "strong" }, (v.links || []).join(" and "), " do not fit together"), v.sees && h("p", null, "A visitor sees: ", name(v.sees)), v.set && h("p", { class: "set" }, "Set ", name(v.set)))))
      : h("p", { class: "small fits" }, "The links fit together: what is inside gives up before what is outside."),
    scale("Time", times, links, wrong, (l) => l.seconds, seconds),
    scale("Size", sizes, links, wrong, (l) => l.bytes, bytes),
    ceilings([...links.values()].filter((l) => l.ceiling)),
    (report.notes || []).map((n) => h("p", { class: "small" }, name(n))),
  ];
}

// ceilings says how far wpmend raises limits by itself.
function ceilings(links) {
  return links.length > 0 && h("details", { id: "ceilings", class: "ceilings" }, h("summary", null, "How far wpmend may raise them"),
    h("dl", { class: "pairs" }, links.map((l) => h("div", null, h("dt", null, l.name), h("dd", null, name(l.ceiling))))));
}

function bytes(n) {
  const mega = n / (1 << 20);
  return mega >= 1024 ? `${Math.round((mega / 1024) * 10) / 10} GB` : `${Math.round(mega * 10) / 10} MB`;
}

function scale(title, names, links, wrong, amount, words) {
  const shown = names.map((n) => links.get(n)).filter((l) => l && (l.known || l.unlimited));
  if (shown.length === 0) return null;
  const terminate = links.get("request_terminate_timeout");
  const least = title === "Time" && terminate && terminate.known && !terminate.unlimited ? enough(terminate.seconds) : 0;
  const most = Math.max(1, least, ...shown.map((l) => (l.unlimited ? 0 : amount(l) || 0))) * 1.06;
  return h("table", { class: "chain" }, h("caption", null, title, h("span", { class: "chain-title" }, title === "Time" ? "each must end before the next one does; drawn to scale" : "drawn to scale")),
    h("thead", { class: "visually-hidden" }, h("tr", null, h("th", { scope: "col" }, "Limit"), h("th", { scope: "col" }, "Drawn"), h("th", { scope: "col" }, "Amount"))),
    h("tbody", null, shown.map((l, i) => row(l, shown[i + 1], wrong.has(l.name), most, least, amount))));
}

function row(l, next, wrong, most, least, amount) {
  const relation = next && relations[l.name];
  const share = l.unlimited ? 100 : ((amount(l) || 0) / most) * 100;
  const mark = l.name === "gateway_read_timeout" && least > 0 ? (least / most) * 100 : 0;
  return h("tr", { class: wrong ? "wrong" : null },
    h("th", { scope: "row" }, h("span", { class: "chain-name" }, l.name, relation && h("span", { class: "relation", title: `must be ${relation} ${next.name}` }, " ", relation)),
      h("span", { class: "chain-title" }, titles[l.name], l.set && l.set.file && [" · ", h("span", { title: `${l.set.file}${l.set.line ? ":" + l.set.line : ""}` }, name(l.set.file.split("/").pop()))])),
    h("td", { class: "chain-bar" }, s("svg", { width: "100%", height: 22, "aria-hidden": "true" },
      s("rect", { x: 0, y: 5, width: "100%", height: 12, rx: 3, class: "track" }),
      s("rect", { x: 0, y: 5, width: `${Math.max(share, 0.6)}%`, height: 12, rx: 3, class: l.unlimited ? "bar-fill endless" : "bar-fill" }),
      mark > 0 && s("line", { x1: `${mark}%`, x2: `${mark}%`, y1: 0, y2: 22, class: "needed" }))),
    h("td", { class: "chain-value" }, h("span", { class: "strong" }, l.unlimited ? "no limit" : l.words), wrong && h("span", { class: "wrong-word" }, "does not fit"),
      mark > 0 && h("span", { class: "chain-title" }, `needs > ${seconds(least)}`)));
}
