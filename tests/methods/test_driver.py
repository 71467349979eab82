"""The driver writes base * schedule for every group, in place where values are tensors."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from calando.errors import UsageError
from calando.methods import Driver
from calando.schedules import Schedule, function, parse
from calando.schedules.span import Horizon

TEXTS = ["cosine(1, 0)", "linear(0, 1, over='10%') >> exponential(1, 0.01)", "multistep(at=['50%'], factor=0.1)"]
BASES = (0.1, 0.003)


def parameter() -> torch.nn.Parameter:
    return torch.nn.Parameter(torch.zeros(1))


def two_groups(number: Callable[[float], object] = float) -> torch.optim.Optimizer:
    return torch.optim.SGD([{"params": [parameter()], "lr": number(rate)} for rate in BASES], lr=1.0, momentum=0.9)


def double(value: float) -> torch.Tensor:
    return torch.tensor(value, dtype=torch.float64)


def drive(optimizer: torch.optim.Optimizer, total_steps: int = 10, **texts: str) -> Driver:
    return Driver(optimizer, schedules={key: parse(text) for key, text in texts.items()}, horizon=Horizon(total_steps))


def rates(optimizer: torch.optim.Optimizer) -> list[float]:
    return [float(group["lr"]) for group in optimizer.param_groups]


@given(
    st.sampled_from(TEXTS),
    st.integers(1, 10_000).flatmap(
        lambda total: st.tuples(st.just(total), st.lists(st.integers(0, total + 99), min_size=1, max_size=10))
    ),
    st.sampled_from([float, double]),
    st.sampled_from([1.0, 0.5]),
)
def test_rates_are_closed_form_in_any_order_and_keep_ratios(text, horizon, number, multiplier):
    total, steps = horizon
    optimizer, curve = two_groups(number), parse(text).bind(total)
    driver = drive(optimizer, total, lr=text)
    held = [group["lr"] for group in optimizer.param_groups]
    for step in steps:
        driver.write(step, multiplier)
        assert rates(optimizer) == [base * (curve(step) * multiplier) for base in BASES]
        assert driver.values(step) == {"lr": [base * curve(step) for base in BASES]}
    if number is double:
        assert all(group["lr"] is before for group, before in zip(optimizer.param_groups, held, strict=True))
    assert driver.base_values == {"lr": list(BASES)}


def test_momentum_follows_its_own_curve_and_no_multiplier():
    optimizer = two_groups()
    drive(optimizer, momentum="linear(1, 0)").write(5, multiplier=0.1)
    assert [group["momentum"] for group in optimizer.param_groups] == [0.45, 0.45]


def test_groups_added_later_have_their_own_base_and_those_removed_leave_the_others_theirs():
    optimizer = two_groups()
    driver = drive(optimizer, lr="linear(1, 0)")
    driver.write(5)
    optimizer.add_param_group({"params": [parameter()], "lr": 2.0})
    assert driver.base_values == {"lr": [*BASES, 2.0]}
    driver.write(5)
    assert rates(optimizer) == [0.05, 0.0015, 1.0]
    del optimizer.param_groups[0]
    driver.write(0)
    assert rates(optimizer) == [0.003, 2.0]


def test_what_is_loaded_into_the_optimizer_does_not_become_the_base():
    optimizer, other = two_groups(), two_groups()
    for group in other.param_groups:
        group["lr"] = 7.0
    driver = drive(optimizer, lr="linear(1, 0)")
    optimizer.load_state_dict(other.state_dict())
    driver.write(5)
    assert rates(optimizer) == [0.05, 0.0015]
    assert [group["initial_lr"] for group in optimizer.param_groups] == list(BASES)


@pytest.mark.parametrize("number", [int, np.float32, np.float64, lambda value: torch.tensor(float(value))])
def test_values_of_any_type_are_written(number):
    optimizer = torch.optim.SGD([parameter()], lr=number(2))
    driver = drive(optimizer, lr="linear(1, 0)")
    for step in range(10):
        driver.write(step)
        assert rates(optimizer) == pytest.approx([2 * (1 - step / 10)], rel=1e-6)


def test_equal_schedules_are_worked_out_once_for_all_groups():
    asked = []

    def counted(progress: float) -> float:
        asked.append(progress)
        return 1 - progress

    schedule = function(counted)
    optimizer = torch.optim.SGD([{"params": [parameter()]} for _ in range(50)], lr=0.1)
    driver = Driver(optimizer, schedules={"lr": schedule, "momentum": schedule}, horizon=Horizon(100))
    assert len({id(curve) for curves in driver.curves for curve in curves.values()}) == 1
    for step in range(100):
        driver.write(step)
    assert 0 < len(asked) < 10_000  # not 50 * 2 * 100 and more


def test_a_schedule_that_fails_leaves_the_values_of_other_updates_right():
    def fails_late(step: float) -> float:
        if step >= 4096:
            raise RuntimeError("no value")
        return 1.0 - step / 10_000

    schedules: dict[str, Schedule] = {"momentum": parse("linear(1, 0)"), "lr": function(fails_late, of="steps")}
    optimizer = two_groups()
    driver = Driver(optimizer, schedules=schedules, horizon=Horizon(10_000))
    driver.write(100)
    expected = [dict(group) for group in optimizer.param_groups]
    with pytest.raises(RuntimeError, match="no value"):
        driver.write(5000)
    driver.write(100)
    assert [group["momentum"] for group in optimizer.param_groups] == [group["momentum"] for group in expected]


@pytest.mark.parametrize("key", ["momentom", "nesterov", "params", "beta1"])
def test_what_cannot_be_scheduled_is_refused(key):
    with pytest.raises(UsageError, match=key):
        drive(two_groups(), **{key: "cosine(1, 0)"})


def test_a_tensor_that_would_drop_fractions_is_refused():
    with pytest.raises(UsageError, match=r"it is tensor\(2\) in group 0, neither a number nor a floating-point tensor"):
        drive(torch.optim.SGD([parameter()], lr=torch.tensor(2)), lr="linear(1, 0)")


@pytest.mark.parametrize("step", [-1, -5000])
def test_a_step_below_zero_is_refused_and_writes_nothing(step):
    optimizer = two_groups()
    driver = drive(optimizer, lr="linear(1, 0)")
    driver.write(5)
    with pytest.raises(UsageError, match=f"a step must be 0 or more, got {step}"):
        driver.write(step)
    assert rates(optimizer) == [0.05, 0.0015]
