// Light or dark: as the system has it, or as chosen here, which the browser keeps.

import { _, button } from "./dom.js";

const KEY = "calando-theme", ORDER = ["", "dark", "light"];
const NAMES = { "": _("colours: system"), dark: _("colours: dark"), light: _("colours: light") };
const watchers = new Set();
const system = matchMedia("(prefers-color-scheme: dark)");

function chosen() {
  try {
    const kept = localStorage.getItem(KEY);
    return ORDER.includes(kept) ? kept : "";
  } catch {
    return "";
  }
}

function apply(name) {
  if (name) document.documentElement.dataset.theme = name;
  else delete document.documentElement.dataset.theme;
  for (const watcher of watchers) watcher();
}

system.addEventListener("change", () => apply(chosen()));

export const theme = {
  shown: () => chosen() || (system.matches ? "dark" : "light"),
  // Called when the colours change; what it returns ends that.
  watch(act) {
    watchers.add(act);
    return () => watchers.delete(act);
  },
  next() {
    const name = ORDER[(ORDER.indexOf(chosen()) + 1) % ORDER.length];
    try {
      localStorage.setItem(KEY, name);
    } catch {
      // A browser that keeps nothing shows it until the page is left.
    }
    apply(name);
    return NAMES[name];
  },
  control() {
    const made = button(NAMES[chosen()], () => (made.textContent = theme.next()), { class: "quiet", title: _("colours of the page (t)"), id: "theme" });
    return made;
  },
};

apply(chosen());
