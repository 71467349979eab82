"""Rollback: go back, cut the rate, warm it up again and go on, where training went wrong.

A run went wrong where
    its loss is not finite                        at once
    its loss spiked                               5 losses in a row are high (`calando.controllers.losses`)
    its network died                              half of its gradients or more are exactly zero, in 2 looks in a row,
                                                  and it is at chance: its level is 0.98 or more
    it knows nothing any more                     at chance for 32 updates, after a level below 0.8
    it exploded and never recovered               at chance for `patience` updates, after a loss of twice chance and
                                                  twice the first loss
    it never learned                              at chance for `wait` updates from its start on

The level compares the last 16 losses with chance (`calando.controllers.losses`), which is the entropy of the training
labels: log(classes) where all classes are equally frequent, 0.2 at 1000 : 52. A network has learned, or knows
something, only where the median of the last losses is as far below chance as well: a single low loss is no knowledge.

A network may stay at chance for half a run before it learns, so chance level alone is no failure until it has learned.

Then
    state   <- the older of the two last states worth keeping (Action.rewind)
    rate    <- rate * factor^tries * min(1, 0.1 + 0.9 * n / warmup)      n: updates since

and after `tries` tries it ends the run. A state is worth keeping every `every` updates, where the loss is not high and
the network knows something. Nothing here depends on the step, which goes back in a rewind.

The median absolute deviation as a spread: Hampel 1974. To skip the batches round a spike: Chowdhery et al. 2022
(PaLM), section 5.1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from calando.controllers.controller import Action, Observation, Wants, length, register, state_like
from calando.controllers.divergence import not_finite
from calando.controllers.losses import AT_CHANCE, LEAST, LEVEL_WINDOW, WINDOW, Losses, Standing
from calando.errors import UsageError
from calando.language import message

__all__ = ["Rollback", "RollbackState"]

SPIKE_LOSSES = 5
LEARNED = 0.8
EXPLODED = 2.0
CLUELESS_UPDATES = 32
DEAD_SHARE = 0.5
DEAD_LOOKS = 2
LOOK_EVERY = 8  # updates between two looks
FIRST_SHARE = 0.1


class RollbackState(NamedTuple):
    """What a rollback remembers; a rewind keeps the first three and starts the rest again.

    Attributes:
        tries: how often it went back.
        first: the median of the run's first 16 losses; inf before.
        alive: it has seen fewer than half of the gradients being zero.
        since: updates since the last rewind; from the start on as if the last rewarming were long over.
        unkept: updates since the last state worth coming back to.
        high: losses in a row that are high.
        idle: updates in a row at chance level.
        learned: the level was below 0.8.
        dead: looks in a row at which the network was dead.
        start: the first loss since the last rewind.
        peak: the greatest loss since then.
        losses: the last 32.
        standing: how the last 16 stand to chance.
    """

    tries: int = 0
    first: float = math.inf
    alive: bool = False
    since: int = 0
    unkept: int = 0
    high: int = 0
    idle: int = 0
    learned: bool = False
    dead: int = 0
    start: float = 0.0
    peak: float = 0.0
    losses: Losses = Losses()
    standing: Standing = Standing()


@register(example="rollback(factor=0.5, tries=5)")
@dataclass(frozen=True, kw_only=True)
class Rollback:
    """Go back to before a spike, a death or a non-finite loss, with the rate multiplied by `factor`.

    Args:
        factor: in (0, 1).
        warmup: updates over which the rate rises linearly again from a tenth, 0 or more.
        every: updates between two states worth coming back to, at least 1.
        tries: how often it goes back before the run ends, at least 1.
        patience: updates for which a run that exploded may stay at chance level, at least 1.
        wait: updates for which any run may stay at chance level before it has learned, at least 1.

    Raises:
        UsageError: a value outside its range.

    >>> rollback = Rollback(warmup=2)
    >>> state, action = rollback.respond(rollback.initial(), Observation(step=7, loss=float("nan")))
    >>> action.rewind, action.multiplier, action.event
    (True, 0.05, 'loss is nan at step 7: going back at 0.5 of the rate, try 1 of 5')
    >>> for step in (0, 1):
    ...     state, action = rollback.respond(state, Observation(step=step, loss=2.3))
    ...     print(action.multiplier)
    0.275
    0.5
    """

    factor: float = 0.5
    warmup: int = length("2%", least=0, steps=20)
    every: int = length("2%", least=WINDOW, steps=20)
    tries: int = 5
    patience: int = length("10%", least=WINDOW, steps=100)
    wait: int = length("50%", least=2 * WINDOW, steps=10_000)

    def __post_init__(self) -> None:
        if not 0 < self.factor < 1:
            raise UsageError(message("rollback: factor must be in (0, 1), got {factor}", factor=self.factor))
        if self.warmup < 0:
            raise UsageError(message("rollback: warmup must be 0 steps or more, got {warmup}", warmup=self.warmup))
        for name, value in (
            ("every", self.every),
            ("tries", self.tries),
            ("patience", self.patience),
            ("wait", self.wait),
        ):
            if value < 1:
                raise UsageError(message("rollback: {name} must be at least 1, got {value}", name=name, value=value))

    def initial(self) -> RollbackState:
        return RollbackState(since=self.warmup)

    def read_state(self, stored: Mapping[str, Any]) -> RollbackState:
        """Read a stored state, also of older versions: a dict with an entry for each loss, "loss 0" to "loss 31"."""
        if not isinstance(stored.get("losses"), Mapping):
            stored = _of_one_dict(stored)
        state: RollbackState = state_like(self.initial(), stored)
        return state

    def wants(self, step: int) -> Wants:
        """A state to go back to, and a look at the gradients every 8 updates."""
        return Wants(dead=step % LOOK_EVERY == 0, states=True)

    def respond(self, state: RollbackState, observation: Observation) -> tuple[RollbackState, Action]:
        """Remember the loss; ask to go back where the run went wrong, and to keep its state where all is well."""
        loss, chance = observation.loss, observation.chance
        if broken := not_finite(observation):
            return self._go_back(state, broken)
        nothing = state.first if chance is None else chance
        high = state.losses.is_high(loss, chance=nothing, batch_chance=observation.batch_chance)
        losses, standing = state.losses.after(loss), state.standing.after(observation)
        usual, level = losses.usual, standing.level
        state = state._replace(
            first=usual if state.first == math.inf and losses.seen == LEAST else state.first,
            high=state.high + 1 if high else 0,
            start=loss if losses.seen == 1 else state.start,
            peak=max(state.peak, loss),
            since=state.since + 1,
            unkept=state.unkept + 1,
            losses=losses,
            standing=standing,
        )
        if state.high >= SPIKE_LOSSES:
            why = f"loss {loss:.3g} is the {SPIKE_LOSSES}th in a row far above the usual {usual:.3g}"
            return self._go_back(state, why)
        state, wrong = _dead(state, observation.dead, level)
        if not wrong:
            state, wrong = self._clueless(state, chance, level)
        if wrong:
            return self._go_back(state, wrong)
        knows = usual < math.inf if chance is None else max(level, usual / chance) < AT_CHANCE
        keep = not high and not state.dead and knows and state.unkept >= self.every
        if keep:
            state = state._replace(unkept=0)
        return state, Action(multiplier=self._multiplier(state), keep=keep)

    def _clueless(self, state: RollbackState, chance: float | None, level: float) -> tuple[RollbackState, str]:
        """Counts, and why a network that knows nothing any more is given up, or ""."""
        usual = state.losses.usual
        if chance is None or level == math.inf:
            return state, ""
        learned = state.learned or max(level, usual / chance) < LEARNED
        warming = state.since < self.warmup and not learned
        idle = state.idle + 1 if level >= AT_CHANCE and not warming else 0
        state = state._replace(learned=learned, idle=idle)
        if learned and idle >= CLUELESS_UPDATES:
            return state, message(
                "loss is back at chance level, {usual:.3g}, for {updates} updates",
                usual=usual,
                updates=CLUELESS_UPDATES,
            )
        if idle >= self.patience and state.peak > EXPLODED * max(chance, state.start):
            return state, message(
                "loss went up to {peak:.3g} and stays at chance level, {usual:.3g}", peak=state.peak, usual=usual
            )
        if idle >= self.wait and not learned:
            return state, message(
                "nothing is learned in {updates} updates: the loss stays at chance level, {usual:.3g}",
                updates=self.wait,
                usual=usual,
            )
        return state, ""

    def _go_back(self, state: RollbackState, why: str) -> tuple[RollbackState, Action]:
        if state.tries >= self.tries:
            multiplier = self.factor**self.tries
            stop = message(
                "{why}; rollback gave up after {tries} tries, the last at {multiplier:.3g} of the rate",
                why=why,
                tries=self.tries,
                multiplier=multiplier,
            )
            return state, Action(multiplier=self._multiplier(state), stop=stop)
        # The losses before belong to another past.
        fresh = RollbackState(tries=state.tries + 1, first=state.first, alive=state.alive)
        share = self.factor**fresh.tries
        event = message(
            "{why}: going back at {share:.3g} of the rate, try {number} of {tries}",
            why=why,
            share=share,
            number=fresh.tries,
            tries=self.tries,
        )
        return fresh, Action(multiplier=self._multiplier(fresh), event=event, rewind=True)

    def _multiplier(self, state: RollbackState) -> float:
        """For the update after `since` updates since the last rewind."""
        full = float(self.factor**state.tries)
        if state.since >= self.warmup:
            return full
        return full * (FIRST_SHARE + (1 - FIRST_SHARE) * state.since / self.warmup)


def _dead(state: RollbackState, share: float | None, level: float) -> tuple[RollbackState, str]:
    """Counts, and why the network is given up as dead, or ""."""
    if share is None:
        return state, ""
    if share < DEAD_SHARE:
        # some networks train a part of what they have: then the share means nothing
        return state._replace(alive=True, dead=0), ""
    state = state._replace(dead=state.dead + 1 if state.alive and level >= AT_CHANCE else 0)
    died = message("the network died: {share:.0%} of its gradients are exactly zero", share=share)
    return state, died if state.dead >= DEAD_LOOKS else ""


def _of_one_dict(stored: Mapping[str, Any]) -> dict[str, Any]:
    """A state of an older version in the fields of this one's; its windows were rings, written over from the oldest."""

    def window(entry: str, width: int, count: int) -> list[float]:
        oldest = count % width if count >= width else 0
        return [float(stored[f"{entry} {(oldest + index) % width}"]) for index in range(min(count, width))]

    count, compared = int(stored["losses"]), int(stored.get("compared", 0))
    fields = ("tries", "first", "alive", "since", "unkept", "high", "idle", "learned", "dead", "start", "peak")
    return {
        **{name: stored[name] for name in fields},
        "losses": {"window": window("loss", WINDOW, count), "seen": count, "usual": stored["usual"]},
        "standing": {
            "excess": window("excess", LEVEL_WINDOW, compared),
            "own": window("own", LEVEL_WINDOW, compared),
        },
    }
