from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calando.analysis import has_fixed_rate, planned_runs, steps_to_target, summarize, target_of
from calando.records import StrategySpec
from calando.records.record import Event


def target(study, runs):
    return target_of(study, [planned_runs(study, strategy, runs) for strategy in study.strategies], runs)


@given(target=st.floats(0.01, 1), score=st.floats(0.01, 1))
def test_first_look_that_reaches_the_target(fake, target, score):
    record = fake.record(fake.study(fake.strategy("a", lr=0.1)).run(fake.strategy("a", lr=0.1), seed=0), score)
    step = steps_to_target(record, target)
    reached = [look.step for look in record.evaluations if look.score >= target]
    assert step == (min(reached) if reached else None)
    assert (step is None) == (score < target)


def test_a_run_that_diverged_later_did_reach_it(fake):
    study = fake.study(fake.strategy("a", lr=0.1))
    record = fake.record(study.run(study.strategies[0], seed=0), "diverged")
    assert steps_to_target(record, record.evaluations[0].score) == 25


@pytest.mark.parametrize(
    ("schedule", "controllers", "fixed"),
    [
        (None, (), True),
        ("constant", (), True),
        ("constant(1)", (), True),
        (" constant( 0.5 ) ", (), True),
        ("constant(1) >> cosine(1, 0)", (), False),
        ("cosine(1, 0)", (), False),
        (None, ("plateau(factor=0.5)",), False),
    ],
)
def test_which_rates_are_fixed(schedule, controllers, fixed):
    schedules = {} if schedule is None else {"lr": schedule}
    assert has_fixed_rate(StrategySpec(name="a", method="sgd", schedules=schedules, controllers=controllers)) is fixed


def test_another_hyper_parameters_schedule_leaves_the_rate_fixed():
    assert has_fixed_rate(StrategySpec(name="a", method="sgd", schedules={"momentum": "cosine(1, 0.9)"}))


def test_a_given_target_is_taken_at_once(fake):
    assert target(fake.study(fake.strategy("a", lr=0.1), target=0.7), {}) == (0.7, "given")


def test_the_best_fixed_rate_is_the_target_once_known(fake):
    study = fake.study(
        fake.strategy("fixed", lr=0.1),
        fake.strategy("adam"),
        fake.strategy("cosine", schedule="cosine(1, 0)"),
        seeds=2,
    )
    score = {("fixed", 0): 0.80, ("fixed", 1): 0.90, ("adam", 0): 0.95, ("adam", 1): 0.60}
    mark = {strategy.options["mark"]: strategy.name for strategy in study.strategies}

    def judge(run):
        return score.get((mark[run.strategy.options["mark"]], run.seed), 0.99)

    stages = [target(study, runs) for runs in fake.play(study, judge)]
    assert stages[0] == (None, "best fixed-rate score, not known yet")
    assert stages[-1] == (pytest.approx(0.85), "best fixed-rate score")
    # Once it is known, it never moves.
    known = [target for target, _ in stages if target is not None]
    assert set(known) == {stages[-1][0]}
    assert 0 < len(known) < len(stages)


def test_no_fixed_rate_no_target(fake):
    study = fake.study(fake.strategy("cosine", lr=0.1, schedule="cosine(1, 0)"))
    assert target(study, {}) == (None, "none: no fixed-rate strategy")


def test_a_fixed_rate_that_only_failed_gives_no_target(fake):
    study = fake.study(fake.strategy("fixed", lr=0.1), seeds=2)
    *_, runs = fake.play(study, lambda run: "diverged" if run.seed else "died")
    assert target(study, runs) == (None, "none: no fixed-rate run finished")
    *_, runs = fake.play(study, lambda run: "diverged" if run.seed else 0.9)
    assert target(study, runs)[0] == pytest.approx((0.9 + fake.chance) / 2)


@pytest.mark.parametrize("acted", [False, True])
def test_a_plateau_that_never_changed_the_rate_is_noted(fake, acted):
    plateau = fake.strategy("cut", lr=0.1).model_copy(update={"controllers": ("plateau(patience=10)",)})
    study = fake.study(plateau, fake.strategy("plain", lr=0.1), seeds=2)
    *_, runs = fake.play(study, lambda run: 0.9)
    events = (Event(step=50, kind="controller", text="rate multiplied by 0.1"),) if acted else ()
    runs = {key: replace(run, events=events if run.spec.seed == 1 else ()) for key, run in runs.items()}
    summary = summarize(study, runs, fake.look(study, runs, lambda run: 0.9))
    notes = {one.name: one.note for one in summary.results}
    assert ("plateau never changed the rate" in notes["cut"]) == (not acted)
    assert notes["plain"] == ""
