"""Arrays as a person gives them: lists of numbers, pictures in any order, and what would be lost in silence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch

from calando.errors import DataError, UsageError, unless_it_fails
from calando.language import message
from calando.tasks.data.arrays import Channels, as_images

__all__ = ["as_pictures", "listed", "refuse_masked", "refuse_uncut", "rounded"]

_LOST = 0.01  # of a column's standard deviation


def listed(value: Any) -> Any:
    """Lists of numbers, nested or not, as an array, in a dict too; anything else as it is.

    >>> listed({"x": [[1, 2], [3, 4]]})["x"].shape
    (2, 2)
    """
    if isinstance(value, Mapping):
        return {key: listed(one) for key, one in value.items()} if type(value) is dict else value
    if not isinstance(value, list) or any(isinstance(one, torch.Tensor | np.ndarray | Mapping) for one in value):
        return value
    array = unless_it_fails(lambda: np.asarray(value))
    return array if array is not None and array.dtype.kind in "biuf" and array.ndim else value


def as_pictures(inputs: Any, *, origin: str, channels: Channels | None, images: bool | None) -> np.ndarray | None:
    """The inputs as pictures [N, C, H, W], uint8 or float32; None: they are none.

    Where `images` is None, one array with four axes, or with three of uint8, is pictures.
    """
    if not isinstance(inputs, torch.Tensor | np.ndarray):
        if images:
            raise UsageError(
                message("{origin}: images=True, but the inputs are several; pictures are one array", origin=origin)
            )
        return None
    tensor = isinstance(inputs, torch.Tensor)
    likely = inputs.ndim == 4 or (inputs.ndim == 3 and inputs.dtype in (np.uint8, torch.uint8))
    if not (likely if images is None else images):
        return None
    if isinstance(inputs, torch.Tensor):
        inputs = inputs.detach().cpu().to_dense()
        inputs = inputs.float() if inputs.dtype == torch.bfloat16 else inputs  # NumPy has no such numbers
    array = np.asarray(inputs)
    if array.dtype.kind not in "uf":
        return None
    return as_images(array, origin=origin, channels=channels, tensor=tensor, how=message(" in calando.workload(…)"))


def refuse_masked(samples: Any, *, origin: str) -> None:
    """What a NumPy mask hides would be trained on (DataError)."""
    for array in _arrays(samples):
        if isinstance(array, np.ma.MaskedArray) and np.ma.is_masked(array):
            raise DataError(
                message(
                    "{origin}: {count} values of an array are masked; fill them, as by x.filled(x.mean()), or "
                    "leave their samples out",
                    origin=origin,
                    count=int(np.ma.getmaskarray(array).sum()),
                )
            )


def refuse_uncut(samples: Any, count: int, *, origin: str) -> None:
    """A list of as many texts or objects as there are samples would go whole into each batch (DataError)."""
    for value in _lists(samples):
        if len(value) == count and count > 1:
            texts = isinstance(value[0], str)
            what = message("{kind} objects", kind=type(value[0]).__name__)
            remedy = message("number what it holds")
            if texts:
                what = message("texts")
                remedy = message("of classes give numbers 0, 1, 2 … and the names as class_names=")
            raise DataError(
                message(
                    "{origin}: a list of {count} {what} is not cut into batches; {remedy}, or give a Dataset "
                    "that yields one sample, and collate=",
                    origin=origin,
                    count=count,
                    what=what,
                    remedy=remedy,
                )
            )


def rounded(samples: Any, *, origin: str) -> Iterator[str]:
    """Sentences on float64 whose values differ by less than float32, in which networks compute, can tell apart."""
    for array in _arrays(samples):
        if array.dtype not in (np.float64, torch.float64):
            continue
        values = array.detach().cpu().to_dense().numpy() if isinstance(array, torch.Tensor) else np.asarray(array)
        if values.ndim < 1 or not len(values) or not np.isfinite(values).all():
            continue
        columns = values.reshape(len(values), -1)
        lost = np.abs(columns - columns.astype(np.float32)).max(0)
        if (bad := np.flatnonzero(lost > _LOST * columns.std(0))).size and (lost[bad] > 0).any():
            worst = int(bad[lost[bad].argmax()])
            mean, std = columns[:, worst].mean(), columns[:, worst].std()
            yield (
                message(
                    "{origin}: values near {mean:.6g} that differ by {std:.3g} are rounded by up to "
                    "{lost:.3g} to single precision, in which networks compute: subtract their mean",
                    origin=origin,
                    mean=mean,
                    std=std,
                    lost=lost[worst],
                )
            )


def _arrays(value: Any) -> Iterator[Any]:
    if isinstance(value, torch.Tensor | np.ndarray):
        yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _arrays(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _arrays(one)


def _lists(value: Any) -> Iterator[list[Any] | tuple[Any, ...]]:
    """Those that hold no tensor and are not nested further."""
    if isinstance(value, Mapping):
        for one in value.values():
            yield from _lists(one)
    elif isinstance(value, list | tuple) and value:
        if any(isinstance(one, torch.Tensor | Mapping | tuple) for one in value):
            for one in value:
                yield from _lists(one)
        else:
            yield value
