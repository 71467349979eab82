"""Pictures in one folder a class.

    PATH/CLASS/image.png                             one whole: one fifth becomes the test part (the rule of `labels`)
    PATH/train/CLASS/image.png, PATH/test/CLASS/…    parts, by the names of `parts`; "val" where no "test"

A folder is a part where its name says so and it holds folders with pictures, not pictures; a folder that holds pictures
is a class, whatever it is called ("train" among "bus" and "car"). Nothing is looked for deeper: a folder of folders
where a class is expected is refused. Folders below a class's own pictures belong to the class. Classes are numbered in
the order of their folders' names. Colour, size and depth are made common as `images.py` does it, over both parts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from calando.errors import DataError
from calando.language import joined, message
from calando.tasks.data import DataEntry
from calando.tasks.data.arrays import ArrayData, content_of
from calando.tasks.data.images import EXTENSIONS, cached, decode_all
from calando.tasks.data.parts import PARTS, data_in_parts, is_hidden, part_of, printable, some

__all__ = ["ENTRIES", "Tree", "find_pictures", "read_folder"]

_MOST_BYTES = 2**30


def read_folder(path: Path) -> ArrayData:
    """Read the images below a folder.

    Raises:
        DataError: missing, without class folders or images, a class without images, folders nested too deep, parts that
            do not fit each other, or a damaged image.
    """
    tree = find_pictures(path)
    listed = list(tree.parts.values())
    files = [file for part in listed for file, _ in part]
    cut, notes = len(listed[0]), list[str]()

    def decode() -> np.ndarray:
        def content(i: int) -> bytes:
            return content_of(files[i], most=_MOST_BYTES)

        return decode_all(len(files), content, lambda i: str(files[i]), fitted_on=cut, notes=notes)

    return data_in_parts(
        path,
        cached(files, decode, form=f"{cut}", notes=notes),
        [np.array([label for _, label in part], dtype=np.int64) for part in listed],
        origins=[str(path / name) for name in tree.parts],
        names=list(tree.parts) if len(listed) == 2 else ("train", "test"),
        class_names=tree.classes,
        passed_over=tree.passed_over,
        notes=notes,
    )


@dataclass
class _Folder:
    """One folder and those below it."""

    path: Path
    above: tuple[Path, ...] = ()  # resolved: a link to a folder above would never end
    hidden: list[str] = field(default_factory=list)
    pictures: list[Path] = field(default_factory=list)
    others: list[Path] = field(default_factory=list)
    folders: list[_Folder] = field(default_factory=list)

    def __post_init__(self) -> None:
        above = (*self.above, self.path.resolve())
        try:
            children = sorted(self.path.iterdir())
        except OSError as error:
            raise DataError(
                message("{path}: cannot be read ({strerror})", path=self.path, strerror=error.strerror)
            ) from error
        for child in children:
            if is_hidden(child.name):
                self.hidden.append(child.name)
            elif child.is_dir():
                if child.resolve() not in above:
                    self.folders.append(_Folder(child, above))
                else:
                    self.others.append(child)
            elif child.suffix.lower() in EXTENSIONS and (child.is_file() or child.is_symlink()):
                self.pictures.append(child)  # a link to nothing is refused when it is read
            else:
                self.others.append(child)

    @property
    def name(self) -> str:
        return self.path.name

    @cached_property
    def within(self) -> int:
        """Pictures at any depth."""
        return len(self.pictures) + sum(folder.within for folder in self.folders)

    @cached_property
    def holds_classes(self) -> bool:
        """No pictures, but folders that have some."""
        return not self.pictures and any(folder.within for folder in self.folders)

    def walk(self) -> Iterator[_Folder]:
        """This folder and all below it."""
        yield self
        for folder in self.folders:
            yield from folder.walk()

    @property
    def seen(self) -> str:
        """What it holds, for an error."""
        names = [f"{folder.name}/" for folder in self.folders] + [file.name for file in self.pictures + self.others]
        return some(names) if names else "nothing"


@dataclass(frozen=True)
class Tree:
    """What was found.

    Args:
        classes: the folders' names in order.
        parts: name of a part's folder ("" for one whole) -> (file, number of its class), by class and name.
        passed_over: what is not read, each with the reason.
    """

    classes: tuple[str, ...]
    parts: dict[str, list[tuple[Path, int]]]
    passed_over: tuple[str, ...]


def find_pictures(path: Path) -> Tree:
    """The classes and parts below a folder; DataError where they are missing, too deep, or do not fit each other."""
    if path.is_file():
        raise DataError(
            message("{path}: is a file, not a folder; unpack it if it is an archive, and name the folder", path=path)
        )
    if not path.is_dir():
        raise DataError(message("{path}: there is no such folder", path=path))
    root = _Folder(path)
    if not root.folders:
        raise DataError(
            message("{path}: has no class folders; put each class's images in a folder of its own", path=path)
        )
    if not root.within:
        raise DataError(
            message(
                "{path}: holds no images ({EXTENSIONS}) in its class folders; it holds {seen}",
                path=path,
                EXTENSIONS=", ".join(EXTENSIONS),
                seen=root.seen,
            )
        )
    parts = _parts(root)
    classes = _classes(parts[0])
    for part in parts[1:]:
        for folder in part.folders:
            _refuse_deep(part, folder)
            if folder.name not in classes and folder.within:
                known = ", ".join(classes)
                raise DataError(
                    message(
                        "{path}: class {name!r} is not among the training part's: {known}",
                        path=part.path,
                        name=folder.name,
                        known=known,
                    )
                )
    listed = {"" if part is root else part.name: _listed(part, classes) for part in parts}
    return Tree(classes, listed, tuple(_passed_over(root, parts)))


def _parts(root: _Folder) -> list[_Folder]:
    """The training part and the one to test on; or the whole."""
    named = _part_like(root)
    for part, same in named.items():
        if len(same) > 1:
            names = " and ".join(f"{folder.name}/" for folder in same)
            raise DataError(
                message(
                    "{path}: {names} could each be the {part} part; keep one of them there",
                    path=root.path,
                    names=names,
                    part=PARTS[part],
                )
            )
    flat = [folder for folder in _flat(root) if not any(folder in same for same in named.values())]
    test = (named["test"] or named["val"])[:1]
    if named["train"] and test:
        _refuse_doubtful(root, named["train"][0], test[0])
        return named["train"] + test
    if named["train"]:
        train = named["train"][0]
        cut = message("name {path} to have a fifth of it cut off", path=train.path)
        if flat:
            raise DataError(
                message(
                    "{path}: {name}/ holds pictures without class folders, so their classes are unknown; put each "
                    "in a folder named after its class, or {cut}",
                    path=root.path,
                    name=flat[0].name,
                    cut=cut,
                )
            )
        raise DataError(
            message("{path}: has {name}/ but no test/; add one, or {cut}", path=root.path, name=train.name, cut=cut)
        )
    if test and (flat or not any(folder.pictures for folder in root.folders)):
        raise DataError(
            message(
                "{path}: has {name}/ but no train/ with class folders; it holds {seen}",
                path=root.path,
                name=test[0].name,
                seen=root.seen,
            )
        )
    if len(flat) > 1:
        names = " and ".join(f"{folder.name}/" for folder in flat)
        raise DataError(
            message(
                "{path}: {names} look like parts, but hold pictures without class folders; put each class's "
                "pictures in a folder of its own: {folder}/CLASS/{picture}",
                path=root.path,
                names=names,
                folder=flat[0].name,
                picture=flat[0].pictures[0].name,
            )
        )
    return [root]


def _part_like(root: _Folder) -> dict[str, list[_Folder]]:
    """Folders called as parts that hold folders with pictures.

    One that holds pictures next to these may as well be a class, unless another such folder is plainly a part, or two
    are called alike, as train/ and test/ are.
    """
    held = [folder for folder in root.folders if any(below.within for below in folder.folders)]
    named = {part: [folder for folder in held if part_of(folder.name)[0] == part] for part in PARTS}
    affixes = {part: {part_of(folder.name)[1] for folder in same} for part, same in named.items()}
    plain = any(folder.holds_classes for same in named.values() for folder in same)
    alike = affixes["train"] & (affixes["test"] | affixes["val"])
    return named if plain or alike else {part: [] for part in PARTS}


def _refuse_doubtful(root: _Folder, train: _Folder, test: _Folder) -> None:
    """Folders called "train_station" and "test_tube" may be classes among others."""
    more = [folder for folder in root.folders if folder.within and part_of(folder.name)[0] is None]
    if more and part_of(train.name)[1] != part_of(test.name)[1]:
        raise DataError(
            message(
                "{path}: {train}/ and {test}/ may be parts or classes next to {classes}/; rename parts to "
                "train/ and test/, or move the pictures of classes up into their own folders",
                path=root.path,
                train=train.name,
                test=test.name,
                classes=more[0].name,
            )
        )


def _flat(root: _Folder) -> list[_Folder]:
    """Folders called as parts that hold pictures: parts without classes where they are called alike, or all are."""
    called = [(folder, *part_of(folder.name)) for folder in root.folders if folder.pictures]
    named = [(folder, part, affix) for folder, part, affix in called if part]
    if any(folder.holds_classes and part_of(folder.name)[0] for folder in root.folders):
        return [folder for folder, _, _ in named]
    alike = Counter(affix for _, _, affix in named)
    return [folder for folder, _, affix in named if alike[affix] > 1 or (len(called) == len(named) > 1)]


def _classes(part: _Folder) -> tuple[str, ...]:
    for folder in part.folders:
        _refuse_deep(part, folder)
        if not folder.pictures:
            raise DataError(
                message(
                    "{path}: class folder {name!r} holds no picture (it holds {seen}); put pictures there "
                    "({EXTENSIONS}), or take the folder out of {part} if it is no class",
                    path=folder.path,
                    name=folder.name,
                    seen=folder.seen,
                    EXTENSIONS=", ".join(EXTENSIONS),
                    part=part.path,
                )
            )
    return tuple(folder.name for folder in part.folders)


def _refuse_deep(part: _Folder, folder: _Folder) -> None:
    if not folder.holds_classes:
        return
    held = message(
        "{path}: holds only folders ({seen}) where the pictures of class {name!r} should be",
        path=folder.path,
        seen=folder.seen,
        name=folder.name,
    )
    advice = message(
        "move the pictures up into {path}, or name the folder whose folders are the classes", path=folder.path
    )
    if len(part.folders) == 1:
        advice = message(
            "if those are the classes or parts, name {path}, or move them up to {above}",
            path=folder.path,
            above=part.path,
        )
    elif any(part_of(below.name)[0] for below in folder.folders):
        advice = message("put the parts above the classes, as in train/{name}/ and test/{name}/", name=folder.name)
    raise DataError(message("{held}; {advice}", held=held, advice=advice))


def _listed(part: _Folder, classes: Sequence[str]) -> list[tuple[Path, int]]:
    number = {name: label for label, name in enumerate(classes)}
    return [
        (file, number[folder.name])
        for folder in part.folders
        if folder.name in number
        for below in folder.walk()
        for file in below.pictures
    ]


def _passed_over(root: _Folder, parts: Sequence[_Folder]) -> Iterator[str]:
    if parts[0] is not root:
        for folder in root.folders:
            if folder not in parts and folder.within:
                yield message(
                    "{name}/ ({count} pictures: {why})" if folder.within > 1 else "{name}/ ({count} picture: {why})",
                    name=folder.name,
                    count=folder.within,
                    why=_reason(folder),
                )
            elif folder not in parts:
                yield message("{name}/ (no pictures)", name=folder.name)
        if root.pictures:
            yield message("{names} (outside the parts)", names=_names(root.pictures))
    looked = [root] if parts[0] is root else parts
    outside = [file for part in looked for file in part.pictures]
    if outside:
        yield message("{names} (outside the class folders)", names=_names(outside))
    for part in looked[1:]:
        for folder in part.folders:
            if not folder.within:
                yield message("{part}/{name}/ (no pictures)", part=part.name, name=folder.name)
    read = [root, *(below for part in looked for below in part.walk() if below is not root)]
    if others := [file for folder in read for file in folder.others]:
        endings = Counter(file.suffix.lower() or message("none") for file in others)
        named = joined(
            "{one}, {other}",
            (message("{name} {count}", name=ending, count=n) for ending, n in sorted(endings.items())[:6]),
        )
        yield message("{names} (no picture by the ending: {named})", names=_names(others), named=named)
    if hidden := [name for folder in read for name in folder.hidden]:
        yield message("{names} (hidden: {count})", names=some(list(dict.fromkeys(hidden))), count=len(hidden))


def _reason(folder: _Folder) -> str:
    part, _ = part_of(folder.name)
    if part == "val":
        return message("there is a test part; validation is cut from the training part")
    return message("without class folders" if folder.pictures else "neither training nor test part")


def _names(files: Sequence[Path]) -> str:
    return (
        message("{count} files: {files}", count=len(files), files=some([file.name for file in files]))
        if len(files) > 1
        else printable(files[0].name)
    )


ENTRIES = (DataEntry(name="folder:PATH", description="images in one folder a class", read=read_folder),)
