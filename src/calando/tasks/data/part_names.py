"""What a file's or folder's name says of the part that it holds, and which names hold nothing to read.

    "train", "Training", "seg_train", "trainset", "train2017"  ->  train
    "val", "valid", "validation", "dev", "eval"                ->  val
    "test", "Testing", "x_tst"                                 ->  test

A name is cut into words at everything that is no letter and where capitals begin ("TrainImages"). Words of one part
make that part; no such word, or words of two parts ("train_test_split"), make none. The words left over are the affix:
("seg",).
"""

from __future__ import annotations

import re

__all__ = ["PARTS", "is_hidden", "part_of"]

PARTS = ("train", "test", "val")

_WORDS = {
    "train": ("train", "training", "trn"),
    "test": ("test", "testing", "tst"),
    "val": ("val", "valid", "validation", "dev", "eval", "evaluation"),
}
_ROLE = {word: part for part, words in _WORDS.items() for word in words}
_JOINED = re.compile(rf"({'|'.join(sorted(_ROLE, key=len, reverse=True))})(set|data|split|images)")
_LITTER = {"$recycle.bin", "@eadir", "__macosx", "__pycache__", "desktop.ini", "lost+found", "thumbs.db"}


def is_hidden(name: str) -> bool:
    """Whether a file or folder is what a system or an editor leaves behind, and no data.

    >>> [name for name in (".ipynb_checkpoints", "__MACOSX", "Thumbs.db", "cat") if is_hidden(name)]
    ['.ipynb_checkpoints', '__MACOSX', 'Thumbs.db']
    """
    return name.startswith(".") or name.lower() in _LITTER


def part_of(name: str) -> tuple[str | None, tuple[str, ...]]:
    """The part that a name says, or None, and its affix: the words left over.

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
