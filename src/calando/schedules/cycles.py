"""Cycles: down, or up and down, again and again; each a repeated chain of ramps, which is its formula."""

from __future__ import annotations

from calando.errors import UsageError
from calando.language import message
from calando.schedules.checks import BadArgument, checked_number
from calando.schedules.known_schedules import Seen, counterpart, register
from calando.schedules.named_ramps import cosine, linear, polynomial
from calando.schedules.repeat import repeat
from calando.schedules.schedule import Schedule
from calando.schedules.span import Span, SpanLike, span_or_none
from calando.schedules.steps import step
from calando.schedules.timescale import exponential_decay, power_decay
from calando.schedules.transform import staircase

__all__ = ["cosine_restarts", "exp_range", "polynomial_cycles", "triangular", "triangular2", "warmup_cosine_restarts"]


@register(family="Cycles", example="cosine_restarts(first='15%', stretch=2, decay=0.8)")
def cosine_restarts(
    *,
    first: SpanLike | None = None,
    stretch: float = 1,
    decay: float = 1,
    limit: int | None = None,
    floor: float = 0,
) -> Schedule:
    """Down along half a cosine wave, again and again: warm restarts.

    Formula: floor + (decay ** k - floor) * (1 + cos(pi * p)) / 2, p progress in cycle k, first * stretch ** k long

    The peak decays and the floor stays, as in timm. TensorFlow's CosineDecayRestarts(alpha=f) lets the height above
    the floor decay instead: `cosine_restarts(first=..., decay=...) * (1 - f) + f`.

    Args:
        first: length of the first cycle; without it, `limit` cycles share the steps that are left.
        stretch: length of each cycle as a multiple of the one before, above 0.
        decay: height of each peak as a multiple of the one before, above 0.
        limit: number of cycles, after which the floor holds; without it, they go on to the end.
        floor: value at the end of each cycle, as a multiple of the first peak.

    Raises:
        UsageError: an argument out of range; neither `first` nor `limit`; when bound, cycles that do not fit.

    Source: SGDR, Loshchilov & Hutter 2017, arXiv:1608.03983; torch's CosineAnnealingWarmRestarts(T_0=first,
    T_mult=stretch); timm's CosineLRScheduler(t_initial, cycle_mul, cycle_decay, cycle_limit); transformers'
    cosine_with_hard_restarts(num_cycles=n) is `linear(0, 1, over=w) >> cosine_restarts(limit=n)`.

    >>> cosine_restarts(first="10%", stretch=2, floor=0.01)
    repeat(cosine(1, 0), every='10%', stretch=2) + repeat(cosine(0, 0.01), every='10%', stretch=2)
    """
    every = _first_cycle(first, limit)
    falls = repeat(cosine(1, 0), every=every, stretch=stretch, decay=decay, limit=limit)
    if checked_number("floor", floor) == 0:
        return falls
    return falls + repeat(cosine(0, floor), every=every, stretch=stretch, limit=limit)


@counterpart("CosineAnnealingWarmRestarts")
def _restarts(seen: Seen) -> Schedule:
    floor = seen.share(seen.scheduler.eta_min)
    return repeat(cosine(1, floor), every=seen.scheduler.T_0, stretch=seen.scheduler.T_mult)


@register(family="Cycles", example="warmup_cosine_restarts(first='25%', warmup='5%', decay=0.8)")
def warmup_cosine_restarts(
    *,
    warmup: SpanLike,
    first: SpanLike | None = None,
    stretch: float = 1,
    decay: float = 1,
    limit: int | None = None,
    floor: float = 0,
) -> Schedule:
    """Up in a line and down along half a cosine wave, again and again: warm restarts with a warmup each.

    Formula: floor + (decay ** k - floor) * w, in cycle k w is t / warmup and then falls as (1 + cos(pi * p)) / 2

    Args:
        warmup: how long the rise of each cycle is; it is the same for all cycles, however long they become.
        first: length of the first cycle, its warmup included; without it, `limit` cycles share the steps that are left.
        stretch: length of each cycle as a multiple of the one before, above 0.
        decay: height of each peak as a multiple of the one before, above 0.
        limit: number of cycles, after which the floor holds; without it, they go on to the end.
        floor: value at the start and end of each cycle, as a multiple of the first peak.

    Raises:
        UsageError: an argument out of range; neither `first` nor `limit`; when bound, cycles that do not fit.

    Source: pytorch_optimizer's CosineAnnealingWarmupRestarts(first_cycle_steps=first, warmup_steps=warmup,
    gamma=decay); where its cycle_mult is not 1 it stretches what comes after the warmup, this the whole cycle.

    >>> warmup_cosine_restarts(first=100, warmup=10)
    repeat(linear(0, 1, over='10 steps') >> cosine(1, 0), every='100 steps')
    """
    every, over = _first_cycle(first, limit), Span.parse(warmup, name="warmup")
    cycles = repeat(linear(0, 1, over=over) >> cosine(1, 0), every=every, stretch=stretch, decay=decay, limit=limit)
    if checked_number("floor", floor) == 0:
        return cycles
    below = linear(floor, 0, over=over) >> cosine(0, floor)
    return cycles + repeat(below, every=every, stretch=stretch, limit=limit)


@register(family="Cycles", example="triangular(rise='15%')")
def triangular(*, rise: SpanLike, fall: SpanLike | None = None, start: float = 0.1) -> Schedule:
    """Up and down in lines, again and again.

    Formula: start + (1 - start) * w, in each cycle w rises from 0 to 1 over rise and falls to 0 over fall

    For the momentum, which falls while the rate rises, let the base value be the least momentum, and start the greatest
    as a multiple of it: torch's CyclicLR(base_momentum=0.8, max_momentum=0.9) has start = 0.9 / 0.8.

    Args:
        rise: how long each rise is.
        fall: how long each fall is; without it, as long as a rise.
        start: value at the start and end of each cycle.

    Raises:
        UsageError: an argument out of range.

    Source: Smith 2017, arXiv:1506.01186; torch's CyclicLR(base_lr, max_lr, step_size_up=rise, step_size_down=fall),
    with start = base_lr / max_lr and max_lr as the base rate.

    >>> triangular(rise=2, start=0.5).bind(8).sample()
    array([0.5 , 0.75, 1.  , 0.75, 0.5 , 0.75, 1.  , 0.75])
    """
    up, down = _rise_and_fall(rise, fall)
    return repeat(linear(start, 1, over=up) >> linear(1, start, over=down))


@register(family="Cycles", example="triangular2(rise='15%')")
def triangular2(*, rise: SpanLike, fall: SpanLike | None = None, start: float = 0.1) -> Schedule:
    """Up and down in lines, again and again, each time half as high.

    Formula: start + (1 - start) * w / 2 ** k, in cycle k w rises from 0 to 1 over rise and falls to 0 over fall

    Args:
        rise: how long each rise is.
        fall: how long each fall is; without it, as long as a rise.
        start: value at the start and end of each cycle.

    Raises:
        UsageError: an argument out of range.

    Source: Smith 2017, arXiv:1506.01186; torch's CyclicLR(mode="triangular2"), as for `triangular`.

    >>> triangular2(rise=2, start=0.5).bind(8).sample()
    array([0.5  , 0.75 , 1.   , 0.75 , 0.5  , 0.625, 0.75 , 0.625])
    """
    return repeat(_triangle(rise, fall, 1 - checked_number("start", start)), decay=0.5) + start


@register(family="Cycles", example="exp_range(rise='10%', factor=0.998)")
def exp_range(
    *, rise: SpanLike, fall: SpanLike | None = None, start: float = 0.1, factor: float, every: SpanLike = 1
) -> Schedule:
    """Up and down in lines, again and again, lower and lower by the same ratio at each step.

    Formula: start + (1 - start) * w * factor ** (t / every), in each cycle w rises from 0 to 1 and falls to 0

    Args:
        rise: how long each rise is.
        fall: how long each fall is; without it, as long as a rise.
        start: value at the start and end of each cycle.
        factor: what each interval multiplies the height by, above 0.
        every: the interval of `factor`; one step unless given, as for torch's gamma.

    Raises:
        UsageError: an argument out of range.

    Source: Smith 2017, arXiv:1506.01186; torch's CyclicLR(mode="exp_range", gamma=factor), as for `triangular`.

    >>> exp_range(rise=2, start=0.5, factor=0.5, every=4).bind(8).sample().round(3)
    array([0.5  , 0.71 , 0.854, 0.649, 0.5  , 0.605, 0.677, 0.574])
    """
    triangles = repeat(_triangle(rise, fall, 1 - checked_number("start", start)))
    return triangles * exponential_decay(factor=factor, every=every) + start


@register(family="Cycles", example="polynomial_cycles(every='25%')")
def polynomial_cycles(*, every: SpanLike, power: float = 1, end: float = 0) -> Schedule:
    """Down by a power, again and again, each time from a lower peak.

    Formula: end + (1 - end) * ((1 - p) / (k + 1)) ** power, p progress in cycle k

    Each cycle is the last part of a polynomial that is as long as all cycles so far.

    Args:
        every: length of a cycle.
        power: above 0.
        end: value at the end of each cycle.

    Raises:
        UsageError: an argument out of range.

    Source: Keras' PolynomialDecay(decay_steps=every, cycle=True). There a cycle includes its last step and not its
    first: at t = every, 2 * every, ... it has the end value, and this the next peak.

    >>> polynomial_cycles(every=2).bind(6).sample().round(3)
    array([1.   , 0.5  , 0.5  , 0.25 , 0.333, 0.167])
    """
    span, low = Span.parse(every, name="every"), checked_number("end", end)
    peaks = staircase(power_decay(exponent=power, timescale=span), every=span)
    return repeat(polynomial(1 - low, 0, power=power, over=span)) * peaks + low


@counterpart("CyclicLR")
def _cyclic(seen: Seen) -> Schedule:
    scheduler = seen.scheduler
    if scheduler._scale_fn_custom is not None:
        raise UsageError(
            message("CyclicLR with a scale_fn of its own is not known; write it as function(f, of='steps')")
        )
    if seen.key == "lr":
        start, peak = seen.share(scheduler.base_lrs[seen.index]), seen.share(scheduler.max_lrs[seen.index])
    else:
        start, peak = 1.0, seen.share(scheduler.base_momentums[seen.index], of=scheduler.max_momentums[seen.index])
    rise = round(scheduler.total_size * scheduler.step_ratio, 6)
    fall = round(scheduler.total_size - rise, 6)

    def wave(low: float, high: float) -> Schedule:
        up = linear(low, high, over=Span(rise, "steps"))
        return up >> linear(high, low, over=Span(fall, "steps")) if fall else up

    if scheduler.mode == "triangular2":
        return repeat(wave(0, peak - start), decay=0.5) + start
    if scheduler.mode == "exp_range" and scheduler.gamma != 1:
        return repeat(wave(0, peak - start)) * step(every=1, factor=scheduler.gamma) + start
    return repeat(wave(start, peak))


def _triangle(rise: SpanLike, fall: SpanLike | None, height: float) -> Schedule:
    up, down = _rise_and_fall(rise, fall)
    return linear(0, height, over=up) >> linear(height, 0, over=down)


def _rise_and_fall(rise: SpanLike, fall: SpanLike | None) -> tuple[Span, Span]:
    up = Span.parse(rise, name="rise")
    return up, span_or_none("fall", fall) or up


def _first_cycle(first: SpanLike | None, limit: int | None) -> Span | None:
    if first is None and limit is None:
        raise BadArgument(
            "first", message("must be given where limit is not"), first, hint=message("; write first='10%' or limit=4")
        )
    return span_or_none("first", first)
