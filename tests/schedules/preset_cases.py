"""What is said of a named schedule to check it, a `Case`, and the strategies that its arguments are drawn from."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from hypothesis import strategies as st
from tests.schedules.preset_formulas import length

share = st.integers(1, 40).map(lambda percent: f"{percent}%")
some_steps = st.integers(1, 60)
either = st.one_of(share, some_steps)
over = st.one_of(st.none(), share)
unit = st.floats(0, 1)
above_zero = st.floats(0.01, 1)
power = st.floats(0.3, 4)
ratio = st.floats(0.5, 1.2)
name_of_shape = st.sampled_from(["cosine", "linear"])


@dataclass(frozen=True)
class Case:
    """A named schedule: arguments by name, `formula(t, total, **arguments)`, `low` and `high` of the arguments."""

    arguments: Mapping[str, st.SearchStrategy]
    formula: Callable[..., float]
    low: Callable[[dict], float] = lambda given: 0.0
    high: Callable[[dict], float] = lambda given: 1.0
    positional: tuple[str, ...] = field(default=())


def least(given):
    return min(given["start"], given["end"])


def greatest(given):
    return max(given["start"], given["end"])


def of_ramp(formula, ends=unit, **more):
    """A ramp from start to end: `formula` has what is left of the way by progress and its own arguments."""
    arguments = {"start": ends, "end": ends, "over": over, **more}

    def value(t, total, start, end, over, **own):
        return end + (start - end) * formula(min(t / length(over, total), 1), **own)

    return Case(arguments, value, low=least, high=greatest, positional=("start", "end"))


def of_time(formula, timescale=either, **more):
    arguments = {"timescale": timescale, "over": over, **more}
    return Case(
        arguments,
        lambda t, total, timescale, over, **own: formula(
            min(t, length(over, total)) / length(timescale, total), 1 / length(timescale, total), **own
        ),
    )
