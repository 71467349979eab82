// Steering a run: a command made of a few fields, or written; the new curve over the old one before it is asked; what came
// of it. Shown to whoever opened the address that steers.

import { ask, post } from "./api.js";
import { Chart } from "./chart.js";
import { _, button, h, woven } from "./dom.js";
import * as format from "./format.js";
import { style } from "./styles.js";
import { theme } from "./theme.js";

const TYPING = 300;
// Each: what it says, what is asked for, and the command that it makes.
const WAYS = {
  multiply: { name: _("multiply the rate by"), value: "0.5", make: (value) => `rate *${value}` },
  set: { name: _("set the rate to"), value: "", make: (value) => `rate =${value}` },
  schedule: { name: _("another schedule from here"), value: "cosine(1, 0)", make: (value) => `schedule ${value}` },
  horizon: { name: _("train until step"), value: "", make: (value) => `horizon ${value}` },
  pause: { name: _("pause"), make: () => "pause" },
  resume: { name: _("resume"), make: () => "resume" },
  stop: { name: _("stop"), make: () => "stop" },
};

export class SteerPanel {
  // asked(): a command went out.
  constructor(place, run, asked) {
    Object.assign(this, { place, run, refresh: asked, seen: null, turn: 0, timer: 0, conducted: true });
    this.way = h("select", { "aria-label": _("what to do") }, ...Object.entries(WAYS).map(([key, { name }]) => h("option", { value: key }, name)));
    this.value = h("input", { type: "text", value: WAYS.multiply.value, "aria-label": _("by how much, or what"), maxlength: 1000, size: 16, spellcheck: "false" });
    this.since = h("input", { type: "text", inputmode: "numeric", placeholder: _("the next"), "aria-label": _("from which step; a step that is past goes back to it"), size: 8, maxlength: 9 });
    this.fork = h("input", { type: "checkbox", id: "fork" });
    this.line = h("input", { type: "text", "aria-label": _("the command"), maxlength: 2000, class: "line", id: "command", spellcheck: "false", autocomplete: "off" });
    this.apply = button(_("Apply"), () => this.send(), { disabled: true, id: "apply" });
    this.words = h("p", { role: "status", class: "outcome" });
    this.lint = h("ul", { class: "notes" });
    this.branch = h("p", { class: "note" });
    const nothing = () => {};
    this.chart = new Chart(_("rate"), `steer-${run}`, { cursor: nothing, zoom: nothing, reset: nothing, near: nothing, keys: nothing });
    this.key = h("p", { class: "note" }, _("solid: as planned; dashed: the branch"));
    this.frame = h("div", { hidden: true }, this.key, this.chart.element);
    for (const one of [this.way, this.value, this.since, this.fork]) one.addEventListener("input", () => this.compose(one === this.way));
    this.line.addEventListener("input", () => this.soon());
    this.line.addEventListener("keydown", (event) => event.key === "Enter" && !this.apply.disabled && this.send());
    this.rest = h("span", { class: "group" }, h("label", {}, ...woven("from step {since}", { since: this.since })), h("label", {}, this.fork, ` ${_("the run itself goes on too")}`));
    this.element = h("section", { "aria-label": _("Steer"), id: "steer" }, h("h2", {}, _("Steer")),
      h("p", { class: "note" }, _("A change makes a branch: a run of its own that goes on from here, can be made again to the bit, and takes no part in verdicts. This run rests, and “resume” lets it go on.")),
      h("div", { class: "tools" }, this.way, this.value, this.rest),
      h("div", { class: "tools" }, this.line, this.apply), this.words, this.branch, this.lint, this.frame);
    this.compose(true);
  }

  // The command, as the fields say.
  compose(other) {
    const way = WAYS[this.way.value], changes = way.value !== undefined;
    if (other && changes) this.value.value = way.value;
    this.value.hidden = this.rest.hidden = !changes;
    const before = [this.fork.checked ? "fork" : "", this.since.value.trim() ? `from ${this.since.value.trim()}` : ""].filter(Boolean).join(" ");
    this.line.value = `${changes && before ? `${before}: ` : ""}${way.make(this.value.value.trim())}`;
    this.soon();
  }

  soon() {
    this.apply.disabled = true;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.look(), TYPING);
  }

  // What it would do.
  async look() {
    const mine = (this.turn += 1), text = this.line.value;
    try {
      const seen = await ask("steer", { place: this.place, run: this.run, text });
      if (mine !== this.turn) return;
      if (seen.error) throw new Error(seen.error);
      this.seen = { ...seen, line: text };
      this.apply.disabled = false;
      this.words.textContent = seen.text === null ? "" : _(seen.since === seen.step ? "From step {since} on, as far as is known now; {steps} steps in all." : "From step {since} on; {steps} steps in all.", { since: format.count(seen.since), steps: format.count(seen.steps) });
      this.branch.replaceChildren(...(seen.text === null ? [] : woven("The branch: {strategy}", { strategy: h("code", {}, seen.text) })));
      this.lint.replaceChildren(...seen.lint.map((one) => h("li", {}, one)));
      this.frame.hidden = seen.text === null;
      if (seen.text !== null) this.draw(seen);
    } catch (error) {
      if (mine !== this.turn) return;
      this.seen = null;
      this.frame.hidden = true;
      this.lint.replaceChildren();
      this.branch.replaceChildren();
      this.words.textContent = error.message;
    }
  }

  draw(seen) {
    const kept = (values) => ({ x: seen.x.filter((_, at) => values[at] !== null), y: values.filter((one) => one !== null) });
    this.chart.show({
      curves: [{ key: "before", style: { ...style(0), dash: [] }, ...kept(seen.before) }, { key: "after", style: { ...style(3), dash: [7, 3] }, ...kept(seen.after) }],
      extent: [0, seen.x[seen.x.length - 1]], zoom: null, logX: false, logY: false, smoothing: 0, marks: [seen.since], theme: theme.shown(),
      robust: false, format: format.plain,
    });
  }

  async send() {
    this.apply.disabled = true;
    const { seen } = this;
    if (!seen) return;
    try {
      const answer = await post("api/steer", { place: this.place, run: this.run, text: seen.line, id: this.id(seen), expected_step: seen.step });
      this.sent = null;
      this.words.textContent = _(this.conducted ? "{line}: {state}. What comes of it stands below, under Commands." : "{line}: {state}. Nobody trains here now: it is done when the command that made the folder is run again.", { line: seen.line, state: _(answer.state) });
      // What was seen is over: the change began at the step that stands under Commands.
      this.frame.hidden = true;
      this.lint.replaceChildren();
      this.branch.replaceChildren();
      this.refresh();
    } catch (error) {
      this.words.textContent = error.message;
      this.apply.disabled = false;
    }
  }

  // The same command asked again, because no answer came, is the same command.
  id(seen) {
    if (!this.sent || this.sent.seen !== seen) {
      const bytes = crypto.getRandomValues(new Uint8Array(12));
      this.sent = { seen, id: [...bytes].map((one) => one.toString(16).padStart(2, "0")).join("") };
    }
    return this.sent.id;
  }

  close() {
    clearTimeout(this.timer);
    this.turn += 1;
    this.chart.close();
  }
}
