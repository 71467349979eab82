"""What a sample is made of: the places of its values, their types and shapes. A batch stacks samples of one make.

>>> make_of((torch.zeros(3), 1.0))
{'sample[0]': 'torch.float32 [3]', 'sample[1]': 'float'}
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import torch

from calando.language import message
from calando.tasks import tree
from calando.tasks.objective import Samples

__all__ = ["difference", "hash_of", "make_of", "number_of"]

_MISSING = message("missing")


def make_of(sample: Any) -> dict[str, str]:
    """Place -> type and shape of every value; arrays are tensors already (`tree.as_tensors`)."""
    return dict(_values(sample, "sample"))


def difference(expected: Mapping[str, str], came: Mapping[str, str]) -> str:
    """What is otherwise in a sample, in words; "" where nothing is.

    >>> difference({"sample[1]": "float"}, {"sample[1]": "int"})
    'sample[1] is int, and there float'
    """
    for place in dict.fromkeys([*expected, *came]):
        mine, theirs = came.get(place, _MISSING), expected.get(place, _MISSING)
        if mine != theirs:
            return message("{place} is {mine}, and there {theirs}", place=place, mine=mine, theirs=theirs)
    return ""


def hash_of(sample: Any) -> bytes:
    """16 bytes that name the tensors in it, their places, types and shapes."""
    digest = hashlib.blake2b(digest_size=16)
    for place, tensor in tree.leaves(sample):
        digest.update(f"{place} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.digest()


def number_of(batch: Samples, given: int) -> int:
    """How many samples a batch holds, made of so many: `collate` may leave some out, or put them in any axis."""
    if isinstance(batch.targets, torch.Tensor) and batch.targets.ndim == 1:
        return len(batch.targets)
    shapes = [one.shape for _, one in tree.leaves(batch.batch) if one.ndim]
    firsts = {shape[0] for shape in shapes}
    return firsts.pop() if len(firsts) == 1 and not any(given in shape[1:2] for shape in shapes) else given


def _values(value: Any, place: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, torch.Tensor):
        yield place, f"{value.dtype} [{', '.join(map(str, value.shape))}]"
    elif isinstance(value, Mapping):
        for key in value:
            yield from _values(value[key], f"{place}[{key!r}]")
    elif isinstance(value, list | tuple):
        for index, one in enumerate(value):
            yield from _values(one, f"{place}[{index}]")
    elif is_dataclass(value) and not isinstance(value, type):
        for one in fields(value):
            yield from _values(getattr(value, one.name), f"{place}.{one.name}")
    else:
        yield place, type(value).__name__
