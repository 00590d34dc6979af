// Shows what wpmend changed, and takes it back.
import { at, post, put } from "./api.js";
import { busy, fail, say, sure } from "./dialog.js";
import { h, name } from "./dom.js";
import { componentName } from "./evidence.js";
import { count, date, when } from "./words.js";

// changes lists an incident's, with the way back.
export function changes(list) {
  return h("ul", { class: "changes" }, list.map((c) => h("li", null, h("p", { class: "strong" }, name(c.what)), move(c))));
}

function move(c) {
  if (!c.from && !c.to) return null;
  return h("dl", { class: "move" }, h("div", null, h("dt", null, "from"), h("dd", null, name(c.from))), h("div", null, h("dt", null, "to"), h("dd", null, name(c.to))));
}

// confirmed asks, changes, and says what came of it.
async function confirmed(button, title, body, act, change, done) {
  if (!await sure(title, body, act)) return;
  await busy(button, async () => {
    try {
      told(await change());
    } catch (error) {
      fail(error, "Nothing was changed");
    }
    if (done) await done();
  });
  // The button may be gone: who works without a mouse goes on where the content begins.
  if (document.activeElement === document.body) document.getElementById("main").focus();
}

// undoIncident is the button that takes an incident's changes back.
export function undoIncident({ id, part = id, what, done, label = "Undo", about }) {
  const button = h("button", { type: "button", id: "undo-" + part, class: "undo", "aria-label": about ? `${label}: ${about}` : null, on: {
    click: () => confirmed(button, what.length === 1 ? "Take this change back?" : "Take these changes back?", [
      h("ul", null, what.map((w) => h("li", null, name(w)))),
      h("p", { class: "small" }, "All that this incident changed goes back to how it was before. If the fault is still there, the site fails again."),
    ], "Take it back", () => post(`incidents/${at(id)}/undo`), done),
  } }, label);
  return button;
}

// told says what a SwitchReport holds.
export function told(report) {
  const changed = (report.changes || []).map((c) => c.what).filter(Boolean);
  const notes = (report.notes || []).join("; ");
  if (report.left > 0) say(`${count(report.left, "change")} could not be taken back`, "bad", notes);
  else if (report.already && changed.length === 0) say("There was nothing left to take back.", "good", notes);
  else say(changed.length > 0 ? `Done: ${changed.join("; ")}` : "Done.", "good", notes);
}

// inForce lists changes that are in effect; alone: of one site, which needs no naming.
export function inForce(list, { admin, done, alone }) {
  return h("ul", { class: "standing" }, list.map((c) => h("li", null,
    h("div", { class: "standing-what" },
      h("p", { class: "strong" }, name(c.what)),
      h("p", { class: "small" }, !alone && [name(c.root), " · "], "since ", date(c.since), date(c.until) && [" · taken back by itself ", when(c.until)],
        c.incident && [" · ", h("a", { href: "#/incident/" + at(c.incident), "aria-label": "Why: the incident behind it" }, "why")])),
    c.incident ? undoIncident({ id: c.incident, part: c.change, what: [c.what], done, about: c.what }) : admin && undoByHand(c, done),
    (c.by_hand || []).length > 0 && h("details", { id: "by-hand-" + c.change, class: "by-hand" }, h("summary", null, "The way back without wpmend"), h("pre", { tabindex: 0, role: "region", "aria-label": "Shell commands" }, name(c.by_hand.join("\n")))))));
}

// undoByHand takes back what a person had wpmend do; which request that is, the command in the record says.
function undoByHand(c, done) {
  const component = /^wpmend enable (\S+) (.+)$/.exec(c.undo);
  const limits = /^wpmend php limits (\S+) --undo$/.exec(c.undo);
  if (!component && !limits) return null;
  const button = h("button", { type: "button", id: "undo-" + c.change, class: "undo", "aria-label": `Undo: ${c.what}`, on: {
    click: () => confirmed(button, "Take this change back?", h("p", null, name(c.what)), "Take it back",
      () => component ? put(`sites/${at(component[1])}/components/${at(component[2])}`, { enabled: true }) : post(`sites/${at(limits[1])}/limits/undo`), done),
  } }, "Undo");
  return button;
}

// toggle switches one component on or off.
export function toggle({ site, domain, component, enabled, done }) {
  const button = h("button", { type: "button", id: "switch-" + component, class: "toggle", role: "switch", "aria-checked": String(enabled), "aria-label": `${component} on ${domain}`, on: {
    click: () => confirmed(button, enabled ? "Switch this off?" : "Switch this on?",
      enabled ? h("p", null, componentName(component), " goes off for every visitor of ", name(domain, { class: "strong" }), ". Its files and settings stay; you can switch it on again here.")
        : h("p", null, componentName(component), " comes back for every visitor of ", name(domain, { class: "strong" }), ". Whether the site is well with it is not asked."),
      enabled ? "Switch it off" : "Switch it on", () => put(`sites/${at(site)}/components/${at(component)}`, { enabled: !enabled }), done),
  } }, h("i", { "aria-hidden": "true" }));
  return button;
}
