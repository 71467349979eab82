// The page: a bar, and one view at a time, by the address behind the "#".

import { ask } from "./api.js";
import { Bar } from "./bar.js";
import { CompareView } from "./compare_view.js";
import { _, h } from "./dom.js";
import { IndexView } from "./index_view.js";
import { PlaceView } from "./place_view.js";
import { parse } from "./routes.js";
import { RunView } from "./run_view.js";

const bar = new Bar();
const main = document.getElementById("main");
document.getElementById("bar").replaceWith(bar.element);
let shown = null, turn = 0;

async function view(route) {
  if (route.view === "place") return new PlaceView(route.place, bar);
  if (route.view === "run") return new RunView(route, bar);
  if (route.view === "compare") return new CompareView(route.sides, bar);
  const { places } = await ask("places");
  // A folder that is itself a study has nothing to choose from.
  return places.length === 1 && places[0].path === "" ? new PlaceView("", bar) : new IndexView();
}

async function show() {
  const mine = (turn += 1);
  if (shown) shown.close();
  shown = null;
  document.documentElement.dataset.ready = "";
  document.title = "calando";
  bar.says("", "");
  try {
    const made = await view(parse(location.hash));
    if (mine !== turn) return made.close();
    shown = made;
    main.replaceChildren(made.element);
    window.scrollTo(0, 0);
    await made.start();
  } catch (error) {
    if (mine !== turn) return;
    const known = error.status === 403 ? _("This browser is not let in any more: open an address that `calando serve` printed.") : error.message;
    main.replaceChildren(h("section", { role: "alert" }, h("h1", {}, _("This cannot be shown")), h("p", {}, known), h("p", {}, h("a", { href: "#/" }, _("what there is")))));
  }
  document.documentElement.dataset.ready = "yes";
}

window.addEventListener("hashchange", show);
show();
