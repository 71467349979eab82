"""pytorch_optimizer's schedulers as oracle: whole traces, random parameters, two groups.

Theirs give every group the same rate, so the groups here have one base rate: the peak. What they call a step is
the rate that step() returns, the first of them for update 0; see the tests of where we differ.
"""

from functools import reduce
from operator import rshift

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from tests.oracles.traces import CLOSED, agree, each_kind, horizons, ours, sgd, stepped

import calando
from calando.schedules import (
    chebyshev,
    constant,
    cosine,
    cut,
    linear,
    one_minus_sqrt,
    one_minus_square,
    polynomial,
    power_decay,
    rex,
    warmup_cosine_restarts,
)

theirs_by_name = pytest.importorskip("pytorch_optimizer.lr_scheduler")

peaks = st.floats(1e-4, 1)
floors = st.floats(0, 1)
tensors = st.booleans()

SMALLEST = 5e-324  # below 2e-308 numbers are this far apart


def returned(scheduler, optimizer, total):
    """The rates that each of `total` calls of step() gives to every group, shape (total, groups)."""
    rates = []
    for _ in range(total):
        scheduler.step()
        rates.append([float(group["lr"]) for group in optimizer.param_groups])
    return np.array(rates)


def same(schedule, total, peak, make, *, ulps=CLOSED):
    optimizer = sgd([peak, peak])
    agree(ours(schedule, total, [peak, peak]), returned(make(optimizer), optimizer, total), ulps=ulps)


@st.composite
def warmups(draw):
    """A horizon, a shorter warmup, and the schedule of that warmup from a share of the peak."""
    total = draw(horizons)
    steps, start = draw(st.integers(0, total - 1)), draw(floors)
    return total, steps, start, [linear(start, 1, over=steps)] if steps else []


def arguments(total, steps, start, peak, floor):
    return {
        "t_max": total,
        "warmup_steps": steps,
        "max_lr": peak,
        "min_lr": floor * peak,
        "init_lr": start * peak,
    }


@each_kind
@given(warmups(), peaks, floors)
def test_linear(warmup, peak, floor):
    total, steps, start, rise = warmup
    schedule = reduce(rshift, [*rise, linear(1, floor)])
    named = arguments(total, steps, start, peak, floor)
    same(schedule, total, peak, lambda optimizer: theirs_by_name.LinearScheduler(optimizer, **named))


@each_kind
@given(warmups(), peaks, floors)
def test_cosine(warmup, peak, floor):
    total, steps, start, rise = warmup
    schedule = reduce(rshift, [*rise, cosine(1, floor)])
    named = arguments(total, steps, start, peak, floor)
    same(schedule, total, peak, lambda optimizer: theirs_by_name.CosineScheduler(optimizer, **named))


@each_kind
@given(warmups(), peaks, floors.map(lambda floor: 0.9 * floor), st.floats(0.1, 3))  # 1 - floor keeps its digits
def test_poly_grows(warmup, peak, floor, power):
    total, steps, start, rise = warmup
    grows = power_decay(exponent=-power) * (1 - floor) + floor
    schedule = reduce(rshift, [*rise, constant(1, over=1), grows])
    named = arguments(total, steps, start, peak, floor)
    same(schedule, total, peak, lambda optimizer: theirs_by_name.PolyScheduler(optimizer, power, **named))


@each_kind
@given(horizons, peaks, floors)
def test_rex(total, peak, floor):
    # the constructor makes the first of its steps
    optimizer = sgd([peak, peak])
    scheduler = theirs_by_name.REXScheduler(optimizer, total, max_lr=peak, min_lr=floor * peak)
    mine = ours(rex(1, floor, beta=0.5), total, [peak, peak])
    agree(mine[1:], returned(scheduler, optimizer, total - 1))


@each_kind
@given(
    horizons,
    st.integers(2, 60),
    st.integers(0, 20),
    st.floats(0.5, 3),
    peaks,
    floors,
    st.floats(0.3, 1.2),
)
def test_cosine_warmup_restarts(total, first, warmup, stretch, peak, floor, gamma):
    assume(warmup < first)
    cycles, begin, length = [], 0, first
    while begin < total:
        top = gamma ** len(cycles)
        cycles.append(cosine(top, floor, over=length - warmup))
        if warmup:
            cycles[-1] = linear(floor, top, over=warmup) >> cycles[-1]
        begin += length
        length = max(1, int((length - warmup) * stretch)) + warmup
    schedule = cut(reduce(rshift, cycles), over=total)
    optimizer = sgd([peak, peak])
    named = {"cycle_mult": stretch, "max_lr": peak, "min_lr": floor * peak, "warmup_steps": warmup, "gamma": gamma}
    scheduler = theirs_by_name.CosineAnnealingWarmupRestarts(optimizer, first, **named)
    agree(ours(schedule, total, [peak, peak])[1:], returned(scheduler, optimizer, total - 1))


@each_kind
@given(horizons, st.integers(2, 60), st.integers(1, 20), peaks, floors, st.floats(0.3, 1.2))
def test_cosine_warmup_restarts_of_one_length(total, first, warmup, peak, floor, gamma):
    assume(warmup < first)
    schedule = warmup_cosine_restarts(first=first, warmup=warmup, decay=gamma, floor=floor)
    optimizer = sgd([peak, peak])
    named = {"max_lr": peak, "min_lr": floor * peak, "warmup_steps": warmup, "gamma": gamma}
    scheduler = theirs_by_name.CosineAnnealingWarmupRestarts(optimizer, first, **named)
    theirs = stepped(scheduler, optimizer, total)
    agree(ours(schedule, total, [peak, peak]), theirs)


@each_kind
@given(st.integers(5, 200), st.booleans(), tensors)
def test_chebyshev(total, is_warmup, tensors):
    nodes = 2 ** (int(np.log2(total - 1)) + 1)
    held = chebyshev(nodes=nodes, over=1)
    schedule = constant(1) if is_warmup else held >> held >> chebyshev(nodes=nodes)
    optimizer = sgd(tensors=tensors)
    scheduler = theirs_by_name.get_chebyshev_schedule(optimizer, total, is_warmup=is_warmup)
    # one over a difference that is small where the value is great
    agree(ours(schedule, total), stepped(scheduler, optimizer, total), ulps=CLOSED * 20)


@each_kind
@given(
    st.tuples(*[st.integers(0, 40)] * 3),
    st.sampled_from(["cosine", "1-sqrt", "linear", "1-square"]),
    floors,
    tensors,
)
def test_wsd(lengths, cooldown, floor, tensors):
    warmup, stable, decay = lengths
    # all but the cosine fall to zero and jump to the floor after
    fall = {
        "cosine": lambda: cosine(1, floor, over=decay),
        "1-sqrt": lambda: one_minus_sqrt(1, 0, over=decay),
        "linear": lambda: linear(1, 0, over=decay),
        "1-square": lambda: one_minus_square(1, 0, over=decay),
    }
    parts = [linear(0, 1, over=warmup)] if warmup else []
    parts += [constant(1, over=stable)] if stable else []
    parts += [fall[cooldown]()] if decay else []
    schedule, total = reduce(rshift, [*parts, constant(floor)]), sum(lengths) + 9
    optimizer = sgd(tensors=tensors)
    scheduler = theirs_by_name.get_wsd_schedule(optimizer, *lengths, min_lr_ratio=floor, cooldown_type=cooldown)
    agree(ours(schedule, total), stepped(scheduler, optimizer, total))


@each_kind
@given(horizons, peaks, st.floats(0, 0.9), st.floats(-2, 2), st.floats(-2, 2))
def test_proportion(total, peak, floor, least, most):
    optimizer = sgd([peak, peak])
    followed = theirs_by_name.CosineScheduler(optimizer, t_max=total, max_lr=peak, min_lr=floor * peak)
    scheduler, values = theirs_by_name.ProportionScheduler(followed, peak, floor * peak, most, least), []
    for _ in range(total):
        followed.step()
        values.append([scheduler.step()] * 2)
    slope = (most - least) / (1 - floor)
    schedule = cosine(1, floor) * slope + (least - slope * floor)
    # their difference of two rates is over one that may be small
    rounding = CLOSED * 2.0**-52 * 10 * (abs(slope) + abs(least) + abs(most)) + 4 * SMALLEST
    assert np.abs(ours(schedule, total, [1, 1]) - values).max() <= rounding


def test_the_rates_that_deberta_gives_to_its_groups_keep_their_ratios():
    model = torch.nn.Sequential(*[torch.nn.Linear(2, 2) for _ in range(4)])
    groups = theirs_by_name.deberta_v3_large_lr_scheduler(model, 2, 4, head_param_start=6)
    optimizer = torch.optim.AdamW(groups)
    scheduler = calando.LRScheduler(optimizer, "linear(1, 0)", total_steps=10)
    scheduler.step(5)
    assert [group["lr"] for group in optimizer.param_groups] == [group["initial_lr"] / 2 for group in groups]
    assert len({group["lr"] for group in optimizer.param_groups}) == 4


def test_where_we_differ_the_first_update_has_the_first_rate():
    named = {"t_max": 10, "max_lr": 0.1, "min_lr": 0.01}
    for make in (
        lambda optimizer: theirs_by_name.CosineScheduler(optimizer, **named),
        lambda optimizer: theirs_by_name.REXScheduler(optimizer, 10, max_lr=0.1, min_lr=0.01),
        lambda optimizer: theirs_by_name.CosineAnnealingWarmupRestarts(optimizer, 10, max_lr=0.1, min_lr=0.01),
    ):
        optimizer = sgd([0.1])
        make(optimizer)
        assert optimizer.param_groups[0]["lr"] == 0.01
    optimizer = sgd([0.1])
    calando.LRScheduler(optimizer, cosine(1, 0.1), total_steps=10)
    assert optimizer.param_groups[0]["lr"] == 0.1


def test_where_we_differ_groups_keep_their_ratios():
    theirs, mine = sgd([0.1, 0.01]), sgd([0.1, 0.01])
    theirs_by_name.CosineScheduler(theirs, t_max=10, max_lr=0.1).step()
    assert [group["lr"] for group in theirs.param_groups] == [0.1, 0.1]
    calando.LRScheduler(mine, cosine(1, 0), total_steps=10)
    assert [group["lr"] for group in mine.param_groups] == [0.1, 0.01]


def test_where_we_differ_a_polynomial_does_not_grow_past_its_peak():
    optimizer = sgd([0.1])
    scheduler = theirs_by_name.PolyScheduler(optimizer, 0.5, t_max=100, max_lr=0.1)
    assert returned(scheduler, optimizer, 100).max() == pytest.approx(0.1 * 99**0.5)
    assert polynomial(1, 0, power=0.5).bind(100).sample().max() == 1


def test_where_we_differ_few_chebyshev_nodes_are_all_used():
    for total, used in ((2, 1), (4, 2)):
        optimizer = sgd([0.1])
        scheduler = theirs_by_name.get_chebyshev_schedule(optimizer, total)
        assert len(np.unique(stepped(scheduler, optimizer, 50))) == used
        assert len(np.unique(chebyshev(nodes=total).bind(50).sample())) == total


def test_where_we_differ_a_cool_down_with_a_floor_does_not_jump_to_it():
    optimizer = sgd([0.1])
    scheduler = theirs_by_name.get_wsd_schedule(optimizer, 0, 0, 10, min_lr_ratio=0.5, cooldown_type="linear")
    theirs = stepped(scheduler, optimizer, 11)[:, 0]
    assert theirs[9] == pytest.approx(0.01)
    assert theirs[10] == 0.05
    assert linear(1, 0.5, over=10).bind(11)([9, 10]).tolist() == [0.55, 0.5]
