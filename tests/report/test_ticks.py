"""Every axis of every figure has two marks or more, however little there is to show; a line says its numbers."""

import math
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.report.fabricate import fabricate, make_study

from calando.analysis.summary import summarize
from calando.report import pictures, training_figure
from calando.report.figures import schedule_figure
from calando.report.figures.scales import ScoreAxis, even_ticks, log_ticks
from calando.report.study_figures import study_figures


@given(low=st.floats(1e-9, 1e6), decades=st.floats(0.001, 6))
def test_a_log_axis_has_some_marks_and_not_many(low, decades):
    high = low * 10**decades
    for marks in (log_ticks(low, high), even_ticks(low, high)):
        assert 2 <= len(marks) <= 12
        assert marks == sorted(set(marks))
        assert low * 0.99 <= marks[0] <= marks[-1] <= high * 1.01


@given(scores=st.lists(st.floats(0, 1), min_size=1, max_size=4))
def test_a_score_axis_has_two_marks_at_least(scores):
    axis = ScoreAxis.of(scores)
    encoded = axis.y("y", title="score").to_dict()
    if axis.logarithmic:
        low, high = encoded["scale"]["domain"]
        assert sum(low * 0.99 <= mark <= high * 1.01 for mark in encoded["axis"]["values"]) >= 2


def axes(svg):
    """The labels of each axis of numbers, in the order drawn."""
    groups = re.findall(r'<g [^>]*aria-roledescription="axis"[^>]*>(.*?)(?=<g [^>]*aria-roledescription=|$)', svg, re.S)
    return [re.findall(r"<text [^>]*>([^<]*)</text>", group) for group in groups]


def flat(record, score):
    """The same run, all of whose looks at validation gave one score."""
    looks = tuple(replace(look, score=score) for look in record.evaluations)
    return replace(record, evaluations=looks, rates=np.full(record.steps_done, 0.1))


@pytest.mark.parametrize("score", [0.1, 0.79, 0.9417, 0.985, 1.0])
@pytest.mark.parametrize("steps", [1, 600])
def test_every_axis_of_a_study_that_has_one_score_has_two_marks(score, steps):
    study = make_study(("fixed", "cosine"), seeds=2, steps=steps)
    runs, tests = fabricate(study)
    runs = {digest: flat(record, score) for digest, record in runs.items()}
    tests = {digest: replace(test, score=score) for digest, test in tests.items()}
    figures = study_figures(summarize(study, runs, tests), runs)
    charts = {figure.name: figure.chart for figure in figures if figure.chart is not None}
    charts["training"] = training_figure(next(iter(runs.values())))
    for name, chart in charts.items():
        drawn = pictures.svg(pictures.spec(chart))
        labelled = [[one for one in labels if re.search(r"\d", one)] for labels in axes(drawn)]
        numbers = [labels for labels in labelled if labels]
        assert numbers, name
        for labels in numbers:
            ticks = labels[:-1] if len(labels) > 1 and not re.fullmatch(r"[-−+\d.,%e]+", labels[-1]) else labels
            assert len(ticks) >= 2, (name, labels)
            assert len(set(ticks)) == len(ticks), (name, labels)


def hovered(chart):
    """The rows that are said under the pointer, as CSV, and their tooltips' titles."""
    spec = pictures.spec(chart)
    (layer,) = [one for one in spec["layer"] if one.get("description") == "hover"]
    told = [one.get("title", one["field"]) for one in layer["encoding"]["tooltip"]]
    text = layer["data"].get("values") or spec["datasets"][layer["data"]["name"]]
    return text.splitlines(), told


def test_a_line_says_its_numbers_under_the_pointer():
    study = make_study(("fixed", "cosine", "one-cycle"), seeds=3, steps=200)
    runs, tests = fabricate(study)
    figures = {figure.name: figure.chart for figure in study_figures(summarize(study, runs, tests), runs)}
    rows, told = hovered(figures["rates"])
    assert told == ["strategy", "step", "rate"]
    assert any(row.startswith("cosine,199,") for row in rows)
    for name, what in (("loss", "loss, mean"), ("score", "score, mean")):
        rows, told = hovered(figures[name])
        assert told == ["strategy", "step", what, "lowest", "highest", "runs"]
        heads = rows[0].split(",")
        for row in rows[1:]:
            said = dict(zip(heads, row.split(","), strict=True))
            assert float(said["low"]) <= float(said["mean"]) <= float(said["high"])
            assert said["n"] == "3"
    rows, told = hovered(schedule_figure({"linear": np.linspace(1, 0, 50)}, log=True))
    assert len(rows) == 1 + 49  # nothing of a log axis is at zero
    assert told == ["strategy", "step", "rate"]


def test_a_picture_is_drawn_without_what_is_for_the_pointer():
    chart = schedule_figure({"linear": np.linspace(1, 0, 50)})
    spec = pictures.spec(chart)
    assert len(spec["layer"]) == 2
    assert 'role="graphics-symbol" aria-roledescription="point"' not in pictures.svg(spec)
    assert math.isfinite(len(pictures.png(pictures.svg(spec))))
