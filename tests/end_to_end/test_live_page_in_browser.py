"""The live page in a real browser: a study is watched while it runs, and nobody else gets in.

Needs a Chromium: $CALANDO_CHROMIUM, or `chromium` on the path."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.end_to_end.live_page_kit import chart, column, serving, store, visiting
from tests.end_to_end.test_report_in_browser import CHROMIUM
from tests.report.fabricate import fabricate, make_study
from tests.waiting import PATIENCE, until

import calando
from calando.records.store import Store

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: install it, or name one in $CALANDO_CHROMIUM"),
]


# Text and what lies behind it; WCAG AA: 4.5, of large text 3.
CONTRAST = """() => {
  const parts = (colour) => (colour.match(/[\\d.]+/g) || []).map(Number);
  const part = (v) => (v / 255 <= 0.03928 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4);
  const luminance = ([r, g, b]) => 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  const behind = (node) => {
    for (let one = node; one; one = one.parentElement) {
      const found = parts(getComputedStyle(one).backgroundColor);
      if (found.length === 3 || found[3] === 1) return found;
    }
    return [255, 255, 255];
  };
  const bad = [];
  for (const node of document.body.querySelectorAll("*")) {
    const own = [...node.childNodes].some((one) => one.nodeType === 3 && one.textContent.trim());
    if (!own || !node.checkVisibility() || node.disabled || node.closest("noscript, .skip")) continue;
    const style = getComputedStyle(node), a = luminance(parts(style.color)), b = luminance(behind(node));
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), least = parseFloat(style.fontSize) >= 24 ? 3 : 4.5;
    if (ratio < least) bad.push(`${ratio.toFixed(2)} ${node.textContent.slice(0, 40)}`);
  }
  return bad;
}"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder of two studies, and the address of its page."""
    folder = tmp_path_factory.mktemp("studies")
    store(folder / "first", make_study(("fixed", "cosine", "adamw"), seeds=3, steps=400))
    store(folder / "second", make_study(("fixed", "step"), seeds=2, steps=200))
    with serving(folder) as address:
        yield address


def test_a_running_study_is_watched_and_stopped(browser, tmp_path):
    from calando.web.access import Tokens

    folder = tmp_path / "study"
    words = (
        "compare",
        "digits",
        "fixed",
        "cosine",
        "--steps",
        "1000000",
        "--seeds",
        "1",
        "--lr",
        "0.05",
        "--workers",
        "1",
    )
    process = subprocess.Popen(
        [sys.executable, "-c", "from calando.cli.main import main; main()", *words, "--study", str(folder)],
        env=os.environ | {"PYTHONPATH": str(Path(calando.__file__).parents[1]), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        until(lambda: (folder / "live.sqlite").exists())
        tokens = Tokens.random()
        with serving(folder, tokens) as address, visiting(browser, f"{address}?token={tokens.steer}") as page:
            assert page.url == address  # the token has left the address bar
            page.wait_for_selector("table.running tbody tr")
            page.wait_for_selector(".hears.live")
            until(lambda: "0 of 2 runs done, 1 running" in page.inner_text("#verdict"))
            assert "fixed, rate 0.05, seed 0" in page.inner_text("table.running tbody")
            until(lambda: chart(page, "loss")[0] == 1)
            before = chart(page, "loss")[2]
            until(lambda: chart(page, "loss")[2] > before + 20)  # without a reload
            assert page.inner_text(".legend tbody td.n:nth-child(3)") == "0.05"
            page.click("table.running tbody a")
            page.wait_for_selector("main .facts")
            until(lambda: "running" in page.inner_text(".words") and "loss" in page.inner_text(".words"))

            # Steered: the new curve over the old one, then asked; the branch appears and goes on.
            page.wait_for_selector("#apply:not([disabled])")
            assert page.input_value("#command") == "rate *0.5"
            assert page.locator("#steer .chart").get_attribute("data-curves") == "2"
            page.fill("#command", "rate *")
            until(lambda: "rate" in page.inner_text("#steer .outcome") and page.is_hidden("#steer .chart"))
            assert page.is_disabled("#apply")
            page.get_by_label("by how much, or what").fill("0.25")
            page.wait_for_selector("#apply:not([disabled])")
            page.click("#apply")
            commands = page.locator("[aria-label=Commands] tbody")
            until(lambda: commands.count() == 1 and "done" in commands.inner_text())
            assert "rate *0.25" in commands.inner_text()
            commands.locator("a").click()
            until(lambda: all(one in page.inner_text(".words") for one in ("running", "rate 0.0125")))
            assert "branch of" in page.inner_text("main .facts")
            page.click(".question a")
            page.wait_for_selector("table.running tbody tr")
            page.click("#stop")
            until(lambda: page.inner_text("#stop-status").startswith("Stopping"))
            process.wait(PATIENCE)
            until(lambda: "stopped" in page.inner_text("#verdict") + page.inner_text(".words"))
            assert page.locator("table.running tbody tr").count() == 0
    finally:
        process.kill()
        process.communicate()


def test_curves_and_table_are_worked_with(browser, finished):
    with visiting(browser, f"{finished}#/p/first") as page:
        assert page.inner_text("#verdict")
        page.wait_for_selector(".hears.live")
        whole = chart(page, "loss")
        assert whole[1:] == (0, 400)
        assert [chart(page, of)[0] for of in ("rate", "score")] == [whole[0]] * 2

        # All curves' values under the cursor at once.
        assert page.inner_text(".legend .where") == "last values"
        page.locator(".chart .u-over").first.hover(position={"x": 300, "y": 90})
        until(lambda: page.inner_text(".legend .where").startswith("step "))
        values = page.eval_on_selector_all(".legend tbody td.n", "all => all.map(one => one.textContent)")
        assert len(values) == 3 * whole[0]
        assert "–" not in values

        # Zoom: by drawing over a part, in all charts at once, and back.
        box = page.locator(".chart .u-over").first.bounding_box()
        page.mouse.move(box["x"] + 0.25 * box["width"], box["y"] + 50)
        page.mouse.down()
        page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 50, steps=4)
        page.mouse.up()
        until(lambda: chart(page, "loss")[1:] != (0, 400))
        low, high = chart(page, "score")[1:]
        assert 90 <= low <= 110
        assert 190 <= high <= 210
        page.get_by_role("button", name="show the whole").click()
        until(lambda: chart(page, "loss")[1:] == (0, 400))

        # The legend hides and isolates, run by run and a strategy at once.
        page.locator(".legend tr.strategy .pick", has_text="cosine").click()
        until(lambda: chart(page, "loss")[0] < whole[0])
        page.locator(".legend tr.strategy", has_text="cosine").hover()
        page.get_by_role("button", name="only cosine", exact=True).click()
        cosines = page.locator(".legend tr:not(.strategy)", has_text="cosine").count()
        until(lambda: chart(page, "rate")[0] == cosines)
        page.get_by_role("button", name="all curves").click()
        until(lambda: chart(page, "loss")[0] == whole[0])

        # Axes and keys.
        log = page.get_by_role("button", name="score", exact=True).first
        log.click()
        assert log.get_attribute("aria-pressed") == "true"
        page.locator(".chart").first.focus()
        page.keyboard.press("Home")
        page.keyboard.press("Shift+ArrowRight")
        until(lambda: page.inner_text(".legend .where") == "step 40")
        page.keyboard.press("+")
        until(lambda: chart(page, "rate")[2] < 400)
        page.keyboard.press("0")
        page.keyboard.press("/")
        assert page.evaluate("document.activeElement.id") == "filter"

        # The table: filtered and sorted by the server, a page at a time.
        page.keyboard.type("adamw finished")
        until(lambda: set(column(page, 2)) == {"adamw"})
        page.fill("#filter", "")
        until(lambda: len(set(column(page, 2))) == 3)
        page.locator("table.runs th", has_text="score").locator("button").click()
        until(lambda: page.locator("table.runs th[aria-sort=descending]").count() == 1)

        def scores():
            return [float(one) for one in column(page, 7)]

        until(lambda: scores() == sorted(scores(), reverse=True))
        lowest = scores()[-1]
        page.keyboard.press("Enter")
        until(lambda: page.locator("table.runs th[aria-sort=ascending]").count() == 1)
        until(lambda: scores()[0] <= lowest and scores() == sorted(scores()))

        # Two runs next to each other, and one of them alone.
        for place in (0, 1):
            page.locator("table.runs tbody input").nth(place).check()
        page.click("#compare")
        page.wait_for_selector("table.differs tbody tr")
        until(lambda: chart(page, "loss")[0] == 2)
        page.locator("table.differs thead a").first.click()
        page.wait_for_selector("main .facts")
        assert "calando train" in page.inner_text("main .facts")
        assert page.get_by_role("button", name="copy the strategy").count() == 1

        # Two studies next to each other.
        page.goto(finished)
        page.wait_for_selector("table.places tbody tr")
        for name in ("first", "second"):
            page.get_by_label(f"pick {name}").check()
        page.get_by_role("button", name="compare the two picked").click()
        page.wait_for_selector(".pair")
        until(lambda: page.locator(".pair table.results tbody tr").count() == 5)


@pytest.mark.parametrize("dark", [False, True])
def test_a_phone_shows_the_verdict_and_every_text_stands_out(browser, finished, dark):
    with visiting(browser, finished, width=390, dark=dark) as page:
        for view in ("#/", "#/p/first", "#/compare/first/second"):
            page.evaluate("view => { document.documentElement.dataset.ready = ''; location.hash = view; }", view)
            page.wait_for_selector("html[data-ready=yes]")
            until(lambda: page.locator("main table tbody tr").count() > 1)
            assert page.evaluate("document.documentElement.scrollWidth") == 390, view
            assert page.evaluate(CONTRAST) == [], view
            heading = page.locator("h1").bounding_box()
            assert heading["y"] + heading["height"] < 844
            assert heading["x"] + heading["width"] <= 390
        page.keyboard.press("t")
        assert page.evaluate("document.documentElement.dataset.theme") == "dark"
        page.keyboard.press("?")
        assert page.locator("dialog[open]").count() == 1


def test_beyond_a_hundred_curves_are_bands_and_a_run_a_line_once_it_is_picked(browser, tmp_path):
    store(tmp_path, make_study(("fixed", "cosine"), seeds=60, steps=60))
    with serving(tmp_path) as address, visiting(browser, address) as page:
        until(lambda: chart(page, "loss")[0] == 2)
        assert "a band for each strategy" in page.inner_text("main")
        page.locator("table.runs tbody input").first.check()
        until(lambda: chart(page, "loss")[0] == 3)
        page.get_by_role("button", name="draw these alone").click()
        until(lambda: chart(page, "loss")[0] == 1)


def test_without_events_from_the_server_the_page_asks_again_and_again(browser, tmp_path):
    study = make_study(("fixed", "cosine"), seeds=2, steps=60)
    store(tmp_path, study, until=2)
    runs, _ = fabricate(study)
    with serving(tmp_path) as address, visiting(browser, address, without=["**/api/stream*"]) as page:
        page.wait_for_selector(".hears.polling")
        with Store.open(tmp_path) as file:
            for record in list(runs.values())[2:4]:
                file.put_run(record)
        assert until(lambda: "4 of " in page.inner_text("#verdict") + page.inner_text(".words"))


ANY_VALUES = """async () => {
  const { Chart } = await import("./static/chart.js");
  const told = Object.fromEntries(["cursor", "zoom", "reset", "near", "keys"].map((name) => [name, () => {}]));
  const chart = new Chart("any", "any", told);
  document.getElementById("main").append(chart.element);
  let state = 7;
  const random = () => (state = (state * 1103515245 + 12345) % 2147483648) / 2147483648;
  const pick = (all) => all[Math.floor(random() * all.length)];
  for (let tries = 0; tries < 200; tries += 1) {
    const n = pick([0, 1, 2, 50, 400]), offset = pick([0, 0.1, -1, 1e9]);
    const scale = pick([0, 1e-300, 1e-12, 1, 1e30, 1e300, 10 ** (20 * random() - 10)]);
    const curve = (key) => {
      const x = Array.from({ length: n }, (_, at) => at + 1);
      const y = x.map(() => pick([null, offset + scale * random(), offset, 0]));
      const edge = (sign) => y.map((one) => (one === null ? null : one + sign * scale));
      const band = tries % 3 ? {} : { low: edge(-1), high: edge(1) };
      return { key, x, y, style: { colour: "rgb(1, 2, 3)", dash: [] }, ...band };
    };
    const at = 500 * random();
    const view = {
      curves: Array.from({ length: pick([0, 1, 3]) }, (_, key) => curve(String(key))),
      extent: pick([[0, 1], [0, n], [1e9, 1e9 + 1]]), zoom: pick([null, [at, at + pick([0, 1e-6, 300])], [0, 1e-12]]),
      logX: pick([true, false]), logY: pick([true, false]),
      smoothing: pick([0, 0.5]), marks: [3], theme: "light", robust: true, floor: pick([0, 1e-3, 1e5]), format: String,
    };
    chart.show(view);
    // Another view before the first one is drawn.
    if (tries % 4 === 0) chart.show({ ...view, logY: !view.logY, logX: !view.logX });
    if (tries % 5 === 0) chart.element.hidden = !chart.element.hidden;
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
  return chart.place.querySelectorAll("canvas").length;
}"""


def test_a_chart_holds_any_values(browser, finished):
    with visiting(browser, finished) as page:
        assert page.evaluate(ANY_VALUES) == 1
