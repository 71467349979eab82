"""report.html in a real browser, with no network: it draws, it fits a phone, its legends are linked.

Needs a Chromium: $CALANDO_CHROMIUM, or `chromium` on the path.
"""

import dataclasses
import os
import shutil
import threading

import pytest
from tests.report.fabricate import NAMES, fabricate, make_study
from tests.report.make_lessons import as_usual, make_lesson
from tests.waiting import PATIENCE, until

from calando.analysis.summary import summarize
from calando.records.store import Store
from calando.report import write_page
from calando.report.lesson_page import write_lesson_page

CHROMIUM = os.environ.get("CALANDO_CHROMIUM") or shutil.which("chromium")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
FIGURES = ("rates", "loss", "score", "sensitivity", "differences", "cost", "target")
HOSTILE = ("</script><img src=x onerror=alert(1)>", "1", 'a, "b"')

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: install it, or name one in $CALANDO_CHROMIUM"),
]


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as started:
        found = started.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield found
        found.close()


class Visit:
    """A page opened, and what it complained about and asked for."""

    def __init__(self, browser, address, *, width=1280, dark=False):
        self.context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light"
        )
        self.page = self.context.new_page()
        self.page.set_default_timeout(1000 * PATIENCE)
        self.complaints, self.asked = [], []
        self.page.on("console", lambda said: self.complaints.append(f"{said.type}: {said.text}"))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: self.complaints.append(f"dialog: {dialog.message}"))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(address)
        self.page.wait_for_selector("html[data-drawn=all]")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.context.close()

    def count(self, selector):
        return self.page.locator(selector).count()


def write(folder, study, **options):
    """The report of a fabricated study; its file address."""
    runs, tests = fabricate(study, **options)
    path = write_page(
        folder, summarize(study, runs, tests), runs, tests, fingerprint="x", command="calando compare", figures=()
    )
    return path.as_uri()


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """A complete study of thirteen strategies."""
    return write(tmp_path_factory.mktemp("whole"), make_study(NAMES[:13], steps=200), diverging=[("step", 0.5)])


def test_every_figure_is_drawn_without_network_or_complaint(browser, report):
    with Visit(browser, report) as visit:
        assert visit.complaints == []
        assert visit.asked == [report]
        assert visit.page.eval_on_selector_all("figure[data-figure]", "all => all.map(one => one.dataset.figure)") == [
            *FIGURES
        ]
        marks = {
            name: visit.count(f"figure[data-figure={name}] svg .role-mark :is(path, line, text)") for name in FIGURES
        }
        # A line a strategy; for each trial a point, for each seed a dot, for each kind of cost a bar.
        least = {
            "rates": 13,
            "loss": 26,
            "score": 26,
            "sensitivity": 13 + 65,
            "differences": 37,
            "cost": 26,
            "target": 39,
        }
        assert {name: marks[name] >= least[name] for name in FIGURES} == dict.fromkeys(FIGURES, True), marks
        for name in FIGURES:
            box = visit.page.locator(f"figure[data-figure={name}] svg.marks").bounding_box()
            assert box["width"] > 700
            assert box["height"] > 100


def test_the_verdict_is_seen_before_anything_else(browser, report):
    with Visit(browser, report) as visit:
        verdict = visit.page.locator("#verdict")
        assert verdict.is_visible()
        place = verdict.bounding_box()
        assert place["y"] + place["height"] < 400
        assert place["y"] < visit.page.locator("table.results").bounding_box()["y"]
        assert place["y"] < visit.page.locator("figure").first.bounding_box()["y"]


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)])
def test_a_lesson_is_drawn_and_fits(browser, tmp_path, width, dark):
    stored = make_lesson(as_usual, seeds=2)
    address = write_lesson_page(tmp_path, stored, figures=()).as_uri()
    with Visit(browser, address, width=width, dark=dark) as visit:
        assert (visit.complaints, visit.asked) == ([], [address])
        assert visit.page.evaluate("document.documentElement.scrollWidth") == width
        for name in ("loss", "rates", "decay", "scores", "window", "gradients"):
            box = visit.page.locator(f"figure[data-figure={name}] svg.marks").bounding_box()
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= width
        # No table is cut, nor scrolled sideways.
        for table in visit.page.query_selector_all(".wide"):
            assert table.evaluate("one => one.scrollWidth - one.clientWidth") == 0


@pytest.mark.parametrize("dark", [False, True])
def test_a_phone_shows_it_without_scrolling_sideways(browser, report, dark):
    with Visit(browser, report, width=390, dark=dark) as visit:
        assert visit.complaints == []
        assert visit.page.evaluate("document.documentElement.scrollWidth") == 390
        for name in FIGURES:
            box = visit.page.locator(f"figure[data-figure={name}] svg.marks").bounding_box()
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= 390
            over = visit.page.eval_on_selector_all(
                f"figure[data-figure={name}] svg .role-legend-label text",
                "all => all.filter(one => one.getBoundingClientRect().right > 390).length",
            )
            assert over == 0
        rows = visit.page.eval_on_selector_all("table.results tbody tr", "all => all.map(one => one.offsetHeight)")
        assert max(rows) < 70
        ink, ground = visit.page.eval_on_selector_all(
            "body, figure svg .role-axis-label text",
            "all => [getComputedStyle(all[1]).fill, getComputedStyle(all[0]).backgroundColor]",
        )
        brightness = [sum(map(int, colour[4:-1].split(","))) for colour in (ink, ground)]
        assert (brightness[0] > brightness[1]) == dark


def strong(visit, name):
    """How many lines of a figure are not faded."""
    return visit.page.eval_on_selector_all(
        f"figure[data-figure={name}] svg .mark-line.role-mark path",
        "all => all.filter(one => (one.getAttribute('stroke-opacity') ?? '1') === '1').length",
    )


def test_a_strategy_picked_anywhere_stands_out_everywhere(browser, report):
    lines = ("rates", "loss", "score", "sensitivity")
    with Visit(browser, report) as visit:
        assert [strong(visit, name) for name in lines] == [13] * 4
        visit.page.click("button.pick[data-strategy=cosine]")
        until(lambda: [strong(visit, name) for name in lines] == [1] * 4)
        assert visit.page.get_attribute("button.pick[data-strategy=cosine]", "aria-pressed") == "true"
        visit.page.click("button.pick[data-strategy=adam]", modifiers=["Shift"])
        until(lambda: [strong(visit, name) for name in lines] == [2] * 4)
        visit.page.keyboard.press("Escape")
        until(lambda: [strong(visit, name) for name in lines] == [13] * 4)
        visit.page.locator("figure[data-figure=loss] svg .role-legend-label text", has_text="cosine").click()
        until(lambda: [strong(visit, name) for name in lines] == [1] * 4)
        assert visit.page.get_attribute("button.pick[data-strategy=cosine]", "aria-pressed") == "true"
        assert visit.complaints == []


def test_a_name_that_looks_like_markup_stays_a_name(browser, tmp_path):
    address = write(tmp_path, make_study(HOSTILE, seeds=2, steps=100))
    with Visit(browser, address) as visit:
        assert visit.complaints == []
        assert visit.asked == [address]
        assert visit.count("img") == 0
        assert HOSTILE[0] in visit.page.locator("table.results").inner_text()
        assert strong(visit, "rates") == 3
        visit.page.locator("button.pick", has_text="<img").click()
        until(lambda: strong(visit, "rates") == 1)


@pytest.mark.parametrize(
    ("names", "options"), [(("cosine",), {}), (NAMES[:3], {"until": 4}), (NAMES[:3], {"until": 0})]
)
def test_a_study_that_has_little_to_show_complains_of_nothing(browser, tmp_path, names, options):
    with Visit(browser, write(tmp_path, make_study(names, seeds=1, steps=100), **options)) as visit:
        assert visit.complaints == []
        assert ("Not finished." in visit.page.inner_text("body")) == bool(options)


def test_the_report_that_is_served_follows_the_study(browser, tmp_path):
    uvicorn = pytest.importorskip("uvicorn")
    from calando.web.live_page import create_app

    study = make_study(("cosine", "adamw"), seeds=2, steps=100)
    runs, tests = fabricate(study)
    first, *others = runs.values()
    with Store.create(tmp_path, study, fingerprint="x") as store:
        store.put_run(first)
    server = uvicorn.Server(uvicorn.Config(create_app(tmp_path), port=0, log_level="critical", lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        until(lambda: server.started)
        port = server.servers[0].sockets[0].getsockname()[1]
        with Visit(browser, f"http://127.0.0.1:{port}/report") as visit:
            assert "Not finished." in visit.page.inner_text("body")
            with Store.open(tmp_path) as store:
                for record in others:
                    store.put_run(record)
                for digest, test in tests.items():
                    store.put_test(digest, test)
            visit.page.wait_for_selector("body[data-live=done]")
            visit.page.wait_for_selector("html[data-drawn=all]")
            assert visit.count("figure svg.marks") == len(FIGURES)
            assert visit.complaints == []
            assert all(address.startswith(f"http://127.0.0.1:{port}/") for address in visit.asked)
    finally:
        server.should_exit = True
        thread.join()


def column(visit, place):
    return visit.page.eval_on_selector_all(
        "table.runs tbody tr", f"all => all.map(one => one.cells[{place}].textContent.trim())"
    )


def test_the_table_of_runs_is_sorted_by_click_and_by_key(browser, report):
    with Visit(browser, report) as visit:
        visit.page.locator("summary", has_text=" runs").first.click()
        headings = visit.page.eval_on_selector_all("table.runs th", "all => all.map(one => one.textContent.trim())")
        assert headings == [
            *("run", "strategy", "rate", "seed", "role", "outcome", "steps", "validation, %", "test, %", "seconds")
        ]
        before = column(visit, 0)
        rate, test = headings.index("rate"), headings.index("test, %")
        visit.page.click("table.runs th:nth-child(3) button")
        rates = [float(one) for one in column(visit, rate)]
        assert rates == sorted(rates)
        assert visit.page.get_attribute("table.runs th:nth-child(3)", "aria-sort") == "ascending"
        visit.page.keyboard.press("Enter")  # the button has the focus
        rates = [float(one) for one in column(visit, rate)]
        assert rates == sorted(rates, reverse=True)
        for _ in range(2):
            visit.page.locator("table.runs th", has_text="test, %").locator("button").press("Space")
            scores = column(visit, test)
            known = [one for one in scores if one != "–"]
            assert scores == known + ["–"] * (len(scores) - len(known))  # trials have none, and stay below
        assert [float(one) for one in known] == sorted((float(one) for one in known), reverse=True)
        assert visit.count("table.runs th[aria-sort]") == 1
        assert sorted(column(visit, 0)) == sorted(before)
        assert visit.complaints == []


@pytest.mark.parametrize("width", [1024, 1280, 1600])
def test_no_column_of_a_table_is_cut(browser, tmp_path, width):
    """Not even where runs come from several machines and stand for several strategies."""
    study = make_study(("cosine", "warmup-stable-decay"), seeds=3, steps=1200)
    runs, tests = fabricate(study)
    for place, (digest, record) in enumerate(list(runs.items())):
        host = {"machine": f"AMD EPYC 9R14 96-Core Processor {place % 3}", "torch": "2.13.0", "python": "3.11.7"}
        runs[digest] = dataclasses.replace(record, host=host, inherited=600, undone=30, second_passes=1200)
    path = write_page(
        tmp_path, summarize(study, runs, tests), runs, tests, fingerprint="x", command="calando compare", figures=()
    )
    with Visit(browser, path.as_uri(), width=width) as visit:
        visit.page.locator("summary", has_text=" runs").first.click()
        assert "host" in visit.page.inner_text("table.runs thead")
        for name in ("runs", "results"):
            wide = f"div.wide:has(table.{name})"
            over = visit.page.eval_on_selector(wide, "one => one.scrollWidth - one.clientWidth")
            assert over <= 0, name
            last = visit.page.locator(f"table.{name} tbody tr:first-child td:last-child").bounding_box()
            assert last["x"] + last["width"] <= width


def test_a_line_says_its_numbers_under_the_pointer(browser, report):
    with Visit(browser, report) as visit:
        for name, what in (("rates", "rate"), ("loss", "loss, mean"), ("score", "score, mean")):
            points = visit.page.locator(f"figure[data-figure={name}] svg .mark-symbol.role-mark path")
            points.nth(points.count() // 2).hover(force=True)
            visit.page.wait_for_selector("#vg-tooltip-element.visible")
            said = visit.page.inner_text("#vg-tooltip-element")
            assert "strategy" in said
            assert "step" in said
            assert what in said
        assert visit.complaints == []
