// A study, a tuning or a training: the verdict first, then what runs, the curves, the strategies, and the table.

import { address, ask, post } from "./api.js";
import { _, button, calmly, h } from "./dom.js";
import { Feed } from "./feed.js";
import * as format from "./format.js";
import { MOST, Panel } from "./panel.js";
import { Results } from "./results.js";
import { toCompare, toIndex, toRun } from "./routes.js";
import { Running } from "./running.js";
import { Styles } from "./styles.js";
import { RunTable } from "./table.js";

const RESUME = 4000;

export class PlaceView {
  // bar: the line at the top, which says how the page hears of changes.
  constructor(place, bar) {
    Object.assign(this, { place, bar, styles: new Styles(), scale: {}, status: null, feed: null });
    this.title = h("h1", { id: "verdict" }, "…");
    this.where = h("p", { class: "question" });
    this.words = h("p", { class: "words", role: "status" });
    this.progress = h("progress", { max: 1, value: 0, "aria-label": _("done"), hidden: true });
    this.tools = h("div", { class: "tools" });
    this.notes = h("ul", { class: "notes" });
    this.running = new Running(place, this.styles);
    this.results = new Results(this.styles);
    this.panel = null;
    this.frame = h("div");
    this.drawn = h("p", { class: "note" });
    this.table = new RunTable(place, (rows) => this.picked(rows));
    this.arms = h("section", { hidden: true });
    this.picks = h("div", { class: "tools picks", hidden: true, role: "status" });
    this.element = h("div", {},
      h("header", { class: "head" }, this.where, this.title, this.words, this.progress, this.tools, this.notes),
      this.running.element, this.arms,
      h("section", { "aria-label": _("Curves") }, h("h2", {}, _("Curves")), this.drawn, this.frame),
      this.results.element,
      h("section", { "aria-label": _("Runs") }, h("h2", {}, _("Runs")), this.picks, this.table.element));
    this.summarize = calmly(() => this.summary(), RESUME);
    this.recurve = calmly(() => this.curves(), RESUME);
  }

  async start() {
    const status = await ask("status", { place: this.place });
    this.stands(status);
    this.measure(status.measures);
    await Promise.all([this.summary(), this.table.load()]);
    await this.curves();
    this.feed = new Feed(this.place, status.cursor || "", (news) => this.hear(news), (state, words) => this.bar.says(state, words));
  }

  // A chart for each thing that is measured; probes may come later than the page.
  measure(measures) {
    if (this.panel) this.panel.close();
    this.panel = new Panel(this.styles, { href: toRun, measures });
    this.frame.replaceChildren(this.panel.element);
  }

  stands(status) {
    this.status = status;
    this.scale = status.score;
    // Before the first run has ended, what there is to say is what goes on.
    const verdict = status.headline && !(status.state === "running" && !status.done);
    this.title.textContent = verdict ? status.headline : status.words;
    this.words.textContent = verdict ? status.words : "";
    document.title = `${status.state === "running" ? "● " : ""}${this.place || "calando"} – calando`;
    this.progress.hidden = !status.expected || status.state === "complete";
    this.progress.max = status.expected || 1;
    this.progress.value = Math.min(status.done, status.expected || 1);
    // Only the first answer says it: it does not change while the page is open.
    this.steers = status.can_steer ?? this.steers;
    this.bar.can(this.steers);
    const heading = JSON.stringify([status.kind, status.state, status.title]);
    if (heading !== this.heading) {
      this.heading = heading;
      const what = `${_(status.kind)} · ${status.title}`;
      this.where.replaceChildren(...(this.place ? [h("a", { href: toIndex() }, `‹ ${_("studies and runs")}`), ` / ${this.place} · ${what}`] : [what]));
      const stop = button(_("Stop: save the runs in progress"), () => this.stop(stop), { id: "stop" });
      this.tools.replaceChildren(...[
        status.kind === "study" && h("a", { href: address("report", { place: this.place }), id: "report" }, _("the report, with its figures")),
        status.state === "running" && this.steers && status.kind === "study" && stop,
        (this.stopStatus = h("span", { role: "status", id: "stop-status" })),
      ].filter(Boolean));
    }
    const notes = (status.notes || []).slice(-5);
    this.notes.replaceChildren(...notes.map((one) => h("li", {}, typeof one === "string" ? one : one.text)));
    this.running.show(status.running || [], this.scale);
    this.race(status.arms || []);
  }

  race(arms) {
    this.arms.hidden = !arms.length;
    if (!arms.length) return;
    const columns = [...new Set(arms.flatMap((one) => Object.keys(one)))].filter((name) => name !== "run");
    const write = (value) => (typeof value === "number" ? format.plain(value, 4) : Array.isArray(value) || value === null || value === undefined ? "–" : String(value));
    this.arms.replaceChildren(h("h2", {}, _("Arms")), h("div", { class: "wide", tabindex: 0, role: "region", "aria-label": _("Arms") },
      h("table", { class: "arms" }, h("thead", {}, h("tr", {}, ...columns.map((one) => h("th", { scope: "col" }, _(one))))),
        h("tbody", {}, ...arms.map((arm) => h("tr", {}, ...columns.map((name) => h("td", {}, name === "strategy" && arm.run ? h("a", { href: toRun(this.place, arm.run) }, write(arm[name])) : write(arm[name])))))))));
  }

  async summary() {
    if (!this.status || this.status.kind !== "study") return;
    try {
      const summary = await ask("summary", { place: this.place });
      this.styles.add(summary.spec.strategies.map((one) => one.name));
      this.results.show(summary, this.scale);
    } catch (error) {
      this.bar.says("lost", error.message);
    }
  }

  // What is drawn: each run where there are few, bands where there are many; runs that are ticked as lines in any case.
  async curves() {
    const ticked = [...this.table.picked.values()];
    const { total, rows } = await ask("runs", { place: this.place, limit: MOST + 50 });
    const begun = rows.filter((row) => row.step > 0 || row.state === "running");
    // Strategy by strategy, as the spec has them.
    this.styles.add(begun.map((row) => row.strategy));
    const order = (row) => this.styles.names.indexOf(row.strategy);
    begun.sort((a, b) => order(a) - order(b) || (a.lr ?? 0) - (b.lr ?? 0) || a.seed - b.seed);
    const many = total > MOST + 50 || begun.length > MOST;
    const bands = many && !(this.only && ticked.length);
    const runs = this.only && ticked.length ? ticked : many ? ticked : begun;
    this.drawn.textContent = bands
      ? _("{count} runs: a band for each strategy, the middle 80 % of its runs around their median; tick runs in the table below to draw them.", { count: format.count(total) })
      : this.only && ticked.length ? _("The ticked runs alone.") : "";
    await this.panel.show([{ place: this.place, runs: runs.slice(0, 2 * MOST), banded: bands }], { alone: Boolean(this.only && ticked.length) });
    const steered = rows.filter((row) => row.steered).length;
    this.results.tell(steered ? _(steered === 1 ? "{count} of the runs was steered: what is changed by hand takes no part in verdicts." : "{count} of the runs were steered: what is changed by hand takes no part in verdicts.", { count: format.count(steered) }) : "");
    this.scale = this.status.score;
    this.table.scale = this.scale;
    this.table.draw();
    this.running.show(this.status.running || [], this.scale);
    this.summarize();
    this.shown = new Set(runs.map((row) => row.run));
  }

  hear(news) {
    if (news.reset) {
      this.table.load();
      this.recurve();
    }
    if (news.status) this.stands(news.status);
    const measures = (news.status || {}).measures, known = this.panel.measures.map((one) => one.of);
    if (measures && String(measures) !== String(known)) {
      this.measure(measures);
      this.recurve();
    }
    if (news.points || news.scores) this.panel.add(this.place, news.points, news.scores);
    if (news.rows && news.rows.length) {
      this.table.change(news.rows);
      const over = news.rows.some((row) => row.state !== "queued" && (!this.shown.has(row.run) || row.state !== "running"));
      if (over) {
        this.recurve();
        this.summarize();
      }
    }
  }

  picked(rows) {
    this.picks.hidden = !rows.length;
    const [a, b] = rows;
    this.picks.replaceChildren(...[
      _("{count} ticked", { count: rows.length }),
      rows.length === 2 && h("a", { href: toCompare({ place: this.place, run: a.run }, { place: this.place, run: b.run }), id: "compare" }, _("compare the two")),
      button(_(this.only ? "draw the others as well" : "draw these alone"), () => {
        this.only = !this.only;
        this.picked(rows);
      }),
      button(_("clear"), () => {
        this.only = false;
        this.table.clear();
      }),
    ].filter(Boolean));
    this.curves();
  }

  async stop(pressed) {
    pressed.disabled = true;
    try {
      await post(address("commands/stop", { place: this.place }), {});
      this.stopStatus.textContent = _("Stopping: runs in progress are saved; the same command resumes them.");
    } catch (error) {
      this.stopStatus.textContent = error.message;
      pressed.disabled = false;
    }
  }

  close() {
    if (this.feed) this.feed.close();
    if (this.panel) this.panel.close();
  }
}
