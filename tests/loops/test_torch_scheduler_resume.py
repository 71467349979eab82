"""`LRScheduler` saved and loaded in any order, and its horizon extended: the next updates are right or refused."""

import copy
import io
import itertools
import pickle
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.loops.torch_training import TEXT, TOTAL, groups, named, numbers, sgd, train, updates
from torch.optim import lr_scheduler

import calando
from calando.errors import UsageError
from calando.loops import transformers as as_theirs
from calando.loops.scheduled_optimizer import Jump

# Every order in which a script can bring back what it saved: each is built before it is loaded.
STEPS = ("build optimizer", "load optimizer", "build scheduler", "load scheduler")
ORDERS = [
    order
    for order in itertools.permutations(STEPS)
    if order.index("build optimizer") < min(order.index("load optimizer"), order.index("build scheduler"))
    and order.index("build scheduler") < order.index("load scheduler")
]


@dataclass(frozen=True)
class Case:
    """A script: how it builds its optimizer (rates and momenta times `edited`), and what it schedules."""

    name: str
    optimizer: Callable[[float], torch.optim.Optimizer]
    schedule: str = TEXT
    hyper_parameters: dict[str, str] = field(default_factory=dict)
    horizon_at_first: int = TOTAL

    def scheduler(self, optimizer: torch.optim.Optimizer) -> calando.LRScheduler:
        return calando.LRScheduler(
            optimizer, self.schedule, total_steps=self.horizon_at_first, hyper_parameters=self.hyper_parameters
        )


def adam(edited: float) -> torch.optim.Optimizer:
    return torch.optim.AdamW(groups(0.1 * edited, 0.01), betas=(0.9 / edited, 0.99), weight_decay=0.1 * edited)


def tensors(edited: float) -> torch.optim.Optimizer:
    rates = [torch.tensor(rate * edited, dtype=torch.float64) for rate in (0.1, 0.01)]
    return torch.optim.SGD([{**group, "lr": rate} for group, rate in zip(groups(1, 1), rates, strict=True)])


CASES = [
    Case("rates", lambda edited: sgd(0.1 * edited, 0.01 * edited)),
    Case("tensor rates", tensors),
    Case("momentum", named, hyper_parameters={"momentum": "linear(1, 0.9) * 0.9"}),
    Case("betas", adam, hyper_parameters={"beta1": "linear(1, 0.5)", "weight_decay": "linear(0, 1)"}),
    Case("per group", named, schedule="per_group({'body': cosine(1, 0) * 0.1}, others=linear(1, 0))"),
    Case("extended", named, schedule="wsd()", hyper_parameters={"momentum": "linear(1, 0.9)"}, horizon_at_first=10),
]


@pytest.mark.parametrize("order", ORDERS, ids=", ".join)
@pytest.mark.parametrize("edited", [1.0, 7.0], ids=["same script", "rates in the script changed since"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@pytest.mark.filterwarnings("ignore:total_steps=20 moves:UserWarning")
@pytest.mark.filterwarnings("ignore:the state was saved with total_steps=20:UserWarning")
def test_resumed_in_any_order_the_next_updates_are_right(case, order, edited):
    at, extended_at = 7, 4
    whole = case.optimizer(1.0)
    scheduler = case.scheduler(whole)
    undisturbed = updates(whole, scheduler, steps=extended_at)
    scheduler.extend(total_steps=TOTAL)
    undisturbed += updates(whole, scheduler, steps=at - extended_at)
    saved = pickle.dumps({"optimizer": whole.state_dict(), "scheduler": scheduler.state_dict()})
    undisturbed += updates(whole, scheduler, steps=TOTAL - at)

    state = pickle.loads(saved)
    for step in order:
        match step:
            case "build optimizer":
                optimizer = case.optimizer(edited)
            case "load optimizer":
                optimizer.load_state_dict(state["optimizer"])
            case "build scheduler":
                scheduler = case.scheduler(optimizer)
            case "load scheduler":
                scheduler.load_state_dict(state["scheduler"])
    assert updates(optimizer, scheduler, steps=TOTAL - at) == undisturbed[at:]


def test_a_state_that_does_not_fit_is_refused():
    scheduler = calando.LRScheduler(sgd(), TEXT, total_steps=TOTAL)
    other = calando.LRScheduler(sgd(), "cosine(1, 0)", total_steps=TOTAL)
    with pytest.raises(UsageError, match=r"saved with schedule 'cosine\(1, 0\)'; here it is schedule .linear"):
        scheduler.load_state_dict(other.state_dict())
    wider = calando.LRScheduler(sgd(0.1, 0.2), TEXT, total_steps=TOTAL)
    with pytest.raises(UsageError, match="saved with 2 parameter groups, the optimizer has 1"):
        scheduler.load_state_dict(wider.state_dict())
    theirs = lr_scheduler.CosineAnnealingLR(sgd(), T_max=3)
    with pytest.raises(UsageError, match="not a state of calando's LRScheduler or attach: it holds T_max"):
        scheduler.load_state_dict(theirs.state_dict())
    assert scheduler.last_epoch == 0


def test_extending_in_a_constant_part_moves_nothing():
    optimizer = sgd(0.1)
    scheduler = calando.LRScheduler(optimizer, "wsd()", total_steps=20)
    train(optimizer, scheduler, steps=10)
    assert scheduler.extend(total_steps=40) == ()
    assert scheduler.horizon.total_steps == 40
    curve = calando.parse("wsd()").bind(40)
    assert train(optimizer, scheduler, steps=35) == [[0.1 * curve(step)] for step in range(10, 45)]


@given(st.integers(1, 60), st.integers(0, 60), st.integers(1, 60))
def test_extending_says_what_jumps_and_goes_on_as_if_it_had_been_so_from_the_start(total, at, longer):
    optimizer = named(1.0)
    scheduler = calando.LRScheduler(
        optimizer, "linear(1, 0)", total_steps=total, hyper_parameters={"momentum": "cosine(1, 0.5)"}
    )
    scheduler.step(at)
    before = [numbers(group) for group in optimizer.param_groups]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        jumps = scheduler.extend(total_steps=longer)
    after = [numbers(group) for group in optimizer.param_groups]
    expected = [
        Jump(name, key, at, one[key], other[key])
        for key in ("lr", "momentum")
        for name, one, other in zip(("body", "head"), before, after, strict=True)
        if one[key] != pytest.approx(other[key], rel=1e-9, abs=0)
    ]
    assert list(jumps) == expected
    assert [str(warning.message)[:14] for warning in caught] == ["total_steps=" + f"{longer} "[:2]] * bool(expected)
    other = named(1.0)
    fresh = calando.LRScheduler(
        other, "linear(1, 0)", total_steps=longer, hyper_parameters={"momentum": "cosine(1, 0.5)"}
    )
    fresh.step(at)
    assert updates(optimizer, scheduler, steps=5) == updates(other, fresh, steps=5)


def test_the_warning_of_a_jump_names_it_and_points_at_the_caller():
    scheduler = calando.LRScheduler(sgd(0.1, 0.2), "linear(1, 0)", total_steps=10)
    scheduler.step(5)
    with pytest.warns(UserWarning, match="moves lr of group 0 from 0.05 to 0.075 and 1 more at step 5") as caught:
        scheduler.extend(total_steps=20)
    assert caught[0].filename == __file__


def test_a_horizon_that_does_not_fit_is_refused_and_the_old_one_stays():
    scheduler = calando.LRScheduler(sgd(0.1), "cosine(1, 0, over=10)", total_steps=10)
    scheduler.step(5)
    with pytest.raises(UsageError, match="5 steps too many"):
        scheduler.extend(total_steps=5)
    assert (scheduler.horizon.total_steps, scheduler.get_last_lr()) == (10, [pytest.approx(0.05)])
    scheduler.step()
    assert scheduler.last_epoch == 6


def test_a_saved_horizon_wins_and_says_so():
    saved = calando.LRScheduler(sgd(0.1), "linear(1, 0)", total_steps=10)
    saved.step(5)
    scheduler = calando.LRScheduler(sgd(0.1), "linear(1, 0)", total_steps=99, steps_per_epoch=3)
    with pytest.warns(
        UserWarning, match="saved with total_steps=10, which is kept; .* total_steps=99, steps_per_epoch=3"
    ):
        scheduler.load_state_dict(saved.state_dict())
    assert (scheduler.get_last_lr(), scheduler.horizon) == ([0.05], saved.horizon)


def test_the_state_is_plain_and_torch_loads_it_safely():
    optimizer = named(1.0)
    scheduler = calando.LRScheduler(
        optimizer, TEXT, total_steps=TOTAL, steps_per_epoch=5, hyper_parameters={"momentum": "linear(1, 0.5)"}
    )
    scheduler.step(3)
    assert scheduler.state_dict() == {
        "last_epoch": 3,
        "schedule": TEXT,
        "total_steps": TOTAL,
        "steps_per_epoch": 5,
        "hyper_parameters": {"momentum": "linear(1, 0.5)"},
        "base_lrs": [0.1, 0.01],
        "base_values": {"momentum": [0.9, 0.9]},
    }
    file = io.BytesIO()
    torch.save(scheduler.state_dict(), file)
    file.seek(0)
    assert torch.load(file, weights_only=True) == scheduler.state_dict()


def test_other_hyper_parameters_in_the_state_are_refused():
    saved = calando.LRScheduler(sgd(), TEXT, total_steps=TOTAL, hyper_parameters={"momentum": "linear(1, 0)"})
    scheduler = calando.LRScheduler(sgd(), TEXT, total_steps=TOTAL)
    with pytest.raises(UsageError, match=r"momentum: 'linear\(1, 0\)'; here it is schedule"):
        scheduler.load_state_dict(saved.state_dict())


def test_a_copy_goes_its_own_way():
    optimizer = sgd(0.1)
    scheduler = calando.LRScheduler(optimizer, "linear(1, 0)", total_steps=10)
    optimizers, schedulers = copy.deepcopy((optimizer, scheduler)), pickle.loads(pickle.dumps((optimizer, scheduler)))
    for other, its_scheduler in (optimizers, schedulers):
        its_scheduler.step(5)
        assert (other.param_groups[0]["lr"], optimizer.param_groups[0]["lr"]) == (0.05, 0.1)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda both: pickle.loads(pickle.dumps(both))])
def test_a_group_added_to_a_copy_has_its_rate_at_the_next_update(copied):
    optimizer = sgd(0.1)
    other, its_scheduler = copied((optimizer, calando.LRScheduler(optimizer, "linear(1, 0)", total_steps=10)))
    train(other, its_scheduler, steps=4)
    other.add_param_group({"params": [torch.nn.Parameter(torch.ones(1))], "lr": 1.0})
    other.step()
    assert other.param_groups[1]["lr"] == 0.6


RESUMED = {
    "by number": lambda scheduler: scheduler.step(6),
    "one by one": lambda scheduler: [scheduler.step() for _ in range(6)],
}


@pytest.mark.parametrize("resume", RESUMED)
@pytest.mark.parametrize("text", ["linear(1, 0)", TEXT, "constant(0.5)", "triangular(start=0.2, rise=3)"])
def test_who_resumes_by_the_step_alone_hears_nothing(text, resume):
    optimizer = sgd(0.1, 0.2)
    scheduler = calando.LRScheduler(optimizer, text, total_steps=TOTAL)
    train(optimizer, scheduler, steps=6)
    wanted = train(*copy.deepcopy((optimizer, scheduler)), steps=5)
    other = sgd(0.1, 0.2)
    other.load_state_dict(optimizer.state_dict())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = calando.LRScheduler(other, text, total_steps=TOTAL)
        RESUMED[resume](again)
        assert train(other, again, steps=5) == wanted


def test_who_resumes_at_another_step_than_was_saved_hears_of_it():
    optimizer = sgd(0.1)
    train(optimizer, calando.LRScheduler(optimizer, "linear(1, 0)", total_steps=TOTAL), steps=6)
    resumes = (lambda _, scheduler: scheduler.step(9), lambda other, scheduler: train(other, scheduler, steps=1))
    for resume in resumes:
        other = sgd(0.1)
        other.load_state_dict(optimizer.state_dict())
        again = calando.LRScheduler(other, "linear(1, 0)", total_steps=TOTAL)
        with pytest.warns(UserWarning, match="group 0 held lr="):
            resume(other, again)


@pytest.mark.parametrize("name", ["get_linear_schedule_with_warmup", "get_cosine_schedule_with_warmup"])
def test_transformers_way_to_resume_is_as_theirs_and_says_nothing(name):
    theirs = getattr(pytest.importorskip("transformers"), name)
    ours = getattr(as_theirs, name)
    optimizer = sgd(0.1, 0.2)
    train(optimizer, theirs(optimizer, 3, TOTAL), steps=7)
    rates = []
    for way in (theirs, ours):
        other = sgd(0.1, 0.2)
        other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            scheduler = way(other, 3, TOTAL, last_epoch=6)
            rates.append(train(other, scheduler, steps=6))
    first, second = ([rate for update in run for rate in update] for run in rates)
    assert second == pytest.approx(first, rel=1e-12)
