"""What labels decide: the classes, and which samples each part holds.

Parts are cut by a rule that is the same for every seed, machine and version: in each class, the n samples are put in a
fixed shuffled order (`rank_keys` of their positions in the data set) and the first round(fraction · n), at least one,
are held out. So every class keeps its share in both parts, a larger fraction holds out all that a smaller one does, and
all runs of a study are judged on the same samples.

The validation part is cut from the training set this way; so is the test part, one fifth, of data that come without
one. `train_limit` takes a stratified part of what is left.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from calando.errors import DataError
from calando.language import joined, message
from calando.tasks.randomness import Purpose, rank_keys

if TYPE_CHECKING:
    from calando.tasks.source import Source

__all__ = [
    "TEST_FRACTION",
    "WHOLE_CUT",
    "check_enough",
    "count_classes",
    "hold_out",
    "take_stratified",
]

TEST_FRACTION = 0.2
WHOLE_CUT = (message("test part"), message("validation part"))
"""What is cut off from data that come as one whole."""


def check_enough(labels: np.ndarray, *, cut: Sequence[str], names: Sequence[str] | None = None) -> None:
    """Every class that occurs has a sample for each part that will be cut off, and one to train on.

    >>> check_enough(np.array([0, 0, 0]), cut=["test part", "validation part"])

    Args:
        labels: int64[N], before anything is cut off.
        cut: what will be, as it is called in an error.

    Raises:
        DataError: a class with fewer samples.
    """
    values, sizes = np.unique(labels, return_counts=True)
    if len(values) and sizes.min() <= len(cut):
        label, size = int(values[sizes.argmin()]), int(sizes.min())
        name = f"{names[label]!r}" if names and 0 <= label < len(names) else f"{label}"
        has = message(
            "class {name} has {size} sample" if size == 1 else "class {name} has {size} samples", name=name, size=size
        )
        parts = message(
            "{parts} is cut off class by class" if len(cut) == 1 else "{parts} are cut off class by class",
            parts=joined("{one} and {other}", (message("a {part}", part=part) for part in cut)),
        )
        raise DataError(
            message(
                "{has}; {parts}, which needs at least {count} of each; add samples or leave that class out",
                has=has,
                parts=parts,
                count=len(cut) + 1,
            )
        )


def hold_out(labels: np.ndarray, *, fraction: float, purpose: Purpose, what: str) -> tuple[np.ndarray, np.ndarray]:
    """Cut positions 0 … n-1 into (kept, held out), both ascending.

    >>> kept, held = hold_out(np.array([0, 0, 1, 1, 1, 1]), fraction=0.25, purpose=Purpose.TEST_SPLIT, what="test part")
    >>> len(kept), len(held)
    (4, 2)

    Args:
        fraction: in (0, 1).
        purpose: names the fixed shuffle.
        what: what the held-out samples are called in an error.

    Raises:
        DataError: a class has a single sample, so that it cannot be in both parts.
    """
    assert 0 < fraction < 1
    held = np.zeros(len(labels), dtype=bool)
    keys = rank_keys(len(labels), purpose)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        if len(members) < 2:
            raise DataError(
                message(
                    "class {label} has only one sample; a {what} is cut from the training set class by "
                    "class, which needs at least 2 of each; add samples or leave that class out",
                    label=int(label),
                    what=what,
                )
            )
        # A class of which a part has none can be neither learned there nor judged.
        count = min(max(round(fraction * len(members)), 1), len(members) - 1)
        held[members[np.argsort(keys[members])[:count]]] = True
    return np.flatnonzero(~held), np.flatnonzero(held)


def take_stratified(labels: np.ndarray, *, count: int) -> np.ndarray:
    """Positions, ascending, of `count` samples (all, where there are fewer), each class by its share and at least once.

    Shares are rounded down and what is left goes to the largest remainders (Hamilton's method).

    Raises:
        DataError: fewer samples asked for than there are classes.
    """
    if count >= len(labels):
        return np.arange(len(labels))
    classes, sizes = np.unique(labels, return_counts=True)
    if count < len(classes):
        raise DataError(
            message(
                "train_limit={count} cannot hold one sample of each of {classes} classes; ask for more",
                count=count,
                classes=len(classes),
            )
        )
    share = sizes * (count / len(labels))
    quota = np.maximum(np.floor(share).astype(np.int64), 1)
    while (gap := count - int(quota.sum())) != 0:
        room = quota < sizes if gap > 0 else quota > 1
        off = np.where(room, share - quota, -np.inf if gap > 0 else np.inf)
        quota[np.argmax(off) if gap > 0 else np.argmin(off)] += 1 if gap > 0 else -1
    keys = rank_keys(len(labels), Purpose.TRAIN_LIMIT)
    members = (np.flatnonzero(labels == label) for label in classes)
    return np.sort(np.concatenate([m[np.argsort(keys[m])[:n]] for m, n in zip(members, quota, strict=True)]))


def count_classes(train: Source, *, names: Sequence[str] | None = None, classes: int | None = None) -> int:
    """Number of classes of the training set: `classes`, or as many as there are names, else the largest label plus one.

    Raises:
        DataError: no samples, one class, a label out of range, or a class without a sample.
    """
    if len(train) == 0:
        raise DataError(message("{origin}: holds no samples; give at least two of each class", origin=train.origin))
    low, high = int(train.labels.min()), int(train.labels.max())
    given = classes if classes is not None else len(names) if names else None
    count = high + 1 if given is None else given
    if low < 0 or high >= count:
        raise DataError(
            message(
                "{origin}: labels must be 0 … {most}, got {label}; number the classes from 0",
                origin=train.origin,
                most=max(count, 1) - 1,
                label=low if low < 0 else high,
            )
        )
    if count < 2:
        raise DataError(
            message(
                "{origin}: holds a single class, so there is nothing to classify; give at least two",
                origin=train.origin,
            )
        )
    present = set(train.labels.unique().tolist())  # not by counting, which makes room up to the largest label
    if lost := count - len(present):
        missing = list(islice((label for label in range(count) if label not in present), 5))
        more = " …" if lost > 5 else ""
        shown = ", ".join(map(str, missing)) + more
        remedy = message("number the classes 0, 1, 2 … without gaps")
        if names is not None and len(names) == count:
            called = ", ".join(repr(names[label]) for label in missing) + more
            remedy = message(
                "add samples of {called}, or leave the name out and {remedy}", called=called, remedy=remedy
            )
        raise DataError(
            message(
                "{origin}: no training sample of class {shown} of {count}; {remedy}",
                origin=train.origin,
                shown=shown,
                count=count,
                remedy=remedy,
            )
        )
    return count
