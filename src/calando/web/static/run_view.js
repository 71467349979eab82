// A run's own page: what it is, its curves, what happened in it, and what is needed to make it again.

import { ask } from "./api.js";
import { _, copy, h } from "./dom.js";
import { Feed } from "./feed.js";
import * as format from "./format.js";
import { Panel } from "./panel.js";
import { toPlace, toRun } from "./routes.js";
import { SteerPanel } from "./steer_panel.js";
import { Styles } from "./styles.js";

const REREAD = 5000, ANSWERED = 500;
const STEERED = ["study", "training"];

export class RunView {
  constructor({ place, run }, bar) {
    Object.assign(this, { place, run, bar, styles: new Styles(), feed: null, row: null });
    this.title = h("h1", { id: "verdict" }, "…");
    this.words = h("p", { class: "words", role: "status" });
    this.progress = h("progress", { max: 1, value: 0, "aria-label": _("steps"), hidden: true });
    this.panel = null;
    this.frame = h("div");
    this.steer = h("div");
    this.facts = h("div");
    this.element = h("div", {}, h("header", { class: "head" },
      h("p", { class: "question" }, h("a", { href: toPlace(place) }, `‹ ${place || _("the whole")}`)), this.title, this.words, this.progress),
      h("section", { "aria-label": _("Curves") }, h("h2", {}, _("Curves")), this.frame), this.steer, this.facts);
  }

  async start() {
    const status = await ask("status", { place: this.place });
    this.panel = new Panel(this.styles, { measures: status.measures });
    this.frame.append(this.panel.element);
    await this.read();
    await this.panel.show([{ place: this.place, runs: [this.details], banded: false }]);
    this.stands(this.details);
    this.bar.can(status.can_steer);
    if (status.can_steer && STEERED.includes(status.kind)) {
      this.steering = new SteerPanel(this.place, this.run, () => this.follow());
      this.steering.conducted = status.state === "running";
      this.steer.append(this.steering.element);
    }
    this.feed = new Feed(this.place, status.cursor || "", (news) => this.hear(news), (state, words) => this.bar.says(state, words));
    this.timer = setInterval(() => document.hidden || this.details.state !== "running" || this.read().catch(() => {}), REREAD);
  }

  // Until the commands are answered.
  async follow() {
    clearTimeout(this.waiting);
    await this.read().catch(() => {});
    const open = this.details.commands.some((one) => one.state === "asked" || one.state === "accepted");
    if (open && !this.closed) this.waiting = setTimeout(() => this.follow(), ANSWERED);
  }

  async read() {
    this.details = await ask("run", { place: this.place, run: this.run });
    const seen = JSON.stringify(this.details);
    if (seen === this.seen) return;
    this.seen = seen;
    this.panel.marks = this.details.events.map((one) => one.step);
    this.stands(this.details);
    // What is open stays open.
    const open = new Set([...this.facts.querySelectorAll("details[open] > summary")].map((one) => one.textContent));
    this.facts.replaceChildren(...this.sections(this.details));
    for (const one of this.facts.querySelectorAll("details > summary")) if (open.has(one.textContent)) one.parentElement.open = true;
  }

  stands(row, running = null) {
    this.row = row;
    this.title.textContent = format.named(row);
    const scale = this.panel.scales.score || {};
    const now = running ? [_("rate {rate}", { rate: format.rate(running.lr) }), _("loss {loss}", { loss: format.loss(running.loss) }), running.eta_s === null ? "" : _("ETA {left}", { left: format.left(running.eta_s) }), running.slot ? _("worker {slot}", running) : ""] : [];
    this.words.textContent = [
      _(row.state),
      row.steps ? _("{done} of {expected} steps", { done: format.count(row.step), expected: format.count(row.steps) }) : _("{count} steps", { count: format.count(row.step) }),
      row.score === null ? "" : _("validation {score}", { score: `${format.score(row.score, scale)}${scale.share ? " %" : ""}` }),
      row.seconds === null || row.seconds === undefined ? "" : format.duration(row.seconds),
      ...now,
    ].filter(Boolean).join(" · ");
    this.progress.hidden = row.state !== "running" || !row.steps;
    this.progress.max = row.steps || 1;
    this.progress.value = row.step;
  }

  hear(news) {
    const row = (news.rows || []).find((one) => one.run === this.run);
    const running = ((news.status || {}).running || []).find((one) => one.run === this.run);
    if (this.steering && news.status) this.steering.conducted = news.status.state === "running";
    if (row || running) this.stands({ ...this.row, ...row, ...(running ? { step: running.step } : {}) }, running);
    const mine = (all) => (all && all[this.run] ? { [this.run]: all[this.run] } : {});
    this.panel.add(this.place, mine(news.points), mine(news.scores));
    if (news.reset || (row && row.state !== "running")) {
      this.read().then(() => this.panel.load()).catch((error) => this.bar.says("lost", error.message));
    }
  }

  sections(run) {
    const scale = this.panel.scales.score || {};
    const part = (title, ...content) => h("section", { "aria-label": title }, h("h2", {}, title), ...content);
    const wide = (name, head, rows) => h("div", { class: "wide", tabindex: 0, role: "region", "aria-label": name },
      h("table", {}, h("thead", {}, h("tr", {}, ...head.map((one) => h("th", { scope: "col" }, one)))), h("tbody", {}, ...rows.map((row) => h("tr", {}, ...row.map((one) => h("td", {}, one)))))));
    const folded = (title, ...content) => h("details", {}, h("summary", {}, title), ...content);
    const link = (digest) => digest === run.run ? _("this run") : h("a", { href: toRun(this.place, digest) }, format.short(digest));
    const branches = [run.parent && [_("branch of"), link(run.parent)], ...run.branches.map((one) => [_("branch at {step}", { step: format.count(one.step) }), link(one.run)])].filter(Boolean);
    return [
      part(_("What it is"),
        h("dl", { class: "facts" },
          h("dt", {}, _("strategy")), h("dd", {}, h("code", {}, run.text), " ", copy(run.text, _("the strategy"))),
          ...(run.command ? [h("dt", {}, _("command")), h("dd", {}, h("pre", {}, run.command), copy(run.command, _("the command that makes it again")))] : []),
          h("dt", {}, _("run")), h("dd", {}, h("code", {}, run.run)),
          ...branches.flatMap(([name, to]) => [h("dt", {}, name), h("dd", {}, to)])),
        run.spec && folded(_("Its spec"), h("pre", {}, JSON.stringify(run.spec, null, 2)), copy(JSON.stringify(run.spec), _("the spec"))),
        run.host && Object.keys(run.host).length > 0 && folded(_("Where it was made"), h("pre", {}, JSON.stringify(run.host, null, 2)))),
      run.events.length > 0 && part(_("What happened"), wide(_("Events"), [_("step"), _("what")], run.events.map((one) => [format.count(one.step), eventText(one)]))),
      run.commands.length > 0 && part(_("Commands"), wide(_("Commands"), [_("asked"), _("by"), _("command"), _("state"), _("at step"), _("branch"), _("why not")], run.commands.map((one) => [
        new Date(1000 * one.at).toLocaleString(), one.who || "–", h("code", {}, one.line), _(one.state), format.count(one.step), one.branch ? link(one.branch) : "", one.why,
      ]))),
      run.evaluations.length > 0 && part(_("Looks at the validation part"), folded(_("{count} looks", { count: run.evaluations.length }),
        wide(_("Looks"), [_("step"), _("score"), _("loss")], run.evaluations.map((one) => [format.count(one.step), format.score(one.score, scale), format.loss(one.loss)])))),
      run.files.length > 0 && part(_("Files"), wide(_("Files"), [_("name"), _("size")], run.files.map((one) => [h("code", {}, one.name), format.bytes(one.bytes)]))),
      run.log.length > 0 && part(_("The end of its log"), h("pre", { class: "log", tabindex: 0 }, run.log.join("\n"))),
    ].filter(Boolean);
  }

  close() {
    this.closed = true;
    clearInterval(this.timer);
    clearTimeout(this.waiting);
    if (this.steering) this.steering.close();
    if (this.feed) this.feed.close();
    if (this.panel) this.panel.close();
  }
}

const flat = (value) => (value === null || value === undefined ? "" : typeof value === "object" ? JSON.stringify(value) : String(value));
const eventText = (event) => event.text || Object.entries(event).filter(([name]) => name !== "step").map(([name, value]) => `${name} ${flat(value)}`).join(", ");
