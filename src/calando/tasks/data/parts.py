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

import numpy as np

from calando.tasks.data.arrays import ArrayData, Part, with_test

__all__ = ["PARTS", "data_in_parts", "is_hidden", "part_of", "printable", "some"]

PARTS = {"train": "training", "test": "test", "val": "validation"}
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
    parts = {names[0]: data.train.labels, names[1]: data.test.labels}
    if class_names is None:  # a damaged file may hold any number: none is counted up to
        called = {int(number): str(number) for number in np.unique(np.concatenate(labels))}
    else:
        called = dict(enumerate(class_names))
    counted = ", ".join(f"{name} {len(those)} ({_counts(those, called)})" for name, those in parts.items())
    rule = ", a fifth of the whole" if data.cut else ""
    left = f"; passed over: {'; '.join(passed_over)}" if passed_over else ""
    shown = ", ".join(list(called.values())[:_MOST_CLASSES]) + (" …" if len(called) > _MOST_CLASSES else "")
    summary = printable(f"{path}: {len(called)} classes ({shown}); {counted}{rule}{left}")
    return replace(data, notes=(summary, *notes, *_repeats(data.train, data.test)))


def _counts(labels: np.ndarray, called: Mapping[int, str]) -> str:
    numbers, sizes = np.unique(labels, return_counts=True)
    found = dict(zip(numbers.tolist(), sizes.tolist(), strict=True))
    counts = [found.get(number, 0) for number in called]
    if min(counts) == max(counts):
        return f"{counts[0]} of each"
    if len(called) <= _MOST_CLASSES:
        return ", ".join(f"{name} {n}" for name, n in zip(called.values(), counts, strict=True))
    return f"{min(counts)} to {max(counts)} of a class"


def _repeats(train: Part, test: Part) -> list[str]:
    """A sentence where samples of the test part are in the training part too, pixel by pixel; none where none are."""
    if train.images.shape[1:] != test.images.shape[1:] or train.images.dtype != test.images.dtype:
        return []
    known: dict[bytes, set[int]] = {}
    for image, label in zip(train.images, train.labels.tolist(), strict=False):
        known.setdefault(_digest(image), set()).add(label)
    found = [
        (known.get(_digest(image), ()), label) for image, label in zip(test.images, test.labels.tolist(), strict=False)
    ]
    repeated = sum(bool(labels) for labels, _ in found)
    other = sum(bool(labels) and label not in labels for labels, label in found)
    of_another = f", {other} of them as another class" if other else ""
    verb = "is" if repeated == 1 else "are"
    what = f"{repeated} of {len(found)} test samples {verb} in the training part too, pixel by pixel{of_another}"
    return [what] if repeated else []


def _digest(image: np.ndarray) -> bytes:
    return hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=16).digest()
