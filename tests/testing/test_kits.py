"""The public kits pass what is ours, and say in a line what is wrong with what is broken in one way."""

import dataclasses
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pytest
import torch

from calando.controllers import CONTROLLERS, Action, Divergence, Wants
from calando.methods import Method, Number, find_method
from calando.schedules import SCHEDULES, Extent, Primitive, constant, function, named_function
from calando.schedules.known_schedules import example_of
from calando.schedules.schedule import Bound
from calando.testing import METHOD_CHECKS, MethodCase, check_controller, check_method, check_schedule


# the example of `function` needs the function that its picture is drawn with; test_presets has others
@pytest.mark.parametrize("name", [name for name in SCHEDULES if name != "function"])
def test_every_schedules_example_passes(name):
    check_schedule(example_of(name), total_steps=(1000,))


@pytest.mark.parametrize("name", [*CONTROLLERS, "divergence"])
def test_every_controller_passes(name):
    make = CONTROLLERS[name].make if name in CONTROLLERS else Divergence
    check_controller(make(until=40) if name == "edge" else make())


@dataclass(frozen=True, repr=False)
class Crooked(Primitive):
    """A schedule that is wrong in one way."""

    fault: str = ""
    extent_without_over = Extent.ENDLESS

    def place(self, horizon, room):
        return Crookedly(self.fault)

    def __str__(self):
        return "constant(1)" if self.fault == "text" else f"crooked('{self.fault}')"


@dataclass(frozen=True)
class Crookedly(Bound):
    fault: str

    def __call__(self, steps):
        match self.fault:
            case "array":
                return np.full(steps.shape, float(steps.size))
            case "infinite":
                return np.where(steps == 50, np.inf, 1.0)
            case "order":
                return np.linspace(0, 1, steps.size)
        return np.ones(steps.shape)


@pytest.fixture
def crooked():
    def crooked(fault):
        return Crooked(fault)

    from calando.schedules import register

    register(crooked)
    yield crooked
    SCHEDULES.remove("crooked")


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("text", "reads back as another schedule"),
        ("array", "alone, .* in an array"),
        ("infinite", "is not finite at step 50"),
        ("order", "alone|backwards"),
    ],
)
def test_a_schedule_that_is_wrong_is_found(crooked, fault, message):
    check_schedule(crooked("none"))
    with pytest.raises(AssertionError, match=message):
        check_schedule(crooked(fault))


def test_a_schedule_that_can_be_changed_is_found():
    class Loose(type(constant(1))):
        __setattr__ = object.__setattr__
        __hash__ = type(constant(1)).__hash__

        def __eq__(self, other):
            return str(self) == str(other)

    with pytest.raises(AssertionError, match="can be changed"):
        check_schedule(Loose(1))


def test_a_function_that_remembers_is_found():
    calls = []

    def forgetful(p):
        calls.append(p)
        return 1.0 + len(calls)

    named_function("test_kits.forgetful")(forgetful)
    with pytest.raises(AssertionError, match="alone"):
        check_schedule(function(forgetful))


class Count(NamedTuple):
    seen: int = 0


@dataclass(frozen=True)
class Faulty:
    """A controller that is wrong in one way."""

    fault: str = ""
    memory: list = dataclasses.field(default_factory=list)

    def initial(self):
        return {"seen": 0} if self.fault == "mutates" else (Count(seen=1.5) if self.fault == "rounds" else Count())

    def wants(self, step):
        return Wants(seen="accuracy") if self.fault == "wants" else Wants()

    def respond(self, state, observation):
        match self.fault:
            case "mutates":
                state["seen"] += 1
            case "remembers":
                self.memory.append(observation.loss)
                return state, Action(multiplier=1 / len(self.memory))
            case "nan":
                return state, Action(multiplier=float("nan"))
            case "lines":
                return state, Action(event="two\nlines")
            case "no json":
                return Count(seen={1}), Action()
            case "forgets":
                return _Kept(state), Action()
        return state, Action()


class _Kept(dict):
    pass


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("mutates", "changes the state that it is given"),
        ("remembers", "answers otherwise if asked again"),
        ("nan", "multiplies the rate by nan"),
        ("lines", "a reason of several lines"),
        ("no json", "cannot be stored as JSON"),
        ("wants", "no Wants of loss"),
    ],
)
def test_a_controller_that_is_wrong_is_found(fault, message):
    check_controller(Faulty())
    with pytest.raises(AssertionError, match=message):
        check_controller(Faulty(fault))


class Forgetful(torch.optim.SGD):
    """Counts its steps where no checkpoint looks."""

    count = 0

    def step(self, closure=None):
        self.count += 1
        for group in self.param_groups:
            group["lr"] = torch.as_tensor(group["lr"]) / self.count
        super().step(closure)
        for group in self.param_groups:
            group["lr"] = float(group["lr"] * self.count)


PLAIN = Method(
    name="plain_sgd",
    summary="SGD with momentum",
    family="classic",
    usual_rate=0.1,
    rate_span=100.0,
    decay="as SGD's",
    options={"momentum": Number(0.9, high=1.0), "weight_decay": Number(0.0)},
    build=lambda groups, lr, options: torch.optim.SGD(groups, lr, **options),
    source="",
    memory=1,
)


def test_a_method_of_ones_own_passes():
    check_method(PLAIN)


@pytest.mark.parametrize(
    ("changes", "check", "message"),
    [
        ({"memory": 2}, "it_keeps_as_many_tensors_as_it_says", "keeps 1 times the parameters, not 2"),
        ({"eval_mode": True}, "evaluation_weights_come_and_go", "has eval_mode=True"),
        ({"usual_rate": 1e-9}, "a_net_with_batch_norm_learns_at_the_usual_rate", "at its usual rate brings"),
        (
            {"build": lambda groups, lr, options: Forgetful(groups, lr, **options)},
            "resuming_from_a_checkpoint_changes_no_bit",
            "remembers more than that",
        ),
    ],
)
def test_a_method_that_is_wrong_is_found(changes, check, message):
    with pytest.raises(AssertionError, match=message):
        METHOD_CHECKS[check](dataclasses.replace(PLAIN, **changes), MethodCase(), "cpu", torch.float32)


def test_a_difference_that_is_stated_must_be_there():
    case = MethodCase(moves_at_rate_0="so they say")
    with pytest.raises(AssertionError, match="and it is not so"):
        METHOD_CHECKS["a_rate_of_zero_moves_nothing"](find_method("adam"), case, "cpu", torch.float32)
