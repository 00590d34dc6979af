// Makes elements. What comes from outside goes in as text, never as markup.

const SVG = "http://www.w3.org/2000/svg";

// What moves the direction of writing, or cannot be seen, would let one name look like another.
const unseen = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g;
const longest = 4000;

// shown is a text from outside as it is shown.
export function shown(value) {
  const text = value === null || value === undefined ? "" : String(value);
  return (text.length > longest ? text.slice(0, longest) + "…" : text).replace(unseen, "\ufffd");
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "on") {
      for (const [event, handler] of Object.entries(value)) element.addEventListener(event, handler);
    } else if (/^(on|style$|srcdoc$)/.test(name)) {
      throw new Error("an attribute that the page's policy forbids: " + name);
    } else {
      element.setAttribute(name, value === true ? "" : shown(value));
    }
  }
  put(element, children);
  return element;
}

function put(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false || child === "") continue;
    element.append(child instanceof Node ? child : document.createTextNode(shown(child)));
  }
}

// h makes an HTML element; {on: {click}} adds listeners.
export function h(tag, attributes, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

// s makes an SVG element.
export function s(tag, attributes, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

// name is a name from outside: its direction of writing stays its own.
export function name(text, attributes) {
  return h("bdi", attributes, text);
}

// replace gives an element other children and keeps the focus, and what is opened, on those with the same id.
export function replace(element, ...children) {
  const active = document.activeElement;
  const focused = active && element.contains(active) ? active.id : "";
  const caret = focused && active.selectionStart !== undefined ? active.selectionStart : null;
  const opened = new Set([...element.querySelectorAll("details[open][id]")].map((d) => d.id));
  element.textContent = "";
  put(element, children);
  for (const details of element.querySelectorAll("details[id]")) if (opened.has(details.id)) details.open = true;
  if (!focused) return;
  const again = document.getElementById(focused);
  if (!again) return;
  again.focus({ preventScroll: true });
  if (caret !== null && again.setSelectionRange) again.setSelectionRange(caret, caret);
}

// heading is one of a section's, with what stands at its end.
export function heading(level, id, text, ...rest) {
  return h("div", { class: "heading" }, h("h" + level, { id }, text), rest);
}

// section is one of a page's, named by its heading.
export function section(id, title, ...children) {
  return h("section", { class: "card", "aria-labelledby": id }, heading(2, id, title), children);
}
