// The runs in progress: how far, at which rate, with which loss, on which worker, and when each will be done.

import { _, h } from "./dom.js";
import * as format from "./format.js";
import { toRun } from "./routes.js";

const HEADINGS = [[_("run"), ""], [_("steps"), ""], [_("rate"), "n"], [_("loss"), "n"], [_("score"), "n"], [_("ETA"), "n"], [_("worker"), "n"]];

export class Running {
  constructor(place, styles) {
    Object.assign(this, { place, styles });
    this.body = h("tbody");
    this.element = h("section", { "aria-label": _("Runs in progress"), hidden: true }, h("h2", {}, _("Running now")),
      h("div", { class: "wide", tabindex: 0, role: "region", "aria-label": _("Runs in progress") },
        h("table", { class: "running" }, h("thead", {}, h("tr", {}, ...HEADINGS.map(([title, kind]) => h("th", { scope: "col", class: kind || null }, title)))), this.body)));
  }

  show(runs, scale) {
    this.element.hidden = !runs.length;
    const focused = this.body.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    this.body.replaceChildren(...runs.map((run) => this.row(run, scale)));
    if (focused) for (const one of this.body.querySelectorAll("a")) if (one.getAttribute("href") === focused) one.focus();
  }

  row(run, scale) {
    const steps = run.steps
      ? [h("progress", { max: run.steps, value: run.step, "aria-label": _("steps") }), ` ${_("{done} of {expected}", { done: format.count(run.step), expected: format.count(run.steps) })}`]
      : [format.count(run.step)];
    const value = (text) => h("td", { class: "n" }, text);
    return h("tr", {},
      h("th", { scope: "row" }, h("a", { href: toRun(this.place, run.run) }, format.named({ ...run, lr: run.base }))),
      h("td", {}, ...steps), value(format.rate(run.lr)), value(format.loss(run.loss)), value(format.score(run.score, scale)),
      value(format.left(run.eta_s)), value(run.slot === null || run.slot === undefined ? "–" : String(run.slot)));
  }
}
