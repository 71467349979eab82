// What changes at a place, as it changes: server-sent events, and questions every two seconds where these do not get
// through (a proxy that holds them back, a connection that is cut). Tries events again after half a minute. A page that is
// not seen hears nothing, and catches up when it is: a browser has six connections to a server, for all its pages together.

import { addressed, ask } from "./api.js";
import { _ } from "./dom.js";

const EVERY = 2000, PATIENCE = 5000, AGAIN = 30_000, SLOWEST = 15_000;

export class Feed {
  // heard(news): what has changed; how("live" | "polling" | "lost", words): how it is heard.
  constructor(place, cursor, heard, how) {
    Object.assign(this, { place, cursor, heard, how, closed: false, source: null, timer: 0, failed: 0 });
    this.seen = () => this.turn();
    document.addEventListener("visibilitychange", this.seen);
    this.turn();
  }

  turn() {
    this.rest();
    if (!document.hidden) this.listen();
  }

  rest() {
    clearTimeout(this.timer);
    if (this.source) this.source.close();
    this.source = null;
    this.round = (this.round || 0) + 1;
  }

  listen() {
    if (this.closed || document.hidden) return;
    const source = new EventSource(addressed("stream", { place: this.place, cursor: this.cursor }));
    this.source = source;
    const giveUp = () => {
      source.close();
      if (this.source === source) this.poll(performance.now());
    };
    // Opened, but nothing comes through: a comment every few seconds cannot be seen here, so it must open in time.
    const late = setTimeout(giveUp, PATIENCE);
    source.addEventListener("open", () => {
      clearTimeout(late);
      this.say("live");
    });
    source.addEventListener("message", (event) => this.take(JSON.parse(event.data)));
    source.addEventListener("error", () => {
      clearTimeout(late);
      giveUp();
    });
  }

  async poll(since) {
    this.source = null;
    if (this.closed || document.hidden) return;
    let wait = EVERY;
    const { round } = this;
    try {
      const news = await ask("changes", { place: this.place, cursor: this.cursor });
      if (this.closed || round !== this.round) return;
      this.failed = 0;
      this.say("polling");
      this.take(news);
    } catch (error) {
      if (this.closed || round !== this.round) return;
      this.failed += 1;
      wait = Math.min(SLOWEST, EVERY * 2 ** Math.min(this.failed, 3));
      this.say("lost", error.status ? error.message : _("the server does not answer"));
    }
    const again = this.failed === 0 && performance.now() - since > AGAIN;
    this.timer = setTimeout(() => (again ? this.listen() : this.poll(since)), wait);
  }

  take(news) {
    this.cursor = news.cursor;
    if (Object.keys(news).length > 1) this.heard(news);
  }

  say(state, words = "") {
    this.how(state, words);
  }

  close() {
    this.closed = true;
    document.removeEventListener("visibilitychange", this.seen);
    this.rest();
  }
}
