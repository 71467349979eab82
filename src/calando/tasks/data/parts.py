"""The parts of a data set: which part a file's or folder's name means, and what was read of each.

    "train", "Training", "seg_train", "trainset", "train2017"  ->  train
    "val", "valid", "validation", "dev", "eval"                ->  val
    "test", "Testing", "x_tst"                                 ->  test

A name is cut into words at everything that is no letter and where capitals begin ("TrainImages"). Words of one part
make that part; no such word, or words of two parts ("train_test_split"), make none. The words left over are the affix:
("seg",).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import reduce

import numpy as np

from calando.language import joined, message
from calando.tasks.data.arrays import ArrayData, Part, described, with_test

__all__ = ["PARTS", "classes_in", "data_in_parts", "is_hidden", "part_of", "printable", "repeats", "some", "summed_up"]

PARTS = {"train": message("training"), "test": message("test"), "val": message("validation")}
"""Short name of a part -> its name in a sentence."""

_WORDS = {
    "train": ("train", "training", "trn"),
    "test": ("test", "testing", "tst"),
    "val": ("val", "valid", "validation", "dev", "eval", "evaluation"),
}
_ROLE = {word: part for part, words in _WORDS.items() for word in words}
_JOINED = re.compile(rf"({'|'.join(sorted(_ROLE, key=len, reverse=True))})(set|data|split|images)")
_LITTER = {"$recycle.bin", "@eadir", "__macosx", "__pycache__", "desktop.ini", "lost+found", "thumbs.db"}
_MOST_CLASSES = 12
_NEARLY = 1.1  # of the largest class to the smallest: as good as even


def is_hidden(name: str) -> bool:
    """Whether a file or folder is what a system or an editor leaves behind, and no data.

    >>> [name for name in (".ipynb_checkpoints", "__MACOSX", "Thumbs.db", "cat") if is_hidden(name)]
    ['.ipynb_checkpoints', '__MACOSX', 'Thumbs.db']
    """
    return name.startswith(".") or name.lower() in _LITTER


def part_of(name: str) -> tuple[str | None, tuple[str, ...]]:
    """The part that a name means, or None, and its affix: the words left over.

    >>> part_of("seg_train"), part_of("Testing"), part_of("train_test_split")
    (('train', ('seg',)), ('test', ()), (None, ('train', 'test', 'split')))
    """
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    words: list[str] = []
    for word in re.findall(r"[^\W\d_]+", spaced.lower()):
        joined = _JOINED.fullmatch(word)
        words += joined.groups() if joined else [word]
    found = {_ROLE[word] for word in words if word in _ROLE}
    if len(found) != 1:
        return None, tuple(words)
    return found.pop(), tuple(word for word in words if word not in _ROLE)


def printable(text: str) -> str:
    """One line that a terminal shows and does not obey: a file's name may hold any sign.

    >>> printable("Icon\\r")
    'Icon\\\\r'
    """
    if text.isprintable():
        return text  # as it is: a message can still be translated
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text)


def some(names: Sequence[str], *, most: int = 6) -> str:
    """The first names, and how many there are in all.

    >>> some(["a", "b", "c"], most=2)
    'a, b … (3)'
    """
    return ", ".join(map(printable, names[:most])) + (f" … ({len(names)})" if len(names) > most else "")


def data_in_parts(
    path: object,
    images: np.ndarray,
    labels: Sequence[np.ndarray],
    *,
    origins: Sequence[str],
    names: Sequence[str] = ("train", "test"),
    class_names: tuple[str, ...] | None,
    passed_over: Sequence[str],
    notes: Sequence[str],
) -> ArrayData:
    """A training and a test part, or one whole that is cut; with notes of parts, classes and counts.

    Args:
        images: of all parts, one after the other.
        labels: int64[N] of each part.
        origins: what to call each part in an error.
        names: what to call the two parts in the notes.
        class_names: None: classes are known by the numbers that occur.
        passed_over: what was found and not read, each with the reason.
        notes: what else the reader did.
    """
    if len(labels) == 1:
        data = with_test(Part(images, labels[0], origins[0]), class_names=class_names)
    else:
        train, test = np.split(images, [len(labels[0])])
        data = ArrayData(Part(train, labels[0], origins[0]), Part(test, labels[1], origins[1]), class_names)
    return summed_up(path, data, names=names, passed_over=passed_over, notes=notes)


def summed_up(
    path: object,
    data: ArrayData,
    *,
    names: Sequence[str] = ("train", "test"),
    passed_over: Sequence[str] = (),
    notes: Sequence[str] = (),
    look_for_repeats: bool = True,
) -> ArrayData:
    """The data with a note of parts, classes, counts and sizes, and one where samples are in both parts.

    Args:
        path: what the note begins with.
        names, passed_over, notes: as of `data_in_parts`.
        look_for_repeats: False for a data set that is known.
    """
    parts = {names[0]: data.train.labels, names[1]: data.test.labels}
    if data.class_names is None:  # a damaged file may hold any number: none is counted up to
        called = {int(number): str(number) for number in np.unique(np.concatenate(list(parts.values())))}
    else:
        called = dict(enumerate(data.class_names))
    _, channels, height, width = data.train.images.shape
    size = described((channels, height, width), "first")
    shown = {number: printable(name) for number, name in called.items()}
    summary = message(
        "{path}: {classes}, a fifth of the whole; images of {size}"
        if data.cut
        else "{path}: {classes}; images of {size}",
        path=printable(str(path)),
        classes=classes_in({printable(name): those for name, those in parts.items()}, shown),
        size=size,
    )
    if passed_over:
        left = joined("{one}; {other}", map(printable, passed_over))
        summary = message("{summary}; passed over: {left}", summary=summary, left=left)
    both = [(part.images, part.labels) for part in (data.train, data.test)]
    repeated = repeats(both[0], both[1], how=message("pixel by pixel")) if look_for_repeats else []
    return replace(data, notes=(summary, *notes, *repeated))


def classes_in(parts: Mapping[str, np.ndarray], called: Mapping[int, str]) -> str:
    """The classes, and how many samples of each the parts have: counts, and shares where they are not even.

    >>> classes_in({"train": np.array([0, 0, 0, 1]), "test": np.array([0, 1])}, {0: "cat", 1: "dog"})
    '2 classes (cat, dog); train 4 (cat 3 = 75 %, dog 1 = 25 %), test 2 (1 of each)'
    """
    counted: list[str] = [
        message("{part} {count} ({counts})", part=message(name), count=len(those), counts=_counts(those, called))
        for name, those in parts.items()
    ]
    shown = ", ".join(list(called.values())[:_MOST_CLASSES]) + (" …" if len(called) > _MOST_CLASSES else "")
    return message(
        "{count} classes ({names}); {parts}", count=len(called), names=shown, parts=reduce(_with_next, counted)
    )


def _with_next(parts: str, part: str) -> str:
    return message("{parts}, {part}", parts=parts, part=part)


def _counts(labels: np.ndarray, called: Mapping[int, str]) -> str:
    numbers, sizes = np.unique(labels, return_counts=True)
    found = dict(zip(numbers.tolist(), sizes.tolist(), strict=True))
    counts = [found.get(number, 0) for number in called]
    if not counts or not len(labels):
        return message("none")
    if min(counts) == max(counts):
        return message("{count} of each", count=counts[0])
    shares = [
        f"{share:.2g} %" if share < 99.5 else f"{share:.0f} %" for share in (100 * n / len(labels) for n in counts)
    ]
    least, most = int(np.argmin(counts)), int(np.argmax(counts))
    if len(called) <= _MOST_CLASSES and counts[most] > _NEARLY * counts[least]:
        return ", ".join(
            f"{name} {n} = {share}" for name, n, share in zip(called.values(), counts, shares, strict=True)
        )
    return message(
        "{least} to {most} of a class, {least_share} to {most_share}",
        least=counts[least],
        most=counts[most],
        least_share=shares[least],
        most_share=shares[most],
    )


def repeats(
    train: tuple[np.ndarray, np.ndarray], test: tuple[np.ndarray, np.ndarray], *, how: str, classes: bool = True
) -> list[str]:
    """A sentence where samples of the test part are in the training part too; none where none are.

    Args:
        train, test: inputs [N, …] and targets of each part.
        how: in what they are the same: "pixel by pixel".
        classes: whether the targets are class numbers.
    """
    if train[0].shape[1:] != test[0].shape[1:] or train[0].dtype != test[0].dtype:
        return []
    known: dict[bytes, set[object]] = {}
    for sample, target in zip(train[0], train[1].tolist(), strict=False):
        known.setdefault(_digest(sample), set()).add(target if classes else None)
    found = [
        (known.get(_digest(sample), ()), target) for sample, target in zip(test[0], test[1].tolist(), strict=False)
    ]
    repeated = sum(bool(targets) for targets, _ in found)
    other = sum(bool(targets) and target not in targets for targets, target in found) if classes else 0
    of_another = message(", {other} of them as another class", other=other) if other else ""
    what = message(
        "{repeated} of {count} test samples is in the training part too, {how}{of_another}"
        if repeated == 1
        else "{repeated} of {count} test samples are in the training part too, {how}{of_another}",
        repeated=repeated,
        count=len(found),
        how=how,
        of_another=of_another,
    )
    return [what] if repeated else []


def _digest(sample: np.ndarray) -> bytes:
    return hashlib.blake2b(np.ascontiguousarray(sample).data, digest_size=16).digest()
