"""The page of a lesson, from records that are made up."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.report.make_lessons import CHANCE, as_usual, make_lesson

from calando.analysis.lesson import claims_of
from calando.report.lesson_figures import lesson_figures
from calando.report.lesson_page import lesson_contents, lesson_page, write_lesson_page


def died_at_once(network, name, rate, seed):
    return (np.array([2.3, np.nan]), CHANCE) if rate >= 1 else (np.linspace(2.3, 0.5, 200), 0.9)


@pytest.mark.parametrize("seeds", [1, 2])
@pytest.mark.parametrize("course", [as_usual, died_at_once, lambda *_: (np.array([np.nan]), CHANCE)])
def test_the_page_says_what_the_runs_gave_and_needs_no_network(course, seeds):
    stored = make_lesson(course, seeds=seeds)
    page = lesson_page(stored, drawn=lesson_figures(stored), command="calando demo <b>")
    words = page.partition("<script")[0]
    assert re.findall(r"(?:src|href)=[\"']?([^\"' >]*)", words) == ["data:,"]
    assert "url(" not in words
    assert "Content-Security-Policy" in words
    assert not re.search(r"\bnan\b|\bNone\b|\binf\b", words)
    for claim in claims_of(stored):
        assert claim.title in words
        assert re.sub(r"['\"&<>]", "", claim.text)[:40] in re.sub(r"&#?\w+;|['\"]", "", words)
    assert words.count("not shown here") == sum(not claim.shown for claim in claims_of(stored))
    for those in stored.runs.values():
        assert all(f'<th scope="row">{name}</th>' in words for name in those)
    assert "exponential(1, 0.03)" in words
    charts = re.findall(r'<script type="application/json" data-chart="(\w+)">(.*?)</script>', page)
    assert [name for name, _ in charts] == [one.name for one in lesson_figures(stored) if one.chart is not None]
    assert all("Infinity" not in text and "NaN" not in text and json.loads(text) for _, text in charts)


def test_every_figure_says_how_to_read_it():
    for one in lesson_figures(make_lesson(as_usual)):
        assert one.reading.endswith(".")
        assert one.chart is not None


def test_gradients_that_were_not_seen_leave_a_figure_that_says_so():
    stored = replace(make_lesson(as_usual), gradients={})
    (last,) = [one for one in lesson_figures(stored) if one.name == "gradients"]
    assert (last.chart, last.reading) == (None, "No gradient was seen: the runs ended before.")
    assert "depth" not in {claim.name for claim in claims_of(stored)}
    assert "No gradient was seen" in lesson_page(stored, drawn=lesson_figures(stored))


def test_page_and_pictures_are_written(tmp_path: Path):
    stored = make_lesson(as_usual)
    assert write_lesson_page(tmp_path, stored, figures=("png",)) == tmp_path / "report.html"
    made = {path.stem: path.read_bytes() for path in (tmp_path / "figures").iterdir()}
    assert made.keys() == {"loss", "rates", "decay", "scores", "window", "gradients"}
    assert all(picture.startswith(b"\x89PNG") for picture in made.values())


def test_contents_count_the_runs():
    assert lesson_contents(make_lesson(as_usual, seeds=3)).question.startswith(
        "84 runs of at most 200 updates on digits"
    )
