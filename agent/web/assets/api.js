// Asks the service. All addresses are relative, so that the page works below any path of a panel.

const kept = "wpmend-token";
let token = "";

// begin takes the token off the address, where one is ("#token=…"), and says whether one was.
export function begin() {
  try {
    token = sessionStorage.getItem(kept) || "";
  } catch {
    token = ""; // a frame without storage: the token lasts as long as the page
  }
  const given = /[#&]token=([^&]+)/.exec(location.hash);
  if (!given) return false;
  history.replaceState(null, "", location.pathname + location.search + (location.hash.replace(given[0], "") || "#/"));
  let plain = given[1];
  try {
    plain = decodeURIComponent(plain);
  } catch {
    // no escape: it is the token as it stands
  }
  keep(plain);
  return true;
}

export function keep(given) {
  token = given;
  try {
    sessionStorage.setItem(kept, token);
  } catch {
    // as above
  }
}

// Problem is an answer that is none: of the service (RFC 9457), or that there was none.
export class Problem extends Error {
  constructor(status, body) {
    super(body.detail || body.title || "the service does not answer");
    this.status = status; // 0: there was no answer
    this.kind = (body.type || "").replace("urn:wpmend:", "");
    this.remedy = body.remedy || "";
  }
}

export function headers(more) {
  return token ? { ...more, Authorization: "Bearer " + token } : { ...more };
}

// The service answers an owner four questions at a time, in all tabs; one that was given up
// counts until the service notices.
const atOnce = 2;
let under = 0;
const queue = [];

async function turn(work) {
  if (under >= atOnce) await new Promise((resolve) => queue.push(resolve));
  under++;
  try {
    return await work();
  } finally {
    under--;
    if (queue.length > 0) queue.shift()();
  }
}

const tries = 4; // of a question that was one too many

// send asks and returns the response, whatever its body is.
export async function send(method, path, options = {}) {
  for (let n = 1; ; n++) {
    try {
      return await (path.includes("wait=") ? once(method, path, options) : turn(() => once(method, path, options)));
    } catch (error) {
      if (error.status !== 429 || method !== "GET" || n === tries) throw error;
      await new Promise((resolve) => setTimeout(resolve, error.wait * 1000));
    }
  }
}

async function once(method, path, { body, signal, accept = "application/json" }) {
  if (signal) signal.throwIfAborted();
  const init = { method, signal, headers: headers({ Accept: accept }), cache: "no-store", credentials: "same-origin", redirect: "error" };
  if (method !== "GET") {
    init.headers["Idempotency-Key"] = key();
    init.headers["Content-Type"] = "application/json";
    if (body !== undefined) init.body = JSON.stringify(body);
  }
  let response;
  try {
    response = await fetch("v1/" + path, init);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, {});
  }
  if (response.ok) return response;
  let told = {};
  try {
    told = await response.json();
  } catch {
    told = { detail: `the answer was ${response.status}`, remedy: "the gateway in front may be at fault, or the service ends" };
  }
  const problem = new Problem(response.status, told && typeof told === "object" ? told : {});
  problem.wait = Math.min(30, Number(response.headers.get("Retry-After")) || 2);
  throw problem;
}

async function json(method, path, options) {
  const response = await send(method, path, options);
  try {
    return response.status === 204 ? {} : await response.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, { detail: "the answer broke off" });
  }
}

export const get = (path, options) => json("GET", path, options);
export const post = (path, body = {}) => json("POST", path, { body });
export const put = (path, body) => json("PUT", path, { body });
export const del = (path) => json("DELETE", path);

// at makes a path of parts that come from outside.
export const at = (...parts) => parts.map(encodeURIComponent).join("/");

// key is new for every change, so that one that a gateway repeats is done once. (crypto.randomUUID is not there without TLS.)
function key() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, "0")).join("");
}
