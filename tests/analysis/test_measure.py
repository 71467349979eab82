"""Scores of any goal and unit: turned and scaled, the conclusions are the same."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calando.analysis import rate_band, summarize
from calando.analysis.results import RateTrial
from calando.analysis.verdicts import against_best
from calando.records import Evaluation, Lane, Measure, OwnTrainingSpec, RunRecord, StrategySpec, StudySpec, TestScore
from calando.records.measure import SHARE

SCORES = st.lists(st.lists(st.floats(0.05, 0.95), min_size=3, max_size=3), min_size=2, max_size=6)


def a_study(goal: str, names: tuple[str, ...], *, seeds: int = 3, chosen: bool = False) -> StudySpec:
    return StudySpec(
        workload=OwnTrainingSpec(code="train.py", goal=goal, unit="RMSE"),
        strategies=tuple(StrategySpec(name=name, method="sgd", lr=None if chosen else 0.1) for name in names),
        rate_grids=dict.fromkeys(names, (0.01, 0.1, 1.0)) if chosen else {},
        seeds=seeds,
        steps=10,
        steps_per_epoch=5,
        evaluate_every=5,
        lane=Lane(precision="own"),
    )


def a_record(run, score: float, *, outcome: str = "finished") -> RunRecord:
    return RunRecord(
        spec=run,
        outcome=outcome,
        steps_done=10,
        losses=np.empty(0, "f4"),
        rates=np.empty(0),
        evaluations=(Evaluation(10, 0.0, score),),
        chance=run.workload.measure.worst,
        seconds=1.0,
    )


def answer(goal: str, table, *, failed: tuple[int, int] | None = None):
    """The answer to a study whose strategies s0, s1, … have these test scores by seed."""
    names = tuple(f"s{place}" for place in range(len(table)))
    study = a_study(goal, names)
    # Equal strategies would be one run, so each has a rate of its own.
    study = study.model_copy(
        update={
            "strategies": tuple(one.at_rate(0.1 * (place + 1)) for place, one in enumerate(study.strategies)),
        }
    )
    runs, tests = {}, {}
    for place, (strategy, row) in enumerate(zip(study.strategies, table, strict=True)):
        for seed, score in enumerate(row):
            run = study.run(strategy, seed=seed)
            outcome = "diverged" if failed == (place, seed) else "finished"
            runs[run.digest()] = a_record(run, score, outcome=outcome)
            tests[run.digest()] = TestScore(score=score, loss=0.0, n=0)
    return summarize(study, runs, tests)


@settings(max_examples=40, deadline=None)
@given(table=SCORES, scale=st.sampled_from([1e-3, 1.0, 250.0]))
def test_lower_is_better_is_higher_is_better_turned_over(table, scale):
    high = answer("max", [[scale * score for score in row] for row in table])
    low = answer("min", [[-scale * score for score in row] for row in table])
    assert [one.name for one in high.results] == [one.name for one in low.results]
    for one, other in zip(high.comparisons, low.comparisons, strict=True):
        assert (one.strategy, one.verdict) == (other.strategy, other.verdict)
        assert one.difference == pytest.approx(-other.difference, abs=1e-12)
        assert (one.low, one.high) == pytest.approx((-other.high, -other.low), abs=1e-12)


@settings(max_examples=40, deadline=None)
@given(table=SCORES)
def test_verdicts_do_not_depend_on_the_unit(table):
    rows = {f"s{place}": row for place, row in enumerate(table)}
    best = max(rows, key=lambda name: np.mean(rows[name]))
    share = against_best(best, rows, resolution=0, measure=SHARE)
    scaled = {name: [1000 * score for score in row] for name, row in rows.items()}
    own = against_best(best, scaled, resolution=0, measure=Measure("max", "BLEU"))
    assert [one.verdict for one in share] == [one.verdict for one in own]


def test_words_follow_the_goal_and_the_unit():
    found = answer("min", [[3.2, 3.3, 3.25], [9.1, 9.2, 9.15]])
    assert found.headline == "s0 is best: test 3.250 RMSE ± 0.05 (sd, n = 3). It beats s1."
    assert found.comparisons[0].text.startswith("worse by 5.9 RMSE (95% interval ")
    assert "point" not in str(found)
    close = answer("min", [[3.2, 3.3, 3.9], [3.1, 3.6, 3.8]])
    assert "scores lowest" in close.headline


def test_a_failed_run_counts_as_the_worst_score_that_was_reported():
    found = answer("min", [[1.0, 1.1, 1.2], [2.0, 7.0, 2.1]], failed=(0, 2))
    by_name = {one.name: one for one in found.results}
    assert by_name["s0"].test is not None
    assert by_name["s0"].test.values == (1.0, 1.1, 7.0)
    assert all(math.isfinite(value) for one in found.results for value in one.test.values)


def test_the_best_trial_and_its_band_follow_the_goal():
    study = a_study("min", ("s",), chosen=True)
    runs = {}
    for lr, score in zip(study.rate_grids["s"], (5.0, 4.0, 9.0), strict=True):
        run = study.run(study.strategy("s").at_rate(lr), seed=0)
        runs[run.digest()] = a_record(run, score)
    found = summarize(study, runs, {})
    assert found.results[0].lr == 0.1
    trials = [RateTrial(lr, score, 0.0, "finished") for lr, score in ((0.01, 4.2), (0.1, 4.0), (1.0, 9.0))]
    band = rate_band(trials, measure=Measure("min"))
    assert band is not None
    assert band.low < 0.1 < band.high
    mirrored = rate_band([replace(one, score=-one.score) for one in trials], measure=Measure("max"))
    assert band == mirrored


# Of all sizes, down to the smallest that there are: where scores are close, and where a sum is rounded.
ENDS = st.one_of(
    st.floats(-1, 1),
    st.sampled_from([0.0, -0.0]),
    st.builds(lambda m, e: m * 10.0**e, st.floats(-9, 9), st.integers(-20, 0)),
)
MEASURES = st.sampled_from([SHARE, Measure("min", "RMSE"), Measure("max", "%"), Measure()])


@settings(max_examples=400, deadline=None)
@given(ends=st.tuples(ENDS, ENDS).map(sorted), measure=MEASURES, decimals=st.sampled_from([1, 2]))
def test_the_printed_ends_of_an_interval_lie_on_their_side_of_zero(ends, measure, decimals):
    sides = [np.sign(end) for end in ends]
    in_table = measure.interval(*ends).strip("[]").split(", ")
    in_sentence = str(measure.ends(*ends, decimals=decimals)).split(" to ")
    for printed in (in_table, in_sentence):
        assert [np.sign(float(end)) for end in printed] == sides
        assert not any(end.startswith(("-0", "+0")) and float(end) == 0 for end in printed)
        assert [float(end) for end in printed] == pytest.approx(
            [measure.scale * end for end in ends], rel=0.5, abs=0.05
        )
    # A plus is what keeps "from 0.3 to 1.2 better" apart from a size.
    assert [end.startswith("+") for end in in_table] == [end > 0 for end in ends]


@settings(max_examples=400, deadline=None)
@given(value=ENDS, measure=MEASURES)
def test_a_difference_or_a_spread_is_printed_as_zero_where_it_is_zero_alone(value, measure):
    value = 0.0 if abs(value) < 1e-11 else value  # smaller ones are rounding errors of equal scores
    size = float(measure.gap(value).split()[0]), float(measure.spread(abs(value))), float(measure.difference(value))
    assert [np.sign(one) for one in size] == [np.sign(value), np.sign(abs(value)), np.sign(value)]


def test_equal_scores_differ_by_zero_however_their_sums_are_rounded():
    assert {SHARE.difference(value) for value in (0.0, -0.0, 1e-17, -1e-17)} == {"0.00"}
    assert SHARE.spread(1.4e-17) == "0.00"


NEAR = st.lists(st.tuples(st.floats(0.9, 0.91), st.floats(-3e-3, 3e-3), st.floats(-1e-5, 1e-5)), min_size=2, max_size=6)


@settings(max_examples=100, deadline=None)
@given(rows=NEAR, test_samples=st.sampled_from([360, 10_000]))
def test_sentence_and_table_show_whether_the_interval_holds_zero(rows, test_samples):
    table = {"a": [score for score, *_ in rows], "b": [score + far for score, far, _ in rows]}
    table["c"] = [score + near for score, _, near in rows]
    for one in against_best("a", table, resolution=1 / test_samples):
        said = str(one.text).partition("interval ")[2].partition(", n")[0].rstrip(")").split(" to ")
        for printed in (SHARE.interval(one.low, one.high).strip("[]").split(", "), said):
            low, high = map(float, printed)
            assert np.sign(low * high) == np.sign(one.low * one.high)
            assert (low <= 0 <= high) == (one.verdict == "cannot distinguish")
