"""torch's schedulers as oracle: whole traces, two parameter groups, parameters and horizons at random.

What may differ: a relative 1e-12, and torch's own rounding, which ours does not have, in units of the base
rate. A closed form of torch's rounds a few times (`CLOSED` ulps; (1 + cos x) / 2 loses these beside its
zero). A chained one (the rate from the rate before) rounds a few times at each step, so `CHAINED` ulps a step.
"""

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.optim import lr_scheduler as torch_schedulers

from calando.schedules import (
    constant,
    cosine,
    exponential,
    linear,
    multistep,
    one_cycle,
    polynomial,
    step,
)

BASES = (0.1, 0.0037)
ULP = 2.0**-52
CLOSED = 2
CHAINED = 2

horizons = st.integers(2, 200)
factors = st.floats(0.01, 1)
each_kind = settings(deadline=None, max_examples=50)


def build(make, bases=BASES):
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": base} for base in bases]
    optimizer = torch.optim.SGD(groups)
    return optimizer, make(optimizer)


def trace(make, steps):
    """The rates of updates 0 .. steps - 1 as a training loop sees them, shape (steps, groups)."""
    optimizer, scheduler = build(make)
    rates = []
    for _ in range(steps):
        rates.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        with warnings.catch_warnings():
            # SequentialLR calls step(epoch), which torch itself deprecates
            warnings.simplefilter("ignore", UserWarning)
            scheduler.step()
    return np.array(rates)


def closed_trace(make, steps):
    """torch's closed form where it has one, shape (steps, groups)."""
    _, scheduler = build(make)
    rates = []
    for t in range(steps):
        scheduler.last_epoch = t
        rates.append(scheduler._get_closed_form_lr())
    return np.array(rates)


def agree(ours, theirs, *, chained):
    steps = np.arange(len(theirs))[:, None]
    wanted = np.outer(ours, BASES)
    rounding = (CHAINED * (steps + 1) if chained else CLOSED) * ULP * np.array(BASES) * max(1, np.abs(ours).max())
    assert wanted.shape == theirs.shape
    off = np.abs(wanted - theirs) - 1e-12 * np.abs(theirs) - rounding
    worst = np.unravel_index(np.argmax(off), off.shape)
    assert off[worst] <= 0, (worst, wanted[worst], theirs[worst])


def same(schedule, total, make):
    """Equal to torch's closed form and to what its scheduler does step by step."""
    ours = schedule.bind(total).sample()
    agree(ours, closed_trace(make, total), chained=False)
    agree(ours, trace(make, total), chained=True)


@each_kind
@given(horizons, st.floats(0, 1))
def test_cosine_annealing(total, floor):
    # torch's floor is a rate and not a share of each group's base: one group at a time
    for base in BASES:

        def make(optimizer, base=base):
            return torch_schedulers.CosineAnnealingLR(optimizer, T_max=total, eta_min=floor * base)

        ours = cosine(1, floor).bind(total).sample()
        index = BASES.index(base)
        steps = np.arange(total)
        theirs = closed_trace(make, total)[:, index], trace(make, total)[:, index]
        for rates, ulps in zip(theirs, (CLOSED, CHAINED * (steps + 1)), strict=True):
            assert (np.abs(ours * base - rates) <= 1e-12 * rates + ulps * ULP * base).all()


@each_kind
@given(horizons, horizons, factors, factors)
def test_linear(total, over, start, end):
    total = max(total, over)
    same(
        linear(start, end, over=over),
        total,
        lambda optimizer: torch_schedulers.LinearLR(optimizer, start, end, total_iters=over),
    )


@each_kind
@given(horizons, horizons, factors)
def test_constant(total, over, factor):
    same(
        constant(factor, over=min(total, over)) >> constant(1),
        total,
        lambda optimizer: torch_schedulers.ConstantLR(optimizer, factor, total_iters=min(total, over)),
    )


@each_kind
@given(horizons, st.floats(0.3, 1))
def test_exponential(total, gamma):
    def make(optimizer):
        return torch_schedulers.ExponentialLR(optimizer, gamma)

    same(exponential(1, gamma**total), total, make)
    same(step(every=1, factor=gamma), total, make)


@each_kind
@given(horizons, st.integers(1, 400), st.floats(0.1, 1.1))
def test_step(total, every, gamma):
    gamma = max(gamma, 0.5) if every < 3 else gamma
    gamma = min(gamma, 1.0) if every < 3 else gamma
    same(
        step(every=every, factor=gamma),
        total,
        lambda optimizer: torch_schedulers.StepLR(optimizer, every, gamma),
    )


@each_kind
@given(horizons, st.sets(st.integers(1, 400), min_size=1, max_size=6), st.floats(0.1, 1.5))
def test_multistep(total, milestones, gamma):
    milestones = sorted(milestones)
    same(
        multistep(at=milestones, factor=gamma),
        total,
        lambda optimizer: torch_schedulers.MultiStepLR(optimizer, milestones, gamma),
    )


@each_kind
@given(horizons, horizons, st.floats(0.2, 5))
def test_polynomial(total, over, power):
    total = max(total, over)
    same(
        polynomial(1, 0, power=power, over=over),
        total,
        lambda optimizer: torch_schedulers.PolynomialLR(optimizer, total_iters=over, power=power),
    )


@each_kind
@given(st.integers(10, 200), st.floats(0.2, 0.9), st.floats(1, 100), st.floats(1, 1e6))
def test_one_cycle(total, warmup, div_factor, final_div_factor):
    """torch counts total - 1 intervals and peaks one step early: ours, told so, is the same."""

    def make(optimizer):
        return torch_schedulers.OneCycleLR(
            optimizer,
            max_lr=list(BASES),
            total_steps=total,
            pct_start=warmup,
            div_factor=div_factor,
            final_div_factor=final_div_factor,
            cycle_momentum=False,
        )

    start = 1 / div_factor
    schedule = one_cycle(warmup=f"{warmup * total - 1!r} steps", start=start, end=start / final_div_factor)
    ours = schedule.bind(total - 1)(np.arange(total))
    # torch would step past its own end after the last update: it is not asked to
    optimizer, scheduler = build(make)
    theirs = []
    for t in range(total):
        theirs.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        if t < total - 1:
            scheduler.step()
    agree(ours, np.array(theirs), chained=False)


@each_kind
@given(st.integers(4, 200), st.data())
def test_warmup_then_cosine(total, data):
    warmup = data.draw(st.integers(1, total - 2))
    start = data.draw(factors)

    def make(optimizer):
        up = torch_schedulers.LinearLR(optimizer, start, 1.0, total_iters=warmup)
        down = torch_schedulers.CosineAnnealingLR(optimizer, T_max=total - warmup)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            return torch_schedulers.SequentialLR(optimizer, [up, down], milestones=[warmup])

    schedule = linear(start, 1, over=warmup) >> cosine(1, 0)
    agree(schedule.bind(total).sample(), trace(make, total), chained=True)


@each_kind
@given(horizons, st.integers(1, 100), factors, st.floats(0.5, 1))
def test_a_product_is_torchs_chained_scheduler(total, over, start, gamma):
    over = min(over, total)

    def make(optimizer):
        warmup = torch_schedulers.LinearLR(optimizer, start, 1.0, total_iters=over)
        return torch_schedulers.ChainedScheduler([warmup, torch_schedulers.StepLR(optimizer, 7, gamma)])

    schedule = linear(start, 1, over=over) * step(every=7, factor=gamma)
    agree(schedule.bind(total).sample(), trace(make, total), chained=True)


def test_where_we_differ_cosine_does_not_climb_again():
    theirs = trace(lambda optimizer: torch_schedulers.CosineAnnealingLR(optimizer, T_max=10), 21)[:, 0]
    assert theirs[20] == pytest.approx(BASES[0], rel=1e-12)
    assert cosine(1, 0, over=10).bind(21)(20) == 0


def one_cycle_of_torch(optimizer, *, pct_start):
    return torch_schedulers.OneCycleLR(
        optimizer, max_lr=list(BASES), total_steps=20, pct_start=pct_start, cycle_momentum=False
    )


def test_where_we_differ_one_cycle_has_no_impossible_warmup():
    with pytest.raises(ZeroDivisionError):
        build(lambda optimizer: one_cycle_of_torch(optimizer, pct_start=0.05))
    assert one_cycle(warmup="5%").bind(20)([0, 1]).tolist() == [0.04, 1]


def test_where_we_differ_one_cycle_does_not_climb_again():
    optimizer, scheduler = build(lambda optimizer: one_cycle_of_torch(optimizer, pct_start=0.5))
    theirs = []
    for _ in range(20):
        optimizer.step()
        scheduler.step()
        theirs.append(scheduler.get_last_lr()[0])
    assert theirs[19] > theirs[18]
    ours = one_cycle(warmup="50%").bind(20)
    assert ours(21) == ours(20) == 4e-6
