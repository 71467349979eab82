"""Tables cut into pages, curves as few points, bands of many: plain functions of rows and arrays."""

import csv
import io
import math
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from calando.web.bands import band
from calando.web.curves import Curve, decimated
from calando.web.table import COLUMNS, Row, as_csv, selected

VALUES = st.floats(-1e6, 1e6) | st.sampled_from([math.nan, math.inf])


@given(y=arrays(np.float64, st.integers(0, 300), elements=VALUES), pixels=st.integers(2, 40))
def test_few_points_keep_what_stands_out_in_every_bucket(y, pixels):
    x = np.arange(1, len(y) + 1)
    few_x, few_y = decimated(x, y, pixels=pixels)
    assert len(few_x) <= max(2 * pixels, 0) or len(y) <= 2 * pixels
    assert np.array_equal(few_y, y[few_x - 1], equal_nan=True)
    assert (np.diff(few_x) > 0).all()
    if len(y) <= 2 * pixels:
        assert len(few_x) == len(y)
        return
    assert (few_x[0], few_x[-1]) == (1, len(y))
    edges = 1 + np.arange(pixels) * (len(y) - 2) // (pixels - 1)
    height = np.where(np.isfinite(y), y, np.inf)
    kept = set(few_x - 1)
    for start, end in pairwise(edges):
        there = height[sorted(kept & set(range(start, end)))]
        assert there.min() == height[start:end].min()
        assert there.max() == height[start:end].max()


ROWS = st.builds(
    Row,
    run=st.uuids().map(lambda one: one.hex),
    strategy=st.sampled_from(["cosine", "fixed", "=cmd()", "a,b"]),
    seed=st.integers(0, 5),
    lr=st.none() | st.floats(1e-5, 1),
    steps=st.just(10),
    step=st.integers(0, 10),
    state=st.sampled_from(["running", "finished", "queued"]),
    score=st.none() | st.floats(0, 1) | st.just(math.nan),
)


@given(rows=st.lists(ROWS, max_size=30, unique_by=lambda one: one.run), data=st.data())
def test_pages_cover_every_row_once_in_order(rows, data):
    sort = data.draw(st.sampled_from(["", *COLUMNS, *(f"-{name}" for name in COLUMNS)]))
    found = selected(rows, sort=sort)
    assert sorted(row.run for row in found) == sorted(row.run for row in rows)
    if column := sort.removeprefix("-"):
        values = [getattr(row, column) for row in found]
        known = [value for value in values if value is not None and value == value]
        assert known == sorted(known, reverse=sort.startswith("-"))
        assert all(value is None or value != value for value in values[len(known) :])
    kept = selected(rows, text="SEED=3 cosine", state="running")
    assert kept == [r for r in rows if (r.seed, r.strategy, r.state) == (3, "cosine", "running")]


@given(rows=st.lists(ROWS, max_size=5))
def test_a_downloaded_table_is_read_back_and_computes_nothing(rows):
    read = list(csv.DictReader(io.StringIO(as_csv(rows))))
    assert [one["run"] for one in read] == [row.run for row in rows]
    assert not any(one["strategy"].startswith("=") for one in read)


def test_a_band_is_the_percentiles_of_its_runs():
    x = np.arange(1, 1001)
    curves = [Curve(x, np.full(1000, float(level))) for level in range(11)]
    found = band("a", curves, runs=11, pixels=50)
    assert np.allclose([found.low[0], found.median[0], found.high[0]], [1, 5, 9])
    assert len(found.x) == 50
    assert found.x[-1] == 1000
    looks = [Curve(np.array([10, 20]), np.array([0.1, level])) for level in (0.2, 0.4)]
    assert list(band("a", looks, runs=2, pixels=50).x) == [10, 20]
    assert len(band("a", [Curve(x[:0], x[:0])], runs=1, pixels=50).x) == 0
