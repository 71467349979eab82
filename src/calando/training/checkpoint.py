"""Checkpoints: the whole state of a run, as safetensors beside JSON; no pickle.

    FOLDER/tensors-STEP-….safetensors    parameters, buffers, optimizer state, losses and rates so far
    FOLDER/state.json                    everything else with the SHA-256 of the tensors, as a JSON string beside
                                         its own SHA-256

The tensors are written first, then `state.json` is renamed into place: that rename is the moment the new
checkpoint exists. Killed before it, the old one stands; killed after it, a left-over tensors file is swept
away by the next save. What is read is checked against the digest, the spec and the parameters' shapes.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError

from calando.errors import CorruptFile
from calando.records import Evaluation, Event
from calando.records.files import noticing_full_disk, write_atomically
from calando.training.state import TrainState

__all__ = ["drop_checkpoint", "export_weights", "load_checkpoint", "load_weights", "save_checkpoint"]

VERSION = 1


def save_checkpoint(state: TrainState, folder: Path) -> None:
    """Write the whole state; atomic.

    Raises:
        DiskFull: no space left; the checkpoint that was there is intact.
    """
    tensors = {f"network.{name}": value for name, value in state.network.state_dict().items()}
    optimizer = state.optimizer.state_dict()
    plain: dict[str, dict[str, Any]] = {}
    for index, entries in optimizer["state"].items():
        for key, value in entries.items():
            if isinstance(value, torch.Tensor):
                tensors[f"optimizer.{index}.{key}"] = value
            else:
                plain.setdefault(str(index), {})[key] = value
    tensors["trace.losses"] = torch.from_numpy(state.losses[: state.seen])
    tensors["trace.rates"] = torch.from_numpy(state.rates[: state.seen])
    groups = [{k: _plain(v) for k, v in group.items()} for group in optimizer["param_groups"]]
    # Cloned and contiguous: safetensors takes neither tied weights nor other memory layouts.
    data = safetensors.torch.save({k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()})
    digest = hashlib.sha256(data).hexdigest()
    name = f"tensors-{state.step}-{digest[:8]}.safetensors"
    document = {
        "version": VERSION,
        "run": state.spec.digest(),
        "tensors": name,
        "sha256": digest,
        "step": state.step,
        "optimizer": {"plain": plain, "groups": groups},
        "controller_states": state.controller_states,
        "multipliers": state.multipliers,
        "evaluations": [asdict(evaluation) for evaluation in state.evaluations],
        "events": [asdict(event) for event in state.events],
        "seconds": state.seconds,
    }
    write_atomically(folder / name, data)
    text = json.dumps(document)
    sealed = json.dumps({"sha256": hashlib.sha256(text.encode()).hexdigest(), "state": text})
    write_atomically(folder / "state.json", sealed.encode())
    for path in folder.glob("tensors-*"):
        if path.name != name:
            path.unlink(missing_ok=True)


def load_checkpoint(state: TrainState, folder: Path) -> bool:
    """Bring `state` to where the checkpoint in `folder` stands; False where there is none.

    Raises:
        CorruptFile: damaged, or of another run.
    """
    path = folder / "state.json"
    if not path.is_file():
        return False
    document, tensors = _read(folder)
    remedy = f"remove {str(folder)!r} to train this run anew"
    if document.get("version") != VERSION or document.get("run") != state.spec.digest():
        raise CorruptFile(f"{path} belongs to another run or version of calando; {remedy}")
    try:
        _restore(state, document, tensors)
    except (KeyError, TypeError, ValueError, RuntimeError, IndexError) as error:
        raise CorruptFile(f"{path} does not fit this run ({type(error).__name__}); {remedy}") from error
    return True


def load_weights(network: torch.nn.Module, folder: Path) -> None:
    """The network's part of a checkpoint alone, for a test look.

    Raises:
        CorruptFile: damaged, missing, or of another network.
    """
    _, tensors = _read(folder)
    try:
        network.load_state_dict(_of_network(tensors))
    except RuntimeError as error:
        raise CorruptFile(f"the checkpoint in {str(folder)!r} is of another network; remove it") from error


def export_weights(folder: Path, path: Path) -> None:
    """Write the network's weights from a checkpoint as plain safetensors, under the names of its `state_dict`.

    Raises:
        CorruptFile: the checkpoint is damaged or missing.
        DiskFull: no space left.
    """
    _, tensors = _read(folder)
    write_atomically(path, safetensors.torch.save(_of_network(tensors)))


def drop_checkpoint(folder: Path) -> None:
    """Remove a run's checkpoint."""
    shutil.rmtree(folder, ignore_errors=True)


def _read(folder: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    path = folder / "state.json"
    remedy = f"remove {str(folder)!r} to train this run anew"
    try:
        sealed = json.loads(path.read_bytes())
        if hashlib.sha256(sealed["state"].encode()).hexdigest() != sealed["sha256"]:
            raise CorruptFile(f"checkpoint {str(path)!r} fails its checksum; {remedy}")
        document = json.loads(sealed["state"])
        data = (folder / str(document["tensors"])).read_bytes()
        if hashlib.sha256(data).hexdigest() != document["sha256"]:
            raise CorruptFile(f"checkpoint {str(folder / document['tensors'])!r} fails its checksum; {remedy}")
        return document, safetensors.torch.load(data)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, SafetensorError) as error:
        if isinstance(error, CorruptFile):
            raise
        with noticing_full_disk(path):
            raise CorruptFile(f"checkpoint {str(path)!r} cannot be read ({type(error).__name__}); {remedy}") from error


def _restore(state: TrainState, document: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
    state.network.load_state_dict(_of_network(tensors))
    saved: dict[int, dict[str, Any]] = {int(k): dict(v) for k, v in document["optimizer"]["plain"].items()}
    for name, value in tensors.items():
        if name.startswith("optimizer."):
            _, index, key = name.split(".", 2)
            saved.setdefault(int(index), {})[key] = value
    groups = [{k: tuple(v) if k == "betas" else v for k, v in g.items()} for g in document["optimizer"]["groups"]]
    parameters = [p for group in state.optimizer.param_groups for p in group["params"]]
    state.optimizer.load_state_dict({"state": saved, "param_groups": groups})
    for parameter in parameters:
        entries = state.optimizer.state.get(parameter, {})
        for key, value in entries.items():
            # Fused kernels walk memory: a buffer must have its parameter's layout, which the file does not keep.
            if isinstance(value, torch.Tensor) and value.shape == parameter.shape:
                entries[key] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)
    seen = len(tensors["trace.losses"])
    state.losses[:seen], state.rates[:seen] = tensors["trace.losses"].numpy(), tensors["trace.rates"].numpy()
    state.step = int(document["step"])
    state.controller_states = [dict(entry) for entry in document["controller_states"]]
    state.multipliers = [float(value) for value in document["multipliers"]]
    state.evaluations = [Evaluation(**entry) for entry in document["evaluations"]]
    state.events = [Event(**entry) for entry in document["events"]]
    stops = [event.text for event in state.events if event.kind == "diverged"]
    state.stopped = stops[0] if stops else None
    state.seconds = float(document["seconds"])


def _of_network(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name.removeprefix("network."): value for name, value in tensors.items() if name.startswith("network.")}


def _plain(value: Any) -> Any:
    return float(value) if isinstance(value, torch.Tensor) else value
