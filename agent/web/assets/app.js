// The page: which view is shown, who looks at it, and whether the service answers.
import { begin, get, keep } from "./api.js";
import { open, trouble } from "./dialog.js";
import { h, name, replace } from "./dom.js";
import * as incident from "./incident.js";
import * as incidents from "./incidents.js";
import * as keys from "./keys.js";
import * as site from "./site.js";
import * as sites from "./sites.js";
import * as standing from "./standing.js";
import { Stream } from "./stream.js";
import { refresh } from "./words.js";

const main = document.getElementById("main");
const banner = document.getElementById("banner");
const link = document.getElementById("link");
const who = document.getElementById("who");
const foot = document.getElementById("foot");

const patience = 1200; // ms of silence before a person is told of it
const state = { service: null, view: null, lost: false, timer: 0, version: "" };

const stream = new Stream({
  event(e) {
    if (state.view) state.view.event(e);
  },
  gap: () => again(),
  state(word, problem) {
    if (word === "live") return live();
    if (problem && problem.status === 401) return askForToken();
    if (problem && (problem.status === 403 || problem.status === 404)) return ask();
    state.timer ||= setTimeout(lost, patience);
  },
});

function live() {
  clearTimeout(state.timer);
  state.timer = 0;
  const was = state.lost;
  state.lost = false;
  banner.hidden = true;
  link.className = "link live";
  link.textContent = "Live";
  if (was) ask().then(again);
}

function lost() {
  state.lost = true;
  link.className = "link lost";
  link.textContent = "Offline";
  replace(banner, "The service does not answer. What is shown may be old; trying again…");
  banner.hidden = false;
}

function again() {
  if (state.view && state.view.refresh) state.view.refresh();
}

// ask learns who looks at the page and what the service is.
async function ask() {
  let service;
  try {
    service = await get("service");
  } catch (error) {
    failed(error);
    return false;
  }
  const before = state.service;
  state.service = service;
  context.service = service;
  context.admin = service.role === "admin";
  if (before && before.started !== service.started) stream.forget();
  state.version ||= service.version;
  replace(who, name(service.user), h("span", { class: "role" }, service.role === "admin" ? "administrator" : "owner"));
  replace(foot, h("p", null, "wpmend ", name(service.version), " · ", modes[service.mode] || name(service.mode)),
    state.version !== service.version && h("p", null, "wpmend was updated: ", h("button", { type: "button", class: "quiet", on: { click: () => location.reload() } }, "load the new page")));
  if (!service.ready) setTimeout(() => ask().then(again), 1500);
  return true;
}

const modes = { heal: "heals by itself", suggest: "suggests, and changes nothing by itself", observe: "observes, and changes nothing by itself" };

// failed is told of every question that was not answered.
function failed(error) {
  if (error.status === 401) askForToken();
  else if (error.status === 403) refused(error);
  else if (error.status === 0 || error.status >= 502) state.timer ||= setTimeout(lost, patience);
}

function refused(error) {
  stream.end();
  if (state.view) state.view.close();
  state.view = null;
  replace(main, h("div", { class: "view" }, h("h1", null, "Nothing for you here"), trouble(error)));
}

function askForToken() {
  if (document.getElementById("token")) return;
  stream.end();
  if (state.view) state.view.close();
  state.view = null;
  const input = h("input", { type: "password", id: "token", autocomplete: "off", required: true, "aria-describedby": "token-where" });
  replace(main, h("div", { class: "view narrow" }, h("h1", null, "Who are you?"),
    h("form", { class: "card token", on: { submit: (e) => { e.preventDefault(); keep(input.value.trim()); start(); } } },
      h("label", { for: "token" }, "Token"), input,
      h("p", { class: "small", id: "token-where" }, "It stands in the file that ", h("code", null, "api.token_file"), " names on the host. It is kept until this tab is closed."),
      h("button", { type: "submit", class: "primary" }, "Go on"))));
  input.focus();
}

// What a view may use of the page around it.
const context = {
  service: null,
  admin: false,
  query: new URLSearchParams(),
  failed,
  title: (text) => { document.title = `${text.replace(/\p{C}/gu, "\ufffd").slice(0, 80)} · wpmend`; },
  follow: (id) => stream.follow(id, true),
  remember: (query) => history.replaceState(null, "", location.hash.replace(/\?.*/, "") + query),
};

const views = { "": sites, incidents, "in-force": standing, site, incident };

function route(first) {
  const [path, query] = (location.hash.replace(/^#\/?/, "") || "").split("?");
  const [word, id] = path.split("/");
  const shown = Object.hasOwn(views, word) ? views[word] : sites;
  context.query = new URLSearchParams(query || "");
  if (state.view) state.view.close();
  let plain = "";
  try {
    plain = decodeURIComponent(id || "");
  } catch {
    plain = id;
  }
  state.view = shown.view(context, plain);
  replace(main, state.view.element);
  context.title(state.view.title);
  for (const a of document.querySelectorAll("#nav a")) {
    const views = { sites: ["", "site"], incidents: ["incidents", "incident"], "in-force": ["in-force"] }[a.dataset.view];
    if (views.includes(word)) a.setAttribute("aria-current", "page");
    else a.removeAttribute("aria-current");
  }
  if (word !== "site" && word !== "incident" || first) stream.follow("", false);
  if (first) return;
  main.focus({ preventScroll: true });
  window.scrollTo(0, 0);
  ask();
}

async function start() {
  replace(main, h("p", { class: "loading view" }, "Asking the service…"));
  if (await ask()) route(true);
  else if (!document.getElementById("token") && state.timer) setTimeout(start, 2000);
}

document.getElementById("help").addEventListener("click", help);
document.getElementById("skip").addEventListener("click", (e) => {
  e.preventDefault();
  main.focus();
});
window.addEventListener("hashchange", () => {
  if (begin() || !state.service) start();
  else route();
});
setInterval(() => document.hidden || refresh(), 5000);
if (window.top !== window) document.documentElement.classList.add("framed");

function help() {
  const admin = context.admin;
  const single = h("input", { type: "checkbox", id: "single-keys", checked: keys.on(), on: { change: (e) => keys.set(e.target.checked) } });
  open({ title: "Help", wide: true, buttons: [{ text: "Close", value: "", class: "primary", focus: true }], body: [
    h("h3", null, "What you may do here"),
    h("ul", { class: "notes" }, (admin
      ? ["You see every site of this host.", "Check a site, search for the culprit, heal.", "Switch components off and on, and take back what wpmend changed."]
      : ["You see your own sites, and nobody else's.", "Check a site, and search for the culprit in a private copy: visitors see nothing of it.", "Take back what wpmend changed of your sites.", "Healing and switching components by hand are for administrators."]).map((t) => h("li", null, t))),
    h("h3", null, "Keys"),
    h("dl", { class: "keys" }, keys.list().map(([key, does]) => h("div", null, h("dt", null, h("kbd", null, key)), h("dd", null, does)))),
    h("p", null, h("label", { class: "check" }, single, " Single keys do this (off: only Tab and Enter)")),
  ] });
}

keys.begin({ help, search: () => state.view && state.view.focus && state.view.focus.focus() });
begin();
start();
