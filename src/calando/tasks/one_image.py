"""One image of a Dataset as a tensor: a PIL image, or a tensor or array [C, H, W], [H, W, C] or [H, W]."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch

from calando.errors import DataError
from calando.language import message
from calando.tasks.data.arrays import Channels, find_channels

__all__ = ["Named", "came", "channels_of", "image_of", "is_to_be_turned", "named"]

_TO_FLOATS = message(
    "convert it in the data set's transform to float32, which keeps every level (uint8 would wrap above 255)"
)


Named = Callable[[], str]
"""What to call a sample in an error: made where one is raised, since samples are read again and again."""


def named(origin: str, place: int) -> Named:
    """A sample by its position.

    >>> named("train", 3)()
    'train, sample 3'
    """
    return partial(_sample_name, origin, place)


def _sample_name(origin: str, place: int) -> str:
    return message("{origin}, sample {place}", origin=origin, place=place)


def _is_pil(image: object) -> bool:
    return hasattr(image, "getbands")


def is_to_be_turned(image: object) -> bool:
    """Whether it is a PIL image that its EXIF says to rotate or mirror."""
    if not _is_pil(image):
        return False
    from calando.tasks.data.picture import orientation_of

    return orientation_of(image) > 1  # type: ignore[arg-type]  # what has bands is PIL's


def channels_of(image: Any, *, name: Named) -> Channels:
    """Where the channels are in images like this one; "first" where that decides nothing."""
    shape, tensor = np.shape(image), isinstance(image, torch.Tensor)
    if _is_pil(image) or len(shape) != 3 or 0 in shape:
        return "first"
    return find_channels(
        (shape[0], shape[1], shape[2]), origin=name(), tensor=tensor, how=message(" in calando.workload(…)")
    )


def came(image: Any, channels: Channels) -> str:
    """What such images are, in words."""
    if _is_pil(image):
        return message("PIL images")
    flat = len(np.shape(image)) == 2
    return message(
        "tensors {axes}" if isinstance(image, torch.Tensor) else "arrays {axes}",
        axes="[H, W]" if flat else "[C, H, W]" if channels == "first" else "[H, W, C]",
    )


def image_of(image: object, *, name: Named, channels: Channels) -> torch.Tensor:
    """uint8 or float32 [C, H, W]; DataError, which begins with the name, where it is none."""
    if isinstance(image, torch.Tensor):
        tensor = image.detach().cpu()
    else:
        if getattr(image, "mode", None) in ("P", "PA"):
            raise DataError(
                message(
                    "{name}: the image has a palette (PIL's mode P), so its pixels are no brightness; "
                    "convert it in the data set's transform: image.convert('RGB')",
                    name=name(),
                )
            )
        array = np.asarray(image)
        if array.dtype == object or array.dtype.kind not in "uf":
            raise DataError(
                message(
                    "{name}: the image must be a PIL image, tensor or array, uint8 or float, got {kind} of {dtype}; "
                    "{remedy}"
                    if array.dtype.kind in "bi"
                    else "{name}: the image must be a PIL image, tensor or array, uint8 or float, got {kind}",
                    name=name(),
                    kind=type(image).__name__,
                    dtype=array.dtype,
                    remedy=_TO_FLOATS,
                )
            )
        tensor = torch.from_numpy(np.array(array))
    if tensor.ndim not in (2, 3) or 0 in tensor.shape:
        raise DataError(
            message(
                "{name}: the image must have the axes [C, H, W], [H, W, C] or [H, W], got {shape}",
                name=name(),
                shape=tuple(tensor.shape),
            )
        )
    if tensor.ndim == 2:
        tensor = tensor[None]
    elif _is_pil(image) or channels == "last":
        tensor = tensor.permute(2, 0, 1).contiguous()
    if tensor.dtype == torch.uint8:
        return tensor
    if tensor.is_floating_point():
        return tensor.to(torch.float32)
    raise DataError(
        message(
            "{name}: the image must be uint8 or floating point, got {dtype}; {remedy}",
            name=name(),
            dtype=tensor.dtype,
            remedy=_TO_FLOATS,
        )
    )
