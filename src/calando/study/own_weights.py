"""The weights that a person's own code leaves: taken from what its run keeps, once the run is over.

    run.keep(model=model, training=training)     weights.safetensors, with the names that `model.state_dict()` has
    run.keep(ema=ema, model=model, …)            of several networks: "model.layer.weight", "ema.layer.weight"
    run.keep(save=…, load=…)                     the folder `weights`, as `save` wrote it

A network is recognised by its state: names and tensors, nothing else.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import safetensors.torch
import torch

from calando.errors import CorruptFile, plain
from calando.language import message
from calando.loops.kept_state import drop_kept, read_kept
from calando.methods import find_method
from calando.records import RunSpec
from calando.records.files import write_atomically
from calando.study.checkpoint_cache import run_folder

__all__ = ["LeftWeights", "drop_others", "take_weights"]

FILE, FOLDER = "weights.safetensors", "weights"


@final
@dataclass(frozen=True)
class LeftWeights:
    """What a run left.

    Args:
        name: of the file or folder in the tuning's; "": there are none.
        lacking: why there are none.
    """

    name: str
    lacking: str = ""


def take_weights(study_folder: Path, run: RunSpec, *, steps: int) -> LeftWeights:
    """Write the weights of a run that made `steps` updates next to the tuning; what other runs left there goes.

    Raises:
        DiskFull: no space left.
    """
    found, states = _kept(run_folder(study_folder, run.digest()), run, steps=steps)
    path, folder = study_folder / FILE, study_folder / FOLDER
    if not found.name:
        path.unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)
    elif found.name == FILE:
        write_atomically(path, safetensors.torch.save(_named(states["networks"])))
        shutil.rmtree(folder, ignore_errors=True)
    else:
        fresh = study_folder / f".{FOLDER}.new"
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.copytree(states["folder"], fresh)
        shutil.rmtree(folder, ignore_errors=True)
        fresh.rename(folder)
        path.unlink(missing_ok=True)
    return found


def _kept(folder: Path, run: RunSpec, *, steps: int) -> tuple[LeftWeights, dict[str, Any]]:
    """What there is to take, and from where."""
    if run.strategy.average or find_method(run.strategy.method).eval_mode:
        return LeftWeights(
            "", message("an average of its weights was judged, which is no network's state by itself")
        ), {}
    try:
        states = read_kept(folder)
    except CorruptFile as error:
        return LeftWeights("", plain(str(error)).split(";")[0]), {}
    if states is None:
        return LeftWeights("", message("its code keeps no state")), {}
    if (at := states["run"]["step"]) != steps:
        return LeftWeights("", message("its last checkpoint is of update {at} of {steps}", at=at, steps=steps)), {}
    networks = {name: state for name, state in states["objects"].items() if _is_network(state)}
    if networks:
        return LeftWeights(FILE), {"networks": networks}
    if states["own"] and not (folder / str(states["own"])).is_dir():
        return LeftWeights("", message("what its save= has written is on another machine, or gone")), {}
    if states["own"]:
        return LeftWeights(FOLDER), {"folder": folder / str(states["own"])}
    return LeftWeights(
        "", message("what its code keeps ({objects}) is no network", objects=", ".join(states["objects"]))
    ), {}


def _is_network(state: object) -> bool:
    return (
        isinstance(state, Mapping)
        and bool(state)
        and all(isinstance(name, str) and isinstance(one, torch.Tensor) for name, one in state.items())
    )


def _named(networks: Mapping[str, Mapping[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    if len(networks) == 1:
        (only,) = networks.values()
        return {name: tensor.clone() for name, tensor in only.items()}
    return {f"{name}.{key}": tensor.clone() for name, state in networks.items() for key, tensor in state.items()}


def drop_others(study_folder: Path, run: RunSpec) -> None:
    """Remove what all runs but this one keep."""
    for path in (study_folder / "checkpoints").glob("*"):
        if path != run_folder(study_folder, run.digest()):
            drop_kept(path)
