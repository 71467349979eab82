"""What to run, as values: digests that stay what they are, and how long runs are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calando.errors import UsageError
from calando.records import RunSpec, StrategySpec, StudySpec, WorkloadSpec

WORKLOAD = WorkloadSpec(data="digits")
RICH = StrategySpec(
    name="mine",
    method="sgd",
    lr=0.1,
    options={"momentum": 0.9, "nesterov": True},
    schedules={
        "lr": "linear(0.01, 1, over='5%') >> constant(1) >> linear(1, 0, over='20%')",
        "weight_decay": "linear(1, 0)",
    },
    controllers=("rollback(tries=2)",),
    average="ema(decay=0.99)",
)
OPEN = StrategySpec(name="open", method="adam")


def a_study(*strategies: StrategySpec, steps=100, steps_per_epoch=10) -> StudySpec:
    return StudySpec(
        workload=WORKLOAD,
        strategies=strategies,
        rate_grids={strategy.name: (0.001, 0.01) for strategy in strategies if strategy.lr is None},
        seeds=2,
        steps=steps,
        steps_per_epoch=steps_per_epoch,
        evaluate_every=10,
    )


def test_specs_that_say_nothing_new_keep_the_digests_they_had():
    """Computed before a strategy could have a horizon: stores and folders are named by them."""
    study = a_study(RICH, OPEN)
    assert study.run(RICH, seed=3).digest() == "db14ae2adc2a1180"
    assert study.run(OPEN.at_rate(0.01), seed=0).digest() == "0c8ab3a494e992dd"
    assert study.digest() == "904646be01b79798"
    assert RICH.digest() == "5a9f8412bb696874"


UNITS = {"steps": lambda value: value, "epochs": lambda value: 10 * value, "%": lambda value: 2 * value}


@given(st.sampled_from(sorted(UNITS)), st.integers(1, 100), st.sampled_from([RICH, OPEN.at_rate(0.1)]))
def test_a_run_of_a_horizon_is_the_run_of_a_study_of_that_length(unit, value, strategy):
    """200 steps of 10 an epoch; a horizon longer than those is refused."""
    steps = UNITS[unit](value)
    own = strategy.model_copy(update={"horizon": f"{value}%" if unit == "%" else f"{value} {unit}"})
    if steps > 200:
        with pytest.raises(UsageError, match=f"is {steps} updates and must be at most .* 200;"):
            a_study(own, steps=200)
        return
    run = a_study(own, steps=200).run(own, seed=1)
    alone = a_study(strategy, steps=steps).run(strategy, seed=1)
    assert (run.steps, run.strategy.horizon, run.digest()) == (steps, "", alone.digest())


@given(st.integers(1, 50), st.one_of(st.none(), st.integers(1, 50), st.floats(0.02, 100)))
def test_a_horizon_is_written_in_one_way_and_read_back(per_epoch, length):
    text = "" if length is None else f"{length} epochs" if isinstance(length, int) else f"{length!r}%"
    strategy = StrategySpec(name="a", method="sgd", lr=0.1, horizon=text)
    study = a_study(strategy, RICH, steps=50 * per_epoch * 100, steps_per_epoch=per_epoch)
    again = StudySpec.model_validate_json(study.model_dump_json())
    assert again == study
    assert again.digest() == study.digest()
    assert again.lengths == tuple(sorted({study.steps, study.steps_of(strategy)}))
    assert StrategySpec(name="a", method="sgd", lr=0.1, horizon=strategy.horizon) == strategy
    assert ("horizon" in strategy.model_dump()) == bool(text)


@pytest.mark.parametrize(
    ("horizon", "says"),
    [
        ("x", "horizon must be a length such as"),
        ("0 steps", "horizon must be a finite number above 0"),
        ("100.1%", "horizon must be at most 100% of the study's"),
        ("0.04 epochs", "comes to less than one update"),
        ("1e300 steps", r"is 1e\+300 updates and must be at most .* 100;"),
        ("1e300 epochs", r"is 1e\+301 updates"),
    ],
)
def test_a_horizon_that_cannot_be_is_refused_in_one_line(horizon, says):
    with pytest.raises(UsageError, match=says) as caught:
        a_study(StrategySpec(name="a", method="sgd", lr=0.1, horizon=horizon))
    assert "\n" not in str(caught.value)


def test_a_run_says_its_length_in_steps_alone():
    with pytest.raises(UsageError, match="a run has its length in steps"):
        RunSpec(
            workload=WORKLOAD,
            strategy=RICH.model_copy(update={"horizon": "5 steps"}),
            steps=5,
            steps_per_epoch=5,
            evaluate_every=5,
            seed=0,
        )
