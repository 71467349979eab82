// The line at the top: where one is, how the page hears of changes, whether it may steer, and its colours.

import { _, button, h } from "./dom.js";
import { toIndex } from "./routes.js";
import { theme } from "./theme.js";

const HEARS = { live: _("live"), polling: _("every 2 s"), lost: _("no answer"), "": "" };
const KEYS = [
  ["/", _("filter the runs")], ["t", _("colours of the page")], ["?", _("these keys")],
  ["← →", _("on a chart: move the cursor; with Shift ten times as far")], ["+ − 0", _("on a chart: zoom in, out, the whole")],
  ["l", _("on a chart: logarithmic or linear")], ["Esc", _("leave")],
];

export class Bar {
  constructor() {
    this.state = h("span", { class: "hears", role: "status" });
    this.steers = h("span", { class: "faint small" });
    this.theme = theme.control();
    this.help = h("dialog", { "aria-label": _("Keys") }, h("h2", {}, _("Keys")),
      h("dl", { class: "facts" }, ...KEYS.flatMap(([key, what]) => [h("dt", {}, h("kbd", {}, key)), h("dd", {}, what)])),
      button(_("close"), () => this.help.close()));
    this.element = h("nav", { class: "bar", "aria-label": _("Page") },
      h("a", { href: toIndex(), class: "home" }, "calando"), this.state, this.steers, h("span", { class: "space" }),
      this.theme, button(_("keys"), () => this.help.showModal(), { class: "quiet", id: "keys" }), this.help);
    document.addEventListener("keydown", (event) => this.key(event));
  }

  says(state, words) {
    this.state.textContent = words && state === "lost" ? words : HEARS[state] || "";
    this.state.className = `hears ${state}`;
  }

  can(steer) {
    this.steers.textContent = steer ? "" : _("looks only");
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
