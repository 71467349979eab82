"""Going back: to the older of the two last states that were worth keeping, past the batches trained on since.

    batch of update t = batch (t + sum of n over skips (s, n) with s <= t) of the seed's order

A state is kept as it is in memory; the last two are in the checkpoint as well, so that a resumed run goes back to
the same. What a rewind takes back stays charged, and what happened stays in the record as events.
"""

from __future__ import annotations

from calando.records import Event
from calando.training.capture import Capture, capture, put_back
from calando.training.state import TrainState

__all__ = ["batch_index", "keep", "rewind"]

KEPT = 2


def batch_index(state: TrainState, step: int) -> int:
    """Which batch of the seed's order update `step` trains on."""
    return step + sum(count for start, count in state.skips if start <= step)


def keep(state: TrainState) -> None:
    """Keep the state as it is now."""
    state.kept = [*state.kept, capture(state)][-KEPT:]


def rewind(state: TrainState, *, offending: int, asked: tuple[int, ...]) -> None:
    """Go back to the older kept state.

    Args:
        offending: the last update that saw a batch.
        asked: the controllers that asked for it; they keep their states.
    """
    back: Capture = state.kept[0]
    states, events, skips = state.controller_states, state.events, state.skips
    undone, second_passes, seconds, made = state.undone, state.second_passes, state.seconds, state.step
    inherited = state.inherited, state.inherited_seconds
    put_back(state, back)
    state.inherited, state.inherited_seconds = inherited
    # How far the run got counts; a batch whose loss was not finite was seen without an update.
    state.undone, state.second_passes, state.seconds = undone + made - state.step, second_passes, seconds
    for index in asked:
        state.controller_states[index] = states[index]
    state.skips = [*(skip for skip in skips), (state.step, offending + 1 - state.step)]
    text = f"went back to before update {state.step}; the batches of updates {state.step} to {offending} are left out"
    state.events = [*events, Event(step=offending, kind="rewind", text=text)]
    state.kept = [back]
    state.evaluated = None  # it was of the end that is taken back
