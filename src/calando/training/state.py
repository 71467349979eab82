"""The whole state of a run between two updates: a session, its trace, and what the run was charged.

`capture` copies it as tensors by name and a JSON document, and `resume` restores it, the same to the bit.
Checkpoints write both to a file (`calando.training.checkpoint`); states kept for going back are in memory, and in the
checkpoint as well, so that a resumed run goes back to the same.

What a controller takes back stays charged, and the batches seen since are left out:
    batch of update t = batch (t + sum of n over skips (s, n) with s <= t) of the seed's order
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, final

import numpy as np
import torch
from torch import nn
from torch.optim import Optimizer

from calando.controllers import Divergence
from calando.language import message
from calando.methods.rule import keep_types
from calando.records import Evaluation, Event, RunSpec
from calando.strategy import bind
from calando.tasks.workload import Workload
from calando.training.lane import seed_step
from calando.training.session import Session
from calando.training.session_state import Position

__all__ = ["Captured", "TrainState", "capture", "resume", "start", "take_back", "under"]

CHARGED = {"undone": int, "seconds": float, "inherited": int, "inherited_seconds": float}
"""Of a run's state, what is stored as it is."""


@dataclass
class TrainState:
    """A run in progress."""

    spec: RunSpec
    session: Session
    losses: np.ndarray  # float32[spec.steps], filled up to `step`
    rates: np.ndarray  # float64[spec.steps], likewise
    evaluations: list[Evaluation] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    skips: list[tuple[int, int]] = field(default_factory=list)  # (update, batches left out from there on)
    undone: int = 0  # updates that were taken back
    evaluated: dict[str, torch.Tensor] | None = None  # the network's state as last evaluated, where others are trained
    seconds: float = 0.0  # over all sittings
    inherited: int = 0  # updates, as they are charged, of another run that this one started from
    inherited_seconds: float = 0.0

    @property
    def step(self) -> int:
        return self.session.step

    @property
    def network(self) -> nn.Module:
        return self.session.network

    @property
    def optimizer(self) -> Optimizer:
        return self.session.optimizer

    @property
    def stopped(self) -> str | None:
        return self.session.stopped

    @property
    def charged(self) -> int:
        """Updates so far as `RunRecord.updates` counts them."""
        return self.step + self.undone + self.session.second_passes

    @property
    def seen(self) -> int:
        """Losses computed so far: one that is not finite counts, though no update followed and the run ended."""
        ended_by_loss = self.stopped is not None and not np.isfinite(self.losses[self.step : self.step + 1]).all()
        return self.step + ended_by_loss

    def batch_index(self, step: int) -> int:
        return step + sum(count for start, count in self.skips if start <= step)


def start(spec: RunSpec, workload: Workload) -> TrainState:
    """The state before the first update: initial weights are a function of the seed alone.

    Call it under `holding_lane`, which puts the global generators back.
    """
    seed_step(spec.seed, -1)
    network = workload.build().to(device=spec.lane.device)
    if spec.lane.channels_last:
        for parameter in network.parameters():
            if parameter.ndim == 4:
                # Not `contiguous`: filters of one channel count as contiguous in either layout, so they and their
                # outputs would stay as they are.
                parameter.data = parameter.data.to(memory_format=torch.channels_last)
    network.train()
    bound = bind(spec.strategy, spec.horizon)
    optimizer = bound.optimizer(network, lr=spec.lr)
    session = Session.of(
        bound, network, optimizer, controllers=(Divergence(), *bound.controllers), remember=capture_session
    )
    return TrainState(
        spec=spec,
        session=session,
        losses=np.zeros(spec.steps, np.float32),
        rates=np.zeros(spec.steps, np.float64),
        skips=list(spec.skips),
    )


@final
@dataclass(frozen=True)
class Captured:
    """A session, or a whole run, at one moment."""

    session: Session
    tensors: Mapping[str, torch.Tensor]  # copies: network.NAME, optimizer.INDEX.KEY, average.NAME, trace.losses, .rates
    document: Mapping[str, Any]  # everything else, JSON-able; read only

    def put_back(self) -> None:
        """Weights, optimizer's state and average; KeyError, ValueError and the like where they are damaged."""
        session, tensors, optimizer = self.session, self.tensors, self.document["optimizer"]
        session.network.load_state_dict(under("network.", tensors))
        saved: dict[int, dict[str, Any]] = {int(k): dict(v) for k, v in optimizer["plain"].items()}
        for name, value in under("optimizer.", tensors).items():
            index, key = name.split(".", 1)
            saved.setdefault(int(index), {})[key] = value.clone()
        groups = [{k: tuple(v) if k == "betas" else v for k, v in g.items()} for g in optimizer["groups"]]
        of_optimizer = {"state": saved, "param_groups": groups}
        session.optimizer.load_state_dict(of_optimizer)
        keep_types(session.optimizer, of_optimizer)
        for parameter in [p for group in session.optimizer.param_groups for p in group["params"]]:
            entries = session.optimizer.state.get(parameter, {})
            for key, value in entries.items():
                # Fused kernels walk memory: a buffer must have its parameter's layout, which the file does not keep.
                if isinstance(value, torch.Tensor) and value.shape == parameter.shape:
                    entries[key] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)
        if session.average is not None:
            for name, value in session.average.tensors.items():
                value.copy_(tensors[f"average.{name}"])


def capture_session(session: Session) -> Captured:
    tensors = {f"network.{name}": value for name, value in session.network.state_dict().items()}
    optimizer = session.optimizer.state_dict()
    plain: dict[str, dict[str, Any]] = {}
    for index, entries in optimizer["state"].items():
        for key, value in entries.items():
            if isinstance(value, torch.Tensor):
                tensors[f"optimizer.{index}.{key}"] = value
            else:
                plain.setdefault(str(index), {})[key] = value
    if session.average is not None:
        tensors |= {f"average.{name}": value for name, value in session.average.tensors.items()}
    groups = [{k: _plain(v) for k, v in group.items()} for group in optimizer["param_groups"]]
    document = session.position().document() | {"optimizer": {"plain": plain, "groups": groups}}
    return Captured(session, {name: value.detach().clone() for name, value in tensors.items()}, document)


def capture(state: TrainState) -> Captured:
    taken = capture_session(state.session)
    trace = {
        "trace.losses": torch.from_numpy(state.losses[: state.seen].copy()),
        "trace.rates": torch.from_numpy(state.rates[: state.seen].copy()),
    }
    document = {
        **taken.document,
        "evaluations": [asdict(evaluation) for evaluation in state.evaluations],
        "events": [asdict(event) for event in state.events],
        "skips": [list(skip) for skip in state.skips],
        "second_passes": state.session.second_passes,
        **{name: getattr(state, name) for name in CHARGED},
    }
    return Captured(state.session, {**taken.tensors, **trace}, document)


def resume(state: TrainState, taken: Captured) -> None:
    """Bring `state` to what `taken` holds; KeyError, ValueError and the like where it is damaged, or another run's."""
    tensors, document = taken.tensors, taken.document
    taken.put_back()
    state.session.take_position(Position.read(document, state.session.controllers))
    seen = len(tensors["trace.losses"])
    state.losses[:seen], state.rates[:seen] = tensors["trace.losses"].numpy(), tensors["trace.rates"].numpy()
    state.losses[seen:], state.rates[seen:] = 0, 0
    state.evaluations = [Evaluation(**entry) for entry in document["evaluations"]]
    state.events = [Event(**entry) for entry in document["events"]]
    state.skips = [(int(step), int(count)) for step, count in document["skips"]]
    state.session.second_passes = int(document["second_passes"])
    for name, kind in CHARGED.items():
        setattr(state, name, kind(document[name]))
    stops = [event.text for event in state.events if event.kind == "diverged"]
    state.session.stopped = stops[0] if stops else None


def take_back(state: TrainState, *, made: int, offending: int) -> None:
    """The session went back: so does the trace, and the batches seen since are left out.

    Args:
        made: updates before it went back.
        offending: the last update that saw a batch; one whose loss was not finite saw it without an update.
    """
    step = state.step
    state.losses[step:], state.rates[step:] = 0, 0
    state.evaluations = [evaluation for evaluation in state.evaluations if evaluation.step <= step]
    state.evaluated = None  # it was of the end that is taken back
    state.undone += made - step
    state.skips = [*state.skips, (step, offending + 1 - step)]
    text = message(
        "went back to before update {step}; the batches of updates {step} to {offending} are left out",
        step=step,
        offending=offending,
    )
    state.events = [*state.events, Event(step=offending, kind="rewind", text=text)]


def under(prefix: str, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Those of a capture's tensors whose names begin so, without that: `under("network.", …)` is a `state_dict`."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _plain(value: Any) -> Any:
    return float(value) if isinstance(value, torch.Tensor) else value
