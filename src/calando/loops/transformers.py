"""Transformers' schedules by their own names and arguments, in calando's algebra.

    from calando.loops.transformers import get_cosine_schedule_with_warmup

Each returns a `calando.LRScheduler`, so its documentation of groups, tensor rates, resuming and extending applies.
Rates are theirs until num_training_steps; from there on the last one holds (theirs may climb again). In all of them
`last_epoch` is the update that was made last, -1 for none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial, reduce
from operator import rshift

from torch.optim import Optimizer

from calando.errors import UsageError
from calando.loops.torch_scheduler import LRScheduler
from calando.schedules import (
    Curve,
    Schedule,
    Span,
    constant,
    cosine,
    cut,
    inverse_sqrt,
    linear,
    one_minus_sqrt,
    parse,
    polynomial,
    repeat,
)
from calando.schedules.checks import checked_choice, checked_number
from calando.schedules.span import LONGEST_HORIZON

__all__ = [
    "get_constant_schedule",
    "get_constant_schedule_with_warmup",
    "get_cosine_schedule_with_warmup",
    "get_cosine_with_hard_restarts_schedule_with_warmup",
    "get_cosine_with_min_lr_schedule_with_warmup",
    "get_cosine_with_min_lr_schedule_with_warmup_lr_rate",
    "get_inverse_sqrt_schedule",
    "get_linear_schedule_with_warmup",
    "get_polynomial_decay_schedule_with_warmup",
    "get_wsd_schedule",
    "lambda_of",
]

Ways = Mapping[str, Callable[..., Schedule]]


def lambda_of(
    schedule: Schedule | str, total_steps: int, *, steps_per_epoch: int | None = None
) -> Callable[[int], float]:
    """A schedule as the function that torch's LambdaLR wants: of the step, and safe to pickle and to save.

    >>> lambda_of("linear(1, 0)", 4)(1)
    0.75
    """
    parsed = parse(schedule) if isinstance(schedule, str) else schedule
    # a partial has no attributes for LambdaLR to put into its state
    return partial(Curve.__call__, parsed.bind(total_steps, steps_per_epoch=steps_per_epoch))


def get_constant_schedule(optimizer: Optimizer, last_epoch: int = -1) -> LRScheduler:
    """constant(1)"""
    return _scheduler(optimizer, constant(1), 1, last_epoch)


def get_constant_schedule_with_warmup(optimizer: Optimizer, num_warmup_steps: int, last_epoch: int = -1) -> LRScheduler:
    """linear(0, 1, over=num_warmup_steps) >> constant(1)"""
    return _scheduler(optimizer, _warmed_up(num_warmup_steps, constant(1)), max(1, num_warmup_steps), last_epoch)


def get_linear_schedule_with_warmup(
    optimizer: Optimizer, num_warmup_steps: int, num_training_steps: int, last_epoch: int = -1
) -> LRScheduler:
    """linear(0, 1, over=num_warmup_steps) >> linear(1, 0)"""
    return _scheduler(optimizer, _warmed_up(num_warmup_steps, linear(1, 0)), num_training_steps, last_epoch)


def get_cosine_schedule_with_warmup(
    optimizer: Optimizer, num_warmup_steps: int, num_training_steps: int, num_cycles: float = 0.5, last_epoch: int = -1
) -> LRScheduler:
    """linear(0, 1, over=num_warmup_steps) >> cosine(1, 0), or num_cycles waves"""
    return get_cosine_with_min_lr_schedule_with_warmup(
        optimizer, num_warmup_steps, num_training_steps, num_cycles, last_epoch, min_lr_rate=0
    )


def get_cosine_with_hard_restarts_schedule_with_warmup(
    optimizer: Optimizer, num_warmup_steps: int, num_training_steps: int, num_cycles: int = 1, last_epoch: int = -1
) -> LRScheduler:
    """linear(0, 1, over=num_warmup_steps) >> repeat(cosine(1, 0), limit=num_cycles)"""
    waves = repeat(cosine(1, 0), limit=num_cycles)
    return _scheduler(optimizer, _warmed_up(num_warmup_steps, waves), num_training_steps, last_epoch)


def get_polynomial_decay_schedule_with_warmup(
    optimizer: Optimizer,
    num_warmup_steps: int,
    num_training_steps: int,
    lr_end: float = 1e-7,
    power: float = 1.0,
    last_epoch: int = -1,
) -> LRScheduler:
    """linear(0, 1, over=num_warmup_steps) >> polynomial(1, lr_end / lr, power=power)"""
    decay = polynomial(1, _floor(optimizer, lr_end, None), power=power)
    return _scheduler(optimizer, _warmed_up(num_warmup_steps, decay), num_training_steps, last_epoch)


def get_inverse_sqrt_schedule(
    optimizer: Optimizer, num_warmup_steps: int, timescale: int | None = None, last_epoch: int = -1
) -> LRScheduler:
    """linear(0, 1, over=num_warmup_steps) >> inverse_sqrt(timescale=timescale or num_warmup_steps or 10000)"""
    decay = inverse_sqrt(timescale=num_warmup_steps or 10_000 if timescale is None else timescale)
    return _scheduler(optimizer, _warmed_up(num_warmup_steps, decay), LONGEST_HORIZON, last_epoch)


def get_cosine_with_min_lr_schedule_with_warmup(
    optimizer: Optimizer,
    num_warmup_steps: int,
    num_training_steps: int,
    num_cycles: float = 0.5,
    last_epoch: int = -1,
    min_lr: float | None = None,
    min_lr_rate: float | None = None,
) -> LRScheduler:
    """linear(0, 1, over=num_warmup_steps) >> cosine(1, min_lr / lr), or num_cycles waves"""
    floor, left = _floor(optimizer, min_lr, min_lr_rate), num_training_steps - num_warmup_steps
    waves = _waves(1, floor, cycles=num_cycles, over=left)
    return _scheduler(optimizer, _warmed_up(num_warmup_steps, waves), num_training_steps, last_epoch)


def get_cosine_with_min_lr_schedule_with_warmup_lr_rate(
    optimizer: Optimizer,
    num_warmup_steps: int,
    num_training_steps: int,
    num_cycles: float = 0.5,
    last_epoch: int = -1,
    min_lr: float | None = None,
    min_lr_rate: float | None = None,
    warmup_lr_rate: float | None = None,
) -> LRScheduler:
    """linear(1 / num_warmup_steps, 1, over=num_warmup_steps - 1) >> cosine(1, min_lr / lr): all is a step early"""
    floor, left = _floor(optimizer, min_lr, min_lr_rate), num_training_steps - num_warmup_steps
    waves = _waves(1, floor, cycles=num_cycles, over=left)
    if num_warmup_steps > 1:
        start = 1 / num_warmup_steps if warmup_lr_rate is None else warmup_lr_rate
        waves = linear(start, 1, over=num_warmup_steps - 1) >> waves
    elif num_warmup_steps == 1 and warmup_lr_rate is not None:
        waves = (constant(warmup_lr_rate, over=1) >> constant(1)) * waves
    return _scheduler(optimizer, waves, num_training_steps, last_epoch)


def get_wsd_schedule(
    optimizer: Optimizer,
    num_warmup_steps: int,
    num_decay_steps: int,
    num_training_steps: int | None = None,
    num_stable_steps: int | None = None,
    warmup_type: str = "linear",
    decay_type: str = "cosine",
    min_lr_ratio: float = 0,
    num_cycles: float = 0.5,
    last_epoch: int = -1,
) -> LRScheduler:
    """linear(min_lr_ratio, 1, over=num_warmup_steps) >> constant(1, over=num_stable_steps) >> cosine(1, min_lr_ratio)

    warmup_type and decay_type are "linear", "cosine" or "1-sqrt".
    """
    if num_stable_steps is None:
        if num_training_steps is None:
            raise UsageError("get_wsd_schedule needs num_stable_steps or num_training_steps")
        num_stable_steps = num_training_steps - num_warmup_steps - num_decay_steps
    rise: Ways = {"linear": linear, "cosine": cosine, "1-sqrt": partial(polynomial, power=0.5)}
    fall: Ways = {"linear": linear, "cosine": partial(_waves, cycles=num_cycles), "1-sqrt": one_minus_sqrt}
    up = rise[checked_choice("warmup_type", warmup_type, rise)]
    down = fall[checked_choice("decay_type", decay_type, fall)]
    parts = [constant(min_lr_ratio)]
    parts[:0] = [down(1, min_lr_ratio, over=num_decay_steps)] if num_decay_steps else []
    parts[:0] = [constant(1, over=num_stable_steps)] if num_stable_steps else []
    parts[:0] = [up(min_lr_ratio, 1, over=num_warmup_steps)] if num_warmup_steps else []
    planned = num_warmup_steps + num_stable_steps + num_decay_steps
    return _scheduler(optimizer, reduce(rshift, parts), max(1, planned), last_epoch)


def _scheduler(optimizer: Optimizer, schedule: Schedule, total_steps: int, last_epoch: int) -> LRScheduler:
    scheduler = LRScheduler(optimizer, schedule, total_steps=total_steps)
    if last_epoch >= 0:
        scheduler.step(last_epoch + 1)
    return scheduler


def _warmed_up(steps: int, then: Schedule) -> Schedule:
    return linear(0, 1, over=steps) >> then if steps else then


def _floor(optimizer: Optimizer, rate: float | None, share: float | None) -> float:
    """The least rate as a share of the optimizer's default rate; every group then falls to that share of its own."""
    if share is not None and rate is None:
        return share
    if share is None and rate is not None:
        return float(rate / optimizer.defaults["lr"])
    raise UsageError("one of min_lr and min_lr_rate is needed, and not both")


def _waves(start: float, end: float, *, cycles: float, over: int) -> Schedule:
    """`cycles` cosine waves over `over` steps, from `start` to `end` and back; half a wave only falls."""
    half = Span(over / checked_number("num_cycles", 2 * cycles, above=0), "steps")
    down = cosine(start, end, over=half)
    return down if cycles == 0.5 else cut(repeat(down >> cosine(end, start, over=half)), over=over)
