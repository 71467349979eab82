"""Augmentation of a whole batch as a pure function of (seed, step); needs no torch.

    text    "none", or parts joined by "+", applied from left to right
    crop(p)             pad by p pixels of 0 on each side and cut a window of the old size out, anywhere
    crop(p, reflect)    the same, padding by mirroring
    flip                mirror left-right, with probability 1/2
    cutout(k)           set a k x k square to 0, its centre anywhere in the image (cut off at the edges)
    mixup(alpha), and shift(ms), noise(low, high), spec(frames, mels) of speech: see `augment_speech.py`

Pixels are touched before normalisation, so 0 is black for uint8. Sources: crop and flip as in K. He et al., "Deep
residual learning", 2015, sec. 4.2; cutout: T. DeVries, G. Taylor, arXiv:1708.04552 (there 0 is the mean colour).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from calando.errors import UnknownName, UsageError
from calando.language import message
from calando.tasks.augment_speech import ActsOn, Mixup, Noise, Shift, Spec
from calando.tasks.randomness import Purpose, stream

if TYPE_CHECKING:
    import torch

__all__ = ["Augment", "Crop", "Cutout", "Flip", "parse_augment"]


@dataclass(frozen=True)
class Crop:
    """Pad by `pixels` and cut a window of the old size out."""

    pixels: int
    reflect: bool = False
    acts_on: ClassVar[ActsOn] = "images"

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

    acts_on: ClassVar[ActsOn] = "images"

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
    acts_on: ClassVar[ActsOn] = "images"

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


AnyPart = Crop | Flip | Cutout | Shift | Noise | Spec | Mixup


@dataclass(frozen=True)
class Augment:
    """Parts applied one after the other; none of them but mixup changes a target.

    >>> augment = parse_augment("crop(1)+flip")
    >>> batch = np.arange(64, dtype=np.uint8).reshape(1, 1, 8, 8)
    >>> bool((augment(batch, seed=0, step=5) == augment(batch, seed=0, step=5)).all())
    True

    Args:
        parts: what is applied, in order; empty for none.
    """

    parts: tuple[AnyPart, ...] = ()

    def __call__(self, batch: np.ndarray, *, seed: int, step: int) -> np.ndarray:
        """The augmented batch of images: depends on nothing but the arguments.

        Args:
            batch: [N, C, H, W], uint8 or float32; not changed.
            seed: of the run.
            step: of the update.
        """
        rng = stream(Purpose.AUGMENT, seed=seed, count=step)
        for part in self.parts:
            if isinstance(part, Crop | Flip | Cutout):
                batch = part(batch, rng)
        return batch

    def on_recordings(
        self, waves: np.ndarray, *, rate: int, background: Sequence[np.ndarray], seed: int, step: int
    ) -> np.ndarray:
        """The augmented recordings, float32 [N, T] of as many; not changed.

        Args:
            rate: Hz.
            background: of the data, for noise; see `augment_speech.py`.
        """
        rng = stream(Purpose.AUGMENT, seed=seed, count=step)
        for part in self.parts:
            if isinstance(part, Shift):
                waves = part(waves, rng, rate=rate)
            elif isinstance(part, Noise):
                waves = part(waves, rng, background=background)
        return waves

    def on_pictures(self, pictures: torch.Tensor, *, seed: int, step: int) -> torch.Tensor:
        """Normalised log-mel pictures [N, 1, mels, frames] with strips hidden."""
        import torch

        rng = stream(Purpose.MASK, seed=seed, count=step)
        for part in self.parts:
            if isinstance(part, Spec):
                kept = part.kept((pictures.shape[0], pictures.shape[2], pictures.shape[3]), rng)
                pictures = pictures * torch.from_numpy(kept[:, None]).to(pictures.device)
        return pictures

    def mixed(self, inputs: torch.Tensor, *, seed: int, step: int) -> torch.Tensor:
        """Inputs [N, …], each mixed with another; the same where there is no mixup."""
        import torch

        for share, partners in self._mixing(len(inputs), seed=seed, step=step):
            inputs = share * inputs + (1 - share) * inputs[torch.from_numpy(partners).to(inputs.device)]
        return inputs

    def mixed_targets(self, labels: torch.Tensor, *, classes: int, seed: int, step: int) -> torch.Tensor:
        """float32 [N, classes]: the shares of the classes in each mixed sample; the labels where there is no mixup."""
        import torch

        targets = labels
        for share, partners in self._mixing(len(labels), seed=seed, step=step):
            pure = torch.nn.functional.one_hot(labels, classes).to(torch.float32)
            targets = share * pure + (1 - share) * pure[torch.from_numpy(partners).to(labels.device)]
        return targets

    def _mixing(self, n: int, *, seed: int, step: int) -> list[tuple[float, np.ndarray]]:
        rng = stream(Purpose.MIX, seed=seed, count=step)
        return [part.drawn(n, rng) for part in self.parts if isinstance(part, Mixup)]

    @property
    def mixes(self) -> bool:
        """Whether targets are shares of classes, and no labels."""
        return any(isinstance(part, Mixup) for part in self.parts)

    def check_acts(self, speech: bool) -> None:
        """Every part acts on what the samples are: pictures, or speech.

        Raises:
            UsageError: crop, flip or cutout of speech; shift, noise or spec of pictures.
        """
        for part in self.parts:
            if part.acts_on == "images" and speech:
                raise UsageError(
                    message(
                        "augmentation {part} is of pictures, these are recordings; take shift(100), noise(5, "
                        "20), spec(20, 8), mixup(0.2) or none",
                        part=str(part),
                    )
                )
            if part.acts_on in ("recordings", "log-mel pictures") and not speech:
                raise UsageError(
                    message(
                        "augmentation {part} is of speech, these are no recordings; take crop(4), flip, "
                        "cutout(8), mixup(0.2) or none",
                        part=str(part),
                    )
                )

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
            if isinstance(part, Spec) and (part.frames >= width or part.mels >= height):
                raise UsageError(
                    message(
                        "augmentation {part} needs log-mel pictures of more than {frames} frames and {mels} "
                        "mels, got {width} frames and {height} mels",
                        part=str(part),
                        frames=part.frames,
                        mels=part.mels,
                        width=width,
                        height=height,
                    )
                )
            if isinstance(part, Crop | Cutout) and part.pixels >= min(height, width):
                raise UsageError(
                    message(
                        "augmentation {part} needs images larger than {pixels} pixels, got {width}x{height}; "
                        "choose at most {most}",
                        part=str(part),
                        pixels=part.pixels,
                        width=width,
                        height=height,
                        most=min(height, width) - 1,
                    )
                )

    def __str__(self) -> str:
        return "+".join(map(str, self.parts)) or "none"


_CROP = message("crop(PIXELS) or crop(PIXELS, reflect)")
_PART = re.compile(r"\s*([A-Za-z_]+)\s*(?:\(([^()]*)\))?\s*")
_CHOICES = (
    *("none", "crop(4)", "crop(4, reflect)", "flip", "cutout(8)", "mixup(0.2)"),
    *("shift(100)", "noise(5, 20)", "spec(20, 8)"),
)
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
    parts = tuple(_part(part) for part in text.split("+"))
    if sum(isinstance(part, Mixup) for part in parts) > 1:
        raise UsageError(
            message("augmentation {text!r}: a batch is mixed once; leave all mixups but one out", text=text.strip())
        )
    return Augment(parts)


def _part(text: str) -> AnyPart:
    found = _PART.fullmatch(text)
    if found is None or found[1] not in _READ:
        raise UnknownName("augmentation", text.strip(), _CHOICES, hint=message("join parts by +, e.g. crop(4)+flip"))
    arguments = [argument.strip() for argument in found[2].split(",")] if found[2] is not None else []
    return _READ[found[1]](text.strip(), arguments)


def _flip(text: str, arguments: list[str]) -> Flip:
    if any(arguments):
        raise UsageError(message("augmentation {text!r}: flip takes no arguments", text=text))
    return Flip()


def _crop(text: str, arguments: list[str]) -> Crop:
    reflect = arguments[1:] == ["reflect"]
    if len(arguments) == 1 or reflect:
        return Crop(_pixels(text, arguments[0], name="crop", form=_CROP), reflect)
    return Crop(_pixels(text, "", name="crop", form=_CROP))


def _cutout(text: str, arguments: list[str]) -> Cutout:
    return Cutout(_pixels(text, arguments[0] if len(arguments) == 1 else "", name="cutout", form="cutout(PIXELS)"))


def _pixels(text: str, argument: str, *, name: str, form: str) -> int:
    if not re.fullmatch(r"\d{1,4}", argument):
        raise UsageError(
            message(
                "augmentation {text!r}: write {form} with a whole number of pixels, e.g. {name}(4)",
                text=text,
                form=form,
                name=name,
            )
        )
    if not 1 <= int(argument) <= _LARGEST:
        raise UsageError(
            message(
                "augmentation {text!r}: pixels must be 1 … {most}, got {pixels}",
                text=text,
                most=_LARGEST,
                pixels=int(argument),
            )
        )
    return int(argument)


def _shift(text: str, arguments: list[str]) -> Shift:
    (ms,) = _numbers(
        text, arguments, message("shift(MILLISECONDS), e.g. shift(100)"), whole=True, low=1, high=10_000, count=1
    )
    return Shift(int(ms))


def _noise(text: str, arguments: list[str]) -> Noise:
    form = message("noise(LOW, HIGH) in dB below the recording, e.g. noise(5, 20)")
    low, high = _numbers(text, arguments, form, whole=False, low=-40, high=120, count=2)
    if low > high:
        raise UsageError(
            message("augmentation {text!r}: write {form}; the first is above the second", text=text, form=form)
        )
    return Noise(low, high)


def _spec(text: str, arguments: list[str]) -> Spec:
    form = message("spec(FRAMES, MELS), the widest strips that are hidden, e.g. spec(20, 8)")
    frames, mels = _numbers(text, arguments, form, whole=True, low=0, high=_LARGEST, count=2)
    if not frames and not mels:
        raise UsageError(
            message("augmentation {text!r}: hides nothing; leave it out, or write {form}", text=text, form=form)
        )
    return Spec(int(frames), int(mels))


def _mixup(text: str, arguments: list[str]) -> Mixup:
    (alpha,) = _numbers(text, arguments, "mixup(ALPHA), e.g. mixup(0.2)", whole=False, low=1e-3, high=1e3, count=1)
    return Mixup(alpha)


def _numbers(
    text: str, arguments: list[str], form: str, *, whole: bool, low: float, high: float, count: int
) -> list[float]:
    pattern = r"\d{1,6}" if whole else r"-?\d{1,6}(\.\d{1,6})?"
    if len(arguments) != count or not all(re.fullmatch(pattern, argument) for argument in arguments):
        raise UsageError(
            message(
                "augmentation {text!r}: write {form}, in whole numbers"
                if whole
                else "augmentation {text!r}: write {form}",
                text=text,
                form=form,
            )
        )
    numbers = [float(argument) for argument in arguments]
    for number in numbers:
        if not low <= number <= high:
            raise UsageError(
                message(
                    "augmentation {text!r}: write {form}; numbers are {low:g} … {high:g}, got {number:g}",
                    text=text,
                    form=form,
                    low=low,
                    high=high,
                    number=number,
                )
            )
    return numbers


_READ: dict[str, Callable[[str, list[str]], AnyPart]] = {
    "crop": _crop,
    "flip": _flip,
    "cutout": _cutout,
    "shift": _shift,
    "noise": _noise,
    "spec": _spec,
    "mixup": _mixup,
}


def _mirrored(size: int, pad: int) -> np.ndarray:
    """Positions -pad … size+pad-1, mirrored at the first and last pixel (which are not repeated)."""
    places = np.abs(np.arange(-pad, size + pad))
    return np.where(places < size, places, 2 * (size - 1) - places)
