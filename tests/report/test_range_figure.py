"""The picture of a range test: every repeat, what is recommended and why not, in every form, for every outcome."""

import csv
import io
import json
import math
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from calando.analysis.range_curves import RangeCurves
from calando.analysis.suggest import suggest
from calando.report import range_figure, save
from calando.report.pictures import spec

RATES = np.geomspace(1e-6, 10, 100)


def curves(*, fall=True, end="explodes", repeats=3):
    """A loss that falls at 0.01, or not, and explodes, dies or stops being finite at 0.5."""
    x = np.log10(RATES)
    loss = 2.3 - (2.0 / (1 + 10 ** (-2 * (x + 2))) if fall else 0)
    late = RATES > 0.5
    loss = np.where(late, {"explodes": 1e6, "dies": 2.3, "stops": np.nan, "never": loss}[end], loss)
    return RangeCurves.from_arrays(
        RATES, loss + np.random.default_rng(0).normal(0, 0.03, (repeats, 100)), chance=math.log(10)
    )


def drawn(made, mark):
    """The rows that a kind of mark draws, a list a layer."""
    layers = [layer for layer in made["layer"] if layer["mark"]["type"] == mark]
    return [list(csv.DictReader(io.StringIO(made["datasets"][layer["data"]["name"]]))) for layer in layers]


CASES = {
    "explodes": curves(),
    "dies": curves(end="dies"),
    "stops": curves(end="stops"),
    "never diverges": curves(end="never"),
    "flat": RangeCurves.from_arrays(RATES, np.full((2, 100), 2.3)),
    "noise": curves(fall=False),
    "one repeat": curves(repeats=1),
    "lost at once": RangeCurves.from_arrays(RATES, np.full((2, 100), np.nan)),
}


@pytest.mark.parametrize("case", CASES)
def test_every_outcome_is_drawn_without_a_word_of_complaint(case, tmp_path, capfd):
    found = suggest(CASES[case])
    figure = range_figure(CASES[case], found)
    for suffix in (".png", ".svg", ".html", ".json"):
        save(figure, tmp_path / f"range{suffix}")
    ET.parse(tmp_path / "range.svg")
    assert (tmp_path / "range.png").read_bytes().startswith(b"\x89PNG")
    said = capfd.readouterr()
    assert (said.out, said.err) == ("", "")
    made = json.loads((tmp_path / "range.json").read_text())
    assert ("not reliable" in json.dumps(made)) == (not found.reliable)
    svg = (tmp_path / "range.svg").read_text()
    assert ("not reliable" in svg) == (not found.reliable)
    assert ("for a decayed schedule" in svg) == (found.decayed.rate is not None)


def test_it_shows_each_repeat_the_median_and_every_rate_that_is_said():
    found = suggest(CASES["explodes"])
    made = spec(range_figure(CASES["explodes"], found, title="mine"))
    assert made["title"]["text"] == "mine"
    marks = {row["strategy"].rpartition(":")[0]: float(row["rate"]) for row in drawn(made, "rule")[0]}
    said = {name: rule.rate for name, rule in found.rules.items() if name != "valley"}
    said |= {
        "for a decayed schedule": found.decayed.rate,
        "for a constant rate": found.constant.rate,
        "half is lost": found.diverged_at,
    }
    assert marks == pytest.approx(said, rel=1e-4)
    intervals = sorted((float(row["rate"]), float(row["to"])) for (row,) in drawn(made, "rect"))
    wanted = sorted((rule.low, rule.high) for rule in (found.constant, found.decayed))
    assert intervals == [pytest.approx(pair, rel=1e-4) for pair in wanted]
    raw, median = drawn(made, "line")
    assert {row["repeat"] for row in raw} == {"1", "2", "3"}
    assert len(raw) == 300
    assert len(median) == 100
    (band,) = drawn(made, "area")
    assert all(float(row["loss"]) <= float(row["top"]) for row in band)


def test_an_explosion_does_not_flatten_the_valley():
    made = spec(range_figure(CASES["explodes"], suggest(CASES["explodes"])))
    low, high = next(layer for layer in made["layer"] if layer["mark"]["type"] == "area")["encoding"]["y"]["scale"][
        "domain"
    ]
    assert low < 0.4
    assert 2.3 < high < 5


def test_a_repeat_that_stopped_is_not_drawn_on():
    made = spec(range_figure(CASES["stops"], suggest(CASES["stops"])))
    assert max(float(row["rate"]) for layer in drawn(made, "line") for row in layer) <= 0.5
