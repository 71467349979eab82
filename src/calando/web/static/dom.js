// Elements made of text, in the language of the page. What comes from a study is text, or the value of an attribute, and
// never read as markup.
//
//    _(text, values)        the text in the page's language, its places filled in
//    woven(text, values)    the same as a list: a value may be an element

const SVG = "http://www.w3.org/2000/svg";
const IN_SVG = new Set(["svg", "line", "path", "circle"]);
// A link leads within the page, or to what this server gives; never to a `javascript:` that a name might hold.
const OURS = /^(#|api\/|report\?|report$)/;

// What the shell carries: English text -> text in the page's language. What it lacks is shown in English.
const carried = document.getElementById("words");
const WORDS = new Map(carried ? Object.entries(JSON.parse(carried.textContent)) : []);

export function woven(text, values = {}) {
  const parts = (WORDS.get(text) ?? text).split(/\{(\w+)\}/); // at odd places their names
  return parts.map((part, at) => (at % 2 === 0 ? part : Object.hasOwn(values, part) ? values[part] : `{${part}}`)).filter((one) => one !== "");
}

// Between two Chinese letters there is no space, where a text sets its places off by one.
const isWide = (letter = "") => /[\u2e80-\u9fff\uff00-\uffef]/.test(letter);

export function _(text, values = {}) {
  return woven(text, values).map(String).reduce((made, part) => {
    if (made.endsWith(" ") && isWide(made.at(-2)) && isWide(part[0])) return made.slice(0, -1) + part;
    return made + (part.startsWith(" ") && isWide(made.at(-1)) && isWide(part[1]) ? part.slice(1) : part);
  }, "");
}

export function h(tag, attributes = {}, ...children) {
  const made = IN_SVG.has(tag) ? document.createElementNS(SVG, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "on") {
      for (const [event, listener] of Object.entries(value)) made.addEventListener(event, listener);
    } else if (name.startsWith("on") || name === "style" || name === "src") {
      throw new Error(`no attribute ${name}`);
    } else if (name === "href" && !OURS.test(value)) {
      throw new Error(`no link to ${value}`);
    } else if (name === "value" || name === "checked" || name === "selected") {
      made[name] = value;
    } else {
      made.setAttribute(name, value === true ? "" : String(value));
    }
  }
  made.append(...children.flat().filter((one) => one !== null && one !== undefined && one !== false));
  return made;
}

// A button; `text` may be an element.
export function button(text, act, attributes = {}) {
  return h("button", { type: "button", on: { click: act }, ...attributes }, text);
}

// How a line is drawn, for a legend.
export function swatch(style, width = 30) {
  return h(
    "svg",
    { width, height: 10, "aria-hidden": "true", class: "swatch" },
    h("line", {
      x1: 1, y1: 5, x2: width - 1, y2: 5, stroke: style.colour, "stroke-width": 2.5, "stroke-dasharray": style.dash.join(" "),
    }),
  );
}

// A button that puts a text on the clipboard, and says so.
export function copy(text, name) {
  const made = button(_("copy"), async () => {
    try {
      await navigator.clipboard.writeText(text);
      made.textContent = _("copied");
    } catch {
      made.textContent = _("select it, and copy by hand");
    }
    setTimeout(() => (made.textContent = _("copy")), 2500);
  }, { class: "small", "aria-label": _("copy {name}", { name }) });
  return made;
}

// At most one call in so many milliseconds; the last one is never lost.
export function calmly(act, every) {
  let last = -Infinity, waiting = 0;
  return () => {
    if (waiting) return;
    const rest = Math.max(0, last + every - performance.now());
    waiting = setTimeout(() => {
      waiting = 0;
      last = performance.now();
      act();
    }, rest);
  };
}
