// The addresses of the page's views; all behind the "#", so that the server sees none of them.
//
//    #/                         what lies in the folder
//    #/p/PLACE                  a study, a tuning, a run's folder
//    #/p/PLACE/run/DIGEST       a run
//    #/compare/A/B              two places, or two runs: PLACE or PLACE@DIGEST each

const HERE = "."; // the served folder itself, whose path is ""

const packed = (place) => encodeURIComponent(place || HERE);

function unpacked(text) {
  try {
    const found = decodeURIComponent(text);
    return found === HERE ? "" : found;
  } catch {
    return text;
  }
}

export const toIndex = () => "#/";
export const toPlace = (place) => `#/p/${packed(place)}`;
export const toRun = (place, run) => `#/p/${packed(place)}/run/${encodeURIComponent(run)}`;
const side = ({ place, run }) => packed(place) + (run ? `@${encodeURIComponent(run)}` : "");
export const toCompare = (a, b) => `#/compare/${side(a)}/${side(b)}`;

export function parse(hash) {
  const [view, ...rest] = hash.replace(/^#\/?/, "").split("/");
  if (view === "p" && rest.length === 1) return { view: "place", place: unpacked(rest[0]) };
  if (view === "p" && rest.length === 3 && rest[1] === "run") return { view: "run", place: unpacked(rest[0]), run: unpacked(rest[2]) };
  if (view === "compare" && rest.length === 2) {
    const sides = rest.map((one) => {
      const [place, run] = one.split("@");
      return { place: unpacked(place), run: run ? unpacked(run) : "" };
    });
    return { view: "compare", sides };
  }
  return { view: "index" };
}
