// The line at the top: where one is, how the page hears of changes, whether it may steer, and its colours.

import { button, h } from "./dom.js";
import { toIndex } from "./routes.js";
import { theme } from "./theme.js";

const HEARS = { live: "live", polling: "every 2 s", lost: "no answer", "": "" };
const KEYS = [
  ["/", "filter the runs"], ["t", "colours of the page"], ["?", "these keys"], ["← →", "on a chart: move the cursor; with Shift ten times as far"],
  ["+ − 0", "on a chart: zoom in, out, the whole"], ["l", "on a chart: logarithmic or linear"], ["Esc", "leave"],
];

export class Bar {
  constructor() {
    this.state = h("span", { class: "hears", role: "status" });
    this.steers = h("span", { class: "faint small" });
    this.theme = theme.control();
    this.help = h("dialog", { "aria-label": "Keys" }, h("h2", {}, "Keys"),
      h("dl", { class: "facts" }, ...KEYS.flatMap(([key, what]) => [h("dt", {}, h("kbd", {}, key)), h("dd", {}, what)])),
      button("close", () => this.help.close()));
    this.element = h("nav", { class: "bar", "aria-label": "Page" },
      h("a", { href: toIndex(), class: "home" }, "calando"), this.state, this.steers, h("span", { class: "space" }),
      this.theme, button("keys", () => this.help.showModal(), { class: "quiet", id: "keys" }), this.help);
    document.addEventListener("keydown", (event) => this.key(event));
  }

  says(state, words) {
    this.state.textContent = words && state === "lost" ? words : HEARS[state] || "";
    this.state.className = `hears ${state}`;
  }

  can(steer) {
    this.steers.textContent = steer ? "" : "looks only";
  }

  key(event) {
    const typing = event.target.closest("input, select, textarea, dialog");
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    const acts = {
      "/": () => document.getElementById("filter") && document.getElementById("filter").focus(),
      t: () => this.theme.click(),
      "?": () => this.help.showModal(),
    };
    if (!(event.key in acts)) return;
    event.preventDefault();
    acts[event.key]();
  }
}
