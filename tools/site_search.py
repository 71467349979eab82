"""Search the built Chinese site in a browser: words of both languages, alone and in a row, must find their page."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

__all__ = ["check_search"]

QUESTIONS = {
    "学习率": "course/01-why-the-rate-matters",
    "余弦退火": "reference/schedules/ramps",
    "残差连接梯度消失": "course/06-depth-and-residuals",
    "预热": "course/05-warmup-and-cycles",
    "批大小": "course/07-batch-norm-batch-size-weight-decay",
    "warmup": "course/05-warmup-and-cycles",
    "Lightning": "how-to/lightning",
    "学习率 Lightning": "how-to/lightning",
    "find_lr": "reference/python/find_lr",
}
"""What a reader types -> a page that must be among what is found."""


def check_search(site: Path) -> Iterator[str]:
    """Questions whose page is not found; says so where there is no browser to ask in."""
    chromium = os.environ.get("CALANDO_CHROMIUM") or _chromium()
    if find_spec("playwright") is None or not chromium:
        print("search not tried: it needs playwright (the extra dev) and Chromium")
        return
    from playwright.sync_api import TimeoutError as Unanswered
    from playwright.sync_api import sync_playwright

    with (
        sync_playwright() as started,
        started.chromium.launch(executable_path=chromium, args=["--no-sandbox"]) as browser,
    ):
        page = browser.new_page()
        broken: list[str] = []
        page.on("pageerror", lambda error: broken.append(error.message))
        for question, wanted in QUESTIONS.items():
            page.goto(f"{(site / 'zh_CN/search.html').as_uri()}?q={quote(question)}")
            try:
                page.wait_for_selector("#search-results p.search-summary:not(:empty)", timeout=10_000)
            except Unanswered:
                yield f"search for {question!r}: no answer in 10 s" + "".join(f"; {error}" for error in broken[:2])
                return
            page.wait_for_timeout(300)
            found = page.eval_on_selector_all("#search-results li a", "links => links.map(link => link.href)")
            if not any(f"/{wanted}.html" in link for link in found):
                yield f"search for {question!r}: {wanted} is not among the {len(found)} pages found"


def _chromium() -> str:
    asked = subprocess.run(["sh", str(Path(__file__).with_name("chromium.sh"))], capture_output=True, text=True)
    return asked.stdout.strip() if not asked.returncode else ""
