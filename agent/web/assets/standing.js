// What wpmend has changed on this host and is still so.
import { anew } from "./again.js";
import { get } from "./api.js";
import { inForce } from "./change.js";
import { show } from "./dialog.js";
import { h, name, replace } from "./dom.js";
import { count } from "./words.js";

export function view(context) {
  const body = h("div", { class: "list" });
  const summary = h("p", { class: "summary", role: "status" });
  const element = h("div", { class: "view" }, h("div", { class: "view-head" }, h("h1", null, "In force")), summary, body);
  const soon = anew(load);

  async function load() {
    try {
      const { changes = [], notes = [] } = await get("changes");
      replace(summary, changes.length > 0 ? `${count(changes.length, "change")} of wpmend in effect` : null);
      replace(body, changes.length > 0 ? h("section", { class: "card", "aria-label": "Changes in effect" }, inForce(changes, { admin: context.admin, done: load }))
        : h("div", { class: "empty" }, h("p", { class: "strong" }, "Nothing is changed"), h("p", null, "Every plugin, theme and setting is as its owner left it.")),
        notes.length > 0 && h("ul", { class: "notes" }, notes.map((n) => h("li", null, name(n)))));
    } catch (error) {
      context.failed(error);
      if (body.childElementCount === 0) show(body, error);
    }
  }

  load();
  return {
    title: "In force", element, refresh: load,
    event: (e) => e.kind === "incident" && soon(),
    close: soon.stop,
  };
}
