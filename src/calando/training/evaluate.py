"""Evaluation: mean loss and score on a part of the data, gradients off.

Of classes,
    loss  = 1/n * sum of -log p(label)      without label smoothing
    score = the metric's, by default 1/n * sum of [argmax == label]; chance where the loss is not finite
of any other task the mean training loss, and the metric's score.

The argmax of nan is the first class, whose share would look like a score. An output that is not finite makes the loss
not finite, except -inf at other classes than the label: a mask of classes, which hides nothing.

Where the weights to judge are not those trained (an average, or a method with an evaluation mode), the statistics of
batch normalisation are gathered again for them: the mean over BATCHES training batches, the first of the seed's order,
dropout off.

Source: Defazio et al. 2024, *The Road Less Scheduled*, section 4 and their repository's notes on batch norm.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import nn

from calando.language import message
from calando.records import Evaluation, Event, Lane
from calando.tasks.source import Source
from calando.tasks.workload import Workload
from calando.training.lane import in_precision, placed, seed_step
from calando.training.network_statistics import gathering_statistics, network_broken, statistics_of
from calando.training.state import TrainState

__all__ = ["BATCHES", "evaluate", "evaluate_run", "recalibrate"]

BATCHES = 20


def evaluate(
    network: nn.Module,
    workload: Workload,
    part: Source,
    *,
    lane: Lane,
    undefined: Callable[[str], None] | None = None,
) -> tuple[float, float]:
    """(loss, score) of the network on a part; the network's train/eval mode comes back as it was.

    `undefined` is called with a sentence where the metric is not finite, though the loss is.
    """
    training = network.training
    network.eval()
    found = workload.evaluate(
        network,
        part,
        precision=lambda: in_precision(lane),
        placed=lambda tensor: placed(tensor, lane),
        undefined=undefined,
    )
    network.train(training)
    return found


def evaluate_run(state: TrainState, workload: Workload) -> tuple[Evaluation, str]:
    """Evaluate a run on the validation part, with an average the trained weights too; and what is not finite, or ""."""
    session, lane, part = state.session, state.spec.lane, workload.validation

    def undefined(text: str) -> None:
        if all(event.kind != "score" for event in state.events):  # once a run
            state.events.append(Event(state.step - 1, "score", text))

    with session.evaluated(lambda: recalibrate(state, workload, batches=BATCHES)) as others:
        loss, score = evaluate(state.network, workload, part, lane=lane, undefined=undefined)
        broken = _broken(state.network, loss, others=others)
        if others and state.step == state.spec.steps:
            state.evaluated = {name: value.clone() for name, value in state.network.state_dict().items()}
    if not others:
        return Evaluation(step=state.step, loss=loss, score=score), broken
    if session.average is None:
        return Evaluation(step=state.step, loss=loss, score=score), broken or network_broken(state.network)
    raw_loss, raw_score = evaluate(state.network, workload, part, lane=lane)
    found = Evaluation(step=state.step, loss=loss, score=score, raw_loss=raw_loss, raw_score=raw_score)
    return found, broken or _broken(state.network, raw_loss, others=False)


def recalibrate(state: TrainState, workload: Workload, *, batches: int) -> None:
    """Gather the statistics of batch normalisation again, for the weights as they are.

    The generators are left as a later update will set them anyway.
    """
    layers = [layer for layer in statistics_of(state.network) if layer.training]
    if not layers or not batches:
        return
    spec = state.spec
    micro = spec.in_our_loop.batch_size // spec.in_our_loop.accumulate
    with gathering_statistics(state.network, layers):
        for index in range(batches):
            seed_step(spec.seed, index)
            for part in workload.batch(index, seed=spec.seed).split(micro):
                here = part.mapped(lambda tensor: placed(tensor, spec.lane))
                workload.judged(state.network, here, precision=lambda: in_precision(spec.lane))


def _broken(network: nn.Module, loss: float, *, others: bool) -> str:
    """What is not finite of the weights that the network holds and their validation loss, in words, or ""."""
    if wrong := network_broken(network):
        return message(wrong.replace("weights", "evaluated weights")) if others else wrong
    if math.isfinite(loss):
        return ""
    return message(
        "validation loss of the evaluated weights is {loss}" if others else "validation loss is {loss}", loss=loss
    )
