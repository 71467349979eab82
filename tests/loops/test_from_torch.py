"""from_torch against stepping torch: every kind, whole traces, two groups, float and tensor rates."""

import numpy as np
import pytest
import torch
from hypothesis import assume, example, given
from hypothesis import strategies as st
from tests.oracles.traces import BASES, CLOSED, agree, chained, each_kind, horizons, ours, sgd, shares, stepped
from torch.optim import lr_scheduler, swa_utils

import calando
from calando.errors import UsageError
from calando.schedules import cosine, parse, per_group
from calando.schedules.from_torch import from_torch

tensors = st.booleans()
gammas = st.floats(0.5, 1.1)


def same(make, total, *, tensors, ulps=chained, key="lr"):
    """What `make` schedules on a fresh optimizer, as a schedule, is what stepping it gives; the schedule."""
    optimizer = sgd(tensors=tensors)
    scheduler = make(optimizer)
    schedule = from_torch(scheduler, total, hyper_parameter=key)
    bases = [float(group["initial_lr" if key == "lr" else "max_momentum"]) for group in optimizer.param_groups]
    theirs = stepped(scheduler, optimizer, total, key=key)
    agree(ours(schedule, total, bases), theirs, ulps=ulps)
    # wherever the scheduler stands, it is its own start that counts
    assert str(from_torch(scheduler, total, hyper_parameter=key)) == str(schedule)
    return schedule


@each_kind
@given(horizons, horizons, shares, tensors)
def test_constant(total, over, factor, tensors):
    same(lambda optimizer: lr_scheduler.ConstantLR(optimizer, factor, total_iters=over), total, tensors=tensors)


@each_kind
@given(horizons, horizons, shares, st.floats(0, 1), tensors)
def test_linear(total, over, start, end, tensors):
    same(lambda optimizer: lr_scheduler.LinearLR(optimizer, start, end, total_iters=over), total, tensors=tensors)


@each_kind
@given(horizons, gammas, tensors)
def test_exponential(total, gamma, tensors):
    same(lambda optimizer: lr_scheduler.ExponentialLR(optimizer, gamma), total, tensors=tensors)


@each_kind
@given(horizons, st.integers(1, 150), gammas, tensors)
def test_step(total, every, gamma, tensors):
    same(lambda optimizer: lr_scheduler.StepLR(optimizer, every, gamma), total, tensors=tensors)


@each_kind
@given(horizons, st.lists(st.integers(0, 30), max_size=8), gammas, tensors)
@example(10, [3, 3, 3, 5], 0.5, False)
def test_multistep(total, milestones, gamma, tensors):
    same(lambda optimizer: lr_scheduler.MultiStepLR(optimizer, milestones, gamma), total, tensors=tensors)


@each_kind
@given(horizons, horizons, st.floats(0.2, 5), tensors)
def test_polynomial(total, over, power, tensors):
    same(lambda optimizer: lr_scheduler.PolynomialLR(optimizer, total_iters=over, power=power), total, tensors=tensors)


def climbing(t_max):
    """Past T_max torch's chain divides what it rounded near the floor by 1 + cos(pi / T_max) and the like."""
    return lambda steps: chained(steps) * (1 + (steps > t_max) * t_max**2)


@each_kind
@given(horizons, horizons, st.floats(0, 0.0037), tensors)
def test_cosine_annealing_climbs_again(total, t_max, eta_min, tensors):
    def make(optimizer):
        return lr_scheduler.CosineAnnealingLR(optimizer, t_max, eta_min)

    schedule = same(make, total, tensors=tensors, ulps=climbing(t_max))
    closed, rates = make(sgd(tensors=tensors)), []
    for closed.last_epoch in range(total):
        rates.append([float(rate) for rate in closed._get_closed_form_lr()])
    agree(ours(schedule, total), np.array(rates))


@each_kind
@given(horizons, st.integers(1, 60), st.integers(1, 3), st.floats(0, 0.0037), tensors)
def test_cosine_warm_restarts(total, first, stretch, eta_min, tensors):
    same(
        lambda optimizer: lr_scheduler.CosineAnnealingWarmRestarts(optimizer, first, stretch, eta_min),
        total,
        tensors=tensors,
        ulps=CLOSED,
    )


def cyclic(optimizer, **options):
    return lr_scheduler.CyclicLR(optimizer, base_lr=list(BASES), max_lr=[0.7, 0.5], **options)


cycles = st.fixed_dictionaries(
    {
        "step_size_up": st.integers(1, 50),
        "step_size_down": st.none() | st.integers(0, 50),
        "mode": st.sampled_from(["triangular", "triangular2", "exp_range"]),
        "gamma": st.floats(0.9, 1),
    }
)


def within_cycles(up, down):
    """torch's place in the cycle is a difference of numbers as large as the count of cycles, scaled by its slope."""
    size = up + (up if down is None else down)
    slope = size / min(up, down or up)
    return lambda steps: CLOSED * slope * (2 + steps / size)


@each_kind
@given(horizons, cycles, tensors, st.sampled_from(["lr", "momentum"]))
def test_cyclic(total, options, tensors, key):
    ulps = within_cycles(options["step_size_up"], options["step_size_down"])
    same(lambda optimizer: cyclic(optimizer, **options), total, tensors=tensors, ulps=ulps, key=key)


@each_kind
@given(
    st.integers(2, 120),
    st.integers(100, 10_000).map(lambda share: share / 10_000),
    st.fixed_dictionaries(
        {
            "anneal_strategy": st.sampled_from(["cos", "linear"]),
            "div_factor": st.floats(1, 100),
            "final_div_factor": st.floats(0.1, 1e6),
            "three_phase": st.booleans(),
        }
    ),
    tensors,
    st.sampled_from(["lr", "momentum"]),
)
def test_one_cycle(total, warmup, options, tensors, key):
    assume(warmup * total > 1.001)  # below, see test_where_we_differ

    def make(optimizer):
        return lr_scheduler.OneCycleLR(optimizer, [0.5, 0.3], total_steps=total, pct_start=warmup, **options)

    # a place in a phase is a difference of steps, over the phase's length
    shortest = min(1.0, warmup * total - 1)
    same(make, total, tensors=tensors, ulps=CLOSED * total / shortest, key=key)


@each_kind
@given(horizons, tensors)
def test_lambda(total, tensors):
    lambdas = [lambda t: 1 / (1 + t), lambda t: 0.9**t]
    schedule = same(lambda optimizer: lr_scheduler.LambdaLR(optimizer, lambdas), total, tensors=tensors, ulps=CLOSED)
    assert schedule.group_names == ("0", "1")
    alike = from_torch(lr_scheduler.LambdaLR(sgd(), lambdas[0]), total)
    assert alike.group_names == ()


@each_kind
@given(horizons, gammas, tensors)
def test_multiplicative(total, gamma, tensors):
    lambdas = [lambda t: gamma, lambda t: t / (t + 1)]
    same(lambda optimizer: lr_scheduler.MultiplicativeLR(optimizer, lambdas), total, tensors=tensors)


@each_kind
@given(horizons, st.integers(0, 60), st.sampled_from(["cos", "linear"]), tensors)
def test_weight_averaging(total, over, strategy, tensors):
    same(
        lambda optimizer: swa_utils.SWALR(optimizer, [0.05, 0.01], anneal_epochs=over, anneal_strategy=strategy),
        total,
        tensors=tensors,
        # its chain divides by what is left of the way, which near the end is little
        ulps=lambda steps: chained(steps) * (1 + over) ** 2,
    )


children = st.sampled_from(
    [
        lambda optimizer, n: lr_scheduler.ConstantLR(optimizer, 0.3, total_iters=n),
        lambda optimizer, n: lr_scheduler.LinearLR(optimizer, 0.1, 0.8, total_iters=n),
        lambda optimizer, n: lr_scheduler.ExponentialLR(optimizer, 0.9),
        lambda optimizer, n: lr_scheduler.StepLR(optimizer, n, 0.5),
        lambda optimizer, n: lr_scheduler.MultiStepLR(optimizer, [n, n, 2 * n], 0.5),
        lambda optimizer, n: lr_scheduler.PolynomialLR(optimizer, n, power=2),
        lambda optimizer, n: lr_scheduler.MultiplicativeLR(optimizer, lambda t: t / (t + 1)),
        lambda optimizer, n: lr_scheduler.CosineAnnealingLR(optimizer, n, 0.001),
        lambda optimizer, n: lr_scheduler.CosineAnnealingWarmRestarts(optimizer, n, 2, 0.001),
        lambda optimizer, n: lr_scheduler.LambdaLR(optimizer, lambda t: 1 / (1 + t)),
    ]
)


@each_kind
@given(
    horizons,
    st.lists(st.tuples(children, st.integers(1, 40)), min_size=1, max_size=4),
    st.lists(st.integers(0, 60), min_size=3, max_size=3).map(sorted),
    tensors,
)
def test_sequential(total, parts, milestones, tensors):
    def make(optimizer):
        schedulers = [make(optimizer, n) for make, n in parts]
        kinds = [type(scheduler).__name__ for scheduler in schedulers]
        assume("MultiplicativeLR" not in [kind for kind, at in zip(kinds[1:], milestones, strict=False) if at > 0])
        return lr_scheduler.SequentialLR(optimizer, schedulers, milestones[: len(parts) - 1])

    climbs = any(type(make(sgd(), n)).__name__ == "CosineAnnealingLR" for make, n in parts)
    same(make, total, tensors=tensors, ulps=lambda steps: chained(steps) * (40**2 if climbs else 1))


@each_kind
@given(
    horizons,
    st.lists(
        st.sampled_from(
            [
                lambda optimizer: lr_scheduler.ConstantLR(optimizer, 0.3, total_iters=5),
                lambda optimizer: lr_scheduler.LinearLR(optimizer, 0.1, 0.8, total_iters=7),
                lambda optimizer: lr_scheduler.ExponentialLR(optimizer, 0.9),
                lambda optimizer: lr_scheduler.StepLR(optimizer, 9, 0.5),
                lambda optimizer: lr_scheduler.MultiStepLR(optimizer, [0, 4, 4, 20], 0.5),
                lambda optimizer: lr_scheduler.PolynomialLR(optimizer, 30, power=2),
                lambda optimizer: lr_scheduler.MultiplicativeLR(optimizer, lambda t: t / (t + 1)),
                lambda optimizer: lr_scheduler.CosineAnnealingLR(optimizer, 120),
            ]
        ),
        min_size=1,
        max_size=4,
    ),
    tensors,
)
def test_chained(total, parts, tensors):
    def make(optimizer):
        return lr_scheduler.ChainedScheduler([make(optimizer) for make in parts])

    same(make, total, tensors=tensors, ulps=lambda steps: len(parts) * chained(steps))


def test_equal_groups_share_one_schedule_and_others_are_named():
    body, head = (
        {"params": [torch.nn.Parameter(torch.ones(1))], "lr": base, "name": name}
        for base, name in [(0.1, "body"), (0.01, "head")]
    )
    optimizer = torch.optim.SGD([body, head])
    assert from_torch(lr_scheduler.CosineAnnealingLR(optimizer, 10), 10) == cosine(1, 0, over=10)
    floors = per_group({"body": cosine(1, 0.1, over=10), "head": cosine(1, 1, over=10)})
    assert from_torch(lr_scheduler.CosineAnnealingLR(optimizer, 10, eta_min=0.01), 10) == floors


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda it: lr_scheduler.LinearLR(it, 0.1, total_iters=5), "linear(0.1, 1, over='5 steps')"),
        (
            lambda it: lr_scheduler.LinearLR(it, 0.1, total_iters=500),
            "cut(linear(0.1, 1, over='500 steps'), over='100 steps')",
        ),
        (lambda it: lr_scheduler.ConstantLR(it, 0.5, total_iters=5), "constant(0.5, over='5 steps') >> constant(1)"),
        (lambda it: lr_scheduler.StepLR(it, 30), "step(every='30 steps', factor=0.1)"),
        (lambda it: lr_scheduler.CosineAnnealingLR(it, 100), "cosine(1, 0, over='100 steps')"),
        (
            lambda it: lr_scheduler.OneCycleLR(it, 0.1, total_steps=100),
            "cosine(1, 25, over='29 steps') >> cosine(25, 0.0001, over='70 steps')",
        ),
        (
            lambda it: lr_scheduler.CyclicLR(it, 0.01, 0.1, 10, mode="triangular2"),
            "repeat(linear(0, 9, over='10 steps') >> linear(9, 0, over='10 steps'), decay=0.5) + 1",
        ),
    ],
)
def test_it_reads_as_a_person_would_write_it(make, text):
    schedule = from_torch(make(sgd()), 100)
    assert str(schedule) == text
    assert parse(text) == schedule


def test_put_in_its_place_it_gives_the_same_rates():
    def make(optimizer):
        up = lr_scheduler.LinearLR(optimizer, 0.1, total_iters=5)
        down = lr_scheduler.CosineAnnealingLR(optimizer, 25, eta_min=0.001)
        return lr_scheduler.SequentialLR(optimizer, [up, down], [5])

    theirs, mine = sgd(), sgd()
    scheduler = make(theirs)
    replaced = calando.LRScheduler(mine, from_torch(scheduler, 30), total_steps=30)
    agree(stepped(replaced, mine, 30), stepped(scheduler, theirs, 30), ulps=chained)
    assert from_torch(replaced, 30) == replaced.schedule


def test_momentum_is_beta1_where_there_are_betas():
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.ones(1))])
    scheduler = lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=20, base_momentum=0.8, max_momentum=0.9)
    curve = from_torch(scheduler, 20, hyper_parameter="beta1").bind(20)
    for step in range(20):
        assert optimizer.param_groups[0]["betas"][0] == pytest.approx(0.9 * curve(step), rel=1e-12)
        optimizer.step()
        scheduler.step()
    with pytest.raises(UsageError, match="OneCycleLR does not schedule 'momentum'; it does lr and beta1"):
        from_torch(scheduler, 20, hyper_parameter="momentum")


class Mine(lr_scheduler.StepLR):
    pass


REFUSED = {
    "ReduceLROnPlateau follows a metric": lambda it: lr_scheduler.ReduceLROnPlateau(it),
    "Mine is not known; known are ChainedScheduler, ConstantLR": lambda it: Mine(it, 3),
    "builtins.object is not known": lambda it: object(),
    "scale_fn of its own": lambda it: lr_scheduler.CyclicLR(it, 0.1, 1, scale_fn=lambda x: 1),
    "OneCycleLR is for 10 steps; from_torch was asked for 20": lambda it: lr_scheduler.OneCycleLR(
        it, 1, total_steps=10
    ),
    "warmup ends at step -1, before it begins": lambda it: lr_scheduler.OneCycleLR(
        it, 1, total_steps=20, pct_start=0.0
    ),
    "LinearLR has total_iters 0": lambda it: lr_scheduler.LinearLR(it, total_iters=0),
    "LambdaLR in ChainedScheduler sets the rate": lambda it: lr_scheduler.ChainedScheduler(
        [lr_scheduler.ExponentialLR(it, 0.9), lr_scheduler.LambdaLR(it, lambda t: 1)]
    ),
    "CosineAnnealingLR in ChainedScheduler": lambda it: lr_scheduler.ChainedScheduler(
        [lr_scheduler.ExponentialLR(it, 0.9), lr_scheduler.CosineAnnealingLR(it, 5)]
    ),
    "MultiplicativeLR that begins at step 5": lambda it: lr_scheduler.SequentialLR(
        it, [lr_scheduler.ConstantLR(it), lr_scheduler.MultiplicativeLR(it, lambda t: 1)], [5]
    ),
    "ConstantLR has base rate 0.1, but its group starts from 0.04": lambda it: lr_scheduler.SequentialLR(
        it, [lr_scheduler.ConstantLR(it), lr_scheduler.OneCycleLR(it, 1, total_steps=50)], [5]
    ),
    "group 0 has base rate 0": lambda it: lr_scheduler.CyclicLR(it, 0, 0.1, 10),
}


@pytest.mark.parametrize(("message", "make"), REFUSED.items(), ids=REFUSED)
def test_what_has_no_schedule_is_refused(message, make):
    with pytest.raises(UsageError, match=message):
        from_torch(make(sgd([0.1])), 20)


def test_groups_of_one_name_must_be_alike():
    groups = [{"params": [torch.nn.Parameter(torch.ones(1))], "lr": base, "name": "all"} for base in BASES]
    scheduler = lr_scheduler.CosineAnnealingLR(torch.optim.SGD(groups), 10, eta_min=0.001)
    with pytest.raises(UsageError, match="two parameter groups are named 'all' and have different rates"):
        from_torch(scheduler, 10)
