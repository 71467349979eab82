"""What worker processes are given before their first job, as bytes.

    of a module that can be imported     by name
    of a notebook, a script, a function  by value: no worker could import it (cloudpickle)
    tensors                              in shared memory: once, however many workers there are

As Ray's and joblib's workers have it. Ray pickles a `Setup` itself.
"""

from __future__ import annotations

import io
import pickle
from collections import ChainMap
from collections.abc import Callable, Mapping
from multiprocessing.reduction import ForkingPickler
from types import CellType, FunctionType
from typing import Any, ClassVar

import cloudpickle
import torch

from calando.errors import UsageError, reason_of
from calando.language import message
from calando.study.own_training import OwnTraining
from calando.study.workers.messages import Setup
from calando.tasks.run_copies import empty_cell, fill_cell
from calando.tasks.workload import Workload

__all__ = ["check_sendable", "pack_setup", "unpack_setup"]


class _ByValue(cloudpickle.Pickler):  # type: ignore[misc]
    """cloudpickle gives each function cells of its own; here closures that share a variable go on sharing it."""

    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, CellType):
            try:
                return empty_cell, (), value.cell_contents, None, None, fill_cell
            except ValueError:  # it is empty
                return empty_cell, ()
        found = super().reducer_override(value)
        if isinstance(value, FunctionType) and value.__closure__ and isinstance(found, tuple):
            make, (*arguments, _), (state, slots), *rest = found
            return make, (*arguments, value.__closure__), (state, {**slots, "__closure__": None}), *rest
        return found


class _Pickler(_ByValue):
    """What it writes can be read once: each reader takes over a file of its own for each shared tensor."""

    # `import torch` tells multiprocessing's pickler how tensors are shared.
    dispatch_table: ClassVar = ChainMap(ForkingPickler._extra_reducers, cloudpickle.Pickler.dispatch_table)  # type: ignore[attr-defined]


class _Dry(_ByValue):
    """Leaves tensors out: each can be sent, and sharing its memory takes a file that would stay open."""

    def persistent_id(self, value: object) -> str | None:
        return "" if isinstance(value, torch.Tensor) else None


def check_sendable(
    task: Workload | OwnTraining | None,
    functions: Mapping[str, Callable[[float], float]],
    entries: Mapping[str, Mapping[str, tuple[Any, str]]],
) -> None:
    """Raise UsageError where workers cannot be sent the user's own workload, or what strategies name."""
    parts: dict[str, object] = {
        message("the schedule function {name!r}", name=name): f for name, f in functions.items()
    }
    parts |= {f"the {kind} {name!r}": entry for kind, own in entries.items() for name, entry in own.items()}
    if isinstance(task, OwnTraining):
        parts |= {message("the training function"): task.function}
    elif task is not None:
        parts |= {
            message("the workload's model"): task.build,
            message("the workload's loss"): task.loss,
            message("the workload's training data"): task.train,
            message("the workload's validation data"): task.validation,
            message("the workload's test data"): task.test,
            message("the workload's forward"): task.forward,
            message("the workload's metric"): task.metric,
        }
    for name, part in parts.items():
        try:
            _Dry(io.BytesIO(), protocol=pickle.HIGHEST_PROTOCOL).dump(part)
        except Exception as error:  # pickling runs the user's own __reduce__ and __getstate__, which may raise anything
            raise UsageError(
                message(
                    "{name} cannot be sent to worker processes ({reason}); leave out of it what cannot be "
                    'pickled, or train in this process: executor="inline"',
                    name=name,
                    reason=reason_of(error),
                )
            ) from error


def pack_setup(setup: Setup) -> bytes:
    """A setup for one worker; UsageError as of `check_sendable`."""
    check_sendable(setup.given, setup.functions, setup.entries)
    file = io.BytesIO()
    _Pickler(file, protocol=pickle.HIGHEST_PROTOCOL).dump(setup)
    return file.getvalue()


def unpack_setup(data: bytes) -> Setup:
    """The setup, in the worker; UsageError where what it names cannot be imported there."""
    try:
        setup: Setup = pickle.loads(data)
    except Exception as error:  # as above
        raise UsageError(
            message(
                "a worker process cannot load the workload ({reason}); put what it is made of where Python "
                'imports it from, or train in this process: executor="inline"',
                reason=reason_of(error),
            )
        ) from error
    return setup
