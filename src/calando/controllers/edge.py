"""Edge: a cap on the rate from the curvature along the step, for the first part of a run: an automatic warmup.

    w <- w + η u               the update; u is the method's direction at rate 1
    slope      = -<∇f(w), u>   of the loss along u, at least 0: how fast it falls
    curvature  = |<u, ∇f(w + η u) - ∇f(w)>| / η, the mean of <u, ∇²f u> along the step
    n, d       exponential averages of slope and curvature, started at their first values
    η_edge     = sigma n / (d + eps)
    multiplier = min(1, η_edge / scheduled rate), but at least FIRST; FIRST before the first measurement

Along u the loss is f - η slope + η² curvature / 2: least at η = slope / curvature (sigma = 1), back where it began at
twice that (sigma = 2), beyond which the step overshoots: the edge of stability. The sharpness falls from its
first height as training starts, so η_edge rises: a warmup. As a cap it never raises a rate.

CDAT takes the Hessian where the step begins. The mean along the step costs one pass instead of two and sees what the
step will meet; where a short step of a network with ReLUs crosses a kink it is larger, and the cap lower.

Source: Roulet, Agarwala, Grill, Swirszcz, Blondel & Pedregosa 2024, *Stepping on the Edge: Curvature Aware Learning
Rate Tuners* (CDAT). There η_edge is the rate itself for the whole run: with the full batch best near sigma = 2, and
ahead of tuned constant rates; with small batches the best sigma is smaller and the gain goes, hence only a cap here.
The defaults are from benchmarks/edge.py: half of the least along the step, no averaging, which lags.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from calando.controllers.controller import Action, Observation, Wants, internal, length, register
from calando.errors import UsageError
from calando.language import message

__all__ = ["FIRST", "Edge", "EdgeState"]

FIRST = 0.01
"""The least multiplier, and that of the updates before anything is measured."""


class EdgeState(NamedTuple):
    """What an edge remembers.

    Attributes:
        measured: how many measurements there were.
        slope, curvature: their averages.
        multiplier: of the rate.
    """

    measured: int = 0
    slope: float = 0.0
    curvature: float = 0.0
    multiplier: float = FIRST


@register(example="edge(until='10%')")
@dataclass(frozen=True)
class Edge:
    """The largest stable rate from slopes and curvatures, as a cap.

    Args:
        until: updates for which it caps, at least 1.
        sigma: the cap as a multiple of the rate at which the loss is least along the step, in (0, 2]; 2 is the edge of
            stability.
        smoothing: coefficient of the averages of slope and curvature, in [0, 1); 0 takes the last measurement alone.
        eps: added to the curvature, above 0.
        every: updates between two measurements, at least 1; each costs a forward and a backward pass.

    Raises:
        UsageError: a value outside its range.

    The loss 50 w² has curvature 100 everywhere, and descends at rates below 2 / 100:

    >>> edge = Edge(until=100, sigma=2)
    >>> w, rate = 3.0, 0.1
    >>> state = edge.measure(edge.initial(), slope=(100 * w) ** 2, curvature=100 * (100 * w) ** 2)
    >>> round(rate * edge.multiplier(state, step=0, rate=rate), 6)
    0.02
    >>> edge.multiplier(state, step=100, rate=rate)
    1.0
    """

    until: int = length("10%", least=1)
    sigma: float = 0.5
    smoothing: float = 0.0
    eps: float = internal(1e-12)
    every: int = 2

    def __post_init__(self) -> None:
        if self.until < 1:
            raise UsageError(message("edge: until must be at least 1 update, got {until}", until=self.until))
        if not 0 < self.sigma <= 2:
            raise UsageError(message("edge: sigma must be in (0, 2], got {sigma}", sigma=self.sigma))
        if not 0 <= self.smoothing < 1:
            raise UsageError(message("edge: smoothing must be in [0, 1), got {smoothing}", smoothing=self.smoothing))
        if not 0 < self.eps < math.inf:
            raise UsageError(message("edge: eps must be above 0 and finite, got {eps}", eps=self.eps))
        if self.every < 1:
            raise UsageError(message("edge: every must be at least 1 update, got {every}", every=self.every))

    def initial(self) -> EdgeState:
        return EdgeState()

    def wants(self, step: int) -> Wants:
        """Slope and curvature, every `every` updates before `until`; and what is scheduled next."""
        return Wants(curvature=step < self.until and step % self.every == 0, ahead=step + 1 < self.until)

    def respond(self, state: EdgeState, observation: Observation) -> tuple[EdgeState, Action]:
        """Take in a measurement, and cap the next update; the updates before it have a hundredth of their rate."""
        rate, mine, following = observation.rate, state.multiplier, state
        if observation.slope is not None and observation.curvature is not None and rate > 0:
            slope, curvature = observation.slope / rate, observation.curvature / rate / rate
            following = self.measure(state, slope=slope, curvature=curvature)
        step = observation.step + 1
        if step >= self.until:
            capped = 1.0
        elif following.measured:
            # A cap of nothing could never be measured again.
            scheduled = rate / mine if observation.ahead is None else observation.ahead
            capped = max(FIRST, self.multiplier(following, step=step, rate=scheduled))
        else:
            capped = mine
        done = mine < 1 <= capped and step >= self.until
        event = message("the cap of the first {until} updates is lifted", until=self.until) if done else ""
        return following._replace(multiplier=capped), Action(multiplier=capped, event=event)

    def measure(self, state: EdgeState, *, slope: float, curvature: float) -> EdgeState:
        """The averages after a measurement; one that is not finite is passed over.

        Args:
            state: the state before it.
            slope: -<gradient, u>, where u is the step at rate 1; below 0, where u climbs, it counts as 0.
            curvature: <u, Hessian u>, mean along the step; its sign does not count.
        """
        if not (math.isfinite(slope) and math.isfinite(curvature)):
            return state
        rise, bend = max(0.0, slope), abs(curvature)
        if state.measured:
            kept = self.smoothing
            rise = kept * state.slope + (1 - kept) * rise
            bend = kept * state.curvature + (1 - kept) * bend
        return state._replace(measured=state.measured + 1, slope=rise, curvature=bend)

    def multiplier(self, state: EdgeState, *, step: int, rate: float) -> float:
        """The cap for update `step`, in [0, 1]: 1 before anything is measured, and from `until` on.

        Args:
            state: the state after the last measurement.
            step: index of the update.
            rate: the rate scheduled for it, 0 or more.
        """
        if not state.measured or step >= self.until or rate == 0:
            return 1.0
        return min(1.0, self.sigma * state.slope / (state.curvature + self.eps) / rate)
