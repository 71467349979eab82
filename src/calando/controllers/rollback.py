"""Rollback: go back, cut the rate, warm it up again and go on, where training went wrong.

A run went wrong where
    its loss is not finite                        at once
    its loss spiked                               5 losses in a row are high (`calando.controllers.spike`)
    its network died                              half of its gradients or more are exactly zero, in 2 looks in a row,
                                                  and it is at chance: its level is 0.98 or more
    it knows nothing any more                     at chance for 32 updates, after a level below 0.8
    it exploded and never recovered               at chance for `patience` updates, after a loss of twice chance and
                                                  twice the first loss
    it never learned                              at chance for `wait` updates from its start on

The level compares the last 16 losses with chance (`calando.controllers.level`), which is the entropy of the training
labels: log(classes) where all classes are equally frequent, 0.2 at 1000 : 52. A network has learned, or knows
something, only where the median of the last losses is as far below chance as well: a single low loss is no knowledge.

A network that has not learned yet stands at chance level as well, maybe for half of a run, so that alone is no sign
before that.

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
from dataclasses import dataclass

from calando.controllers.base import Action, Observation, State, Wants
from calando.controllers.divergence import not_finite
from calando.controllers.level import empty_level, level_of, remember_level
from calando.controllers.spike import LEAST, empty_window, is_high, remember
from calando.errors import UsageError

__all__ = ["Rollback"]

SPIKE_LOSSES = 5
AT_CHANCE = 0.98
LEARNED = 0.8
EXPLODED = 2.0
CLUELESS_UPDATES = 32
DEAD_SHARE = 0.5
DEAD_LOOKS = 2
LOOK_EVERY = 8  # updates between two looks
FIRST_SHARE = 0.1


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
    warmup: int = 20
    every: int = 20
    tries: int = 5
    patience: int = 100
    wait: int = 10_000

    def __post_init__(self) -> None:
        if not 0 < self.factor < 1:
            raise UsageError(f"rollback: factor must be in (0, 1), got {self.factor}")
        if self.warmup < 0:
            raise UsageError(f"rollback: warmup must be 0 steps or more, got {self.warmup}")
        for name, value in (
            ("every", self.every),
            ("tries", self.tries),
            ("patience", self.patience),
            ("wait", self.wait),
        ):
            if value < 1:
                raise UsageError(f"rollback: {name} must be at least 1, got {value}")

    def initial(self) -> State:
        """No tries, no losses; as if the last rewarming were long over."""
        return {"tries": 0.0, "first": math.inf, "alive": 0.0, **_afresh(), "since": float(self.warmup)}

    def wants(self, step: int) -> Wants:
        """A state to go back to, and a look at the gradients every 8 updates."""
        return Wants(dead=step % LOOK_EVERY == 0, states=True)

    def respond(self, state: State, observation: Observation) -> tuple[State, Action]:
        """Remember the loss; ask to go back where the run went wrong, and to keep its state where all is well."""
        loss, chance = observation.loss, observation.chance
        if broken := not_finite(observation):
            return self._go_back(state, broken)
        nothing = state["first"] if chance is None else chance
        high = is_high(state, loss, chance=nothing, batch_chance=observation.batch_chance)
        state = dict(state)
        remember(state, loss)
        remember_level(state, observation)
        usual, level = state["usual"], level_of(state)
        if state["first"] == math.inf and state["losses"] == LEAST:
            state["first"] = usual
        state["high"] = state["high"] + 1.0 if high else 0.0
        if state["losses"] == 1:
            state["start"] = loss
        state["peak"] = max(state["peak"], loss)
        state["since"] += 1.0
        state["unkept"] += 1.0
        if state["high"] >= SPIKE_LOSSES:
            return self._go_back(
                state, f"loss {loss:.3g} is the {SPIKE_LOSSES}th in a row far above the usual {usual:.3g}"
            )
        if wrong := _dead(state, observation.dead, level) or self._clueless(state, chance, level):
            return self._go_back(state, wrong)
        knows = usual < math.inf if chance is None else max(level, usual / chance) < AT_CHANCE
        well = not high and not state["dead"] and knows
        keep = well and state["unkept"] >= self.every
        if keep:
            state["unkept"] = 0.0
        return state, Action(multiplier=self._multiplier(state), keep=keep)

    def _clueless(self, state: State, chance: float | None, level: float) -> str:
        """Why a network that knows nothing any more is given up, or "". Counts in `state`."""
        usual = state["usual"]
        if chance is None or level == math.inf:
            return ""
        if max(level, usual / chance) < LEARNED:
            state["learned"] = 1.0
        warming = state["since"] < self.warmup and not state["learned"]
        state["idle"] = state["idle"] + 1.0 if level >= AT_CHANCE and not warming else 0.0
        if state["learned"] and state["idle"] >= CLUELESS_UPDATES:
            return f"loss is back at chance level, {usual:.3g}, for {CLUELESS_UPDATES} updates"
        if state["idle"] >= self.patience and state["peak"] > EXPLODED * max(chance, state["start"]):
            return f"loss went up to {state['peak']:.3g} and stays at chance level, {usual:.3g}"
        if state["idle"] >= self.wait and not state["learned"]:
            return f"nothing is learned in {self.wait} updates: the loss stays at chance level, {usual:.3g}"
        return ""

    def _go_back(self, state: State, why: str) -> tuple[State, Action]:
        if state["tries"] >= self.tries:
            multiplier = self.factor**self.tries
            stop = f"{why}; rollback gave up after {self.tries} tries, the last at {multiplier:.3g} of the rate"
            return state, Action(multiplier=self._multiplier(state), stop=stop)
        fresh = {**{name: state[name] for name in ("tries", "first", "alive")}, **_afresh()}
        fresh["tries"] += 1.0
        tried = int(fresh["tries"])
        event = f"{why}: going back at {self.factor**tried:.3g} of the rate, try {tried} of {self.tries}"
        return fresh, Action(multiplier=self._multiplier(fresh), event=event, rewind=True)

    def _multiplier(self, state: State) -> float:
        """For the update after `since` updates since the last rewind."""
        full: float = self.factor ** state["tries"]
        if state["since"] >= self.warmup:
            return full
        return full * (FIRST_SHARE + (1 - FIRST_SHARE) * state["since"] / self.warmup)


def _dead(state: State, share: float | None, level: float) -> str:
    """Why the network is given up as dead, or "". Counts in `state`."""
    if share is None:
        return ""
    if share < DEAD_SHARE:
        # some networks train a part of what they have: then the share says nothing
        state["alive"], state["dead"] = 1.0, 0.0
        return ""
    state["dead"] = state["dead"] + 1.0 if state["alive"] and level >= AT_CHANCE else 0.0
    if state["dead"] < DEAD_LOOKS:
        return ""
    return f"the network died: {share:.0%} of its gradients are exactly zero"


def _afresh() -> State:
    """What is counted anew after a rewind: the losses there are those of another time."""
    counts = dict.fromkeys(("since", "unkept", "high", "idle", "learned", "dead", "start", "peak"), 0.0)
    return {**counts, **empty_window(), **empty_level()}
