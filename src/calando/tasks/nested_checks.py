"""What is refused of samples of any make, or noted: parts that differ, targets that teach nothing, gaps in classes."""

from __future__ import annotations

import torch

from calando.errors import DataError
from calando.language import message
from calando.tasks import tree
from calando.tasks.nested_dataset import Nested, NestedDataset
from calando.tasks.nested_source import NestedSource
from calando.tasks.source import check_finite, check_labels

__all__ = ["check_alike", "check_twin", "class_numbers_of", "gaps", "refuse_constant"]


def refuse_constant(train: NestedSource) -> None:
    wanted = train.targets(torch.arange(len(train)))
    if isinstance(wanted, torch.Tensor) and len(wanted) > 1 and bool((wanted == wanted[:1]).all()):
        raise DataError(
            message("{origin}: every sample has the same targets, so there is nothing to learn", origin=train.origin)
        )


def class_numbers_of(parts: tuple[Nested, ...]) -> int:
    """The largest class number of all pixels or tokens; DataError where one is negative."""
    largest = -1
    for part in parts:
        found = part.whole_targets()
        if found.least is not None and found.least < 0:
            raise DataError(
                message(
                    "{origin}: a target is {least}; classes are numbered from 0, and what is left out is -100",
                    origin=part.origin,
                    least=found.least,
                )
            )
        largest = max(largest, -1 if found.most is None else found.most)
    return largest


def gaps(train: Nested) -> list[str]:
    """A sentence where class numbers are left free, as by a mask's 255 for "no class"."""
    found = train.whole_targets()
    if not found.gaps or found.most is None:
        return []
    free = ", ".join(map(str, found.gaps[:5])) + (f" … ({len(found.gaps)})" if len(found.gaps) > 5 else "")
    return [
        message(
            "{origin}: class numbers go up to {most}, and {free} occur nowhere; if {most} marks what is left out, "
            "write -100 in its place",
            origin=train.origin,
            most=found.most,
            free=free,
        )
    ]


def check_twin(train: Nested, clean: Nested) -> None:
    """Refuse a twin whose targets are of other samples; what has several values may be changed with the inputs."""
    both = [part.class_numbers for part in (train, clean)]
    if isinstance(train, NestedSource) and isinstance(clean, NestedSource):
        both = [part.targets(torch.arange(len(part))) for part in (train, clean)]
    one, other = both
    if not isinstance(one, torch.Tensor) or not isinstance(other, torch.Tensor) or one.ndim != 1 or other.ndim != 1:
        return
    if len(unequal := (one != other).nonzero().flatten()):
        place = int(unequal[0])
        raise DataError(
            message(
                "clean: sample {place} has target {theirs:g}, and in train {ours:g}; it must hold the same "
                "in the same order",
                place=place,
                theirs=float(other[place]),
                ours=float(one[place]),
            )
        )


def check_alike(train: Nested, others: tuple[Nested, ...], *, classes: int) -> None:
    """Refuse parts of another make, labels outside the classes, and values that are not finite (DataError)."""

    def make(part: Nested) -> list[tuple[str, torch.dtype, tuple[int, ...] | None]]:
        whole = part.read(torch.tensor([0])).batch
        own_collate = isinstance(part, NestedDataset) and part.collate is not None
        return [
            (where, one.dtype, None if own_collate else tuple(one.shape[1:]))
            for where, one in tree.leaves(whole, "batch")
        ]

    expected = make(train)
    for part in (train, *others):
        if (came := make(part)) != expected:
            theirs, ours = next(((a, b) for a, b in zip(expected, came, strict=False) if a != b), (None, None))
            raise DataError(
                message(
                    "{origin}: samples are of another make than those of {train}: {ours}, and there "
                    "{theirs}; make them alike",
                    origin=part.origin,
                    train=train.origin,
                    ours=_described(ours),
                    theirs=_described(theirs),
                )
            )
        if isinstance(part, NestedSource) and part.read(torch.arange(len(part))).weight == 0:
            raise DataError(
                message(
                    "{origin}: every target is -100, which is left out; give some that are classes", origin=part.origin
                )
            )
        check_finite(part)
        check_labels(part, classes=classes)


def _described(make: tuple[str, torch.dtype, tuple[int, ...] | None] | None) -> str:
    if make is None:
        return message("other values")
    where, kind, shape = make
    axes = "" if shape is None else " [" + ", ".join(["N", *map(str, shape)]) + "]"
    return message("{where} is {kind}{axes}", where=where, kind=str(kind), axes=axes)
