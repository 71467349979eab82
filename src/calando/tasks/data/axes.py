"""Which axis of an image of three axes (a, b, c) holds the channels: the first or the last.

It is known of a PIL image (last), and where a person says it. Else the shape decides, where only one reading is likely:

    first    a = 1: grey
             a tensor with a = 2 or 3, or b = c = 1: torch's own order
             b = c, a differs: square pictures
             a < b and a < c, and a is at most 4, or two thirds of both
    last     c = 1, b above 1: grey
             a = b, c differs: square pictures
             c < a and c < b, and c is at most 4, or two thirds of both
    refused  all else, such as (8, 8, 8), (8, 16, 8), (3, 64, 4) or (32, 48, 40): a wrong order trains on nonsense

Where both ends are at most 4 and the picture is not square, either may count channels: that is refused as well.
"""

from __future__ import annotations

from typing import Literal, get_args

from calando.errors import DataError, UsageError

__all__ = ["Channels", "check_channels", "described", "find_channels"]

Channels = Literal["first", "last"]

_TORCH_CHANNELS, _COMMON_CHANNELS = 3, 4


def check_channels(value: object) -> Channels | None:
    """The same, if it is "first", "last" or None.

    Raises:
        UsageError: anything else.
    """
    if value is None or value in get_args(Channels):
        return value  # type: ignore[return-value]
    raise UsageError(f'channels must be "first" ([C, H, W]) or "last" ([H, W, C]), or be left out, got {value!r}')


def find_channels(shape: tuple[int, int, int], *, origin: str, tensor: bool = False, how: str = "") -> Channels:
    """Where the channels are in images of this shape.

    >>> find_channels((13, 64, 64), origin="x"), find_channels((64, 48, 4), origin="x")
    ('first', 'last')

    Args:
        shape: of one image.
        origin: what to call the images in an error.
        tensor: whether they are torch's.
        how: where a person says which, after "say which with channels=…".

    Raises:
        DataError: both readings are likely.
    """
    a, b, c = shape
    if a == 1 or (tensor and (a <= _TORCH_CHANNELS or b == c == 1)):
        return "first"
    if c == 1:
        if b > 1:
            return "last"
    elif b == c != a:
        return "first"
    elif a == b != c:
        return "last"
    elif max(a, c) > _COMMON_CHANNELS:  # else both ends count channels: 3x64 pixels in 4, or 64x4 in 3
        if _few(a, b, c):
            return "first"
        if _few(c, a, b):
            return "last"
    raise DataError(
        f"{origin}: images of shape {shape} may be {described(shape, 'first')} (channels first), "
        f"or {described(shape, 'last')} (channels last); say which with channels='first' or channels='last'{how}"
    )


def _few(count: int, *sides: int) -> bool:
    return count < min(sides) and (count <= _COMMON_CHANNELS or 3 * count <= 2 * min(sides))


def described(shape: tuple[int, int, int], channels: Channels) -> str:
    """What such images are, height first.

    >>> described((64, 48, 4), "last")
    '64x48 pixels in 4 channels'
    """
    count, height, width = shape if channels == "first" else (shape[2], shape[0], shape[1])
    return f"{height}x{width} pixels in {count} channel{'s' * (count > 1)}"
