"""Checkpoints: the whole state of a run, as safetensors and JSON; no pickle.

    FOLDER/tensors-STEP-….safetensors    parameters, buffers, optimizer state, average, losses and rates so far; the
                                         same of the states kept for a rewind; the network as it is evaluated
    FOLDER/state.json                    everything else with the SHA-256 of the tensors, as a JSON string next to
                                         its own SHA-256

The tensors are written first, then `state.json` is renamed into place: that rename is the moment the new
checkpoint exists. After a kill before it, the old one is intact; after a kill behind it, the next save removes the
left-over tensors file. What is read is checked against the digest, the spec and the parameters' shapes.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError

from calando.errors import CorruptFile, fault_of
from calando.host import status_of
from calando.language import message
from calando.records.files import noticing_full_disk, read_plain, write_atomically
from calando.training.session_state import Kept, Position
from calando.training.state import Captured, TrainState, capture, resume, under

__all__ = [
    "Place",
    "copy_checkpoint",
    "drop_checkpoint",
    "export_weights",
    "furthest_of",
    "load_checkpoint",
    "load_weights",
    "save_checkpoint",
    "size_of",
    "step_of",
]

VERSION = 4
LONGEST = 2**40
UNSYNCED_SECONDS = 20.0
"""A sync takes longer than a short run; what a power cut ruins fails its checksum, and is made again."""


@dataclass(frozen=True)
class Place:
    """Where a checkpoint lives, and whose it is: the digest of a run, or the address of a past."""

    folder: Path
    owner: str


def save_checkpoint(state: TrainState, place: Place) -> None:
    """Write the whole state; atomic, and proof against a power cut where more than UNSYNCED_SECONDS went into it.

    With DiskFull, the checkpoint that was there is intact.
    """
    folder = place.folder
    taken = capture(state)
    kept = [one.memory for one in state.session.kept if isinstance(one.memory, Captured)]
    captures = {"": taken, **{f"kept{place}.": one for place, one in enumerate(kept)}}
    tensors = {prefix + name: value for prefix, one in captures.items() for name, value in one.tensors.items()}
    if state.evaluated is not None:
        tensors |= {f"evaluated.{name}": value for name, value in state.evaluated.items()}
    # Cloned and contiguous: safetensors takes neither tied weights nor other memory layouts.
    data = safetensors.torch.save({k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()})
    digest = hashlib.sha256(data).hexdigest()
    name = f"tensors-{state.step}-{digest[:8]}.safetensors"
    document = {
        "version": VERSION,
        "owner": place.owner,
        "tensors": name,
        "sha256": digest,
        "state": taken.document,
        "kept": [one.document for one in kept],
    }
    sync = state.seconds > UNSYNCED_SECONDS
    write_atomically(folder / name, data, sync=sync)
    text = json.dumps(document)
    sealed = json.dumps({"sha256": hashlib.sha256(text.encode()).hexdigest(), "state": text})
    write_atomically(folder / "state.json", sealed.encode(), sync=sync)
    for path in folder.glob("tensors-*"):
        if path.name != name:
            path.unlink(missing_ok=True)


def load_checkpoint(state: TrainState, place: Place) -> bool:
    """Bring `state` to the checkpoint there; False where there is none; CorruptFile: damaged, or another's."""
    folder = place.folder
    path = folder / "state.json"
    if not path.exists():
        return False
    document, tensors = _read(folder)
    remedy = message("remove {folder!r} to train this run again", folder=str(folder))
    if document.get("version") != VERSION or document.get("owner") != place.owner:
        raise CorruptFile(
            message("{path} belongs to another run or version of calando; {remedy}", path=path, remedy=remedy)
        )
    try:
        _restore(state, document, tensors)
    except (KeyError, TypeError, ValueError, RuntimeError, IndexError) as error:
        raise CorruptFile(
            message("{path} does not fit this run ({kind}); {remedy}", path=path, kind=fault_of(error), remedy=remedy)
        ) from error
    return True


def load_weights(network: torch.nn.Module, folder: Path, *, step: int | None = None) -> None:
    """Load the network's part alone, as it is evaluated; CorruptFile: damaged, missing, or not of that step."""
    document, tensors = _read(folder)
    if step is not None and document["state"]["step"] != step:
        raise CorruptFile(
            message("the checkpoint in {folder!r} is not of update {step}; remove it", folder=str(folder), step=step)
        )
    try:
        network.load_state_dict(_weights(tensors))
    except RuntimeError as error:
        raise CorruptFile(
            message("the checkpoint in {folder!r} is of another network; remove it", folder=str(folder))
        ) from error


def export_weights(folder: Path, path: Path) -> None:
    """Write the weights of a checkpoint, as they are evaluated, as safetensors with the names of the `state_dict`."""
    _, tensors = _read(folder)
    write_atomically(path, safetensors.torch.save(_weights(tensors)))


def copy_checkpoint(source: Path, place: Place) -> int:
    """Leave the state of another run as the checkpoint of `place`; the updates it has made.

    Raises:
        CorruptFile: there is none, or it is damaged.
        DiskFull: no space is left.
    """
    document, _ = _read(source)
    name = str(document["tensors"])
    data = read_plain(source / name, most=LONGEST)
    drop_checkpoint(place.folder)
    write_atomically(place.folder / name, data)
    text = json.dumps({**document, "owner": place.owner})
    sealed = json.dumps({"sha256": hashlib.sha256(text.encode()).hexdigest(), "state": text})
    write_atomically(place.folder / "state.json", sealed.encode())
    return int(document["state"]["step"])


def furthest_of(folder: Path) -> int:
    """Updates made before the checkpoint in `folder`, or more where a controller has gone back on the way.

    Raises:
        CorruptFile: there is none, or it is damaged.
    """
    document = _read(folder)[0]["state"]
    back = [int(event["step"]) + 1 for event in document["events"] if event["kind"] == "rewind"]
    return max([int(document["step"]), *back])


def step_of(folder: Path) -> int | None:
    """Updates made before the checkpoint in `folder`, by the name of its file; None where there is none."""
    if not (folder / "state.json").is_file():
        return None
    steps = [int(path.name.split("-")[1]) for path in folder.glob("tensors-*-*.safetensors")]
    return max(steps, default=None)


def size_of(folder: Path) -> int:
    """Bytes that a checkpoint takes; 0 where there is none."""
    found = (status_of(Path(inside, name)) for inside, _, names in os.walk(folder) for name in names)
    return sum(one.st_size for one in found if one)


def drop_checkpoint(folder: Path) -> bool:
    """Remove a checkpoint, or a link to one elsewhere, of which the link alone; whether it is gone."""
    if folder.is_symlink():
        with suppress(OSError):
            folder.unlink()
    else:
        shutil.rmtree(folder, ignore_errors=True)
    return not os.path.lexists(folder)


def _read(folder: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    path = folder / "state.json"
    remedy = message("remove {folder!r} to train this run again", folder=str(folder))
    try:
        sealed = json.loads(read_plain(path, most=LONGEST))
        if hashlib.sha256(sealed["state"].encode()).hexdigest() != sealed["sha256"]:
            raise CorruptFile(
                message("checkpoint {path!r} fails its checksum; {remedy}", path=str(path), remedy=remedy)
            )
        document = json.loads(sealed["state"])
        data = read_plain(folder / str(document["tensors"]), most=LONGEST)
        if hashlib.sha256(data).hexdigest() != document["sha256"]:
            raise CorruptFile(
                message(
                    "checkpoint {folder!r} fails its checksum; {remedy}",
                    folder=str(folder / document["tensors"]),
                    remedy=remedy,
                )
            )
        return document, safetensors.torch.load(data)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, SafetensorError) as error:
        if isinstance(error, CorruptFile):
            raise
        with noticing_full_disk(path):
            raise CorruptFile(
                message(
                    "checkpoint {path!r} cannot be read ({kind}); {remedy}",
                    path=str(path),
                    kind=fault_of(error),
                    remedy=remedy,
                )
            ) from error


def _restore(state: TrainState, document: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
    resume(state, Captured(state.session, tensors, document["state"]))
    state.session.kept = [
        Kept(
            Position.read(kept, state.session.controllers),
            Captured(state.session, under(f"kept{place}.", tensors), kept),
        )
        for place, kept in enumerate(document["kept"])
    ]
    state.evaluated = under("evaluated.", tensors) or None


def _weights(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return under("evaluated.", tensors) or under("network.", tensors)
