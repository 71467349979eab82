"""The whole state of a run as tensors by name and a JSON document, and a run put to where such a state stands.

Checkpoints write it to a file; a rewind keeps it in memory. What is put back is the same to the bit.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch

from calando.methods.own.memory import keep_types
from calando.records import Evaluation, Event
from calando.training.state import TrainState

__all__ = ["Capture", "capture", "of_network", "put_back"]


@dataclass(frozen=True)
class Capture:
    """A run at one moment.

    Args:
        tensors: "network.NAME", "optimizer.INDEX.KEY", "average.NAME", "trace.losses", "trace.rates"; copies.
        document: everything else, JSON-able; read only.
    """

    tensors: dict[str, torch.Tensor]
    document: dict[str, Any]


def capture(state: TrainState) -> Capture:
    """The state now."""
    tensors = {f"network.{name}": value for name, value in state.network.state_dict().items()}
    optimizer = state.optimizer.state_dict()
    plain: dict[str, dict[str, Any]] = {}
    for index, entries in optimizer["state"].items():
        for key, value in entries.items():
            if isinstance(value, torch.Tensor):
                tensors[f"optimizer.{index}.{key}"] = value
            else:
                plain.setdefault(str(index), {})[key] = value
    if state.average is not None:
        tensors |= {f"average.{name}": value for name, value in state.average.tensors.items()}
    tensors["trace.losses"] = torch.from_numpy(state.losses[: state.seen])
    tensors["trace.rates"] = torch.from_numpy(state.rates[: state.seen])
    groups = [{k: _plain(v) for k, v in group.items()} for group in optimizer["param_groups"]]
    document = {
        "step": state.step,
        "optimizer": {"plain": plain, "groups": groups},
        "averaged": 0 if state.average is None else state.average.count,
        "controller_states": list(state.controller_states),
        "multipliers": list(state.multipliers),
        "evaluations": [asdict(evaluation) for evaluation in state.evaluations],
        "events": [asdict(event) for event in state.events],
        "skips": [list(skip) for skip in state.skips],
        "undone": state.undone,
        "second_passes": state.second_passes,
        "seconds": state.seconds,
        "inherited": state.inherited,
        "inherited_seconds": state.inherited_seconds,
    }
    return Capture({name: value.detach().clone() for name, value in tensors.items()}, document)


def put_back(state: TrainState, taken: Capture) -> None:
    """Bring `state` to where `taken` stands.

    Raises:
        KeyError, TypeError, ValueError, RuntimeError, IndexError: it is not of this run, or is damaged.
    """
    tensors, document = taken.tensors, taken.document
    state.network.load_state_dict(of_network(tensors))
    saved: dict[int, dict[str, Any]] = {int(k): dict(v) for k, v in document["optimizer"]["plain"].items()}
    for name, value in tensors.items():
        if name.startswith("optimizer."):
            _, index, key = name.split(".", 2)
            saved.setdefault(int(index), {})[key] = value.clone()
    groups = [{k: tuple(v) if k == "betas" else v for k, v in g.items()} for g in document["optimizer"]["groups"]]
    parameters = [p for group in state.optimizer.param_groups for p in group["params"]]
    of_optimizer = {"state": saved, "param_groups": groups}
    state.optimizer.load_state_dict(of_optimizer)
    keep_types(state.optimizer, of_optimizer)
    for parameter in parameters:
        entries = state.optimizer.state.get(parameter, {})
        for key, value in entries.items():
            # Fused kernels walk memory: a buffer must have its parameter's layout, which the file does not keep.
            if isinstance(value, torch.Tensor) and value.shape == parameter.shape:
                entries[key] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)
    if state.average is not None:
        for name, value in state.average.tensors.items():
            value.copy_(tensors[f"average.{name}"])
        state.average.count = int(document["averaged"])
    seen = len(tensors["trace.losses"])
    state.losses[:seen], state.rates[:seen] = tensors["trace.losses"].numpy(), tensors["trace.rates"].numpy()
    state.losses[seen:], state.rates[seen:] = 0, 0  # of a future that is taken back
    state.step = int(document["step"])
    state.controller_states = [dict(entry) for entry in document["controller_states"]]
    state.multipliers = [float(value) for value in document["multipliers"]]
    state.evaluations = [Evaluation(**entry) for entry in document["evaluations"]]
    state.events = [Event(**entry) for entry in document["events"]]
    state.skips = [(int(step), int(count)) for step, count in document["skips"]]
    state.undone, state.second_passes = int(document["undone"]), int(document["second_passes"])
    stops = [event.text for event in state.events if event.kind == "diverged"]
    state.stopped = stops[0] if stops else None
    state.seconds = float(document["seconds"])
    state.inherited, state.inherited_seconds = int(document["inherited"]), float(document["inherited_seconds"])


def of_network(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A network's `state_dict` out of a capture's tensors."""
    return {name.removeprefix("network."): value for name, value in tensors.items() if name.startswith("network.")}


def _plain(value: Any) -> Any:
    return float(value) if isinstance(value, torch.Tensor) else value
