// Two runs, or two studies, next to each other: their curves in one frame, or a frame each; what differs between them.

import { ask } from "./api.js";
import { _, h } from "./dom.js";
import * as format from "./format.js";
import { Panel } from "./panel.js";
import { Results } from "./results.js";
import { toIndex, toPlace, toRun } from "./routes.js";
import { Styles } from "./styles.js";

const EVERY = 5000;

export class CompareView {
  constructor(sides, bar) {
    Object.assign(this, { sides, bar, panels: [] });
    this.element = h("div", {}, h("header", { class: "head" }, back(sides), h("h1", {}, _("Next to each other"))));
  }

  async start() {
    this.bar.says("", "");
    const runs = this.sides.every((one) => one.run);
    await (runs ? this.runs() : this.places());
  }

  async runs() {
    const found = await Promise.all(this.sides.map(({ place, run }) => ask("run", { place, run })));
    const statuses = await Promise.all(this.sides.map(({ place }) => ask("status", { place })));
    const [ours, theirs] = statuses.map((one) => one.measures);
    const panel = new Panel(new Styles(), { byRun: true, href: toRun, measures: ours && theirs ? ours.filter((one) => theirs.includes(one)) : undefined });
    this.panels.push(panel);
    const facts = found.map((run, at) => flattened({ [_("strategy")]: run.text, [_("seed")]: run.seed, [_("steps")]: run.steps, [_("state")]: _(run.state), [format.inUnit(_("score"), statuses[at].score)]: format.score(run.score, statuses[at].score), [_("time")]: format.duration(run.seconds), ...(run.spec ? { spec: run.spec } : {}) }));
    const names = [...new Set(facts.flatMap((one) => [...one.keys()]))];
    const differing = names.filter((name) => facts[0].get(name) !== facts[1].get(name));
    const heads = this.sides.map(({ place, run }, at) => h("th", { scope: "col" }, h("a", { href: toRun(place, run) }, format.named(found[at]))));
    const line = (name) => h("tr", {}, h("th", { scope: "row" }, name), ...facts.map((one) => h("td", { class: "long" }, one.get(name) ?? "–")));
    this.element.append(
      h("section", { "aria-label": _("Curves") }, h("h2", {}, _("Curves")), panel.element),
      h("section", { "aria-label": _("What differs") }, h("h2", {}, _("What differs")),
        h("div", { class: "wide", tabindex: 0, role: "region", "aria-label": _("What differs") },
          h("table", { class: "differs" }, h("thead", {}, h("tr", {}, h("th", { scope: "col" }, ""), ...heads)), h("tbody", {}, ...differing.map(line)))),
        h("p", { class: "note" }, _("{same} of {count} facts are the same.", { same: names.length - differing.length, count: names.length }))));
    await panel.show(this.sides.map(({ place }, at) => ({ place, runs: [found[at]], banded: false, label: this.sides[0].place === this.sides[1].place ? "" : place })));
    this.follow(panel, found.some((run) => run.state === "running"));
  }

  async places() {
    const pair = h("div", { class: "pair" });
    this.element.append(pair);
    await Promise.all(this.sides.map(async ({ place }) => {
      const half = h("div");
      pair.append(half);
      const styles = new Styles(), results = new Results(styles), panel = new Panel(styles, { measures: ["score", "loss"] });
      this.panels.push(panel);
      const status = await ask("status", { place });
      half.append(h("section", {}, h("h2", {}, h("a", { href: toPlace(place) }, place || _("the whole"))), h("p", {}, status.headline || status.words), h("p", { class: "note" }, status.headline ? status.words : "")),
        results.element, h("section", { "aria-label": _("Curves") }, panel.element));
      if (status.kind === "study") {
        const summary = await ask("summary", { place });
        styles.add(summary.spec.strategies.map((one) => one.name));
        await panel.show([{ place, runs: [], banded: true }]);
        results.show(summary, status.score);
      } else {
        await panel.show([{ place, runs: [], banded: true }]);
      }
    }));
  }

  // Runs in progress are read again; what is picked and hidden stays.
  follow(panel, going) {
    if (going) this.timer = setInterval(() => document.hidden || panel.load(), EVERY);
  }

  close() {
    clearInterval(this.timer);
    for (const panel of this.panels) panel.close();
  }
}

// The way back: to the study that both runs are of, else to the list.
function back([a, b]) {
  const same = a.run && a.place === b.place;
  return h("p", { class: "question" }, h("a", { href: same ? toPlace(a.place) : toIndex() }, `‹ ${(same && a.place) || _("studies and runs")}`));
}

// {a: {b: 1}} as "a.b": "1".
function flattened(value, before = "", made = new Map()) {
  for (const [name, one] of Object.entries(value)) {
    if (one !== null && typeof one === "object" && Object.keys(one).length) flattened(one, `${before}${name}.`, made);
    else made.set(`${before}${name}`, typeof one === "number" ? format.plain(one, 6) : one === null || one === undefined ? "–" : String(typeof one === "object" ? JSON.stringify(one) : one));
  }
  return made;
}
