// One chart of curves or bands over the steps, drawn by uPlot.
//
// A curve    {key, x, y, style}                       a line; with smoothing the raw one faint behind it
// A band     {key, x, y, low, high, style}            the median, and what lies between low and high
//
// All charts of a panel share the cursor and the zoom.

import { _, h } from "./dom.js";
import { joined } from "./joined.js";
import { smoothed } from "./smoothing.js";
import { variable } from "./styles.js";

const HEIGHT = 240, FEW = 12;
const TINY = 1e-100, DECADES = 1e15; // of a logarithmic axis: what its ticks can count

export class Chart {
  // handlers: {cursor(step | null), zoom([from, to]), reset(), near(key | null), keys(event, chart)}
  constructor(title, sync, handlers) {
    Object.assign(this, { title, sync, handlers, plot: null, signature: "", view: null, marks: [] });
    this.name = h("h3", {}, title);
    this.note = h("span", { class: "faint small" });
    this.place = h("div", { class: "plot" });
    this.element = h("section", {
      class: "chart", tabindex: 0, role: "group",
      "aria-roledescription": _("chart"),
      on: { keydown: (event) => handlers.keys(event, this) },
    }, h("header", {}, this.name, this.note), this.place);
    this.resized = new ResizeObserver(() => this.plot && this.plot.setSize({ width: this.width, height: HEIGHT }));
    this.resized.observe(this.place);
  }

  get width() {
    return Math.max(200, this.place.clientWidth);
  }

  // view: {curves, extent: [from, to], zoom: [from, to] | null, logX, logY, smoothing, marks: [step], theme, format, robust}
  show(view) {
    this.view = view;
    const positive = (values) => (view.logY ? values.map((one) => (one > TINY && one < 1 / TINY ? one : null)) : values);
    const layers = view.curves.map((curve) => ({
      x: curve.x,
      ys: (curve.low
        ? [curve.low, curve.high, curve.y]
        : view.smoothing ? [curve.y, smoothed(curve.y, view.smoothing)] : [curve.y]).map(positive),
    }));
    const [from, to] = this.range(view.logX);
    const data = joined(layers, from, to, this.width);
    this.ceiling = view.robust && !view.logY ? ceiling(data.slice(1)) : null;
    const above = this.ceiling === null ? 0 : data.slice(1).flat().filter((one) => one > this.ceiling).length;
    this.note.textContent = above ? _("{count} of the points lie above the frame; the logarithmic axis shows them", { count: above }) : "";
    this.describe(view.curves, from, to);
    Object.assign(this.element.dataset, { curves: view.curves.length, from: Math.round(from), to: Math.round(to) });
    const signature = JSON.stringify([
      view.curves.map((curve) => [curve.key, curve.style, Boolean(curve.low)]),
      view.logX, view.logY, view.smoothing > 0, view.theme, view.marks,
    ]);
    if (this.plot && signature === this.signature) {
      this.plot.setData(data);
    } else {
      this.signature = signature;
      if (this.plot) this.plot.destroy();
      this.plot = new uPlot(this.options(view), data, this.place);
    }
  }

  describe(curves, from, to) {
    const values = { title: this.title, count: curves.length, from: Math.round(from), to: Math.round(to) };
    this.element.setAttribute("aria-label", _(curves.length === 1
      ? "{title} of {count} curve, steps {from} to {to}; arrows move the cursor, plus and minus zoom"
      : "{title} of {count} curves, steps {from} to {to}; arrows move the cursor, plus and minus zoom", values));
  }

  range(logX) {
    let [from, to] = this.view.zoom || this.view.extent;
    if (logX) from = Math.max(from, 1);
    if (to <= from) to = from + 1;
    return logX ? uPlot.rangeLog(from, to, 10, false) : [from, to];
  }

  options(view) {
    const ink = variable("--muted"), line = variable("--line");
    const axis = { stroke: ink, font: "12px system-ui", grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 } };
    const series = [{}], bands = [];
    for (const curve of view.curves) {
      const drawn = { stroke: curve.style.colour, spanGaps: true, points: { show: curve.x.length < 3 } };
      if (curve.low) {
        const edge = { ...drawn, width: 0, points: { show: false } };
        series.push({ ...edge }, { ...edge }, { ...drawn, width: 2, dash: curve.style.dash });
        bands.push({ series: [series.length - 2, series.length - 3], fill: faint(curve.style.colour, 0.18) });
      } else if (view.smoothing) {
        series.push({ ...drawn, width: 1, stroke: faint(curve.style.colour, 0.4) });
        series.push({ ...drawn, width: 2, dash: curve.style.dash });
      } else {
        series.push({ ...drawn, width: view.curves.length > FEW ? 1.25 : 2, dash: curve.style.dash });
      }
    }
    return {
      width: this.width, height: HEIGHT, padding: [8, 24, 0, 0], legend: { show: false }, series, bands,
      // A smoothed line and its raw one are two: dimming all but one of them would dim it too.
      focus: { alpha: view.smoothing ? 1 : 0.35 },
      cursor: {
        y: false,
        points: { show: view.curves.length <= FEW, size: 7 },
        focus: { prox: 20 },
        drag: { x: true, y: false, setScale: false },
        sync: { key: this.sync, scales: ["x", null], filters: { pub: onlyMoves, sub: onlyMoves } },
        dataIdx: nearest,
        bind: { dblclick: () => () => (this.handlers.reset(), null) },
      },
      scales: {
        // Of this plot's own kind: one that was given up may still be drawn once, after the next view came.
        x: { time: false, distr: view.logX ? 3 : 1, range: () => this.range(view.logX) },
        y: { distr: view.logY ? 3 : 1, range: (_, low, high) => this.height(low, high, view.logY) },
      },
      axes: [
        { ...axis, ...ticks(view.logX), size: 28, values: (_, ticks) => ticks.map((one) => (one === null ? "" : one.toLocaleString("en"))) },
        { ...axis, ...ticks(view.logY), size: 62, values: (plot, ticks, _, space, step) => ticks.map((one) => (one === null || !this.named(plot, one) ? "" : view.format(one, digits(ticks, step)))) },
      ],
      hooks: {
        setSelect: [(plot) => this.select(plot)],
        setCursor: [(plot) => this.handlers.cursor(plot.cursor.left < 0 ? null : plot.posToVal(plot.cursor.left, "x"))],
        setSeries: [(_, place, given) => given.focus !== undefined && this.handlers.near(this.keyOf(place))],
        draw: [(plot) => drawMarks(plot, view.marks || [], ink)],
      },
    };
  }

  // The values' range, with some air.
  height(low, high, logY) {
    if (low === null || high === null || (logY && low <= 0)) return logY ? [0.1, 1] : [0, 1];
    // A rate that decays to nothing would stretch the axis without end.
    if (logY) return uPlot.rangeLog(Math.min(Math.max(low, this.view.floor || 0, high / DECADES), high / 2), high, 10, false);
    const top = this.ceiling !== null && high > this.ceiling ? Math.max(low, this.ceiling) : high;
    // Values that differ by a rounding are drawn as the same.
    const span = top - low, size = Math.max(Math.abs(top), Math.abs(low));
    const air = span > 1e-9 * size ? 0.06 * span : size * 0.1 || 0.1;
    // A rate or a loss that is never negative is not drawn as if it could be.
    return [low >= 0 && low - air < 0 ? 0 : low - air, top + air];
  }

  // Of a logarithmic axis the powers of ten, and what lies between only where there are few.
  named(plot, tick) {
    const { min, max } = plot.scales.y, lead = tick / 10 ** Math.floor(Math.log10(tick) + 1e-9);
    if (plot.scales.y.distr !== 3) return true;
    const leads = max < 10 * min ? [1, 2, 3, 4, 5, 6, 7, 8, 9] : max < 100 * min ? [1, 2, 5] : [1];
    return leads.some((one) => Math.abs(one - lead) < 1e-6);
  }

  keyOf(place) {
    if (!place) return null;
    const each = this.view.curves[0] && this.view.curves[0].low ? 3 : this.view.smoothing ? 2 : 1;
    const curve = this.view.curves[Math.floor((place - 1) / each)];
    return curve ? curve.key : null;
  }

  select(plot) {
    const { left, width } = plot.select;
    if (width < 5) return;
    const zoom = [plot.posToVal(left, "x"), plot.posToVal(left + width, "x")];
    plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    this.handlers.zoom(zoom);
  }

  // The cursor by keys: at a step, or away.
  point(step) {
    if (this.plot) {
      this.plot.setCursor(step === null ? { left: -10, top: -10 } : { left: this.plot.valToPos(step, "x"), top: 20 }, false);
    }
  }

  close() {
    this.resized.disconnect();
    if (this.plot) this.plot.destroy();
    this.plot = null;
  }
}

// Of a logarithmic axis our own: uPlot's count on from the least value, and some never end.
function ticks(log) {
  return log ? { splits: (_, axis, low, high) => logTicks(low, high), filter: (_, all) => all } : {};
}

// One digit and zeros, in twenty decades at most; beyond, and over many, the digit is 1.
function logTicks(low, high) {
  const first = Math.floor(Math.log10(low)), last = Math.ceil(Math.log10(high)), made = [];
  const apart = Math.max(1, Math.ceil((last - first) / 20)), leads = last - first > 6 ? [1] : [1, 2, 3, 4, 5, 6, 7, 8, 9];
  for (let exponent = first; exponent <= last; exponent += apart) {
    for (const lead of leads) {
      const tick = Number(`${lead}e${exponent}`);
      if (tick >= low && tick <= high) made.push(tick);
    }
  }
  return made.length ? made : [low, high];
}

const onlyMoves = (type) => type === "mousemove" || type === "mouseleave" || type === "mouseenter";

// The nearest step that this series has a value at: joined curves have holes where others have steps.
function nearest(plot, place, at) {
  const values = plot.data[place];
  if (!values || values[at] !== null) return at;
  for (let away = 1; away < values.length; away += 1) {
    if (at - away >= 0 && values[at - away] !== null) return at - away;
    if (at + away < values.length && values[at + away] !== null) return at + away;
    if (at - away < 0 && at + away >= values.length) break;
  }
  return at;
}

// Above what a few values of a run that diverged would press all others flat; null: nothing does.
function ceiling(columns) {
  const values = [];
  for (const column of columns) for (const one of column) if (one !== null) values.push(one);
  if (values.length < 50) return null;
  values.sort((a, b) => a - b);
  const low = values[Math.floor(0.02 * values.length)], high = values[Math.floor(0.95 * values.length)];
  const most = high + 20 * (high - low);
  return high > low && values.at(-1) > most ? high + (high - low) : null;
}

// As many digits as tell neighbouring ticks apart: 98.25 and 98.5.
function digits(ticks, step) {
  const largest = Math.max(...ticks.map((one) => Math.abs(one ?? 0)));
  const decimals = (String(Number(step.toPrecision(6))).split(".")[1] || "").length;
  return largest > 0 ? Math.min(8, Math.max(3, Math.floor(Math.log10(largest) + 1e-9) + 1 + decimals)) : 3;
}

const faint = (colour, alpha) => colour.replace("rgb(", "rgba(").replace(")", `, ${alpha})`);

// Events of a run: a line at each of their steps.
function drawMarks(plot, steps, ink) {
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.strokeStyle = ink;
  ctx.setLineDash([2, 4]);
  for (const step of steps) {
    const at = plot.valToPos(step, "x", true);
    if (at < bbox.left || at > bbox.left + bbox.width) continue;
    ctx.beginPath();
    ctx.moveTo(at, bbox.top);
    ctx.lineTo(at, bbox.top + bbox.height);
    ctx.stroke();
  }
  ctx.restore();
}
