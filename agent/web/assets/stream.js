// Follows the service's events, through its restarts.
import { headers, Problem } from "./api.js";

const silence = 40000; // the service says something every 15 s
const patience = [500, 1000, 2000, 4000, 8000, 15000];

// Stream follows one feed at a time. told gets {event(e), gap(), state(word, problem)}; the words
// are live and lost.
export class Stream {
  constructor(told) {
    this.told = told;
    this.site = "";
    this.last = "";
    this.tries = 0;
    this.on = false;
    document.addEventListener("visibilitychange", () => {
      // A browser has few connections to one host: what nobody looks at needs none.
      if (document.hidden) this.stop();
      else if (this.on) this.start();
    });
  }

  // follow takes up another feed: of one site, or of all (""). With replay the kept events come first.
  follow(site, replay) {
    if (this.on && this.site === site && !replay) return;
    this.site = site;
    this.last = replay ? "1" : "";
    this.replayed = replay;
    this.on = true;
    this.tries = 0;
    this.start();
  }

  // forget is for a service that began anew: its events are counted from 1 again.
  forget() {
    this.last = this.last ? "1" : "";
  }

  end() {
    this.on = false;
    this.stop();
  }

  stop() {
    clearTimeout(this.again);
    clearTimeout(this.watch);
    if (this.abort) this.abort.abort();
    this.abort = null;
  }

  start() {
    this.stop();
    const abort = new AbortController();
    this.abort = abort;
    this.run(abort).catch((error) => {
      clearTimeout(this.watch);
      if (this.abort !== abort) return;
      this.told.state("lost", error instanceof Problem ? error : new Problem(0, {}));
      const wait = patience[Math.min(this.tries, patience.length - 1)];
      this.tries++;
      this.again = setTimeout(() => this.start(), wait);
    });
  }

  async run(abort) {
    const alive = () => {
      clearTimeout(this.watch);
      this.watch = setTimeout(() => abort.abort(), silence);
    };
    alive();
    const more = { Accept: "text/event-stream" };
    if (this.last) more["Last-Event-ID"] = this.last;
    const response = await fetch("v1/events" + (this.site ? "?site=" + encodeURIComponent(this.site) : ""),
      { headers: headers(more), signal: abort.signal, cache: "no-store", credentials: "same-origin", redirect: "error" });
    if (!response.ok) throw new Problem(response.status, await response.json().catch(() => ({})));
    this.tries = 0;
    this.told.state("live");
    const reader = response.body.getReader();
    const text = new TextDecoder();
    let rest = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) throw new Problem(0, {});
      alive();
      const blocks = (rest + text.decode(value, { stream: true })).split(/\r?\n\r?\n/);
      rest = blocks.pop();
      for (const block of blocks) if (this.abort === abort) this.hear(block);
    }
  }

  hear(block) {
    let kind = "message";
    const data = [];
    for (const line of block.split(/\r?\n/)) {
      const [, field, value] = /^([a-z]*): ?(.*)$/.exec(line) || [];
      if (field === "id" && value) this.last = value;
      else if (field === "event") kind = value;
      else if (field === "data") data.push(value);
    }
    if (kind === "gap") {
      // That the first ones are kept no more is no news to who asks for all there are.
      if (!this.replayed) this.told.gap();
      this.replayed = false;
      return;
    }
    if (data.length === 0) return;
    let event;
    try {
      event = JSON.parse(data.join("\n"));
    } catch {
      this.told.gap();
      return;
    }
    if (event && typeof event === "object" && event.kind) this.told.event(event);
  }
}
