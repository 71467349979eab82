"""Plateau: cut the rate when a metric stops getting better.

    best   <- best metric so far, where a gain by less than `threshold` does not count
    factor is applied each time `patience` steps pass without a new best, counted from the last best, or from the
    end of the `cooldown` after the last cut

Also known as ReduceLROnPlateau (torch), but patience and cooldown are in steps, not in calls, and the result is a
multiplier, so it composes with any schedule. With an evaluation after every update, torch's patience of n calls is
ours of n + 1 steps, and everything else is the same.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

from calando.controllers.controller import Action, Observation, Wants, length, register
from calando.errors import UsageError
from calando.language import message

__all__ = ["METRICS", "Metric", "Plateau", "PlateauState", "ThresholdMode"]

Metric = Literal["validation_loss", "validation_score", "training_loss"]
ThresholdMode = Literal["rel", "abs"]

METRICS: tuple[Metric, ...] = ("validation_loss", "validation_score", "training_loss")

# The training loss of single batches is smoothed over this share of the patience.
SMOOTHED = 0.25


class PlateauState(NamedTuple):
    """What a plateau remembers.

    Attributes:
        best: the best value of the metric so far; inf, or -inf where it is to rise, before the first.
        since: the step from which patience counts; ahead of the last one while a cooldown lasts.
        multiplier: of the rate.
        mean, weight: of the training loss, where that is the metric: mean / weight is its mean without bias.
    """

    best: float
    since: int = -1
    multiplier: float = 1.0
    mean: float = 0.0
    weight: float = 0.0


@register(example="plateau(factor=0.2, patience='10%')", decays=True)
@dataclass(frozen=True, kw_only=True)
class Plateau:
    """Multiply the rate by `factor` after `patience` steps without progress, down to `floor`.

    Args:
        factor: in (0, 1).
        patience: steps, at least 1.
        threshold: gain that counts as progress: a share of the best, in [0, 1), or, "abs", a difference, 0 or more.
        threshold_mode: "rel" or "abs".
        cooldown: steps after a cut in which nothing is counted, 0 or more.
        floor: smallest multiplier, in [0, 1].
        metric: "validation_loss"; "validation_score", which should rise; or "training_loss", of every batch, smoothed
            as an exponential mean over a quarter of the patience, without bias at the start.

    Raises:
        UsageError: a value outside its range.

    >>> plateau = Plateau(factor=0.5, patience=10)
    >>> state = plateau.initial()
    >>> for step, loss in [(9, 1.0), (19, 1.0), (29, 0.5), (39, 0.6)]:
    ...     state, action = plateau.respond(state, Observation(step=step, loss=1.0, validation_loss=loss))
    ...     print(action.multiplier, action.event)
    1.0
    0.5 rate multiplied by 0.5: no progress on validation loss 1 for 10 steps
    0.5
    0.25 rate multiplied by 0.5: no progress on validation loss 0.5 for 10 steps
    """

    factor: float = 0.1
    patience: int = length("10%", least=1, steps=1)
    threshold: float = 1e-4
    threshold_mode: ThresholdMode = "rel"
    cooldown: int = length(0, least=0, steps=0)
    floor: float = 0.0
    metric: Metric = "validation_loss"

    def __post_init__(self) -> None:
        if not 0 < self.factor < 1:
            raise UsageError(message("plateau: factor must be in (0, 1), got {factor}", factor=self.factor))
        if self.patience < 1:
            raise UsageError(
                message("plateau: patience must be at least 1 step, got {patience}", patience=self.patience)
            )
        if self.threshold_mode not in ("rel", "abs"):
            raise UsageError(
                message(
                    "plateau: threshold_mode must be 'rel' or 'abs', got {threshold_mode!r}",
                    threshold_mode=self.threshold_mode,
                )
            )
        if not 0 <= self.threshold < (1 if self.threshold_mode == "rel" else math.inf):
            wanted = "[0, 1)" if self.threshold_mode == "rel" else "[0, inf)"
            raise UsageError(
                message(
                    "plateau: threshold must be in {wanted}, got {threshold}", wanted=wanted, threshold=self.threshold
                )
            )
        if self.cooldown < 0:
            raise UsageError(
                message("plateau: cooldown must be 0 steps or more, got {cooldown}", cooldown=self.cooldown)
            )
        if not 0 <= self.floor <= 1:
            raise UsageError(message("plateau: floor must be in [0, 1], got {floor}", floor=self.floor))
        if self.metric not in METRICS:
            raise UsageError(
                message(
                    "plateau: metric must be one of {metrics}, got {metric!r}",
                    metrics=", ".join(METRICS),
                    metric=self.metric,
                )
            )

    def initial(self) -> PlateauState:
        return PlateauState(best=-math.inf if self._rises else math.inf)

    def wants(self, step: int) -> Wants:
        return Wants(seen="loss" if self.metric == "training_loss" else self.metric)

    def respond(self, state: PlateauState, observation: Observation) -> tuple[PlateauState, Action]:
        """Act where there is a new value of the metric: after evaluations, or after every update."""
        state, value = self._measure(state, observation)
        best, since, multiplier = state.best, state.since, state.multiplier
        if value is None:
            return state, Action(multiplier=multiplier)
        if self._is_better(value, best):
            return state._replace(best=value, since=max(since, observation.step)), Action(multiplier=multiplier)
        if observation.step - since < self.patience or multiplier <= self.floor:
            return state, Action(multiplier=multiplier)
        cut = max(multiplier * self.factor, self.floor)
        level = message(
            "validation loss {best:g}"
            if self.metric == "validation_loss"
            else "validation score {best:g}"
            if self.metric == "validation_score"
            else "training loss {best:g}",
            best=best,
        )
        steps = observation.step - since
        event = message(
            "rate multiplied by {factor:g}: no progress on {level} for {steps} step"
            if steps == 1
            else "rate multiplied by {factor:g}: no progress on {level} for {steps} steps",
            factor=self.factor,
            level=level,
            steps=steps,
        )
        return state._replace(since=observation.step + self.cooldown, multiplier=cut), Action(
            multiplier=cut, event=event
        )

    @property
    def _rises(self) -> bool:
        return self.metric == "validation_score"

    def _measure(self, state: PlateauState, observation: Observation) -> tuple[PlateauState, float | None]:
        """The metric's new value, if there is one."""
        if self.metric == "validation_loss":
            return state, observation.validation_loss
        if self.metric == "validation_score":
            return state, observation.validation_score
        if not math.isfinite(observation.loss):  # no update was made
            return state, None
        share = 1 / max(1.0, SMOOTHED * self.patience)
        mean = (1 - share) * state.mean + share * observation.loss
        weight = (1 - share) * state.weight + share
        return state._replace(mean=mean, weight=weight), mean / weight

    def _is_better(self, value: float, best: float) -> bool:
        up = 1 if self._rises else -1
        if self.threshold_mode == "abs":
            bar = best + up * self.threshold
        else:
            # A gain is a share of the best's size; torch turns its sign where the best is below zero.
            bar = best * (1 + (up if best >= 0 else -up) * self.threshold)
        return value > bar if self._rises else value < bar
