// What lies in the folder that is served: a line each, the newest first.

import { ask } from "./api.js";
import { _, button, h } from "./dom.js";
import * as format from "./format.js";
import { toCompare, toPlace } from "./routes.js";

const EVERY = 3000;

export class IndexView {
  constructor() {
    this.picked = new Set();
    this.title = h("h1", {}, "…");
    this.words = h("p", { class: "question", role: "status" });
    this.compare = button(_("compare the two picked"), () => this.go(), { disabled: true });
    this.body = h("tbody");
    const headings = [h("span", { class: "hidden" }, _("pick")), _("what"), _("state"), _("done"), _("verdict"), _("changed")].map((one) => h("th", { scope: "col" }, one));
    this.element = h("div", {}, h("header", { class: "head" }, this.title, this.words),
      h("section", {}, h("div", { class: "tools" }, this.compare),
        h("div", { class: "wide", tabindex: 0, role: "region", "aria-label": _("Studies and runs") },
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
      this.words.textContent = _(places.length === 1 ? "{count} study or run" : "{count} studies and runs", { count: places.length }) + (going ? _(", {count} running", { count: going }) : "");
      const seen = JSON.stringify(places.map((one) => [one, Math.floor(Date.now() / 60_000)]));
      if (seen !== this.seen) {
        this.seen = seen;
        this.body.replaceChildren(...places.map((one) => this.row(one)));
      }
    } catch (error) {
      this.words.textContent = _("The list could not be read: {why}", { why: error.message });
    }
  }

  row(place) {
    const pick = h("input", { type: "checkbox", checked: this.picked.has(place.path), "aria-label": _("pick {name}", { name: place.path || place.title }) });
    pick.addEventListener("change", () => {
      if (pick.checked) this.picked.add(place.path);
      else this.picked.delete(place.path);
      this.compare.disabled = this.picked.size !== 2;
    });
    const done = place.expected ? _("{done} of {expected}", { done: format.count(place.done), expected: format.count(place.expected) }) : format.count(place.done);
    return h("tr", {},
      h("td", {}, pick),
      h("th", { scope: "row" }, h("a", { href: toPlace(place.path) }, place.path || place.title), h("div", { class: "faint small" }, `${_(place.kind)} · ${place.title}`)),
      h("td", {}, h("span", { class: `state ${place.state}` }, _(place.state))),
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
