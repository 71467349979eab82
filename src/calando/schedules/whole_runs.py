"""Whole runs: up, held, down; each a chain of ramps, which is its formula.

A momentum's schedule multiplies the greatest momentum, as a rate's the greatest rate.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from calando.errors import UsageError
from calando.language import message
from calando.schedules.checks import checked_choice, checked_count, checked_number
from calando.schedules.compose import constant
from calando.schedules.known_schedules import Seen, chain, counterpart, register
from calando.schedules.named_ramps import cosine, exponential, linear, one_minus_sqrt, one_minus_square, polynomial
from calando.schedules.schedule import Schedule
from calando.schedules.span import LONGEST_HORIZON, Span, SpanLike, span_or_none
from calando.schedules.timescale import inverse_sqrt
from calando.schedules.transform import warp

__all__ = [
    "flat_cosine",
    "k_decay",
    "noam",
    "one_cycle",
    "one_cycle_momentum",
    "one_cycle_three_phase",
    "one_cycle_three_phase_momentum",
    "slanted_triangular",
    "warmup_hold_cosine",
    "warmup_inverse_sqrt",
    "wsd",
]


_CYCLE_SHAPES: Mapping[str, Callable[..., Schedule]] = {"cosine": cosine, "linear": linear}


@register(family="Whole runs", example="one_cycle()")
def one_cycle(*, warmup: SpanLike = "30%", start: float = 0.04, end: float = 4e-6, shape: str = "cosine") -> Schedule:
    """Up to the full rate and down to almost nothing, each along half a cosine wave.

    Formula: shape(start, 1, over=warmup) >> shape(1, end)

    The base rate is the greatest rate. torch's OneCycleLR(max_lr, total_steps=N, pct_start=p) counts N - 1
    intervals and peaks one step early: it is this with warmup = p * N - 1 steps, bound to N - 1 steps.
    It divides by zero where p * N is 1, and climbs again past its end; this does neither.

    Args:
        warmup: how long the rise is.
        start: value of the first update, torch's 1 / div_factor.
        end: value at the end, torch's 1 / (div_factor * final_div_factor).
        shape: "cosine" or "linear", torch's anneal_strategy.

    Raises:
        UsageError: an argument out of range; an unknown shape.

    Source: Smith & Topin 2017, arXiv:1708.07120, in torch's two-phase form; fastai's fit_one_cycle is
    `one_cycle(warmup='25%', start=0.04, end=1e-5)`.

    >>> one_cycle()
    cosine(0.04, 1, over='30%') >> cosine(1, 4e-06)
    """
    ramp = _ramp(shape)
    return ramp(start, 1, over=Span.parse(warmup, name="warmup")) >> ramp(1, end)


@register(family="Whole runs", example="one_cycle_three_phase()")
def one_cycle_three_phase(
    *, warmup: SpanLike = "30%", start: float = 0.04, end: float = 4e-6, shape: str = "cosine"
) -> Schedule:
    """Up to the full rate, down again in as many steps, and further down to almost nothing.

    Formula: shape(start, 1, over=warmup) >> shape(1, start, over=warmup) >> shape(start, end)

    Args:
        warmup: how long the rise is, and the first fall.
        start: value of the first update, torch's 1 / div_factor.
        end: value at the end, torch's 1 / (div_factor * final_div_factor).
        shape: "cosine" or "linear", torch's anneal_strategy.

    Raises:
        UsageError: an argument out of range; an unknown shape.

    Source: Smith & Topin 2017, arXiv:1708.07120, in its three phases; torch's OneCycleLR(three_phase=True), with
    its steps counted as for `one_cycle`.

    >>> one_cycle_three_phase(shape="linear")
    linear(0.04, 1, over='30%') >> linear(1, 0.04, over='30%') >> linear(0.04, 4e-06)
    """
    ramp, over = _ramp(shape), Span.parse(warmup, name="warmup")
    return ramp(start, 1, over=over) >> ramp(1, start, over=over) >> ramp(start, end)


@register(family="Whole runs", example="one_cycle_momentum()")
def one_cycle_momentum(*, warmup: SpanLike = "30%", low: float = 0.85 / 0.95, shape: str = "cosine") -> Schedule:
    """The momentum of one cycle: down while the rate rises, and up again.

    Formula: shape(1, low, over=warmup) >> shape(low, 1)

    The base value is the greatest momentum, 0.95 in torch and fastai.

    Args:
        warmup: how long the rate's rise is.
        low: the least momentum, as a multiple of the greatest.
        shape: "cosine" or "linear".

    Raises:
        UsageError: an argument out of range; an unknown shape.

    Source: torch's OneCycleLR(base_momentum, max_momentum), with low = base_momentum / max_momentum and its steps
    counted as for `one_cycle`.

    >>> one_cycle_momentum(low=0.9)
    cosine(1, 0.9, over='30%') >> cosine(0.9, 1)
    """
    ramp = _ramp(shape)
    return ramp(1, low, over=Span.parse(warmup, name="warmup")) >> ramp(low, 1)


@register(family="Whole runs", example="one_cycle_three_phase_momentum()")
def one_cycle_three_phase_momentum(
    *, warmup: SpanLike = "30%", low: float = 0.85 / 0.95, shape: str = "cosine"
) -> Schedule:
    """The momentum of one cycle in three phases: down while the rate rises, up while it falls back, held.

    Formula: shape(1, low, over=warmup) >> shape(low, 1, over=warmup) >> constant(1)

    The base value is the greatest momentum, 0.95 in torch.

    Args:
        warmup: how long the rate's rise is, and its first fall.
        low: the least momentum, as a multiple of the greatest.
        shape: "cosine" or "linear".

    Raises:
        UsageError: an argument out of range; an unknown shape.

    Source: torch's OneCycleLR(three_phase=True, base_momentum, max_momentum), with low = base_momentum /
    max_momentum and its steps counted as for `one_cycle`.

    >>> one_cycle_three_phase_momentum(low=0.9)
    cosine(1, 0.9, over='30%') >> cosine(0.9, 1, over='30%') >> constant(1)
    """
    ramp, over = _ramp(shape), Span.parse(warmup, name="warmup")
    return ramp(1, low, over=over) >> ramp(low, 1, over=over) >> constant(1)


def _ramp(shape: str) -> Callable[..., Schedule]:
    return _CYCLE_SHAPES[checked_choice("shape", shape, _CYCLE_SHAPES)]


@counterpart("OneCycleLR")
def _one_cycle(seen: Seen) -> Schedule:
    scheduler, group = seen.scheduler, seen.group
    if seen.room > scheduler.total_steps:
        raise UsageError(
            message(
                "OneCycleLR is for {total_steps} steps; from_torch was asked for {room}",
                total_steps=scheduler.total_steps,
                room=seen.room,
            )
        )
    ramp = cosine if scheduler._anneal_func_type == "cos" else linear
    key = "lr" if seen.key == "lr" else "momentum"
    base, begin, parts = None if key == "lr" else group["max_momentum"], 0.0, []
    for phase in scheduler._schedule_phases:
        steps = phase["end_step"] - begin
        if begin >= scheduler.total_steps - 1:
            break  # the warmup took it all
        if steps <= 0:
            raise UsageError(
                message(
                    "OneCycleLR's warmup ends at step {end_step:.3g}, before it begins; give it pct_start above "
                    "{least:.3g}, or write cosine(1, 0) for none",
                    end_step=phase["end_step"],
                    least=1 / scheduler.total_steps,
                )
            )
        ends = (seen.share(group[phase[f"{end}_{key}"]], of=base) for end in ("start", "end"))
        parts.append(ramp(*ends, over=Span(float(f"{steps:.15g}"), "steps")))
        begin = phase["end_step"]
    return chain(parts)


_COOL_DOWNS: Mapping[str, Callable[..., Schedule]] = {
    make.__name__: make for make in (cosine, exponential, linear, one_minus_sqrt, one_minus_square, polynomial)
}


@register(family="Whole runs", example="wsd()")
def wsd(
    *, warmup: SpanLike = "5%", decay: SpanLike = "20%", shape: str = "linear", start: float = 0, end: float = 0
) -> Schedule:
    """Warmup, stable, decay: up in a line, held, and down at the end.

    Formula: linear(start, 1, over=warmup) >> constant(1) >> shape(1, end, over=decay)

    Args:
        warmup: how long the rise is.
        decay: how long the cool-down is; between the two the rate is held.
        shape: shape of the cool-down: "linear", "cosine", "exponential" (end above 0), "one_minus_sqrt",
            "one_minus_square" or "polynomial" (of power 2).
        start: value of the first update.
        end: value at the end.

    Raises:
        UsageError: an argument out of range; an unknown shape.

    Source: MiniCPM, Hu et al. 2024, arXiv:2404.06395; cool-downs compared in Hägele et al. 2024, arXiv:2405.18392.
    transformers' get_wsd_schedule(warmup_type=, min_lr_ratio=f) is
    `warmup(w, start=f, shape=warmup_type) >> constant(1) >> shape(1, f, over=decay)`.

    >>> wsd(decay="10%", shape="one_minus_sqrt")
    linear(0, 1, over='5%') >> constant(1) >> one_minus_sqrt(1, 0, over='10%')
    """
    cool_down = _COOL_DOWNS[checked_choice("shape", shape, _COOL_DOWNS)]
    rise = linear(start, 1, over=Span.parse(warmup, name="warmup"))
    return rise >> constant(1) >> cool_down(1, end, over=Span.parse(decay, name="decay"))


@register(family="Whole runs", example="flat_cosine()")
def flat_cosine(*, flat: SpanLike = "75%", end: float = 1e-5) -> Schedule:
    """The full rate, held, and down along half a cosine wave.

    Formula: constant(1, over=flat) >> cosine(1, end)

    Args:
        flat: how long the full rate is held.
        end: value at the end.

    Raises:
        UsageError: an argument out of range.

    Source: fastai's fit_flat_cos(pct_start=0.75, div_final=1e5), with flat = pct_start and end = 1 / div_final.

    >>> flat_cosine()
    constant(1, over='75%') >> cosine(1, 1e-05)
    """
    return constant(1, over=Span.parse(flat, name="flat")) >> cosine(1, end)


@register(family="Whole runs", example="warmup_hold_cosine()")
def warmup_hold_cosine(
    *, warmup: SpanLike = "5%", hold: SpanLike = "20%", start: float = 0, end: float = 0
) -> Schedule:
    """Up in a line, held, and down along half a cosine wave over all that is left.

    Formula: linear(start, 1, over=warmup) >> constant(1, over=hold) >> cosine(1, end)

    Args:
        warmup: how long the rise is.
        hold: how long the full rate is held.
        start: value of the first update.
        end: value at the end.

    Raises:
        UsageError: an argument out of range.

    Source: NVIDIA NeMo's WarmupHoldPolicy with CosineAnnealing; the tri-stage schedule of SpecAugment, Park et al.
    2019, arXiv:1904.08779, has an exponential decay instead.

    >>> warmup_hold_cosine()
    linear(0, 1, over='5%') >> constant(1, over='20%') >> cosine(1, 0)
    """
    rise = linear(start, 1, over=Span.parse(warmup, name="warmup"))
    return rise >> constant(1, over=Span.parse(hold, name="hold")) >> cosine(1, end)


@register(family="Whole runs", example="slanted_triangular()")
def slanted_triangular(*, rise: SpanLike = "10%", ratio: float = 32) -> Schedule:
    """Up fast and down slowly, each in a line.

    Formula: linear(1 / ratio, 1, over=rise) >> linear(1, 1 / ratio)

    Args:
        rise: how long the rise is.
        ratio: how much smaller the first and last rates are than the greatest, above 1.

    Raises:
        UsageError: an argument out of range.

    Source: ULMFiT, Howard & Ruder 2018, arXiv:1801.06146, with rise = cut_frac. There the rise is cut to whole steps
    and the fall is not, so that it ends below 1 / ratio where cut_frac * T is not whole; this does not.

    >>> slanted_triangular()
    linear(0.03125, 1, over='10%') >> linear(1, 0.03125)
    """
    least = 1 / checked_number("ratio", ratio, above=1)
    return linear(least, 1, over=Span.parse(rise, name="rise")) >> linear(1, least)


@register(family="Whole runs", example="warmup_inverse_sqrt(warmup='10%')")
def warmup_inverse_sqrt(*, warmup: SpanLike = "5%", start: float = 0) -> Schedule:
    """Up in a line, and down by the inverse square root of the steps since the start.

    Formula: start + (1 - start) * t / warmup, and sqrt(warmup / t) from t = warmup on

    Args:
        warmup: how long the rise is, and the time scale of the fall.
        start: value of the first update.

    Raises:
        UsageError: an argument out of range.

    Source: transformers' get_inverse_sqrt_schedule(num_warmup_steps=warmup); fairseq's inverse_sqrt, with
    start = warmup_init_lr / lr; Raffel et al. 2020, arXiv:1910.10683, is `inverse_sqrt` after a constant.

    >>> warmup_inverse_sqrt(warmup=2).bind(9)([0, 1, 2, 8])
    array([0. , 0.5, 1. , 0.5])
    """
    over = Span.parse(warmup, name="warmup")
    return linear(start, 1, over=over) >> inverse_sqrt(timescale=over)


@register(family="Whole runs", example="noam(warmup=100)")
def noam(*, warmup: int = 4000) -> Schedule:
    """Up in a line, and down by the inverse square root of the steps, counted from 1.

    Formula: min((t + 1) / warmup, sqrt(warmup / (t + 1)))

    The greatest rate is that of update `warmup` - 1; for the paper's own it is 1 / sqrt(d_model * warmup).

    Args:
        warmup: a whole number of steps, as the first rate depends on it; `warmup_inverse_sqrt` takes any length.

    Raises:
        UsageError: an argument out of range.

    Source: Vaswani et al. 2017, arXiv:1706.03762; AllenNLP's and OpenNMT's noam.

    >>> noam(warmup=4)
    linear(0.25, 1, over='3 steps') >> power_decay(exponent=0.5, timescale='4 steps')
    """
    steps = checked_count("warmup", warmup, most=LONGEST_HORIZON)
    fall = inverse_sqrt(timescale=steps)
    return fall if steps == 1 else linear(1 / steps, 1, over=steps - 1) >> fall


_DECAY_SHAPES: Mapping[str, Callable[..., Schedule]] = {"cosine": cosine, "linear": linear, "polynomial": polynomial}


@register(family="Whole runs", example="k_decay(1, 0, k=3)")
def k_decay(start: float, end: float, *, k: float, shape: str = "cosine", over: SpanLike | None = None) -> Schedule:
    """From start to end along a shape that begins the later the greater k is.

    Formula: shape(start, end) at progress p ** k

    Args:
        start: value of the first update.
        end: value reached after `over`, and held.
        k: above 0; 1 leaves the shape as it is.
        shape: "cosine", "linear" or "polynomial" (of power 2; for others `warp(polynomial(...), power=k)`).
        over: length; without it, the schedule stretches over all steps that are left.

    Raises:
        UsageError: an argument out of range; an unknown shape.

    Source: Zhang & Li 2020, arXiv:2004.05909, where the shape is a polynomial; timm's CosineLRScheduler(k_decay=k)
    and PolyLRScheduler(k_decay=k).

    >>> k_decay(1, 0, k=1.5)
    warp(cosine(1, 0), power=1.5)
    """
    ramp = _DECAY_SHAPES[checked_choice("shape", shape, _DECAY_SHAPES)]
    return warp(ramp(start, end, over=span_or_none("over", over)), power=checked_number("k", k, above=0))
