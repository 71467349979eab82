// What a study has concluded so far: a row a strategy, best first, in the words of the terminal.

import { _, h, swatch } from "./dom.js";
import * as format from "./format.js";

const HEADINGS = [[_("strategy"), ""], [_("rate"), "n"], [_("test"), "n"], [_("validation"), "n"], [_("against the best"), ""], [_("failed"), "n"]];

export class Results {
  constructor(styles) {
    this.styles = styles;
    this.body = h("tbody");
    this.notes = h("div");
    this.steered = h("p", { class: "note" });
    this.heads = HEADINGS.map(([title, kind]) => h("th", { scope: "col", class: kind || null }, title));
    this.element = h("section", { "aria-label": _("The strategies"), hidden: true }, h("h2", {}, _("The strategies, best first")),
      h("div", { class: "wide", tabindex: 0, role: "region", "aria-label": _("Table of strategies") },
        h("table", { class: "results" }, h("thead", {}, h("tr", {}, ...this.heads)), this.body)), this.notes, this.steered);
  }

  // Under the table, of what takes no part in it.
  tell(words) {
    this.steered.textContent = words;
  }

  show(summary, scale) {
    for (const at of [2, 3]) this.heads[at].textContent = format.inUnit(HEADINGS[at][0], scale);
    this.leads = _(!summary.complete ? "leads" : scale.goal === "min" ? "lowest" : "highest");
    const against = new Map(summary.comparisons.map((one) => [one.strategy, one]));
    this.element.hidden = !summary.results.length;
    this.body.replaceChildren(...summary.results.map((one) => this.row(one, against.get(one.name), summary.best, scale)));
    const cautions = [...summary.cautions, ...summary.results.filter((one) => one.note).map((one) => _("{name}: {note}", one))];
    this.notes.replaceChildren(...cautions.map((one) => h("p", { class: "note" }, one)));
  }

  row(result, compared, best, scale) {
    const spread = (found) => {
      if (!found) return "–";
      const sd = found.sd === null ? "" : ` ± ${format.spread(found.sd, scale)}`;
      return `${format.score(found.mean, scale)}${sd} (${found.n})`;
    };
    const words = compared ? compared.text || _(compared.verdict) : result.name === best ? this.leads : result.untuned || "–";
    const failed = result.diverged + result.died;
    return h("tr", { class: result.name === best ? "best" : null },
      h("th", { scope: "row" }, h("span", { class: "entry", title: result.text }, swatch(this.styles.of(result.name)), h("span", { class: "name" }, result.name))),
      h("td", { class: "n" }, format.rate(result.lr)), h("td", { class: "n" }, spread(result.test)), h("td", { class: "n" }, spread(result.validation)),
      h("td", { class: "long" }, words), h("td", { class: failed ? "n failed" : "n" }, String(failed)));
  }
}
