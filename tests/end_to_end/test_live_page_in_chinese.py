"""The live page in a browser whose language is Chinese: all that it says is Chinese, and it steers.

Needs a Chromium: $CALANDO_CHROMIUM, or `chromium` on the path."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cli.test_language import HAN
from tests.end_to_end.live_page_kit import serving, store, visiting
from tests.end_to_end.test_report_in_browser import CHROMIUM
from tests.report.fabricate import make_study
from tests.waiting import PATIENCE, until

import calando
from calando.web.access import Tokens

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: install it, or name one in $CALANDO_CHROMIUM"),
]

TEXTS = """() => {
  const found = [];
  const walker = document.createTreeWalker(document.documentElement, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode;
    if (!node.parentElement.closest("script, style, noscript, code, pre, title")) found.push(node.textContent);
  }
  for (const one of document.querySelectorAll("*")) {
    for (const name of ["aria-label", "aria-roledescription", "title", "placeholder", "alt"]) {
      if (one.hasAttribute(name)) found.push(one.getAttribute(name));
    }
  }
  return found.filter((one) => one.trim());
}"""
"""All that is read, by eyes or aloud; what is pasted is code."""

ENGLISH = re.compile(r"[A-Za-z]{2,}(?:,? [A-Za-z]{2,})+")
"""Two words in a row: names, units and commands of these tests are single ones."""
CODE = re.compile(r"`[^`]*`|'[^']*'|\w+\(.*\)")
"""What is quoted, and strategies' texts."""


def english(page):
    return [text for text in page.evaluate(TEXTS) if ENGLISH.search(CODE.sub("", text))]


@pytest.fixture
def by_browser(monkeypatch):
    """Nobody has chosen a language for whoever opens the page."""
    monkeypatch.delenv("CALANDO_LANG")


@pytest.fixture
def folder(tmp_path):
    store(tmp_path / "first", make_study(("fixed", "cosine", "adamw"), seeds=3, steps=400))
    store(tmp_path / "second", make_study(("fixed", "step"), seeds=2, steps=200))
    store(tmp_path / "half", make_study(("fixed", "cosine"), seeds=2, steps=200), until=3)
    store(tmp_path / "many", make_study(("fixed", "cosine"), seeds=60, steps=60))
    return tmp_path


def show(page, view):
    page.evaluate("view => { document.documentElement.dataset.ready = ''; location.hash = view; }", view)
    page.wait_for_selector("html[data-ready=yes]")


@pytest.mark.parametrize("width", [1280, 390])
def test_no_view_says_an_english_sentence(browser, folder, by_browser, width):
    with serving(folder) as address, visiting(browser, address, width=width, locale="zh-CN") as page:
        assert page.evaluate("document.documentElement.lang") == "zh-CN"
        until(lambda: page.locator("table.places tbody tr").count() == 4)
        seen = len(page.asked)
        for view in ("#/", "#/p/first", "#/p/half", "#/p/many", "#/compare/first/second", "#/p/nothing"):
            show(page, view)
            until(lambda: page.locator("h1").inner_text() not in ("", "…"))
            assert english(page) == [], view
            assert HAN.search(page.inner_text("main")), view
            assert page.evaluate("document.documentElement.scrollWidth") == width, view
        assert len(page.asked) > seen
        show(page, "#/p/first")
        page.locator("table.runs tbody a").first.click()
        page.wait_for_selector("main .facts")
        until(lambda: "它已结束；请说明从哪里开始" in page.inner_text("#steer .outcome"))
        assert english(page) == []
        for line, said in (
            ("rate *", "需要一个不小于 0 的数"),
            ("schedule cosin(1, 0)", "是否想写"),
            ("fly", "命令只能是"),
        ):
            page.fill("#command", line)
            until(lambda words=said: words in page.inner_text("#steer .outcome"))
            assert english(page) == [], line
        page.keyboard.press("Escape")
        page.click("h1")
        page.keyboard.press("?")
        assert english(page) == []
        assert "筛选运行" in page.inner_text("dialog[open]")
        # One page was asked for that is not there.
        page.complaints[:] = [one for one in page.complaints if "404" not in one]


def test_no_connection_is_said_in_chinese(browser, folder, by_browser):
    with (
        serving(folder) as address,
        visiting(browser, f"{address}#/p/first", locale="zh-CN", without=["**/api/stream*", "**/api/changes*"]) as page,
    ):
        page.wait_for_selector(".hears.lost")
        assert page.inner_text(".hears.lost") == "服务器没有响应"
        page.unroute("**/api/changes*")
        page.wait_for_selector(".hears.polling")
        assert page.inner_text(".hears.polling") == "每 2 秒更新"


def test_the_english_page_carries_nothing_and_asks_for_no_language(browser, folder, by_browser):
    with serving(folder) as address, visiting(browser, f"{address}#/p/first", locale="en-GB") as page:
        page.wait_for_selector(".hears.live")
        assert page.evaluate("document.documentElement.lang") == "en"
        assert page.locator("#words").count() == 0
        assert not [one for one in page.asked if "lang=" in one]
        assert not HAN.search(page.content())


def test_a_run_is_steered_in_chinese(browser, tmp_path, by_browser):
    folder = tmp_path / "run"
    words = ("train", "digits", "cosine", "--lr", "0.05", "--steps", "1000000", "--out", str(folder))
    process = subprocess.Popen(
        [sys.executable, "-c", "from calando.cli.main import main; main()", *words],
        env=os.environ | {"PYTHONPATH": str(Path(calando.__file__).parents[1]), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        until(lambda: (folder / "live.sqlite").exists())
        tokens = Tokens.random()
        with serving(folder, tokens) as address:
            opened = visiting(browser, f"{address}?token={tokens.steer}", locale="zh-CN")
            with opened as page:
                page.wait_for_selector("table.running tbody tr", timeout=1000 * PATIENCE)
                until(lambda: "学习率" in page.inner_text("#verdict") and "预计剩余" in page.inner_text("#verdict"))
                assert english(page) == []
                page.click("table.running tbody a")
                page.wait_for_selector("#apply:not([disabled])")
                page.get_by_label("要做什么").select_option("multiply")
                page.get_by_label("数值或内容").fill("0.25")
                page.wait_for_selector("#apply:not([disabled])")
                assert page.inner_text("#apply") == "执行"
                page.click("#apply")
                commands = page.locator("[aria-label=命令] tbody")
                until(lambda: commands.count() == 1 and "已完成" in commands.inner_text())
                assert english(page) == []
                # What cannot be is refused by whoever trains, in English that is stored, and shown in Chinese.
                page.fill("#command", "resume")
                page.wait_for_selector("#apply:not([disabled])")
                page.click("#apply")
                page.fill("#command", "resume")
                page.wait_for_selector("#apply:not([disabled])")
                page.click("#apply")
                until(lambda: "已拒绝" in commands.inner_text())
                assert english(page) == []
    finally:
        process.kill()
        printed, _ = process.communicate()
    assert not HAN.search(printed)
