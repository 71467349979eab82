"""What a reader says of the data it read: parts, classes and counts; and samples that are in both parts."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np

from calando.tasks.data.arrays import Part

__all__ = ["parts_told", "printable", "repeats_told"]

_MOST_CLASSES = 12


def parts_told(
    origin: str,
    parts: Mapping[str, np.ndarray],
    classes: Sequence[str] | None,
    passed_over: Sequence[str],
    *,
    cut: bool = False,
) -> str:
    """Parts, classes, counts, and what was passed over.

    >>> parts = {"train": np.array([0, 0, 1]), "test": np.array([0, 1])}
    >>> parts_told("photos", parts, ["cat", "dog"], ["a.txt (no picture)"])
    'photos: 2 classes (cat, dog); train 3 (cat 2, dog 1), test 2 (1 of each); passed over: a.txt (no picture)'

    Args:
        origin: what was read.
        parts: name of each part -> labels int64[N].
        classes: their names; None: the numbers that occur.
        passed_over: what lies there and was not read, each with the reason.
        cut: there was one whole, of which a fifth became the test part.
    """
    if classes is None:  # a damaged file may hold any number: none is counted up to
        called = {int(number): str(number) for number in np.unique(np.concatenate(list(parts.values())))}
    else:
        called = dict(enumerate(classes))
    counted = ", ".join(f"{name} {len(labels)} ({_counts(labels, called)})" for name, labels in parts.items())
    left = f"; passed over: {'; '.join(passed_over)}" if passed_over else ""
    rule = ", a fifth of the whole" if cut else ""
    names = ", ".join(list(called.values())[:_MOST_CLASSES]) + (" …" if len(called) > _MOST_CLASSES else "")
    told = f"{origin}: {len(called)} classes ({names}); {counted}{rule}{left}"
    return printable(told)


def printable(text: str) -> str:
    """One line that a terminal shows and does not obey: a file's name may hold any sign.

    >>> printable("Icon\\r")
    'Icon\\\\r'
    """
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text)


def _counts(labels: np.ndarray, called: Mapping[int, str]) -> str:
    numbers, sizes = np.unique(labels, return_counts=True)
    found = dict(zip(numbers.tolist(), sizes.tolist(), strict=True))
    counts = [found.get(number, 0) for number in called]
    if min(counts) == max(counts):
        return f"{counts[0]} of each"
    if len(called) <= _MOST_CLASSES:
        return ", ".join(f"{name} {n}" for name, n in zip(called.values(), counts, strict=True))
    return f"{min(counts)} to {max(counts)} of a class"


def repeats_told(train: Part, test: Part) -> list[str]:
    """A sentence where samples of the test part are in the training part too, pixel by pixel; none where none are.

    >>> twice = np.arange(8, dtype=np.uint8).reshape(2, 1, 2, 2)
    >>> repeats_told(Part(twice, np.array([0, 1]), "a"), Part(twice[:1], np.array([1]), "b"))
    ['1 of 1 test samples is in the training part too, pixel by pixel, 1 of them as another class']
    """
    if train.images.shape[1:] != test.images.shape[1:] or train.images.dtype != test.images.dtype:
        return []
    known: dict[bytes, set[int]] = {}
    for image, label in zip(train.images, train.labels.tolist(), strict=False):
        known.setdefault(_digest(image), set()).add(label)
    found = [
        (known.get(_digest(image)), label) for image, label in zip(test.images, test.labels.tolist(), strict=False)
    ]
    repeated = [(labels, label) for labels, label in found if labels is not None]
    if not repeated:
        return []
    other = sum(label not in labels for labels, label in repeated)
    of_another = f", {other} of them as another class" if other else ""
    verb = "is" if len(repeated) == 1 else "are"
    return [f"{len(repeated)} of {len(found)} test samples {verb} in the training part too, pixel by pixel{of_another}"]


def _digest(image: np.ndarray) -> bytes:
    return hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=16).digest()
