// How each strategy is drawn: the report's colour, and a dash of its own, so that lines differ without colour too.

import { COLOURS, DASHES } from "./palette.js";

const CONTRAST = { light: 3, dark: 4.5 }; // WCAG AA asks 3 of graphics; thin lines on dark need more

export class Styles {
  constructor(names = []) {
    this.names = [];
    this.add(names);
  }

  // Names in the order of the spec; those that come later follow.
  add(names) {
    for (const name of names) if (!this.names.includes(name)) this.names.push(name);
  }

  of(name) {
    this.add([name]);
    return style(this.names.indexOf(name));
  }
}

export function style(place) {
  return { colour: readable(COLOURS[place % COLOURS.length]), dash: DASHES[place % DASHES.length] };
}

export function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

export const variable = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// The colour, darker or lighter until it stands out from the page.
function readable(colour) {
  const ground = luminance(parts(variable("--card") || "#ffffff"));
  let found = parts(colour);
  const dark = isDark(), towards = dark ? 255 : 0, least = CONTRAST[dark ? "dark" : "light"];
  for (let tries = 0; tries < 12 && contrast(luminance(found), ground) < least; tries += 1) {
    found = found.map((part) => Math.round(part + 0.1 * (towards - part)));
  }
  return `rgb(${found.join(", ")})`;
}

const parts = (colour) => [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
const linear = (part) => (part / 255 <= 0.03928 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4);
const luminance = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
const contrast = (a, b) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
