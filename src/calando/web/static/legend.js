// The legend of a panel's charts: what is drawn, and its values under the cursor, in all charts at once.
//
// A name hides and shows its curve; "only" isolates it, and shows all again. A strategy of several runs has a line of its
// own that does so for all of them.

import { _, button, h, swatch } from "./dom.js";

export class Legend {
  // measures: [{of, title, write(value)}]; changed(): something was hidden or shown.
  constructor(measures, changed) {
    Object.assign(this, { measures, changed, hidden: new Set(), entries: [], cells: new Map(), rows: new Map() });
    this.where = h("th", { scope: "col", class: "where" });
    this.body = h("tbody");
    this.heads = new Map(measures.map((one) => [one.of, h("th", { scope: "col", class: "n" }, one.title)]));
    this.element = h("div", { class: "legend wide", tabindex: 0, role: "region", "aria-label": _("Legend, with the values at the cursor") },
      h("table", {}, h("thead", {}, h("tr", {}, this.where, ...this.heads.values(), h("td"))), this.body));
  }

  // entries: [{key, name, detail, style, href}], in order.
  list(entries) {
    const same = JSON.stringify(entries) === JSON.stringify(this.entries);
    if (same) return;
    this.entries = entries;
    this.cells.clear();
    this.rows.clear();
    const groups = grouped(entries);
    const several = groups.size > 1 && groups.size < entries.length;
    this.body.replaceChildren(...[...groups].flatMap(([name, members]) => [
      ...(several ? [this.group(name, members)] : []), ...members.map((one) => this.row(one)),
    ]));
    this.mark();
  }

  group(name, members) {
    const keys = members.map((one) => one.key);
    const toggle = h("button", { type: "button", class: "pick", on: { click: () => this.toggle(keys) } },
      swatch(members[0].style), h("strong", { class: "name" }, name), h("span", { class: "faint" }, _(keys.length === 1 ? "{count} run" : "{count} runs", { count: keys.length })));
    const only = button(_("only"), () => this.isolate(keys), { class: "small only", "aria-label": _("only {name}", { name }) });
    const made = h("tr", { class: "strategy" }, h("th", { scope: "row", colspan: this.measures.length + 2 }, h("div", { class: "entry" }, toggle, only)));
    this.rows.set(`strategy:${name}`, { row: made, toggle, keys });
    return made;
  }

  row(entry) {
    const cells = this.measures.map(() => h("td", { class: "n" }));
    this.cells.set(entry.key, cells);
    const toggle = h("button", { type: "button", class: "pick", on: { click: () => this.toggle([entry.key]) } },
      swatch(entry.style), h("span", { class: "name" }, entry.name), h("span", { class: "faint" }, entry.detail || ""));
    const only = button(_("only"), () => this.isolate([entry.key]), { class: "small only", "aria-label": _("only {name}", { name: `${entry.name} ${entry.detail || ""}` }) });
    // The page of the run, at the end of its line.
    const open = entry.href ? h("a", { href: entry.href, class: "small", "aria-label": _("open {name}", { name: `${entry.name} ${entry.detail || ""}` }) }, _("open")) : null;
    const made = h("tr", {}, h("th", { scope: "row" }, h("div", { class: "entry" }, toggle, only)), ...cells, h("td", {}, open));
    made.addEventListener("dblclick", (event) => event.target.closest("a, button") || this.isolate([entry.key]));
    this.rows.set(entry.key, { row: made, toggle, keys: [entry.key] });
    return made;
  }

  // What a column is headed by: its unit is known once its curves are read.
  head(of, text) {
    this.heads.get(of).textContent = text;
  }

  shows(key) {
    return !this.hidden.has(key);
  }

  toggle(keys) {
    const hide = keys.some((key) => this.shows(key));
    for (const key of keys) {
      if (hide) this.hidden.add(key);
      else this.hidden.delete(key);
    }
    this.mark();
    this.changed();
  }

  isolate(keys) {
    const others = this.entries.map((one) => one.key).filter((one) => !keys.includes(one));
    const alone = keys.every((one) => this.shows(one)) && others.every((one) => this.hidden.has(one));
    this.hidden = new Set(alone ? [] : others);
    this.mark();
    this.changed();
  }

  all() {
    this.hidden.clear();
    this.mark();
    this.changed();
  }

  mark() {
    for (const { row, toggle, keys } of this.rows.values()) {
      const shown = keys.some((key) => this.shows(key));
      toggle.setAttribute("aria-pressed", String(shown));
      row.classList.toggle("off", !shown);
    }
  }

  near(key) {
    for (const [one, { row }] of this.rows) row.classList.toggle("near", one === key);
  }

  // value(key, of): what a curve has at the cursor.
  values(words, value) {
    this.where.textContent = words;
    for (const [key, cells] of this.cells) {
      this.measures.forEach((measure, place) => {
        const text = measure.write(value(key, measure.of));
        if (cells[place].textContent !== text) cells[place].textContent = text;
      });
    }
  }
}

function grouped(entries) {
  const found = new Map();
  for (const one of entries) found.set(one.name, [...(found.get(one.name) || []), one]);
  return found;
}
