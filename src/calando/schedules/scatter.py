"""Values that scatter on purpose: random factors, and large rates that small ones make up for.

In the formula of `noise`, u is uniform on [-1, 1), or normal and cut off at three standard deviations. It is a hash of
the seed and the interval's number, so any step's value is known without those before it.

Chebyshev steps are too large one by one and stable together: one over the nodes of a Chebyshev polynomial on [m, 1],
m being `low`. They come in the fractal order, in which each large rate is followed by small ones that undo its harm:
[0], doubled again and again by putting 2 n - 1 - o behind each o.

Source of the hash: SplitMix64, Steele, Lea & Flood 2014; of the normal: Box & Muller 1958. Chebyshev: Agarwal, Goel &
Zhang 2021, arXiv:2103.01338.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from calando.language import message
from calando.schedules.checks import BadArgument, checked_choice, checked_count, checked_number
from calando.schedules.compose import Constant
from calando.schedules.known_schedules import register
from calando.schedules.primitive import Formula, Primitive
from calando.schedules.schedule import SEAM, Array, Extent, Level, Schedule
from calando.schedules.span import Horizon, Span, SpanLike, span_or_none

__all__ = ["Chebyshev", "Noise", "chebyshev", "noise"]


Words = NDArray[np.uint64]


KINDS = ("normal", "uniform")
FURTHEST = 3.0  # standard deviations
_GOLDEN = 0x9E3779B97F4A7C15  # 2^64 / golden ratio, SplitMix64's increment


@register(family="What changes a schedule", example="cosine(1, 0) * noise(0.2, every=10)")
def noise(
    width: float, *, seed: int = 0, every: SpanLike = 1, kind: str = "uniform", over: SpanLike | None = None
) -> Schedule:
    """A random factor round 1; multiply a schedule by it.

    Formula: 1 + width * u(seed, floor(t / every))

    Args:
        width: how far from 1 it goes ("uniform") or its standard deviation ("normal", at most three times it).
        seed: a whole number from 0; the same seed gives the same values everywhere.
        every: how long each value is held.
        kind: "uniform" or "normal".
        over: length; without it, the schedule goes on for all steps that are left.

    Raises:
        UsageError: an argument out of range.

    Source: the noise of timm's schedulers (lr_noise_std, a value an epoch: every="1 epoch"), a function of the
    step here.

    >>> from calando.schedules import constant
    >>> (constant(1) * noise(0.1, seed=1)).bind(1000)([0, 1, 999]).round(4)
    array([0.9736, 0.9091, 0.9256])
    """
    return Noise(width, seed, Span.parse(every, name="every"), kind, over=span_or_none("over", over))


@final
@dataclass(frozen=True, repr=False)
class Noise(Primitive):
    """A random factor; write `noise(width, seed=...)`."""

    width: float
    seed: int
    every: Span
    kind: str
    called = "noise"
    by_place = 1
    extent_without_over = Extent.ENDLESS

    def __post_init__(self) -> None:
        object.__setattr__(self, "width", checked_number("width", self.width, above=0))
        checked_choice("kind", self.kind, KINDS)
        if isinstance(self.seed, bool) or not isinstance(self.seed, int) or not 0 <= self.seed < 2**53:
            raise BadArgument("seed", message("must be a whole number from 0 to {most}", most=2**53 - 1), self.seed)

    def calm(self) -> Schedule:
        return Constant(1, over=self.over)

    def suspicion(self, argument: str, steps: float, horizon: Horizon) -> Level | None:
        return None if argument == "every" else super().suspicion(argument, steps, horizon)

    def formula(self, horizon: Horizon, length: float) -> Formula:
        every = horizon.steps(self.every)
        return lambda steps: 1 + self.width * self._drawn(np.floor((steps + SEAM) / every).astype(np.uint64))

    def _drawn(self, number: Words) -> Array:
        first = _uniform(2 * number, self.seed)
        if self.kind == "uniform":
            return 2 * first - 1
        # 1 - u is in (0, 1]: the logarithm is finite
        normal = np.sqrt(-2 * np.log(1 - first)) * np.cos(2 * np.pi * _uniform(2 * number + np.uint64(1), self.seed))
        return np.asarray(np.clip(normal, -FURTHEST, FURTHEST), dtype=np.float64)


def _uniform(number: Words, seed: int) -> Array:
    """A number in [0, 1) for each of `number`, shape (n,), from the 53 upper bits of its hash."""
    start = _mixed(np.array([seed], dtype=np.uint64))
    return (_mixed(start + number * np.uint64(_GOLDEN)) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _mixed(z: Words) -> Words:
    """SplitMix64's finalizer; multiplication wraps round at 2^64."""
    z = z + np.uint64(_GOLDEN)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


MOST_NODES = 2**20


@register(family="Cycles", example="chebyshev(nodes=8, every='1 epoch')")
def chebyshev(*, nodes: int = 8, every: SpanLike = 1, low: float = 0.05, over: SpanLike | None = None) -> Schedule:
    """One over each node of a Chebyshev polynomial, in the fractal order, again and again.

    Formula: 2 / (1 + low - (1 - low) * cos(pi * (order[i] + 0.5) / nodes)), i = floor(t / every) mod nodes

    The base rate is the greatest constant rate that is stable: values go from 1 to almost 1 / low.

    Args:
        nodes: number of values, a power of two.
        every: how long each value is held.
        low: the least curvature as a share of the greatest, above 0 and below 1.
        over: length; without it, the schedule goes on for all steps that are left.

    Raises:
        UsageError: an argument out of range.

    Source: fractal schedules, Agarwal et al. 2021, arXiv:2103.01338. pytorch_optimizer's
    get_chebyshev_schedule(num_epochs=N) holds the first value for three steps: with nodes the least power of two
    from N on, it is `chebyshev(nodes=nodes, over=1) >> chebyshev(nodes=nodes, over=1) >> chebyshev(nodes=nodes)`; for
    N = 4 alone it has its nodes in another order.

    >>> chebyshev(nodes=4).bind(4).sample().round(3)
    array([11.607,  1.038,  2.914,  1.415])
    """
    return Chebyshev(nodes, Span.parse(every, name="every"), low, over=span_or_none("over", over))


@final
@dataclass(frozen=True, repr=False)
class Chebyshev(Primitive):
    """Chebyshev steps in the fractal order; write `chebyshev(nodes=...)`."""

    nodes: int
    every: Span
    low: float
    called = "chebyshev"
    extent_without_over = Extent.ENDLESS

    def __post_init__(self) -> None:
        nodes = checked_count("nodes", self.nodes, most=MOST_NODES)
        if nodes & (nodes - 1):
            nearest = 1 << (nodes - 1).bit_length()
            raise BadArgument(
                "nodes",
                message("must be a power of two"),
                self.nodes,
                hint=message("; use {less} or {more}", less=nearest // 2, more=nearest),
            )
        object.__setattr__(self, "nodes", nodes)
        low = checked_number("low", self.low, above=0)
        if low >= 1:
            raise BadArgument("low", message("must be above 0 and below 1"), self.low)
        object.__setattr__(self, "low", low)

    def calm(self) -> Schedule:
        return Constant(1, over=self.over)

    def formula(self, horizon: Horizon, length: float) -> Formula:
        values, every = _fractal_values(self.nodes, self.low), horizon.steps(self.every)
        return lambda steps: values[np.mod(np.floor((steps + SEAM) / every), values.size).astype(np.int64)]


def _fractal_values(nodes: int, low: float) -> Array:
    order = np.zeros(1)
    while order.size < nodes:
        order = np.stack([order, 2 * order.size - 1 - order], axis=1).ravel()
    # 1 - cos x is 2 sin²(x / 2), which keeps its digits near x = 0
    half_angles = np.pi / 2 * (order + 0.5) / nodes
    values: Array = 1 / (low + (1 - low) * np.square(np.sin(half_angles)))
    return values
