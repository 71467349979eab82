// The curves of some runs: a chart each for loss, rate and score, one legend, one cursor, one zoom.
//
// Up to MOST curves each run is a line. Beyond, each strategy is a band of its runs, and a run a line once it is picked.

import { ask } from "./api.js";
import { Chart } from "./chart.js";
import { _, button, calmly, h } from "./dom.js";
import * as format from "./format.js";
import { before, valueAt } from "./joined.js";
import { Legend } from "./legend.js";
import { style } from "./styles.js";
import { theme } from "./theme.js";

export const MOST = 100;
const REDRAW = 250, REFETCH = 250, REREAD = 4000, WIDE = 20;
const MEASURES = ["loss", "rate", "score"]; // what every run has; probes follow
let panels = 0;

export class Panel {
  // styles: by strategy; options: {byRun: a style a run, names: curves' own names, href(run): a run's page}
  constructor(styles, { byRun = false, href = null, measures = MEASURES } = {}) {
    Object.assign(this, { styles, byRun, href, zoom: null, marks: [], loading: null, lines: new Map(), bands: new Map(), scales: {}, sources: [], banded: false });
    this.sync = `panel-${(panels += 1)}`;
    // Axes that nobody chose are logarithmic where the values span more than WIDE.
    this.settings = { logX: false, logY: new Map(), smoothing: 0.8 };
    this.measures = measures.map((of) => ({ of, title: _(of), write: (value) => this.write(of, value) }));
    this.legend = new Legend(this.measures, () => this.draw());
    this.charts = new Map(this.measures.map(({ of, title }) => [of, new Chart(title, this.sync, {
      cursor: (step) => this.point(step),
      zoom: (range) => this.zoomTo(range),
      reset: () => this.zoomTo(null),
      near: (key) => this.legend.near(key),
      keys: (event, chart) => this.key(event, chart),
    })]));
    this.words = h("p", { class: "note", role: "status" });
    this.element = h("div", { class: "panel" }, this.tools(), this.words,
      h("div", { class: "charts" }, ...[...this.charts.values()].map((one) => one.element)), this.legend.element);
    this.redraw = calmly(() => this.draw(), REDRAW);
    this.reread = calmly(() => this.load(), REREAD);
    this.refetch = calmly(() => this.load(), REFETCH);
    this.retheme = theme.watch(() => this.draw());
  }

  tools() {
    const smoothing = h("input", { type: "range", min: 0, max: 0.98, step: 0.02, value: this.settings.smoothing, "aria-label": _("smoothing of the loss") });
    const shown = h("output", {}, String(this.settings.smoothing));
    smoothing.addEventListener("input", () => {
      this.settings.smoothing = Number(smoothing.value);
      shown.textContent = this.settings.smoothing ? smoothing.value : _("off");
      this.draw();
    });
    const { settings } = this;
    const scale = (text, set) => button(text, () => {
      set();
      this.draw();
    }, { "aria-pressed": "false", class: "toggle" });
    this.logX = scale(_("steps"), () => (settings.logX = !settings.logX));
    this.logY = new Map(this.measures.map(({ of, title }) => [of, scale(title, () => settings.logY.set(of, !this.isLog(of)))]));
    return h("div", { class: "tools", role: "toolbar", "aria-label": _("Curves") },
      h("label", {}, `${_("smoothing")} `, smoothing, " ", shown),
      h("span", { class: "group" }, `${_("log axis")} `,
        this.logX, ...this.logY.values()),
      h("span", { class: "group" },
        button("+", () => this.zoomBy(0.5), { "aria-label": _("zoom in") }), button("−", () => this.zoomBy(2), { "aria-label": _("zoom out") }),
        button(_("whole"), () => this.zoomTo(null), { "aria-label": _("show the whole") })),
      button(_("all curves"), () => this.legend.all()));
  }

  // sources: [{place, runs: [row], banded: strategies as bands, label}]; alone: the runs were picked from others.
  async show(sources, { alone = false } = {}) {
    Object.assign(this, { sources, alone });
    await this.load();
  }

  async load() {
    if (this.loading) this.loading.abort();
    const asked = (this.loading = new AbortController());
    try {
      const answers = await Promise.all(this.sources.flatMap((source) => this.measures.map(({ of }) => this.fetch(source, of, asked.signal))));
      if (asked.signal.aborted) return;
      this.lines.clear();
      this.bands.clear();
      for (const one of answers) this.take(one);
      this.words.textContent = "";
      this.draw();
    } catch (error) {
      if (!asked.signal.aborted) this.words.textContent = _("The curves could not be read: {why}", { why: error.message });
    }
  }

  async fetch(source, of, signal) {
    const pixels = Math.max(50, Math.min(1600, Math.round(Math.min(this.charts.get(of).width, 60_000 / Math.max(1, source.runs.length)))));
    const found = { source, of, curves: [], bands: [] };
    const within = this.zoom ? { from: Math.floor(this.zoom[0]), to: Math.ceil(this.zoom[1]) } : {};
    if (source.banded) Object.assign(found, await ask("bands", { place: source.place, of, pixels }, signal));
    if (source.runs.length) {
      const runs = source.runs.map((row) => row.run);
      const lines = await ask("curves", { place: source.place, of, run: runs, pixels, ...within }, signal);
      Object.assign(found, { ...lines, bands: found.bands });
    }
    return found;
  }

  take({ source, of, curves, bands, unit, share }) {
    this.scales[of] = { unit, share };
    for (const band of bands) {
      const key = `${source.label || ""}:${band.strategy}`;
      const held = this.bands.get(key) || { key, name: band.strategy, detail: _("{count} runs", { count: band.runs }), of: {} };
      held.of[of] = { x: band.x, y: band.median, low: band.low, high: band.high };
      this.bands.set(key, held);
    }
    const rows = new Map(source.runs.map((row) => [row.run, row]));
    for (const curve of curves) {
      const key = `${source.place}\n${curve.run}`, row = rows.get(curve.run);
      const rate = row && row.lr !== null && row.lr !== undefined;
      const named = rate ? _("rate {rate}, seed {seed}", { rate: format.rate(row.lr), seed: curve.seed }) : _("seed {seed}", curve);
      const held = this.lines.get(key) || {
        key, run: curve.run, name: curve.strategy, of: {},
        detail: (source.label ? `${source.label}, ` : "") + (row && row.steered ? _("{name}, steered", { name: named }) : named),
        href: this.href ? this.href(source.place, curve.run) : null,
      };
      held.of[of] = { x: curve.x, y: curve.y };
      this.lines.set(key, held);
    }
  }

  // Points that came since, of runs in progress.
  add(place, points, scores) {
    for (const [run, { step, lr, loss }] of Object.entries(points || {})) {
      this.extend(place, run, "rate", step, lr);
      this.extend(place, run, "loss", step, loss);
    }
    for (const [run, { step, score }] of Object.entries(scores || {})) this.extend(place, run, "score", step, score);
    // What else is measured is read again, now and then.
    if (this.measures.some(({ of }) => !MEASURES.includes(of))) this.reread();
    this.redraw();
  }

  extend(place, run, of, steps, values) {
    const line = this.lines.get(`${place}\n${run}`);
    if (!line || !line.of[of]) return;
    const { x, y } = line.of[of];
    steps.forEach((step, at) => {
      const place = before(x, step);
      if (place === x.length - 1 && x[place] !== step) {
        x.push(step);
        y.push(values[at]);
      } else if (x[place] === step) {
        y[place] = values[at]; // a run that resumed says again what it saw
      }
    });
    // As fine as it was read at first: then it is read again, as few points.
    if (x.length > 6000) this.refetch();
  }

  // What is drawn: bands first, then lines.
  held() {
    const drawn = [...this.bands.values(), ...this.lines.values()];
    // Runs of one strategy alone have a style each, unless others are to come: a style stands for one thing.
    const names = new Set([...(this.alone ? [] : this.styles.names), ...drawn.map((one) => one.name)]);
    const apart = this.byRun || (drawn.length > 1 && names.size === 1);
    return drawn.map((one, place) => ({ ...one, style: apart ? style(place) : this.styles.of(one.name) }));
  }

  draw() {
    const held = this.held();
    this.legend.list(held.map(({ key, name, detail, href, style: drawn }) => ({ key, name, detail, href, style: drawn })));
    const seen = held.filter((one) => this.legend.shows(one.key));
    const extent = this.extent(seen.length ? seen : held);
    for (const { of } of this.measures) {
      const chart = this.charts.get(of);
      // What no run has is not drawn, unless nothing is there yet.
      chart.element.hidden = held.some((one) => anything(one.of)) && !held.some((one) => anything({ [of]: one.of[of] }));
      const curves = seen.filter((one) => one.of[of] && one.of[of].x.length).map((one) => ({ key: one.key, style: one.style, ...this.scaled(of, one.of[of]) }));
      const scale = this.scales[of] || {};
      chart.name.textContent = of === "score" ? format.inUnit(_(of), scale) : _(of);
      this.legend.head(of, chart.name.textContent);
      chart.show({
        curves, extent, zoom: this.zoom, theme: theme.shown(), marks: this.marks,
        logX: this.settings.logX, logY: this.isLog(of, curves),
        smoothing: of === "rate" || of === "score" ? 0 : this.settings.smoothing,
        robust: of !== "rate", floor: of === "rate" ? lowest(curves) : 0, format: format.plain,
      });
    }
    this.logX.setAttribute("aria-pressed", String(this.settings.logX));
    for (const [of, toggle] of this.logY) toggle.setAttribute("aria-pressed", String(this.isLog(of)));
    this.point(this.step ?? null);
  }

  // As chosen; else whether the losses of the curves, or their highest rates, lie far apart.
  isLog(of, curves = null) {
    if (this.settings.logY.has(of)) return this.settings.logY.get(of);
    if (curves === null) return (this.wide || {})[of] || false;
    const values = of === "rate" ? curves.map((one) => largest(one.y)) : of === "score" ? [] : curves.flatMap((one) => one.y);
    const found = values.filter((one) => one !== null && Number.isFinite(one));
    const low = smallest(found), high = largest(found);
    this.wide = { ...this.wide, [of]: found.length > 1 && low > 0 && high > WIDE * low };
    return this.wide[of];
  }

  scaled(of, curve) {
    if (!(this.scales[of] || {}).share) return curve;
    const percent = (values) => values && values.map((one) => (one === null ? null : 100 * one));
    return { x: curve.x, y: percent(curve.y), low: percent(curve.low), high: percent(curve.high) };
  }

  extent(held) {
    let first = Infinity, last = -Infinity;
    for (const one of held) {
      for (const { x } of Object.values(one.of)) {
        if (!x.length) continue;
        first = Math.min(first, x[0]);
        last = Math.max(last, x[x.length - 1]);
      }
    }
    return last >= first ? [Math.min(first, this.settings.logX ? 1 : 0), last] : [0, 1];
  }

  write(of, value) {
    if (value === null || value === undefined) return "–";
    return of === "rate" ? format.rate(value) : of === "score" ? format.score(value, this.scales[of]) : format.loss(value);
  }

  // The cursor: the values of all curves at its step; away from the charts, their last ones.
  point(step) {
    this.step = step;
    if (this.pending) return;
    this.pending = requestAnimationFrame(() => {
      this.pending = 0;
      const at = this.step === null ? null : Math.round(this.step);
      const words = at === null ? _("last values") : _("step {step}", { step: at.toLocaleString("en") });
      this.legend.values(words, (key, of) => {
        const curve = ((this.lines.get(key) || this.bands.get(key) || { of: {} }).of)[of];
        if (!curve || !curve.x.length) return null;
        return at === null ? curve.y[curve.y.length - 1] : valueAt(curve.x, curve.y, at);
      });
    });
  }

  zoomTo(range) {
    this.zoom = range;
    this.draw();
    this.refetch();
  }

  zoomBy(factor) {
    const [from, to] = this.zoom || this.extent(this.held());
    const middle = this.step ?? (from + to) / 2, half = ((to - from) * factor) / 2;
    const whole = this.extent(this.held());
    if (!this.zoom && factor > 1) return;
    const wanted = [Math.max(0, middle - half), middle + half];
    this.zoomTo(factor > 1 && wanted[0] <= whole[0] && wanted[1] >= whole[1] ? null : wanted);
  }

  key(event, chart) {
    const [from, to] = this.zoom || this.extent(this.held());
    const move = (share) => {
      const step = Math.min(to, Math.max(from, (this.step ?? (share > 0 ? from : to)) + share * (to - from)));
      for (const one of this.charts.values()) one.point(step);
      this.point(step);
    };
    const acts = {
      ArrowLeft: () => move(event.shiftKey ? -0.1 : -0.01), ArrowRight: () => move(event.shiftKey ? 0.1 : 0.01),
      Home: () => move(-1), End: () => move(1),
      "+": () => this.zoomBy(0.5), "=": () => this.zoomBy(0.5), "-": () => this.zoomBy(2), 0: () => this.zoomTo(null),
      l: () => this.toggleLog(chart), Escape: () => [...this.charts.values()].forEach((one) => one.point(null)) || this.point(null),
    };
    if (event.ctrlKey || event.metaKey || event.altKey || !(event.key in acts)) return;
    event.preventDefault();
    event.stopPropagation();
    acts[event.key]();
  }

  toggleLog(chart) {
    for (const [of, one] of this.charts) if (one === chart) this.logY.get(of).click();
  }

  close() {
    this.retheme();
    if (this.loading) this.loading.abort();
    for (const one of this.charts.values()) one.close();
  }
}

// Below this share of the smallest peak a rate that decays to nothing is not followed.
function lowest(curves) {
  const peaks = curves.map((one) => largest(one.y)).filter((one) => one > 0);
  return peaks.length ? 1e-3 * smallest(peaks) : 0;
}

const anything = (curves) => Object.values(curves).some((one) => one && one.x.length);

// Of arrays that are too long to be arguments.
const largest = (values) => values.reduce((most, one) => (one !== null && one > most ? one : most), -Infinity);
const smallest = (values) => values.reduce((least, one) => (one !== null && one < least ? one : least), Infinity);
