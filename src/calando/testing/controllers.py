"""What every controller must do.

pure        the same state and observation give the same answer; neither is changed
resumed     a state that went through JSON, at any step, goes on with the same answers
answers     multipliers are finite and at least 0, reasons and events are one line
by name     where it is registered, its example reads and binds to short and long horizons
"""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Iterable, Iterator

import numpy as np

from calando.controllers import CONTROLLERS, Action, Controller, Observation, Wants, state_from_json, state_to_json
from calando.schedules import Horizon
from calando.strategy.called_parts import controller_of
from calando.testing.require import require

__all__ = ["check_controller"]

SEEN = ("loss", "validation_loss", "validation_score")
CHANCE = math.log(10)


def check_controller(controller: Controller, traces: Iterable[Iterable[Observation]] | None = None) -> None:
    """Check a controller against what every controller must do.

    Args:
        controller: the controller.
        traces: what a training loop observes, update after update. None: a training that learns, one that stands still,
            one that spikes and one that overflows.

    Raises:
        AssertionError: a requirement is not met; the message is one line that says which.

    >>> from calando.controllers import Plateau
    >>> check_controller(Plateau(factor=0.5, patience=20))
    """
    before = copy.deepcopy(controller)
    for trace in _traces() if traces is None else traces:
        _check_trace(controller, list(trace))
    require(
        repr(controller) == repr(before),
        f"{controller!r} changed while it answered; keep what it remembers in its state",
    )
    for name, entry in CONTROLLERS.items():
        if entry.make is type(controller):
            for steps in (20, 100, 10**6):
                made = controller_of(entry.example, Horizon(steps, steps_per_epoch=10))
                require(type(made) is entry.make, f"the example of {name}, {entry.example!r}, makes {made!r}")


def _check_trace(controller: Controller, trace: list[Observation]) -> None:
    state = resumed = controller.initial()
    require(controller.initial() == state, f"the first state of {controller!r} is not always the same")
    _check_json(controller, state)
    for seen in trace:
        where = f"{controller!r} at step {seen.step}"
        wanted = controller.wants(seen.step)
        require(
            isinstance(wanted, Wants) and wanted.seen in SEEN,
            f"{where} needs {wanted!r}, no Wants of {', '.join(SEEN)}",
        )
        stored = state_to_json(state)
        following, action = controller.respond(state, seen)
        require(state_to_json(state) == stored, f"{where} changes the state that it is given; return another")
        _check_action(where, action)
        require(
            _same(controller.respond(state, seen), (following, action)), f"{where} answers otherwise if asked again"
        )
        resumed = state_from_json(controller, json.loads(json.dumps(state_to_json(resumed))))
        resumed, same = controller.respond(resumed, seen)
        require(_same((resumed, same), (following, action)), f"{where} answers otherwise from a stored state")
        _check_json(controller, following)
        state = following
        if action.stop:
            return


def _check_json(controller: Controller, state: object) -> None:
    try:
        text = json.dumps(state_to_json(state))
    except TypeError as error:
        raise AssertionError(f"the state {state!r} cannot be stored as JSON: {error}") from None
    again = state_from_json(controller, json.loads(text))
    require(_same(again, state), f"the state {state!r} is read back as {again!r}; keep numbers and tuples of them")
    require(type(again) is type(controller.initial()), f"a state of {controller!r} is read back as another type")


def _check_action(where: str, action: Action) -> None:
    require(isinstance(action, Action), f"{where} answers {action!r}, no Action")
    multiplier = action.multiplier
    require(math.isfinite(multiplier) and multiplier >= 0, f"{where} multiplies the rate by {multiplier}")
    for text in (action.event, action.stop or ""):
        require("\n" not in text, f"{where} gives a reason of several lines: {text!r}")
    require(action.stop != "", f"{where} stops without a reason; None goes on")


def _same(one: object, other: object) -> bool:
    """Equal, nan to nan."""
    return one == other or repr(one) == repr(other)


def _traces() -> Iterator[list[Observation]]:
    rng = np.random.default_rng(0)
    falling = CHANCE * np.exp(-np.arange(160) / 50) * (1 + 0.1 * rng.standard_normal(160))
    standing = CHANCE * (1 + 0.02 * rng.standard_normal(160))
    spiking, overflowing = falling.copy(), falling.copy()
    spiking[90:110] = 50.0
    overflowing[60] = np.nan
    for losses, chance in (
        (falling, CHANCE),
        (standing, CHANCE),
        (spiking, CHANCE),
        (overflowing, CHANCE),
        (falling, None),
    ):
        yield [_observation(step, float(loss), chance, rng) for step, loss in enumerate(losses)]


def _observation(step: int, loss: float, chance: float | None, rng: np.random.Generator) -> Observation:
    evaluated = step % 10 == 9
    return Observation(
        step=step,
        loss=loss,
        rate=0.1,
        validation_loss=loss * 1.1 if evaluated else None,
        validation_score=1 / (1 + loss) if evaluated else None,
        chance=chance,
        batch_chance=chance,
        dead=float(rng.random() < 0.1) if step % 8 == 0 else None,
        slope=float(rng.random()) if step % 2 == 0 else None,
        curvature=float(rng.random()) if step % 2 == 0 else None,
        ahead=0.1,
    )
