"""Runs that ended at nan: chance in every mean, and neither best nor recommended, however high chance is."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from calando.analysis import planned_runs, summarize
from calando.analysis.target import steps_to_target
from calando.records.measure import SHARE
from calando.records.record import Evaluation
from calando.records.rows import RunReader, run_row
from calando.report.formatting import ABSENT
from calando.report.page_contents import run_rows


def answered(fake, judge, *, chance, test_loss=lambda run: 0.1, seeds=3):
    """A complete study of "good" and "nan", both at given rates, with another chance score."""
    study = fake.study(fake.strategy("nan", lr=1.0), fake.strategy("good", lr=0.1), seeds=seeds)
    *_, runs = fake.play(study, judge)
    runs = {digest: replace(record, chance=chance) for digest, record in runs.items()}
    tests = fake.look(study, runs, lambda run: 0.9 if run.strategy.name == "nan" else 0.4)
    tests = {
        run.digest(): replace(tests[run.digest()], loss=test_loss(run))
        for strategy in study.strategies
        for run in planned_runs(study, strategy, runs).final_runs
        if run.digest() in tests
    }
    return summarize(study, runs, tests), runs, tests


@pytest.mark.parametrize("seeds", [1, 3])
@pytest.mark.parametrize("where", ["run", "look"])
def test_what_ended_at_nan_is_neither_best_nor_recommended_though_chance_is_higher(fake, where, seeds):
    summary, runs, tests = answered(
        fake,
        lambda run: "diverged" if where == "run" and run.strategy.name == "nan" else 0.4 + 0.01 * run.seed,
        chance=0.6,
        test_loss=lambda run: math.nan if run.strategy.name == "nan" else 0.1,
        seeds=seeds,
    )
    assert summary.complete
    assert summary.best == "good"
    assert summary.advice.name == "good"
    assert "nan" not in summary.advice.level
    first, last = summary.results
    assert (last.name, last.diverged, last.test.mean) == ("nan", seeds, 0.6)
    assert last.untuned == "every final run diverged or died"
    assert "no verdict: every final run diverged or died" in last.note
    assert first.name in summary.headline
    for comparison in summary.comparisons:
        assert comparison.verdict == "no verdict"
    shown = {row.test for row in run_rows(summary, runs, tests) if row.strategy == "nan"}
    assert shown == ({ABSENT} if where == "run" else {SHARE.number(0.6)})


def test_where_chance_is_lower_it_is_worse_as_ever(fake):
    summary, *_ = answered(
        fake, lambda run: "diverged" if run.strategy.name == "nan" else 0.4 + 0.01 * run.seed, chance=0.1
    )
    assert summary.best == "good"
    assert summary.results[1].untuned == ""
    assert [one.verdict for one in summary.comparisons] == ["worse"]


def test_where_all_failed_nothing_is_recommended(fake):
    summary, *_ = answered(fake, lambda run: 0.4, chance=0.6, test_loss=lambda run: math.inf)
    assert summary.advice is None
    assert summary.headline.startswith("No verdict: every final run diverged")


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_record_of_before_that_ends_at_nan_is_read_as_diverged(fake, loss):
    study = fake.study(fake.strategy("old", lr=1.0))
    record = fake.record(study.run(study.strategies[0], seed=0), 0.9, loss=loss)
    assert record.outcome == "finished"
    read = RunReader().read(run_row(record), None)
    assert (read.outcome, read.score, read.loss) == ("diverged", record.chance, math.inf)
    assert read.events[-1].text == f"validation loss is {loss} at the end: this counts as diverged"
    assert RunReader().read(run_row(read), None).events == read.events
    sound = fake.record(study.run(study.strategies[0], seed=0), 0.9)
    assert RunReader().read(run_row(sound), None).outcome == "finished"


def test_a_score_behind_a_loss_that_is_not_finite_reaches_no_target(fake):
    study = fake.study(fake.strategy("old", lr=1.0))
    record = fake.record(study.run(study.strategies[0], seed=0), 0.9)
    looks = (Evaluation(step=25, loss=math.nan, score=0.9), *record.evaluations[1:])
    assert steps_to_target(replace(record, evaluations=looks), 0.8) == 100
