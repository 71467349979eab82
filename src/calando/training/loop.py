"""The loop: `advance` makes updates, `execute` makes a whole run. A run is a function of its spec and lane.

Update t, for t = 0, 1, …, is a session's (`calando.training.session`) on a batch of the task:
    begin      the driver writes  base * schedule(t) * controllers' multipliers
    batch      samples and augmentation are functions of (seed, t), and of the batches that a rewind left out
    gradient   mean over `accumulate` micro-batches; a loss that is not finite changes no weight
    make_step  along the gradient, clipped to `clip_norm`; the average takes the weights in
    evaluate   after every `evaluate_every` updates, and after the last: `calando.training.evaluate`
    answer     controllers see the loss and the evaluation; one of them may rewind: `take_back`
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch

from calando.controllers import Observation
from calando.controllers.losses import AT_CHANCE
from calando.language import message
from calando.records import Event, RunOutcome, RunRecord, RunSpec
from calando.tasks.metrics import ACCURACY
from calando.tasks.workload import Workload
from calando.training.batch import Batch, ForeignDraws
from calando.training.checkpoint import Place, drop_checkpoint, load_checkpoint, save_checkpoint
from calando.training.evaluate import BATCHES, evaluate_run
from calando.training.lane import describe_host, holding_lane
from calando.training.network_statistics import statistics_of
from calando.training.state import TrainState, start, take_back

__all__ = ["Interrupted", "advance", "execute"]

Watch = Callable[[TrainState], bool]

CHECKPOINT_SECONDS = SPARE_SECONDS = 20.0


class Interrupted(Exception):
    """`watch` asked for a stop; the checkpoint, if any, holds everything up to here."""


def advance(state: TrainState, workload: Workload, *, until: int, watch: Watch | None = None) -> None:
    """Make updates until `until` have been made, the run stops itself, or `watch`, called after each, returns True."""
    spec, session = state.spec, state.session
    draws = ForeignDraws()
    while state.step < until and state.stopped is None:
        step = state.step
        session.begin()
        batch = Batch(state, workload, draws, state.batch_index(step))
        loss = batch.gradient()
        state.losses[step], state.rates[step] = loss, float(state.optimizer.param_groups[0]["lr"])
        if not math.isfinite(loss):
            state.optimizer.zero_grad(set_to_none=True)
            _answer(state, Observation(step=step, loss=loss, chance=workload.chance_loss))
            continue
        session.make_step(loss, batch.again, clip=batch.clip)
        found, broken = None, ""
        if state.step % spec.evaluate_every == 0 or state.step == spec.steps:
            found, broken = evaluate_run(state, workload)
            state.evaluations.append(found)
        observation = Observation(
            step=step,
            loss=loss,
            rate=float(state.rates[step]),
            validation_loss=found.loss if found else None,
            validation_score=found.score if found else None,
            chance=workload.chance_loss,
            batch_chance=workload.chance_on(batch.samples),
            dead=session.zero_gradient_share,
            slope=session.slope,
            curvature=session.curvature,
            ahead=session.scheduled_ahead(),
            broken=broken,
        )
        _answer(state, observation)
        if watch is not None and watch(state):
            break
        draws.begin()


def execute(
    spec: RunSpec,
    workload: Workload,
    *,
    folder: Path | None = None,
    keep: bool = False,
    origin: Place | None = None,
    leaves: Mapping[int, Place] | None = None,
    spare: Callable[[int], Place] | None = None,
    left: Callable[[int], None] | None = None,
    watch: Watch | None = None,
) -> RunRecord:
    """Make a run: from its checkpoint where `folder` holds one, else from its origin, else from the start.

    Args:
        folder: where this run's checkpoint lives; None: nothing is written.
        keep: leave the final checkpoint there (for a test look, or for the weights).
        origin: a checkpoint of another run, whose past up to there is this run's too.
        leaves: where to leave checkpoints for other runs, by the updates made before. An existing checkpoint is
            kept. If the run ends early, its final state is saved there, which is those runs' state too.
        spare: where to leave more of them after evaluations, at least SPARE_SECONDS apart; None: nowhere.
        left: called with the step when such a checkpoint exists.
        watch: called after each update; True raises `Interrupted` with the checkpoint written.

    Raises DiskFull where a checkpoint found no space, CorruptFile where the one to start from is damaged.
    """
    workload = workload.fresh()
    with holding_lane(spec.lane):
        state = start(spec, workload)
        own = None if folder is None else Place(folder, spec.digest())
        if not (own and load_checkpoint(state, own)) and origin and load_checkpoint(state, origin):
            state.inherited, state.inherited_seconds = state.charged, state.seconds
        leaving = dict(sorted((leaves or {}).items()))
        began = saved = spared = time.monotonic()
        carried = state.seconds
        asked_to_stop = False

        def leave(step: int, place: Place) -> None:
            if not (place.folder / "state.json").exists():
                save_checkpoint(state, place)
            if left is not None:
                left(step)

        def between_updates(state: TrainState) -> bool:
            nonlocal saved, spared, asked_to_stop
            now = time.monotonic()
            state.seconds = carried + now - began
            if state.step in leaving and _first_pass(state):
                leave(state.step, leaving.pop(state.step))
            elif spare and state.step % spec.evaluate_every == 0 and now - spared > SPARE_SECONDS:
                if state.step < spec.steps and _first_pass(state):
                    leave(state.step, spare(state.step))
                spared = now
            asked_to_stop = watch is not None and watch(state)
            if own and now - saved > CHECKPOINT_SECONDS:
                save_checkpoint(state, own)
                saved = now
            return asked_to_stop

        advance(state, workload, until=spec.steps, watch=between_updates)
        state.seconds = carried + time.monotonic() - began
        if state.stopped is not None:
            for step, place in leaving.items():
                leave(step, place)
        finished = state.step == spec.steps or state.stopped is not None
        if own and (keep or not finished):
            save_checkpoint(state, own)
        elif own:
            drop_checkpoint(own.folder)
        if not finished:
            raise Interrupted
        return _record(state, workload)


def _first_pass(state: TrainState) -> bool:
    """Whether no rewind has brought the run back to this step: the second time its state is another."""
    return all(event.kind != "rewind" or event.step < state.step for event in state.events)


def _answer(state: TrainState, observation: Observation) -> None:
    """Let the controllers answer, and record what they did."""
    made = state.step
    seen = ("loss",) if observation.validation_loss is None else ("loss", "validation_loss", "validation_score")
    answer = state.session.answer(observation, seen=seen)
    state.events += [Event(step=observation.step, kind="controller", text=text) for text in answer.events]
    if answer.went_back:
        take_back(state, made=made, offending=observation.step)
    elif answer.stop is not None:
        state.events.append(Event(step=observation.step, kind="diverged", text=answer.stop))


def _record(state: TrainState, workload: Workload) -> RunRecord:
    outcome: RunOutcome = "finished" if state.stopped is None else "diverged"
    found: dict[str, str] = {}
    if state.stopped is None:
        found["chance"] = _score_at_chance(state, workload)
        if _at_chance(state, workload):
            outcome = "died"
            found["died"] = message(
                "the training loss ends at chance level, {loss:.3g}, the entropy of the labels: the network died or "
                "never learned"
                if workload.classes
                else "the training loss ends at chance level, {loss:.3g}, that of the best constant answer: the "
                "network died or never learned",
                loss=workload.chance.loss,
            )
    if state.evaluations and state.session.others_evaluated and statistics_of(state.network):
        found["recalibrated"] = message(
            "batch-norm statistics were gathered again from {batches} training batches before each of {count} "
            "evaluations",
            batches=BATCHES,
            count=len(state.evaluations),
        )
    return RunRecord(
        spec=state.spec,
        outcome=outcome,
        steps_done=state.step,
        losses=state.losses[: state.seen].copy(),
        rates=state.rates[: state.seen].copy(),
        evaluations=tuple(state.evaluations),
        chance=workload.chance.score,
        events=(*state.events, *(Event(state.step - 1, kind, text) for kind, text in found.items() if text)),
        skips=tuple(state.skips),
        undone=state.undone,
        second_passes=state.session.second_passes,
        seconds=state.seconds,
        inherited=state.inherited,
        inherited_seconds=state.inherited_seconds,
        host=describe_host(state.spec.lane),
    )


def _score_at_chance(state: TrainState, workload: Workload) -> str:
    """A sentence on a last score that one answer for all samples would reach, or ""."""
    score, measure = state.evaluations[-1].score, workload.metric.measure
    if not workload.classes or workload.metric != ACCURACY:
        reached = workload.chance.score
        if not math.isfinite(reached) or measure.merit(score - reached) > 1e-9 * abs(reached):
            return ""
        return (
            f"chance: the validation score, {measure.amount(score)}, is no better than that of the best answer that is "
            f"the same for every sample, {measure.amount(reached)}"
        )
    labels = workload.validation.labels
    share = float(torch.bincount(labels).max()) / len(labels)
    if score > share + 1e-9:
        return ""
    return (
        f"chance: the validation score, {score:.2%}, is no better than always naming the most frequent class, "
        f"which is right for {share:.2%}"
    )


def _at_chance(state: TrainState, workload: Workload) -> bool:
    """Whether the last twentieth of the losses, at least ten, is no better than chance on the same batches.

    Losses count up to twice chance, as in `calando.controllers.losses`: one batch of any loss decides nothing.
    """
    if workload.chance_loss is None:
        return False
    steps = range(max(0, state.step - max(10, state.step // 20)), state.step)
    seed, losses = state.spec.seed, state.losses[steps.start : steps.stop].astype(np.float64)
    batches = (workload.batch_targets(state.batch_index(step), seed=seed) for step in steps)
    chance = np.array([workload.chance_on(batch) for batch in batches], np.float64)
    return bool(np.minimum(losses, 2 * chance).sum() >= AT_CHANCE * chance.sum())
