// What lies in the folder that is served: a line each, the newest first.

import { ask } from "./api.js";
import { button, h } from "./dom.js";
import * as format from "./format.js";
import { toCompare, toPlace } from "./routes.js";

const EVERY = 3000;
const KINDS = { study: "study", tuning: "tuning", training: "training", run: "run", folder: "folder" };

export class IndexView {
  constructor() {
    this.picked = new Set();
    this.title = h("h1", {}, "…");
    this.words = h("p", { class: "question", role: "status" });
    this.compare = button("compare the two picked", () => this.go(), { disabled: true });
    this.body = h("tbody");
    const headings = ["", "what", "state", "done", "verdict", "changed"].map((one) => h("th", { scope: "col" }, one || h("span", { class: "hidden" }, "pick")));
    this.element = h("div", {}, h("header", { class: "head" }, this.title, this.words),
      h("section", {}, h("div", { class: "tools" }, this.compare),
        h("div", { class: "wide", tabindex: 0, role: "region", "aria-label": "Studies and runs" },
          h("table", { class: "places" }, h("thead", {}, h("tr", {}, ...headings)), this.body))));
  }

  async start() {
    await this.look();
    this.timer = setInterval(() => document.hidden || this.look(), EVERY);
  }

  async look() {
    try {
      const { root, places } = await ask("places");
      this.title.textContent = root;
      const going = places.filter((one) => one.state === "running").length;
      this.words.textContent = `${places.length} ${places.length === 1 ? "study or run" : "studies and runs"}${going ? `, ${going} running` : ""}`;
      const seen = JSON.stringify(places.map((one) => [one, Math.floor(Date.now() / 60_000)]));
      if (seen !== this.seen) {
        this.seen = seen;
        this.body.replaceChildren(...places.map((one) => this.row(one)));
      }
    } catch (error) {
      this.words.textContent = `The list could not be read: ${error.message}`;
    }
  }

  row(place) {
    const pick = h("input", { type: "checkbox", checked: this.picked.has(place.path), "aria-label": `pick ${place.path || place.title}` });
    pick.addEventListener("change", () => {
      if (pick.checked) this.picked.add(place.path);
      else this.picked.delete(place.path);
      this.compare.disabled = this.picked.size !== 2;
    });
    const done = place.expected ? `${format.count(place.done)} of ${format.count(place.expected)}` : format.count(place.done);
    return h("tr", {},
      h("td", {}, pick),
      h("th", { scope: "row" }, h("a", { href: toPlace(place.path) }, place.path || place.title), h("div", { class: "faint small" }, `${KINDS[place.kind] || place.kind} · ${place.title}`)),
      h("td", {}, h("span", { class: `state ${place.state}` }, place.state)),
      h("td", {}, done),
      h("td", { class: "long" }, (place.state === "running" && !place.done ? "" : place.headline) || "–"),
      h("td", { class: "faint" }, format.ago(place.changed)));
  }

  go() {
    const [a, b] = [...this.picked];
    location.hash = toCompare({ place: a }, { place: b });
  }

  close() {
    clearInterval(this.timer);
  }
}
