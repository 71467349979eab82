"""Several lengths in one study, and what a strategy's own length means to a study and to a single run."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.study.study_kit import all_runs

from calando.errors import UsageError
from calando.records import RangeRecord, StudySpec, WorkloadSpec
from calando.strategy import parse_strategy
from calando.study.build_spec import build_run, build_study
from calando.study.grid_from_range_test import centre_grids, range_runs
from calando.study.limits import Budget, Machine, cadence, expected_updates
from calando.tasks.catalog import resolve

DIGITS = resolve("digits", batch_size=32)
WORKLOAD = WorkloadSpec(data="digits")
PER_EPOCH = 35


def ask(*strategies: str, budget: Budget, **options) -> StudySpec:
    asked = build_study(DIGITS, strategies, budget=budget, machine=Machine(device="cpu"), seeds=2, rates=2, **options)
    assert asked.study.steps_per_epoch == PER_EPOCH
    return asked.study


@given(st.lists(st.integers(1, 400), min_size=1, max_size=5, unique=True), st.integers(1, 50))
def test_lengths_come_ascending_and_the_same_in_epochs_and_in_updates(epochs, per_epoch):
    in_epochs = Budget(epochs=epochs).settle(WORKLOAD, per_epoch=per_epoch)
    in_steps = Budget(steps=[per_epoch * one for one in epochs]).settle(WORKLOAD, per_epoch=per_epoch)
    assert [length.steps for length in in_epochs] == [length.steps for length in in_steps]
    assert [length.steps for length in in_epochs] == sorted(per_epoch * one for one in epochs)
    assert in_epochs[-1:] == Budget(epochs=max(epochs)).settle(WORKLOAD, per_epoch=per_epoch)


@pytest.mark.parametrize("given", [(), "4", ("4",), (4, None)])
def test_lengths_that_are_no_numbers_are_refused(given):
    for budget in (Budget(epochs=given), Budget(steps=given)):
        with pytest.raises(UsageError, match="must be"):
            budget.settle(WORKLOAD, per_epoch=10)


def test_every_strategy_is_run_at_every_length_but_those_that_have_their_own():
    study = ask("cosine", "own = sgd(lr=0.1) | horizon('50%')", "sgd(lr=0.1)", budget=Budget(epochs=(8, 4)), target=0.9)
    assert {one.name: study.steps_of(one) // PER_EPOCH for one in study.strategies} == {
        "cosine 4 epochs": 4, "cosine 8 epochs": 8, "own": 4, "sgd 4 epochs": 4, "sgd 8 epochs": 8,
    }  # fmt: skip
    assert study.lengths == (4 * PER_EPOCH, 8 * PER_EPOCH)
    assert study.rate_grids["cosine 4 epochs"] == study.rate_grids["cosine 8 epochs"]
    assert study.rate_grids.keys() == {"cosine 4 epochs", "cosine 8 epochs"}
    assert expected_updates(study) == PER_EPOCH * (3 * 4 + 3 * 8 + 2 * 4 + 2 * 4 + 2 * 8)


def test_with_one_length_everything_is_called_what_it_was():
    study = ask("cosine", "sgd(lr=0.1)", budget=Budget(epochs=(4,)))
    assert study == ask("cosine", "sgd(lr=0.1)", budget=Budget(epochs=4))
    assert [one.name for one in study.strategies] == ["cosine", "sgd"]
    assert not any(one.horizon for one in study.strategies)


@settings(max_examples=12)
@given(st.integers(1, 60), st.lists(st.integers(61, 300), max_size=3, unique=True))
def test_longer_lengths_leave_the_runs_of_the_shortest_as_they_are(shortest, longer):
    texts = ("adam | cosine(1, 0)", "sgd(lr=0.1) | wsd(warmup='0.5 epochs')")
    alone = ask(*texts, budget=Budget(epochs=shortest))
    both = ask(*texts, budget=Budget(epochs=(*longer, shortest)))
    assert all_runs(alone) <= all_runs(both)
    assert len(all_runs(both)) == (1 + len(longer)) * len(all_runs(alone))


@given(st.integers(1, 10**6), st.integers(1, 10**4))
def test_a_run_is_evaluated_at_most_every_epoch_and_at_most_twenty_times(steps, per_epoch):
    every = cadence(steps, per_epoch=per_epoch)
    assert 1 <= every <= steps
    assert -(-steps // every) <= 20
    assert every >= min(steps, per_epoch)


def test_a_range_test_is_shared_by_strategies_of_all_lengths():
    study = ask("fixed", "cosine", "adam", budget=Budget(epochs=(4, 8)), lr="find")
    alone = ask("fixed", "cosine", "adam", budget=Budget(epochs=20), lr="find")
    assert range_runs(study).keys() == range_runs(alone).keys()
    assert len(range_runs(study)) == 2
    found = RangeRecord(decayed=(0.3, 0.2, 0.4), constant=(0.2, 0.1, 0.3), doubts=(), updates=50, seconds=1.0)
    settled = centre_grids(study, dict.fromkeys(range_runs(study), found))
    assert list(settled.centres) == list(study.rate_grids)
    assert range_runs(settled) == {}
    lost = settled.model_copy(update={"centres": {k: v for k, v in settled.centres.items() if "adam" not in k}})
    assert [run.strategy.method for run in range_runs(lost).values()] == ["adam"]
    other = found.__class__(decayed=None, constant=(2.0, 1.0, 3.0), doubts=(), updates=50, seconds=1.0)
    again = centre_grids(lost, dict.fromkeys(range_runs(lost), other))
    assert again.centres["fixed 4 epochs"] == settled.centres["fixed 4 epochs"]
    assert again.centres["adam 8 epochs"].lr == 2.0


def test_a_grid_is_centred_by_the_strategys_own_length():
    """A tenth every 100 steps: in 35 steps the rate stays, in 1,000 it decays."""
    text = "sgd | step(every='100 steps', factor=0.1)"
    study = ask(f"short = {text} | horizon('1 epoch')", f"long = {text}", budget=Budget(steps=1000), lr="find")
    found = RangeRecord(decayed=(0.3, 0.2, 0.4), constant=(0.2, 0.1, 0.3), doubts=(), updates=50, seconds=1.0)
    settled = centre_grids(study, dict.fromkeys(range_runs(study), found))
    assert (settled.centres["short"].lr, settled.centres["long"].lr) == (0.2, 0.3)


def single(text: str, budget: Budget):
    run, _ = build_run(DIGITS, text, budget=budget, machine=Machine(device="cpu"))
    return run


@pytest.mark.parametrize(
    ("horizon", "budget", "steps"),
    [
        ("'3 epochs'", Budget(), 3 * PER_EPOCH),
        ("70", Budget(), 70),
        ("70", Budget(steps=100), 70),
        ("'50%'", Budget(steps=100), 50),
        ("'50%'", Budget(epochs=(4,)), 2 * PER_EPOCH),
    ],
)
def test_a_single_run_is_as_long_as_its_strategy_says(horizon, budget, steps):
    text = "mine = sgd(lr=0.1) | cosine(1, 0)"
    run = single(f"{text} | horizon({horizon})", budget)
    assert run.strategy == parse_strategy(text)
    assert run == single(text, Budget(steps=steps))


def test_a_single_run_has_one_length_and_is_not_longer_than_asked():
    with pytest.raises(UsageError, match="a single run has one length, got 2"):
        single("fixed", Budget(steps=(5, 6)))
    with pytest.raises(UsageError, match="must be at most what .* 60; give"):
        single("sgd(lr=0.1) | horizon(70)", Budget(steps=60))


def test_what_does_not_fit_a_short_length_is_found_before_anything_is_trained():
    late = "sgd(lr=0.1) | swa(start='5 epochs')"
    assert ask(late, budget=Budget(epochs=6)).steps == 6 * PER_EPOCH
    with pytest.raises(UsageError, match="swa: start='5 epochs' is update 175 of a run of 140, after"):
        ask(late, budget=Budget(epochs=(4, 6)))
    with pytest.raises(UsageError, match="steps too many"):
        ask("sgd(lr=0.1) | cosine(1, 0, over='5 epochs')", budget=Budget(epochs=(4, 6)))
