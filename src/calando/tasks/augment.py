"""Augmentation of a whole batch as a pure function of (seed, step); needs no torch.

    text    "none", or parts joined by "+", applied from left to right
    crop(p)             pad by p pixels of 0 on each side and cut a window of the old size out, anywhere
    crop(p, reflect)    the same, padding by mirroring
    flip                mirror left-right, with probability 1/2
    cutout(k)           set a k x k square to 0, its centre anywhere in the image (cut off at the edges)

Pixels are touched before normalisation, so 0 is black for uint8. Sources: crop and flip as in K. He et al., "Deep
residual learning", 2015, sec. 4.2; cutout: T. DeVries, G. Taylor, arXiv:1708.04552 (there 0 is the mean colour).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from calando.errors import UnknownName, UsageError
from calando.tasks.randomness import Purpose, stream

__all__ = ["Augment", "Crop", "Cutout", "Flip", "parse_augment"]


@dataclass(frozen=True)
class Crop:
    """Pad by `pixels` and cut a window of the old size out."""

    pixels: int
    reflect: bool = False

    def __call__(self, batch: np.ndarray, rng: np.random.Generator, /) -> np.ndarray:
        n, channels, height, width = batch.shape
        pad = self.pixels
        if self.reflect:
            assert pad < min(height, width)
            padded = batch.take(_mirrored(height, pad), axis=2).take(_mirrored(width, pad), axis=3)
        else:
            padded = np.zeros((n, channels, height + 2 * pad, width + 2 * pad), dtype=batch.dtype)
            padded[:, :, pad : pad + height, pad : pad + width] = batch
        top, left = rng.integers(0, 2 * pad + 1, (2, n))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (height, width), axis=(2, 3))
        return windows[np.arange(n), :, top, left]

    def __str__(self) -> str:
        return f"crop({self.pixels}{', reflect' if self.reflect else ''})"


@dataclass(frozen=True)
class Flip:
    """Mirror left-right with probability 1/2."""

    def __call__(self, batch: np.ndarray, rng: np.random.Generator, /) -> np.ndarray:
        chosen = np.flatnonzero(rng.random(len(batch)) < 0.5)
        out = batch.copy()
        out[chosen] = np.ascontiguousarray(batch[chosen][..., ::-1])
        return out

    def __str__(self) -> str:
        return "flip"


@dataclass(frozen=True)
class Cutout:
    """Set a `pixels` x `pixels` square to 0."""

    pixels: int

    def __call__(self, batch: np.ndarray, rng: np.random.Generator, /) -> np.ndarray:
        n, _, height, width = batch.shape
        top, left = (rng.integers(0, size, (n, 1)) - self.pixels // 2 for size in (height, width))
        rows, columns = np.arange(height), np.arange(width)
        inside_rows = (rows >= top) & (rows < top + self.pixels)
        inside_columns = (columns >= left) & (columns < left + self.pixels)
        inside = inside_rows[:, None, :, None] & inside_columns[:, None, None, :]
        return np.where(inside, np.zeros((), dtype=batch.dtype), batch)

    def __str__(self) -> str:
        return f"cutout({self.pixels})"


@dataclass(frozen=True)
class Augment:
    """Parts applied one after the other; none of them changes a label.

    >>> augment = parse_augment("crop(1)+flip")
    >>> batch = np.arange(64, dtype=np.uint8).reshape(1, 1, 8, 8)
    >>> bool((augment(batch, seed=0, step=5) == augment(batch, seed=0, step=5)).all())
    True

    Args:
        parts: what is applied, in order; empty for none.
    """

    parts: tuple[Crop | Flip | Cutout, ...] = ()

    def __call__(self, batch: np.ndarray, *, seed: int, step: int) -> np.ndarray:
        """The augmented batch: depends on nothing but the arguments.

        Args:
            batch: [N, C, H, W], uint8 or float32; not changed.
            seed: of the run.
            step: of the update.
        """
        rng = stream(Purpose.AUGMENT, seed=seed, count=step)
        for part in self.parts:
            batch = part(batch, rng)
        return batch

    def check_fits(self, height: int, width: int) -> None:
        """Every part leaves something of an image of this size.

        >>> parse_augment("crop(8)").check_fits(8, 8)
        Traceback (most recent call last):
        ...
        calando.errors.UsageError: augmentation crop(8) needs images larger than 8 pixels, got 8x8; choose at most 7

        Raises:
            UsageError: a crop or cutout as large as the image.
        """
        for part in self.parts:
            if not isinstance(part, Flip) and part.pixels >= min(height, width):
                raise UsageError(
                    f"augmentation {part} needs images larger than {part.pixels} pixels, got {width}x{height}; "
                    f"choose at most {min(height, width) - 1}"
                )

    def __str__(self) -> str:
        return "+".join(map(str, self.parts)) or "none"


_PART = re.compile(r"\s*([A-Za-z_]+)\s*(?:\(([^()]*)\))?\s*")
_CHOICES = ("none", "crop(4)", "crop(4, reflect)", "flip", "cutout(8)")
_LARGEST = 1024


def parse_augment(text: str) -> Augment:
    """Read an augmentation text; `str` of what comes back is the text in its plainest form.

    >>> str(parse_augment(" crop( 4 ) + flip"))
    'crop(4)+flip'

    Raises:
        UnknownName: no part of that name.
        UsageError: a part with wrong arguments.
    """
    if text.strip() == "none":
        return Augment()
    return Augment(tuple(_part(part) for part in text.split("+")))


def _part(text: str) -> Crop | Flip | Cutout:
    found = _PART.fullmatch(text)
    if found is None or found[1] not in ("crop", "flip", "cutout"):
        raise UnknownName("augmentation", text.strip(), _CHOICES, hint="join parts by +, e.g. crop(4)+flip")
    name, arguments = found[1], [argument.strip() for argument in found[2].split(",")] if found[2] is not None else []
    if name == "flip":
        if [argument for argument in arguments if argument]:
            raise UsageError(f"augmentation {text.strip()!r}: flip takes no arguments")
        return Flip()
    reflect = name == "crop" and arguments[1:] == ["reflect"]
    if not arguments or not re.fullmatch(r"\d{1,4}", arguments[0]) or not (len(arguments) == 1 or reflect):
        form = "crop(PIXELS) or crop(PIXELS, reflect)" if name == "crop" else "cutout(PIXELS)"
        raise UsageError(f"augmentation {text.strip()!r}: write {form} with a whole number of pixels, e.g. {name}(4)")
    pixels = int(arguments[0])
    if not 1 <= pixels <= _LARGEST:
        raise UsageError(f"augmentation {text.strip()!r}: pixels must be 1 … {_LARGEST}, got {pixels}")
    return Crop(pixels, reflect) if name == "crop" else Cutout(pixels)


def _mirrored(size: int, pad: int) -> np.ndarray:
    """Positions -pad … size+pad-1, mirrored at the first and last pixel (which are not repeated)."""
    places = np.abs(np.arange(-pad, size + pad))
    return np.where(places < size, places, 2 * (size - 1) - places)
