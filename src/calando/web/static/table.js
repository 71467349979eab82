// The runs of a place as a table: sorted, filtered and cut into pages by the server; rows that change do so in place.

import { address, ask } from "./api.js";
import { _, button, calmly, h } from "./dom.js";
import * as format from "./format.js";
import { toRun } from "./routes.js";

const LIMIT = 25, REREAD = 2000, TYPING = 250;
const COLUMNS = [
  { of: "run", title: _("run"), write: (row) => format.short(row.run) },
  { of: "strategy", title: _("strategy"), write: (row) => row.strategy, kind: "long" },
  { of: "lr", title: _("rate"), write: (row) => format.rate(row.lr), kind: "n" },
  { of: "seed", title: _("seed"), write: (row) => String(row.seed), kind: "n" },
  { of: "state", title: _("state"), write: (row) => (row.steered ? _("{name}, steered", { name: _(row.state) }) : _(row.state)) },
  { of: "step", title: _("steps"), write: (row) => `${format.count(row.step)}${row.steps ? ` / ${format.count(row.steps)}` : ""}`, kind: "n" },
  { of: "score", title: _("score"), write: (row, scale) => format.score(row.score, scale), kind: "n" },
  { of: "loss", title: _("loss"), write: (row) => format.loss(row.loss), kind: "n spare" },
  { of: "seconds", title: _("time"), write: (row) => format.duration(row.seconds), kind: "n spare" },
  { of: "slot", title: _("worker"), write: (row) => (row.slot === null ? "" : String(row.slot)), kind: "n spare" },
];
const STATES = ["running", "finished", "diverged", "died", "queued", "paused", "steered"];

export class RunTable {
  // picked(rows): which runs are ticked; scale: of the score.
  constructor(place, picked) {
    Object.assign(this, { place, tell: picked, scale: {}, sort: "", offset: 0, total: 0, matching: 0, rows: [], picked: new Map(), asked: 0 });
    this.filter = h("input", { type: "search", placeholder: _("strategy, seed=1, lr=0.1 …"), "aria-label": _("filter the runs"), maxlength: 200, id: "filter" });
    let typing = 0;
    this.filter.addEventListener("input", () => {
      clearTimeout(typing);
      typing = setTimeout(() => this.from(0), TYPING);
    });
    this.state = h("select", { "aria-label": _("state of the runs") }, h("option", { value: "" }, _("all states")), ...STATES.map((one) => h("option", { value: one }, _(one))));
    this.state.addEventListener("change", () => this.from(0));
    this.words = h("span", { class: "faint", role: "status" });
    this.back = button(`‹ ${_("before")}`, () => this.from(this.offset - LIMIT));
    this.next = button(`${_("next")} ›`, () => this.from(this.offset + LIMIT));
    this.head = h("tr");
    this.body = h("tbody");
    this.heading();
    this.element = h("div", {},
      h("div", { class: "tools" }, this.filter, this.state, h("span", { class: "group" }, this.back, this.next), this.words,
        h("a", { href: address("api/rows.csv", { place }), download: "runs.csv" }, _("all rows as CSV"))),
      h("div", { class: "wide", tabindex: 0, role: "region", "aria-label": _("Table of runs") }, h("table", { class: "runs" }, h("thead", {}, this.head), this.body)));
    this.reread = calmly(() => this.load(), REREAD);
  }

  heading() {
    const cells = COLUMNS.map(({ of, title, kind }) => {
      const order = this.sort === of ? "ascending" : this.sort === `-${of}` ? "descending" : null;
      return h("th", { scope: "col", class: kind || null, "aria-sort": order }, button(title, () => this.order(of), { class: "sort" }));
    });
    this.head.replaceChildren(h("th", { scope: "col" }, h("span", { class: "hidden" }, _("pick"))), ...cells);
  }

  order(of) {
    // Scores and times are asked for from the highest; a second click turns round.
    const first = of === "score" || of === "seconds" || of === "step" ? `-${of}` : of;
    this.sort = this.sort === first ? (first.startsWith("-") ? of : `-${of}`) : first;
    const focused = this.head.contains(document.activeElement);
    this.heading();
    if (focused) this.head.querySelectorAll("button")[COLUMNS.findIndex((one) => one.of === of)].focus();
    this.from(0);
  }

  from(offset) {
    this.offset = Math.max(0, offset);
    return this.load();
  }

  async load() {
    const mine = (this.asked += 1);
    try {
      const found = await ask("runs", { place: this.place, sort: this.sort, filter: this.filter.value, state: this.state.value, offset: this.offset, limit: LIMIT });
      if (mine !== this.asked) return;
      if (!found.rows.length && found.matching && this.offset) return await this.from(0);
      Object.assign(this, { total: found.total, matching: found.matching, rows: found.rows });
      this.draw();
    } catch (error) {
      this.words.textContent = _("The table could not be read: {why}", { why: error.message });
    }
  }

  draw() {
    const { offset, matching, total, rows } = this;
    const values = { first: format.count(offset + 1), last: format.count(offset + rows.length), matching: format.count(matching), total: format.count(total) };
    const some = rows.length > 0, fewer = matching < total;
    this.words.textContent = some
      ? _(fewer ? "{first} to {last} of {matching}, of {total} runs in all" : "{first} to {last} of {matching} runs", values)
      : _(fewer ? "none, of {total} runs in all" : "none runs", values);
    this.back.disabled = offset === 0;
    this.next.disabled = offset + rows.length >= matching;
    const focused = document.activeElement, held = this.body.contains(focused) ? focused.dataset.run : null;
    this.body.replaceChildren(...rows.map((row) => this.row(row)));
    if (held) for (const one of this.body.querySelectorAll("input")) if (one.dataset.run === held) one.focus();
  }

  row(row) {
    const pick = h("input", { type: "checkbox", checked: this.picked.has(row.run), "data-run": row.run, "aria-label": _("pick {name}", { name: _("{strategy}, seed {seed}", row) }) });
    pick.addEventListener("change", () => {
      if (pick.checked) this.picked.set(row.run, row);
      else this.picked.delete(row.run);
      this.tell([...this.picked.values()]);
    });
    const cells = COLUMNS.map((column) => {
      const text = column.write(row, this.scale);
      if (column.of === "run") return h("th", { scope: "row" }, h("a", { href: toRun(this.place, row.run) }, h("code", {}, text)));
      return h("td", { class: [column.kind, column.of === "state" ? `state ${row.state}` : ""].filter(Boolean).join(" ") || null }, text);
    });
    return h("tr", { "data-run": row.run }, h("td", {}, pick), ...cells);
  }

  // Rows that changed: in place where the order cannot have changed by it, else the page is read again, not too often.
  change(rows) {
    const places = new Map(this.rows.map((row, place) => [row.run, place]));
    let strange = false;
    for (const row of rows) {
      const place = places.get(row.run);
      if (place === undefined) strange = true;
      else this.rows[place] = row;
    }
    if (strange || this.sort || this.filter.value || this.state.value) this.reread();
    if (rows.some((row) => places.has(row.run))) this.draw();
  }

  clear() {
    this.picked.clear();
    this.draw();
    this.tell([]);
  }
}
