"""Samples of any make: tensors nested in tuples, lists, dicts and dataclasses, handled as one value.

    sizes(tree)                how many samples each tensor in it holds: the length of its first axis
    take(tree, rows)           those samples of every tensor
    split(tree, count)         pieces of `count` samples each
    mapped(tree, function)     the same nesting with every tensor changed

What is no tensor (a text, a number, None) belongs to no sample and stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np
import torch

from calando.errors import DataError
from calando.language import message

__all__ = ["as_tensors", "leaves", "mapped", "moved", "put_together", "sizes", "split", "take"]


def mapped(tree: Any, function: Callable[[torch.Tensor], Any]) -> Any:
    """The same nesting with every tensor changed by `function`.

    >>> mapped({"x": [torch.zeros(1)], "name": "first"}, lambda tensor: tensor + 1)
    {'x': [tensor([1.])], 'name': 'first'}
    """
    if isinstance(tree, torch.Tensor):
        return function(tree)
    if isinstance(tree, Mapping):
        changed = {key: mapped(value, function) for key, value in tree.items()}
        return changed if type(tree) is dict else _like(tree, changed)
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return type(tree)(*(mapped(value, function) for value in tree))
    if isinstance(tree, list | tuple):
        return type(tree)(mapped(value, function) for value in tree)
    if is_dataclass(tree) and not isinstance(tree, type):
        return replace(tree, **{f.name: mapped(getattr(tree, f.name), function) for f in fields(tree) if f.init})
    return tree


def _like(tree: Mapping[Any, Any], changed: dict[Any, Any]) -> Any:
    """A mapping of the same type (a tokenizer's BatchEncoding, say), or a dict where that takes something else."""
    try:
        made = type(tree)(changed)  # type: ignore[call-arg]
    except TypeError:
        return changed
    return made if dict(made) == changed or set(made) == set(changed) else changed


def leaves(tree: Any, name: str = "") -> Iterator[tuple[str, torch.Tensor]]:
    """Every tensor with its place.

    >>> [place for place, _ in leaves((torch.zeros(2), {"y": torch.zeros(2)}), "batch")]
    ['batch[0]', "batch[1]['y']"]
    """
    if isinstance(tree, torch.Tensor):
        yield name, tree
    elif isinstance(tree, Mapping):
        for key, value in tree.items():
            yield from leaves(value, f"{name}[{key!r}]")
    elif isinstance(tree, list | tuple):
        for index, value in enumerate(tree):
            yield from leaves(value, f"{name}[{index}]")
    elif is_dataclass(tree) and not isinstance(tree, type):
        for one in fields(tree):
            yield from leaves(getattr(tree, one.name), f"{name}.{one.name}")


def sizes(tree: Any) -> list[int]:
    """How many samples each tensor holds; one without axes holds none of its own.

    >>> sizes({"x": torch.zeros(5, 3), "y": torch.zeros(5)})
    [5, 5]
    """
    return [len(tensor) for _, tensor in leaves(tree) if tensor.ndim]


def take(tree: Any, rows: torch.Tensor) -> Any:
    """Copies of the samples at these positions, int64."""
    return mapped(tree, lambda tensor: tensor.index_select(0, rows) if tensor.ndim else tensor)


def split(tree: Any, count: int) -> Iterator[Any]:
    """Pieces of `count` samples; the last may be smaller. Views, not copies."""
    size = max(sizes(tree), default=0)
    for start in range(0, size, count):

        def piece(tensor: torch.Tensor, start: int = start) -> torch.Tensor:
            return tensor[start : start + count] if tensor.ndim and len(tensor) == size else tensor

        yield mapped(tree, piece)


def put_together(trees: list[Any]) -> Any:
    """Batches one after the other as one; DataError where they do not fit, as batches padded to other lengths."""
    first = trees[0]
    if isinstance(first, torch.Tensor):
        try:
            return torch.cat([tree if tree.ndim else tree[None] for tree in trees])
        except RuntimeError as error:
            shapes = sorted({str(tuple(tree.shape[1:])) for tree in trees})
            raise DataError(
                message(
                    "batches have samples of other shapes ({shapes}) and make no whole", shapes=", ".join(shapes[:4])
                )
            ) from error
    if isinstance(first, Mapping):
        return {key: put_together([tree[key] for tree in trees]) for key in first}
    if isinstance(first, tuple) and hasattr(first, "_fields"):
        return type(first)(*(put_together(list(parts)) for parts in zip(*trees, strict=True)))
    if isinstance(first, list | tuple):
        return type(first)(put_together(list(parts)) for parts in zip(*trees, strict=True))
    return first


def as_tensors(tree: Any) -> Any:
    """The same with arrays as tensors, on the CPU, and float64 as float32, in which networks compute.

    >>> as_tensors({"x": np.zeros(2)})["x"].dtype
    torch.float32
    """
    if isinstance(tree, Mapping):
        return {key: as_tensors(value) for key, value in tree.items()}
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return type(tree)(*(as_tensors(value) for value in tree))
    if isinstance(tree, list | tuple):
        return type(tree)(as_tensors(value) for value in tree)
    if isinstance(tree, np.ndarray | np.generic):
        array = np.asarray(tree)
        if array.dtype.kind not in "biufc":
            raise DataError(
                message("an array of {dtype} is no tensor: number what it holds, or leave it out", dtype=array.dtype)
            )
        widened = {"uint16": np.int32, "uint32": np.int64, "uint64": np.int64}.get(array.dtype.name)
        tree = torch.from_numpy(np.array(array if widened is None else array.astype(widened)))
    if not isinstance(tree, torch.Tensor):
        return tree
    tensor = tree.detach().cpu().to_dense()
    return tensor.float() if tensor.dtype == torch.float64 else tensor


def moved(batch: Any, device: torch.device) -> Any:
    """A batch with every tensor in it on `device`, and whatever else has `to`.

    >>> moved({"x": [torch.zeros(1)], "name": "first"}, torch.device("cpu"))
    {'x': [tensor([0.])], 'name': 'first'}
    """
    if isinstance(batch, Mapping) and not hasattr(batch, "to"):
        return {key: moved(value, device) for key, value in batch.items()}
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*(moved(value, device) for value in batch))
    if isinstance(batch, list | tuple):
        return type(batch)(moved(value, device) for value in batch)
    if is_dataclass(batch) and not isinstance(batch, type) and not hasattr(batch, "to"):
        return replace(batch, **{f.name: moved(getattr(batch, f.name), device) for f in fields(batch) if f.init})
    return batch.to(device) if hasattr(batch, "to") else batch
