"""What a run keeps of its own objects, as a checkpoint: safetensors and JSON, no pickle.

    FOLDER/kept-N.safetensors    every tensor and array of the states, by its place: "model.layer.weight"
    FOLDER/kept.json             everything else, with the SHA-256 of the tensors, next to its own SHA-256

    nested dict, list, tuple, number, text, None    as they are
    tensor, NumPy array                             safetensors
    anything else                                   refused: keep it by save= and load=

The tensors are written first, then `kept.json` is renamed into place: from that moment on the new checkpoint holds.
What is read is checked against both digests.
"""

from __future__ import annotations

import hashlib
import json
import random
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from safetensors import SafetensorError

from calando.errors import CorruptFile, UsageError, fault_of, quote
from calando.language import message
from calando.records.files import read_plain, write_atomically

__all__ = ["drop_kept", "generators", "read_kept", "seed_generators", "set_generators", "write_kept"]

LONGEST = 2**40
VERSION = 1


def write_kept(folder: Path, states: Mapping[str, Any]) -> None:
    """Write a checkpoint of nested states; atomic.

    Raises:
        UsageError: a state holds what neither JSON nor safetensors do.
        DiskFull: no space left; the checkpoint that was there is intact.
    """
    tensors: dict[str, torch.Tensor] = {}
    plain = _taken_apart(states, "", tensors)
    # Cloned and contiguous: safetensors takes neither shared memory nor other layouts.
    data = safetensors.torch.save({name: t.detach().cpu().contiguous().clone() for name, t in tensors.items()})
    digest = hashlib.sha256(data).hexdigest()
    name = f"kept-{digest[:12]}.safetensors"
    text = json.dumps({"version": VERSION, "tensors": name, "sha256": digest, "states": plain})
    write_atomically(folder / name, data, sync=False)
    sealed = {"sha256": hashlib.sha256(text.encode()).hexdigest(), "kept": text}
    write_atomically(folder / "kept.json", json.dumps(sealed).encode(), sync=False)
    for path in folder.glob("kept-*.safetensors"):
        if path.name != name:
            path.unlink(missing_ok=True)


def read_kept(folder: Path) -> dict[str, Any] | None:
    """The states of the checkpoint in `folder`; None where there is none.

    Raises:
        CorruptFile: it is damaged.
    """
    path = folder / "kept.json"
    if not path.exists():
        return None
    try:
        sealed = json.loads(read_plain(path, most=LONGEST))
        if hashlib.sha256(sealed["kept"].encode()).hexdigest() != sealed["sha256"]:
            raise CorruptFile(
                message("checkpoint {path!r} fails its checksum; remove it to begin this run again", path=str(path))
            )
        document = json.loads(sealed["kept"])
        data = read_plain(folder / str(document["tensors"]), most=LONGEST)
        if hashlib.sha256(data).hexdigest() != document["sha256"]:
            raise CorruptFile(
                message(
                    "the tensors of {path!r} fail their checksum; remove it to begin this run again", path=str(path)
                )
            )
        states: dict[str, Any] = _put_together(document["states"], safetensors.torch.load(data))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, SafetensorError) as error:
        if isinstance(error, CorruptFile):
            raise
        raise CorruptFile(
            message(
                "checkpoint {path!r} cannot be read ({kind}); remove it to begin this run again",
                path=str(path),
                kind=fault_of(error),
            )
        ) from error
    return states


def drop_kept(folder: Path) -> None:
    """Remove the checkpoint: its run is over."""
    (folder / "kept.json").unlink(missing_ok=True)
    for path in folder.glob("kept-*.safetensors"):
        path.unlink(missing_ok=True)
    for path in folder.glob("own-*"):
        shutil.rmtree(path, ignore_errors=True)


def generators() -> dict[str, Any]:
    """The states of the global generators: torch's, each GPU's, NumPy's and Python's."""
    numpys: Any = np.random.get_state(legacy=True)
    kind, keys, position, has_gauss, gauss = numpys
    version, words, following = random.getstate()
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else [],
        "numpy": [kind, torch.from_numpy(keys.astype(np.int64)), int(position), int(has_gauss), float(gauss)],
        "python": [version, list(words), following],
    }


def seed_generators(seed: int) -> None:
    """Seed them."""
    torch.manual_seed(seed)
    np.random.seed(seed & 0xFFFFFFFF)
    random.seed(seed)


def set_generators(states: Mapping[str, Any]) -> None:
    """Put them back."""
    torch.set_rng_state(states["torch"])
    if states["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(states["cuda"])
    kind, keys, position, has_gauss, gauss = states["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), position, has_gauss, gauss))
    version, words, following = states["python"]
    random.setstate((version, tuple(words), following))


def _taken_apart(value: object, place: str, tensors: dict[str, torch.Tensor]) -> object:
    """The value as JSON, its tensors moved to `tensors` by their place in it."""
    match value:
        case torch.Tensor():
            return {"tensor": _put_in(tensors, place, value)}
        case np.ndarray() if value.dtype.kind in "biufc" and value.dtype.isnative:
            # reshape: contiguous arrays of NumPy have a dimension at least.
            array = torch.from_numpy(np.ascontiguousarray(value).reshape(value.shape))
            return {"array": _put_in(tensors, place, array)}
        case np.generic():
            return value.item()
        case None | bool() | int() | float() | str():
            return value
        case Mapping():
            # As pairs: a key may be a whole number, as in an optimizer's state.
            return {
                "pairs": [
                    [_taken_apart(key, f"{place}.{at}key", tensors), _taken_apart(one, f"{place}.{key}", tensors)]
                    for at, (key, one) in enumerate(value.items())
                ]
            }
        case list() | tuple():
            kind = "tuple" if isinstance(value, tuple) else "list"
            return {kind: [_taken_apart(one, f"{place}.{at}", tensors) for at, one in enumerate(value)]}
    raise UsageError(
        message(
            "run.keep: {place} is {value}, which no checkpoint without pickle can hold; give "
            "run.keep(save=…, load=…), two functions that write and read a folder",
            place=place.strip(".") or message("the state"),
            value=quote(value),
        )
    )


def _put_in(tensors: dict[str, torch.Tensor], place: str, tensor: torch.Tensor) -> str:
    """Under a name of its own: {"a.b": …} and {"a": {"b": …}} have the same place."""
    while place in tensors:
        place += "'"
    tensors[place] = tensor
    return place


def _put_together(value: Any, tensors: Mapping[str, torch.Tensor]) -> Any:
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    match kind:
        case "tensor":
            return tensors[content]
        case "array":
            return tensors[content].numpy()
        case "pairs":
            return {_put_together(key, tensors): _put_together(one, tensors) for key, one in content}
        case "list":
            return [_put_together(one, tensors) for one in content]
        case "tuple":
            return tuple(_put_together(one, tensors) for one in content)
    raise ValueError(kind)
