"""What data must satisfy before a step is trained on them.

At least two classes, numbered 0 … classes-1, each with a training sample; labels of every part in that range; images of
one shape and kind in every part; every value finite; pixels that are not all equal.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import torch

from calando.errors import DataError
from calando.sizes import LEAST, MOST
from calando.tasks.source import Moments, Source

__all__ = ["check_moments", "check_normalised", "check_parts", "check_twin", "count_classes"]


def count_classes(train: Source, *, names: Sequence[str] | None = None, classes: int | None = None) -> int:
    """Number of classes of the training set: as told by `classes` or the names, else the largest label plus one.

    Raises:
        DataError: no samples, one class, a label out of range, or a class without a sample.
    """
    if len(train) == 0:
        raise DataError(f"{train.origin}: holds no samples; give at least two of each class")
    low, high = int(train.labels.min()), int(train.labels.max())
    told = classes if classes is not None else len(names) if names else None
    count = high + 1 if told is None else told
    if low < 0 or high >= count:
        raise DataError(
            f"{train.origin}: labels must be 0 … {max(count, 1) - 1}, got {low if low < 0 else high}; "
            "number the classes from 0"
        )
    if count < 2:
        raise DataError(f"{train.origin}: holds a single class, so there is nothing to tell apart; give at least two")
    present = set(train.labels.unique().tolist())  # not by counting, which makes room up to the largest label
    if lost := count - len(present):
        missing = list(islice((label for label in range(count) if label not in present), 5))
        shown = ", ".join(map(str, missing)) + (" …" if lost > 5 else "")
        remedy = "number the classes 0, 1, 2 … without gaps"
        if names is not None and len(names) == count:
            called = ", ".join(repr(names[label]) for label in missing) + (" …" if lost > 5 else "")
            remedy = f"add samples of {called}, or leave the name out and " + remedy
        raise DataError(f"{train.origin}: no training sample of class {shown} of {count}; {remedy}")
    return count


def check_parts(parts: Sequence[Source], *, classes: int) -> None:
    """Every part fits the first, has labels in range and finite values.

    Raises:
        DataError: naming the part, the sample, and what to do.
    """
    for part in parts:
        if len(part) == 0:
            raise DataError(f"{part.origin}: holds no samples; give at least one")
        if part.shape != parts[0].shape:
            raise DataError(
                f"{part.origin}: images are {part.shape}, those of {parts[0].origin} {parts[0].shape}; make them alike"
            )
        outside = ((part.labels < 0) | (part.labels >= classes)).nonzero().flatten()
        if outside.numel():
            place = int(outside[0])
            raise DataError(
                f"{part.origin}: sample {place} has label {int(part.labels[place])}, but the training part's classes "
                f"are 0 … {classes - 1}; correct or remove it"
            )
        if (bad := part.first_not_finite()) is not None:
            raise DataError(f"{part.origin}: sample {bad} has a NaN or infinite value; correct or remove it")
    _check_scales(parts)


def _check_scales(parts: Sequence[Source]) -> None:
    """uint8 is read as x / 255. Floats in another part fit that from 0 to 1: their mean is there, their deviation at
    most 1/2, and other floats have a scale of their own."""
    whole = next((part for part in parts if part.dtype == torch.uint8), None)
    for part in parts:
        if whole is None or part.dtype == torch.uint8:
            continue
        found = part.moments()
        fits = all(-1e-3 <= mean <= 1 + 1e-3 for mean in found.mean) and all(std <= 0.5 + 1e-3 for std in found.std)
        if not fits:
            raise DataError(
                f"{part.origin}: images are floats of mean {found.mean[0]:.3g} and standard deviation "
                f"{found.std[0]:.3g}, those of {whole.origin} uint8, which are read as x / 255: no scale in common; "
                "give both in one type and scale"
            )


def check_twin(clean: Source, *, of: Source) -> None:
    """The labels are those of `of`, in the same order.

    Raises:
        DataError: another number of samples, or the first label that differs.
    """
    what = "it must hold the same samples in the same order"
    if len(clean) != len(of):
        raise DataError(f"{clean.origin}: {len(clean)} samples, but {of.origin} has {len(of)}; {what}")
    differ = (clean.labels != of.labels).nonzero().flatten()
    if differ.numel():
        place = int(differ[0])
        raise DataError(
            f"{clean.origin}: sample {place} has label {int(clean.labels[place])}, but in {of.origin} "
            f"{int(of.labels[place])}; {what}"
        )


def check_moments(moments: Moments, *, origin: str) -> None:
    """Some channel varies.

    Raises:
        DataError: all pixels of every channel are equal, or vary by what single precision cannot normalise.
    """
    for channel, (mean, std) in enumerate(zip(moments.mean, moments.std, strict=True)):
        if 0 < std < LEAST or max(std, abs(mean)) > MOST:
            raise DataError(
                f"{origin}: pixels of channel {channel} have mean {mean:.3g} and standard deviation {std:.3g}, which "
                "single precision cannot normalise; scale the images to values of a size near 1"
            )
    if not any(std > 0 for std in moments.std):
        raise DataError(f"{origin}: every pixel of every image is the same; look at how the images were written")


def check_normalised(part: Source, *, by: Moments, of: str) -> None:
    """A part that is not trained on stays finite when it is normalised by what is.

    Raises:
        DataError: it does not.
    """
    if part.fetch(torch.tensor([0])).dtype == torch.uint8:
        return
    mine = part.moments()
    for channel, (mean, std, center, unit) in enumerate(zip(mine.mean, mine.std, by.mean, by.std, strict=True)):
        if not max(abs(mean - center), std, abs(mean)) / unit <= MOST:
            raise DataError(
                f"{part.origin}: pixels of channel {channel} have mean {mean:.3g} and standard deviation {std:.3g}, "
                f"but those of {of} {center:.3g} and {unit:.3g}, by which they are normalised; scale all parts alike"
            )
