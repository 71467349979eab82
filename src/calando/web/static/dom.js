// Elements made of text. What comes from a study is text, or the value of an attribute, and never read as markup.

const SVG = "http://www.w3.org/2000/svg";
const IN_SVG = new Set(["svg", "line", "path", "circle"]);
// A link leads within the page, or to what this server gives; never to a `javascript:` that a name might hold.
const OURS = /^(#|api\/|report\?|report$)/;

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
  const made = button("copy", async () => {
    try {
      await navigator.clipboard.writeText(text);
      made.textContent = "copied";
    } catch {
      made.textContent = "select it, and copy by hand";
    }
    setTimeout(() => (made.textContent = "copy"), 2500);
  }, { class: "small", "aria-label": `copy ${name}` });
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
