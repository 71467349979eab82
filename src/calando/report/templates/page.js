// Draws the figures, lets a strategy picked in one legend, or in the table, stand out in all of them, and sorts the
// table of runs.
"use strict";
(() => {
  const PICKED = "picked", STORE = "picked_store";
  const views = [];
  let picks = [];

  const same = (a, b) => a.length === b.length && a.every((name, i) => name === b[i]);

  function pick(names, from) {
    if (same(names, picks)) return;
    picks = names;
    for (const button of document.querySelectorAll("button.pick")) {
      button.setAttribute("aria-pressed", String(names.includes(button.dataset.strategy)));
    }
    const fields = [{ type: "E", field: "strategy" }];
    for (const view of views) {
      if (view !== from) view.data(STORE, names.map((name) => ({ unit: "", fields, values: [name] }))).runAsync();
    }
  }

  function linked(view) {
    const sets = view.getState({ data: (name) => name === STORE, signals: () => false }).data || {};
    if (!(STORE in sets)) return;
    views.push(view);
    view.addDataListener(STORE, (_, rows) => pick(rows.map((row) => row.values[0]), view));
  }

  // What is left for a legend beside the axis labels, in pixels.
  const room = (place) => place.clientWidth - 90;

  // As many legend columns as fit; 0 where the legend lists no strategies.
  function columns(spec, place) {
    const width = (spec.usermeta || {}).legend_column;
    return width ? Math.max(1, Math.floor(room(place) / width)) : 0;
  }

  // Vega reads CSV by a function that it makes of text, which the page's policy forbids: rows are made here.
  function rows(csv) {
    const lines = [[]];
    for (const [, quoted, plain, end] of csv.matchAll(/(?:"((?:[^"]|"")*)"|([^",\n]*))(,|\n|$)/g)) {
      lines.at(-1).push(quoted === undefined ? plain : quoted.replaceAll('""', '"'));
      if (end === "\n") lines.push([]);
      if (end === "") break;
    }
    const [names, ...cells] = lines.filter((line) => line.length > 1 || line[0] !== "");
    return cells.map((line) => Object.fromEntries(names.map((name, i) => [name, line[i]])));
  }

  // The data stand under `values`, or by their name among the specification's `datasets`.
  function unpack(part, sets) {
    if (part === null || typeof part !== "object") return;
    if (part.format && part.format.type === "csv") {
      const [holder, key] = part.name in sets ? [sets, part.name] : [part, "values"];
      if (typeof holder[key] === "string") holder[key] = rows(holder[key]);
      delete part.format.type;
    }
    Object.entries(part).forEach(([key, value]) => key === "datasets" || unpack(value, sets));
  }

  async function draw(holder) {
    const source = document.querySelector(`script[data-chart="${holder.dataset.figure}"]`);
    const place = holder.querySelector(".chart");
    try {
      const spec = JSON.parse(source.textContent);
      unpack(spec, spec.datasets || {});
      const fitting = columns(spec, place);
      if (fitting) {
        spec.config.legend.columns = fitting;
        spec.config.legend.labelLimit = Math.min(spec.config.legend.labelLimit, room(place) - 40);
      }
      for (const part of spec.vconcat || []) part.width = Math.max(200, place.clientWidth - 110);
      const actions = { export: true, source: false, compiled: false, editor: false };
      // ast: expressions are interpreted, and not compiled, which the page's policy forbids.
      const options = { renderer: "svg", ast: true, actions, downloadFileName: holder.dataset.figure };
      const made = await vegaEmbed(place, spec, options);
      linked(made.view);
      return () => columns(spec, place) !== fitting;
    } catch (error) {
      place.textContent = `This figure could not be drawn: ${error.message}`;
      console.error(error);
      return () => false;
    }
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button.pick");
    if (!button) return;
    const name = button.dataset.strategy;
    const others = event.shiftKey ? picks.filter((one) => one !== name) : [];
    pick(picks.includes(name) ? others : [...others, name], null);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") pick([], null);
  });

  // Numbers as numbers, whatever follows them; what is absent stays below, whichever way round.
  function sort(heading) {
    const row = heading.parentElement, body = heading.closest("table").tBodies[0];
    const place = [...row.cells].indexOf(heading), numbers = heading.classList.contains("n");
    const down = heading.getAttribute("aria-sort") === "ascending";
    for (const other of row.cells) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", down ? "descending" : "ascending");
    const key = (line) => {
      const text = line.cells[place].textContent.trim();
      return numbers ? parseFloat(text.replaceAll(",", "")) : text;
    };
    const lines = [...body.rows].map((line) => [key(line), line]);
    const absent = (value) => numbers && Number.isNaN(value);
    lines.sort(([a], [b]) => {
      if (absent(a) || absent(b)) return absent(a) - absent(b);
      const order = numbers ? a - b : a.localeCompare(b);
      return down ? -order : order;
    });
    body.append(...lines.map(([, line]) => line));
  }
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button.sort");
    if (button) sort(button.closest("th"));
  });

  async function drawAll() {
    for (const view of views.splice(0)) view.finalize();
    picks = [];
    const outgrown = [];
    for (const holder of document.querySelectorAll("figure[data-figure]")) outgrown.push(await draw(holder));
    document.documentElement.dataset.drawn = "all";
    return outgrown;
  }

  let drawn = drawAll(), waiting = 0;
  window.addEventListener("resize", () => {
    clearTimeout(waiting);
    waiting = setTimeout(async () => {
      if ((await drawn).some((outgrown) => outgrown())) drawn = drawAll();
    }, 250);
  });
})();
