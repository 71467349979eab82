// What the page asks of its server. Addresses are relative: a proxy may put something before them.
// Sentences come in the page's language; data are the same in every one.

import { _ } from "./dom.js";

const { lang } = document.documentElement;
const LANGUAGE = lang === "en" ? {} : { lang };

export class Refused extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

export function address(name, parameters = {}) {
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(parameters)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== undefined && one !== null && one !== "") query.append(key, one);
    }
  }
  // The place "" is a place.
  if ("place" in parameters && !query.has("place")) query.append("place", "");
  return `${name}?${query}`;
}

// Of the API, in the page's language.
export const addressed = (name, parameters = {}) => address(`api/${name}`, { ...parameters, ...LANGUAGE });

export async function ask(name, parameters = {}, signal = undefined) {
  return read(await fetch(addressed(name, parameters), { cache: "no-store", signal }));
}

export async function post(name, body) {
  return read(await fetch(name, {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
  }));
}

async function read(answer) {
  const text = await answer.text();
  let found = null;
  try {
    found = JSON.parse(text);
  } catch {
    found = null;
  }
  if (!answer.ok) throw new Refused(answer.status, (found && found.error) || text || _("status {status}", { status: answer.status }));
  return found;
}
