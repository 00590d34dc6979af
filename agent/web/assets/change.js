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

// undoIncident is the button that takes an incident's changes back.
export function undoIncident({ id, part = id, site, what, done, label = "Undo", about }) {
  const button = h("button", { type: "button", id: "undo-" + part, class: "undo", "aria-label": about ? `${label}: ${about}` : null, on: {
    click: () => busy(button, async () => {
      const body = [
        h("p", null, "wpmend takes back on ", name(site, { class: "strong" }), ":"),
        h("ul", null, what.map((w) => h("li", null, name(w)))),
        h("p", { class: "small" }, "If the fault is still there, the site fails again. wpmend does not undo this undo by itself."),
      ];
      if (!await sure("Take this change back?", body, "Take it back")) return;
      try {
        told(await post(`incidents/${at(id)}/undo`));
        if (done) await done();
      } catch (error) {
        fail(error, "Not taken back");
      }
    }),
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

// inForce lists changes that are in effect.
export function inForce(list, { admin, done }) {
  return h("ul", { class: "standing" }, list.map((c) => h("li", null,
    h("div", { class: "standing-what" },
      h("p", { class: "strong" }, name(c.what)),
      h("p", { class: "small" }, name(c.root), " · since ", date(c.since), date(c.until) && [" · taken back by itself ", when(c.until)],
        c.incident && [" · ", h("a", { href: "#/incident/" + at(c.incident), "aria-label": "Why: the incident behind it" }, "why")])),
    c.incident ? undoIncident({ id: c.incident, part: c.change, site: c.root, what: [c.what], done, about: c.what }) : admin && undoByHand(c, done),
    (c.by_hand || []).length > 0 && h("details", { id: "by-hand-" + c.change, class: "by-hand" }, h("summary", null, "The way back without wpmend"), h("pre", { tabindex: 0, role: "region", "aria-label": "Shell commands" }, name(c.by_hand.join("\n")))))));
}

// undoByHand takes back what a person had wpmend do; which request that is, the command in the record says.
function undoByHand(c, done) {
  const component = /^wpmend enable (\S+) (.+)$/.exec(c.undo);
  const limits = /^wpmend php limits (\S+) --undo$/.exec(c.undo);
  if (!component && !limits) return null;
  const button = h("button", { type: "button", id: "undo-" + c.change, class: "undo", "aria-label": `Undo: ${c.what}`, on: {
    click: () => busy(button, async () => {
      if (!await sure("Take this change back?", h("p", null, name(c.what)), "Take it back")) return;
      try {
        told(component ? await put(`sites/${at(component[1])}/components/${at(component[2])}`, { enabled: true }) : await post(`sites/${at(limits[1])}/limits/undo`));
        if (done) await done();
      } catch (error) {
        fail(error, "Not taken back");
      }
    }),
  } }, "Undo");
  return button;
}

// toggle switches one component on or off.
export function toggle({ site, domain, component, enabled, done }) {
  const button = h("button", { type: "button", id: "switch-" + component, class: "toggle", role: "switch", "aria-checked": String(enabled), "aria-label": `${component} on ${domain}`, on: {
    click: () => busy(button, async () => {
      if (enabled && !await sure("Switch this off?", h("p", null, componentName(component), " goes off for every visitor of ", name(domain, { class: "strong" }), ". Its files and settings stay; you can switch it on again here."), "Switch it off")) return;
      try {
        told(await put(`sites/${at(site)}/components/${at(component)}`, { enabled: !enabled }));
        if (done) await done();
      } catch (error) {
        fail(error, "Not switched");
      }
    }),
  } }, h("i", { "aria-hidden": "true" }));
  return button;
}
