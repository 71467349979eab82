// Numbers as the terminal writes them.

import { _ } from "./dom.js";

const ABSENT = "–";
const known = (value) => typeof value === "number" && Number.isFinite(value);

// Three digits: 0.1, 3e-04, 0.0316.
export function rate(value) {
  if (!known(value)) return ABSENT;
  return value === 0 ? "0" : plain(value, 3);
}

export function loss(value) {
  return known(value) ? plain(value, 4) : ABSENT;
}

// A share in percent, anything else in four digits.
export function score(value, scale) {
  if (!known(value)) return ABSENT;
  return scale && scale.share ? (100 * value).toFixed(2) : plain(value, 4);
}

// A standard deviation, in points of a share: one that is not zero shows a digit that is not.
export function spread(sd, scale) {
  if (!scale.share) return plain(sd, 2);
  const points = 100 * sd;
  let decimals = 2;
  while (points && decimals < 6 && Number(points.toFixed(decimals)) === 0) decimals += 1;
  return points && Number(points.toFixed(decimals)) === 0 ? points.toExponential(0) : points.toFixed(decimals);
}

// What tells one run of a study from another.
export function named(row) {
  const name = known(row.lr)
    ? _("{strategy}, rate {rate}, seed {seed}", { ...row, rate: rate(row.lr) })
    : _("{strategy}, seed {seed}", row);
  return row.steered ? _("{name}, steered", { name }) : name;
}

export function inUnit(title, scale) {
  const unit = scale && (scale.share ? "%" : scale.unit);
  return unit ? `${title}, ${unit}` : title;
}

export function plain(value, digits) {
  if (!known(value)) return ABSENT;
  const size = Math.abs(value);
  if (value !== 0 && (size < 1e-4 || size >= 1e7)) return value.toExponential(digits - 1).replace("e+", "e").replace(/\.?0+e/, "e");
  const text = value.toPrecision(digits);
  const short = text.includes("e") ? String(Math.round(value)) : text;
  return short.includes(".") ? short.replace(/0+$/, "").replace(/\.$/, "") : short;
}

export function count(value) {
  return known(value) ? value.toLocaleString("en") : ABSENT;
}

// 42 s, 3 min 20 s, 2 h 5 min.
export function duration(seconds) {
  if (!known(seconds)) return ABSENT;
  if (seconds < 10) return _("{seconds} s", { seconds: seconds.toFixed(1) });
  const whole = Math.round(seconds);
  if (whole < 60) return _("{seconds} s", { seconds: whole });
  if (whole < 3600) return _("{minutes} min {seconds} s", { minutes: Math.floor(whole / 60), seconds: whole % 60 });
  return _("{hours} h {minutes} min", { hours: Math.floor(whole / 3600), minutes: Math.floor((whole % 3600) / 60) });
}

// Of what is to come whole seconds do.
export function left(seconds) {
  if (!known(seconds)) return ABSENT;
  const whole = Math.round(seconds);
  return whole < 10 ? _("{seconds} s", { seconds: whole }) : duration(whole);
}

export function ago(epoch) {
  const seconds = Math.max(0, Date.now() / 1000 - epoch);
  if (seconds < 60) return _("just now");
  const [unit, size] = seconds < 3600 ? [_("min"), 60] : seconds < 86400 ? [_("h"), 3600] : [_("d"), 86400];
  return _("{count} {unit} ago", { count: Math.floor(seconds / size), unit });
}

export function bytes(size) {
  const units = ["B", "kB", "MB", "GB"];
  let place = 0;
  for (; size >= 1000 && place < units.length - 1; place += 1) size /= 1000;
  return `${place ? size.toPrecision(3) : size} ${units[place]}`;
}

export const short = (digest) => digest.slice(0, 8);
