"""Which files below a folder are which part of one data set: parquet files, or another ending.

    data/train-00000-of-00002.parquet, data/test-00000-of-00001.parquet     the part is in the file's name …
    default/train/0000.parquet, default/test/0000.parquet                   … or in that of a folder above it
    A/train/0000.parquet, B/train/0000.parquet                              two configurations: one must be named

What is left of a path without its part, its numbers and words such as "shard" is the configuration that the file
belongs to: the folders for all files, and the file's name too among those of one part. All files must belong to one. Of
numbered shards, none may be missing, and no file may be there twice.
"""

from __future__ import annotations

import filecmp
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from calando.errors import DataError
from calando.language import joined, message
from calando.tasks.data.parts import PARTS, is_hidden, part_of, some

__all__ = ["Files", "find_files", "passed_over_in", "refuse_lone_shard", "val_as_test"]

_SHARD = re.compile(r"(?P<before>.*?)(?P<index>\d+)-of-(?P<total>\d+)(?:-[0-9a-f]{8,})?(?P<after>.*)")  # maybe a hash
_NUMBER = re.compile(r"0\d{3,}")  # how the hub numbers what it converted: 0000.parquet, 0001.parquet
_PIECE = {"batch", "chunk", "data", "file", "of", "part", "piece", "shard"}


@dataclass(frozen=True)
class Files:
    """The files of one data set.

    Args:
        train, test: of each part; `test` may be empty.
        passed_over: what was found and is not read, each with the reason.
        notes: what a part was taken for, in sentences.
    """

    train: tuple[Path, ...]
    test: tuple[Path, ...]
    passed_over: tuple[str, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Place:
    """What a file's path means: its part, and the configuration by its folders and by its own name."""

    file: Path
    part: str | None
    folder: str
    stem: str


def find_files(root: Path, *, ending: str = "parquet") -> Files:
    """The files below a folder; DataError where they are not those of one data set, each there once."""
    found = [file for file in sorted(root.rglob(f"*.{ending}")) if file.is_file()]
    shown = [file for file in found if not any(is_hidden(name) for name in file.relative_to(root).parts)]
    places = [_place(file, root) for file in shown]
    train, test, val = ([place for place in places if place.part == part] for part in PARTS)
    if not train:
        held = some([str(file.relative_to(root)) for file in shown])
        held = held or message("none that is not hidden" if found else "none")
        raise DataError(
            message(
                "{root}: has no {ending} file named train*.{ending}; name a file, or a folder with such "
                "files; it holds {held}",
                root=root,
                ending=ending,
                held=held,
            )
        )
    looked_at = test or val
    _refuse_several(root, train, train + looked_at)
    for part in (train, looked_at):
        _refuse_kinds(root, part)
        _refuse_copies(root, part)
    for part in (train, looked_at):
        _refuse_incomplete([place.file for place in part])
    passed_over = []
    if test and val:
        files = some([place.file.name for place in val])
        passed_over.append(
            message("{names} (there is a test part; validation is cut from the training part)", names=files)
        )
    if other := [place.file.name for place in places if place.part is None]:
        passed_over.append(message("{names} (no part in the name)", names=some(other)))
    if hidden := len(found) - len(shown):
        passed_over.append(
            message(
                "{count} hidden {ending} file" if hidden == 1 else "{count} hidden {ending} files",
                count=hidden,
                ending=ending,
            )
        )
    notes = () if test or not val else (val_as_test(some([place.file.name for place in val])),)
    return Files(tuple(one.file for one in train), tuple(one.file for one in looked_at), tuple(passed_over), notes)


def val_as_test(name: str) -> str:
    """The sentence on a validation part that is the test part, where there is no other.

    >>> val_as_test("val.csv")
    'val.csv is the test part, since there is no other; the validation part is cut from the training part'
    """
    return message(
        "{name} is the test part, since there is no other; the validation part is cut from the training part", name=name
    )


def passed_over_in(path: Path, files: Files) -> list[str]:
    """The sentence on files that are not read; none where all are."""
    left = joined("{one}; {other}", files.passed_over)
    return [message("{path}: passed over: {left}", path=path, left=left)] if left else []


def refuse_lone_shard(file: Path) -> None:
    """A file that is one of several shards by its name is not a data set (DataError)."""
    shard = _SHARD.fullmatch(file.stem)
    if shard and int(shard["total"]) > 1:
        raise DataError(
            message(
                "{file}: is one of {count} shards by its name; name the folder that holds them all, or "
                "rename the file to train on this one alone",
                file=file,
                count=int(shard["total"]),
            )
        )


def _place(file: Path, root: Path) -> _Place:
    folders = file.relative_to(root).parts[:-1]
    part, words = part_of(_SHARD.sub(r"\g<before> \g<after>", file.stem))
    if part is None:
        words = ()  # any names will do in a folder that names the part
    for name in reversed(folders):
        part = part or part_of(name)[0]
    kept = [part_of(name)[1] if part_of(name)[0] else (name,) for name in folders]
    folder = "/".join(" ".join(words) for words in kept if words)
    return _Place(file, part, folder, " ".join(word for word in words if word not in _PIECE))


def _refuse_several(root: Path, train: Sequence[_Place], used: Sequence[_Place]) -> None:
    if len({place.folder for place in used}) > 1:
        homes = sorted({str(_home(place.file, root)) for place in used})
        trained = {str(_home(place.file, root)) for place in train}
        if len(homes) > 1 and set(homes) == trained:
            raise DataError(
                message(
                    "{root}: holds several configurations or data sets, in {homes}; name one of these folders",
                    root=root,
                    homes=some(homes),
                )
            )
        raise DataError(
            message(
                "{root}: its files belong to different configurations: {used}; put those of one into a "
                "folder of their own, and name that folder",
                root=root,
                used=some([str(place.file) for place in used]),
            )
        )


def _refuse_kinds(root: Path, places: Sequence[_Place]) -> None:
    if len({place.stem for place in places}) > 1:
        files = some([place.file.name for place in places])
        raise DataError(
            message(
                "{root}: several kinds of {part} files ({files}); put those of one into a folder of "
                "their own, and name that folder",
                root=root,
                part=PARTS[places[0].part or "test"],
                files=files,
            )
        )


def _refuse_copies(root: Path, places: Sequence[_Place]) -> None:
    """A file that was fetched twice, "train.parquet" and "train (1).parquet", would count each sample twice."""
    by_size: dict[int, list[Path]] = {}
    for place in places:
        same = by_size.setdefault(size := place.file.stat().st_size, [])
        for other in same if size else ():
            if filecmp.cmp(other, place.file, shallow=False):
                raise DataError(
                    message(
                        "{root}: {name} and {other} hold the same bytes; remove one of them",
                        root=root,
                        name=other.name,
                        other=place.file.name,
                    )
                )
        same.append(place.file)


def _home(file: Path, root: Path) -> Path:
    """The folder that can be named instead: the parts' folders are below it."""
    folder = file.parent
    while folder != root and part_of(folder.name)[0]:
        folder = folder.parent
    return folder


def _refuse_incomplete(files: Sequence[Path]) -> None:
    sets: dict[tuple[Path, str, str], list[re.Match[str]]] = {}
    for file in files:
        if shard := _SHARD.fullmatch(file.stem):
            sets.setdefault((file.parent, shard["before"], shard["after"]), []).append(shard)
    for numbered_in in sorted({file.parent for file in files}):
        stems = [file.stem for file in files if file.parent == numbered_in and _NUMBER.fullmatch(file.stem)]
        gap = sorted(set(range(max(map(int, stems), default=-1) + 1)) - set(map(int, stems)))
        if gap:
            ending = files[0].suffix
            named = [f"{i:0{len(stems[0])}}{ending}" for i in gap]
            raise DataError(
                message(
                    "{folder}: files are missing before {last}{ending}: {named}; fetch them",
                    folder=numbered_in,
                    last=max(stems),
                    ending=ending,
                    named=some(named),
                )
            )
    for (folder, before, after), shards in sets.items():
        totals, indices = {int(shard["total"]) for shard in shards}, {int(shard["index"]) for shard in shards}
        shard, total = shards[-1], max(totals)
        if len(totals) > 1:
            raise DataError(
                message(
                    "{folder}: holds shards of several sets, {before}…-of-{totals}; keep one set there",
                    folder=folder,
                    before=before,
                    totals=" and -of-".join(map(str, sorted(totals))),
                )
            )
        first = 1 if total in indices and 0 not in indices else 0
        if missing := sorted(set(range(first, first + total)) - indices):
            lost = [f"{before}{i:0{len(shard['index'])}}-of-{shard['total']}{after}{files[0].suffix}" for i in missing]
            raise DataError(
                message(
                    "{folder}: {count} of {total} shards are missing: {lost}; fetch them",
                    folder=folder,
                    count=len(lost),
                    total=total,
                    lost=some(lost),
                )
            )
