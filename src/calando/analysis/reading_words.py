"""The words of a reading: what each signal says of a rate, and how its numbers are written."""

from __future__ import annotations

from calando.analysis.signals import SIGNALS
from calando.language import message

__all__ = ["named", "percent", "reason", "times"]


def reason(name: str, value: float, *, usual: float) -> str:
    """What a signal says, next to what is usual."""
    shares = {"share": percent(value), "usual_share": percent(usual)}
    return message(_WORDS[name], value=value, usual=usual, **shares)


def named(name: str) -> str:
    """A signal with what it is."""
    return message("{name} ({meaning})", name=message(name), meaning=message(SIGNALS[name]))


_WORDS = {
    "peak": message(
        "the loss stood at {value:.2g} times chance level at its highest; {usual:.2g} is usual at a good rate"
    ),
    "level": message("the loss is at {share} of chance level; {usual_share} is usual at a good rate"),
    "path": message(
        "updates so far would add up to {value:.2g} times a layer's weights; {usual:.2g} is usual at a good rate"
    ),
    "alive": message("{share} of channels get a gradient; {usual_share} is usual at a good rate"),
    "first over last": message(
        "the gradient at the first layer is {value:.2g} of that at the last; {usual:.2g} is usual at a good rate"
    ),
    "weight growth": message(
        "weights are {value:.3g} times their size at the start; {usual:.3g} is usual at a good rate"
    ),
    "sharpness share": message(
        "the sharpness is {share} of what the method bears at this rate; {usual_share} is usual at a good rate"
    ),
    "sharpness growth": message(
        "the sharpness is {value:.2g} times that at the start; {usual:.2g} is usual at a good rate"
    ),
}


def percent(share: float) -> str:
    """Two digits, never as a power of ten.

    >>> percent(0.00043), percent(0.11), percent(2.31)
    ('0.043%', '11%', '230%')
    """
    return f"{float(f'{100 * share:.2g}'):.10f}".rstrip("0").rstrip(".") + "%"


def times(factor: float) -> str:
    """Two digits, never as a power of ten.

    >>> times(138.2), times(3.21)
    ('140', '3.2')
    """
    return f"{float(f'{factor:.2g}'):.0f}" if factor >= 10 else f"{factor:.2g}"
