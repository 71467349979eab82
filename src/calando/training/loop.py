"""The loop: `advance` makes updates, `execute` makes a whole run. A run is a function of its spec and lane.

Update t, for t = 0, 1, …:
    rates      the driver writes  base * schedule(t) * controllers' multipliers
    batch      samples and augmentation are functions of (seed, t)
    gradient   mean over `accumulate` micro-batches, clipped to `clip_norm`
    watch      controllers see the loss before the update is applied, so a non-finite one changes no weight
    update     optimizer.step()
    evaluate   after every `evaluate_every` updates, and after the last
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import torch
from torch import nn

from calando.controllers import Observation
from calando.records import Evaluation, Event, Outcome, RunRecord, RunSpec
from calando.training.checkpoint import drop_checkpoint, load_checkpoint, save_checkpoint
from calando.training.evaluate import evaluate
from calando.training.lane import describe_host, holding_lane, seed_step
from calando.training.state import TrainState, start
from calando.workloads.workload import CrossEntropy, Workload

__all__ = ["Interrupted", "advance", "execute"]

Watch = Callable[[TrainState], bool]

CHANCE_MARGIN = 0.98
CHECKPOINT_SECONDS = 20.0


class Interrupted(Exception):
    """The watcher asked for a stop; the checkpoint, if any, holds everything up to here."""


def advance(state: TrainState, workload: Workload, *, until: int, watch: Watch | None = None) -> None:
    """Make updates until `until` have been made, the run stops itself, or `watch` returns True.

    Args:
        state: changed in place.
        until: at most `state.spec.steps`.
        watch: called after each update; True stops between two updates.
    """
    spec, lane = state.spec, state.spec.lane
    layout = torch.channels_last if lane.channels_last else torch.contiguous_format
    device = torch.device(lane.device)
    cast = torch.autocast(device.type, torch.bfloat16) if lane.precision == "bf16" else nullcontext()
    micro = spec.workload.batch_size // spec.workload.accumulate
    parameters = [p for group in state.optimizer.param_groups for p in group["params"]]
    lr_group = state.optimizer.param_groups[0]
    while state.step < until and state.stopped is None:
        step = state.step
        seed_step(spec.seed, step)
        state.driver.write(step, multiplier=math.prod(state.multipliers))
        images, labels = workload.batch(step, seed=spec.seed)
        total = 0.0
        for part in range(0, spec.workload.batch_size, micro):
            x = images[part : part + micro].to(device).contiguous(memory_format=layout)
            y = labels[part : part + micro].to(device)
            with cast:
                outputs = state.network(x)
            loss = workload.loss(outputs.float(), y) / spec.workload.accumulate
            loss.backward()
            total += loss.item()
        if spec.workload.clip_norm is not None:
            nn.utils.clip_grad_norm_(parameters, spec.workload.clip_norm)
        state.losses[step], state.rates[step] = total, float(lr_group["lr"])
        if not math.isfinite(total):
            _observe(state, Observation(step=step, loss=total))
            break
        state.optimizer.step()
        state.optimizer.zero_grad(set_to_none=True)
        state.step += 1
        found = None
        if state.step % spec.evaluate_every == 0 or state.step == spec.steps:
            found = evaluate(state.network, workload, workload.validation, lane=lane)
            state.evaluations.append(Evaluation(step=state.step, loss=found[0], score=found[1]))
        _observe(state, Observation(step=step, loss=total, validation_loss=found[0] if found else None))
        if watch is not None and watch(state):
            break


def execute(
    spec: RunSpec,
    workload: Workload,
    *,
    folder: Path | None = None,
    keep: bool = False,
    watch: Watch | None = None,
) -> RunRecord:
    """Make a run: from its checkpoint where `folder` holds one, else from the start.

    Args:
        folder: where this run's checkpoint lives; None: nothing is written.
        keep: leave the final checkpoint there (for a test look, or for the weights).
        watch: called after each update; True raises `Interrupted` with the checkpoint written.

    Raises:
        Interrupted: the watcher asked.
        DiskFull: a checkpoint found no space.
        CorruptFile: the checkpoint in `folder` is damaged.
    """
    with holding_lane(spec.lane):
        state = start(spec, workload)
        if folder is not None:
            load_checkpoint(state, folder)
        began = saved = time.monotonic()
        carried = state.seconds
        asked_to_stop = False

        def between_updates(state: TrainState) -> bool:
            nonlocal saved, asked_to_stop
            now = time.monotonic()
            state.seconds = carried + now - began
            asked_to_stop = watch is not None and watch(state)
            if folder is not None and now - saved > CHECKPOINT_SECONDS:
                save_checkpoint(state, folder)
                saved = now
            return asked_to_stop

        advance(state, workload, until=spec.steps, watch=between_updates)
        state.seconds = carried + time.monotonic() - began
        finished = state.step == spec.steps or state.stopped is not None
        if folder is not None and (keep or not finished):
            save_checkpoint(state, folder)
        elif folder is not None:
            drop_checkpoint(folder)
        if not finished:
            raise Interrupted
        return _record(state, workload)


def _observe(state: TrainState, observation: Observation) -> None:
    for index, controller in enumerate(state.controllers):
        state.controller_states[index], action = controller.respond(state.controller_states[index], observation)
        state.multipliers[index] = action.multiplier
        if action.stop is not None:
            state.stopped = action.stop
            state.events.append(Event(step=observation.step, kind="diverged", text=action.stop))
        elif action.event:
            state.events.append(Event(step=observation.step, kind="controller", text=action.event))


def _record(state: TrainState, workload: Workload) -> RunRecord:
    outcome: Outcome = "finished"
    events = list(state.events)
    if state.stopped is not None:
        outcome = "diverged"
    elif isinstance(workload.loss, CrossEntropy) and _at_chance(state.losses, classes=workload.classes):
        outcome = "died"
        text = f"the training loss ends at chance level, log({workload.classes}): the network died or never learned"
        events.append(Event(step=state.step - 1, kind="died", text=text))
    return RunRecord(
        spec=state.spec,
        outcome=outcome,
        steps_done=state.step,
        losses=state.losses[: state.seen].copy(),
        rates=state.rates[: state.seen].copy(),
        evaluations=tuple(state.evaluations),
        chance=1 / workload.classes,
        events=tuple(events),
        seconds=state.seconds,
        host=describe_host(state.spec.lane),
    )


def _at_chance(losses: np.ndarray, *, classes: int) -> bool:
    tail = losses[-max(10, len(losses) // 20) :]
    return bool(np.median(tail) >= CHANCE_MARGIN * math.log(classes))
