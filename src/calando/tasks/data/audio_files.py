"""Speech data sets on disk: recordings in one folder a class, or parquet files as the Hugging Face hub publishes them.

    PATH/CLASS/clip.wav                              one whole: one fifth becomes the test part (the rule of `labels`)
    PATH/testing_list.txt, PATH/validation_list.txt  of Speech Commands: lines CLASS/clip.wav; the rest is trained on
    PATH/train/CLASS/clip.wav, PATH/test/CLASS/…     parts, by the names of `parts`; "val" as well or instead
    PATH/_background_noise_/*.wav                    no class: the noise that noise(low, high) adds
    PATH.parquet, PATH/…/train*.parquet              columns `audio` (struct of bytes and path) and `label`; with
                                                     test_speaker=NAME also `speaker`, see `leave_out`

A test part is needed for a validation part to be one: where there is "val" and no "test", it is the test part. Classes
are numbered in the order of their folders' names. Nothing is looked for deeper than a class folder.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from calando.errors import DataError, UsageError
from calando.tasks.data import DataEntry
from calando.tasks.data.arrays import content_of
from calando.tasks.data.audio import AudioData, AudioForm, Listed, audio_data, with_note
from calando.tasks.data.options import Option
from calando.tasks.data.parquet import Kind, labelled, read_encoded, read_words
from calando.tasks.data.parquet_files import Files, find_files, refuse_lone_shard, val_as_test
from calando.tasks.data.parts import PARTS, is_hidden, part_of, printable, some
from calando.tasks.data.wav import EXTENSIONS
from calando.tasks.front_end import MELS

__all__ = ["ENTRIES", "contents_of", "leave_out", "parts_by_speaker", "read_audio", "recordings_in"]

_AUDIO = Kind("recording", ("audio",), option="audio", otherwise="")
_NOISE = "_background_noise_"
_LISTS = {"val": "validation_list.txt", "test": "testing_list.txt"}
_MOST_BYTES = 2**30
_Clips = list[tuple[Path, str]]
"""Files, each with its class."""


def read_audio(
    path: Path,
    *,
    rate: int | None = None,
    milliseconds: int | None = None,
    mels: int = MELS,
    test_speaker: str | None = None,
    audio: str | None = None,
    label: str | None = None,
) -> AudioData:
    """Read recordings from a folder or parquet files.

    Args:
        rate, milliseconds, mels: as `AudioForm` takes them.
        test_speaker: whose recordings are the test part, of parquet files with a column "speaker".
        audio, label: columns of parquet files; None: those named so, or as the hub names labels.

    Raises:
        UsageError: pyarrow or soundfile is needed and not installed; a rate, length or mels that cannot be.
        DataError: missing, without classes or recordings, parts that do not fit each other, or a damaged recording.
    """
    form = AudioForm(rate, milliseconds, mels)
    if path.is_file() and path.suffix.lower() != ".parquet":
        raise DataError(f"{path}: is one file; name the folder whose folders are the classes, or a parquet file")
    if path.is_file() or (path.is_dir() and any(path.rglob("*.parquet"))):
        kind = replace(_AUDIO, columns=(audio,)) if audio else _AUDIO
        return _read_parquet(path, form, test_speaker, replace(kind, labels=(label,)) if label else kind)
    for name, given in (("test_speaker", test_speaker), ("audio", audio), ("label", label)):
        if given is not None:
            raise UsageError(f"{path}: {name}= is of columns of parquet files, and this is a folder; leave it out")
    return _read_folder(path, form)


def _read_parquet(path: Path, form: AudioForm, test_speaker: str | None, kind: Kind) -> AudioData:
    if path.is_file():
        refuse_lone_shard(path)
        files = Files((path,), (), ())
    else:
        files = find_files(path)
    listed, names, notes = recordings_in(files, kind)
    passed_over = files.passed_over
    if test_speaker is None:
        return audio_data(path, listed, form=form, class_names=names, passed_over=passed_over, notes=notes)
    parts, about = leave_out(files, listed, test_speaker, path=path)
    data = audio_data(path, parts, form=form, class_names=names, passed_over=passed_over, notes=notes)
    return with_note(data, about)


def leave_out(files: Files, listed: Sequence[Listed], speaker: str, *, path: Path) -> tuple[list[Listed], str]:
    """`parts_by_speaker`, of what the column "speaker" says.

    Raises:
        DataError: no such column, no such speaker, or no other.
    """
    named = [read_words(file, "speaker") for part in (files.train, files.test) for file in part]
    return parts_by_speaker([str(one) for column in named for one in column], listed, speaker, path=path)


def parts_by_speaker(
    named: Sequence[str], listed: Sequence[Listed], speaker: str, *, path: Path
) -> tuple[list[Listed], str]:
    """All recordings of one speaker as the test part, those of all others as the training part; and a note of it.

    Whatever parts there were: nobody who is tested on is trained on.

    Args:
        named: who speaks, recording by recording.

    Raises:
        DataError: no such speaker, or no other.
    """
    speakers = np.array(named)
    known = sorted(set(speakers.tolist()))
    if speaker not in known or len(known) < 2:
        raise DataError(f"{path}: test_speaker= must be one of several speakers, got {speaker!r}; it has {some(known)}")
    labels = np.concatenate([part.labels for part in listed])
    contents = list(chain.from_iterable(part.files for part in listed))
    parts = [
        Listed(name, f"{path}, {what}", [contents[row] for row in rows], labels[rows])
        for name, what, rows in (
            ("train", f"all but {speaker}", np.flatnonzero(speakers != speaker)),
            ("test", speaker, np.flatnonzero(speakers == speaker)),
        )
    ]
    count = f"the other {len(known) - 1} speakers" if len(known) > 2 else "the other speaker"
    return parts, (
        f"the test part is all of {speaker}, the training part {count}; validation is cut from the training part, so "
        "its speakers are known: expect a higher score there"
    )


def recordings_in(files: Files, kind: Kind = _AUDIO) -> tuple[list[Listed], tuple[str, ...] | None, list[str]]:
    """The recordings of parquet files, part by part; the class names; what was renumbered, in sentences."""
    try:
        import pyarrow  # noqa: F401  # to say in one line that it is missing
    except ModuleNotFoundError as error:
        raise UsageError(f"{files.train[0]}: parquet files need pyarrow: pip install 'calando[parquet]'") from error
    parts = [part for part in (files.train, files.test) if part]
    origins = [str(part[0] if len(part) == 1 else part[0].parent) for part in parts]
    labels, names, notes = labelled(parts, origins, kind=kind)
    notes += files.notes
    encoded = read_encoded(parts, labels, origins, kind=kind)
    starts = [0, len(labels[0])]
    listed = [
        Listed(name, origin, _rows(encoded, start, len(numbers), origin), numbers)
        for name, origin, numbers, start in zip(("train", "test"), origins, labels, starts, strict=False)
    ]
    return listed, names, notes


def _rows(encoded: Any, start: int, count: int, origin: str) -> Iterator[tuple[str, bytes]]:
    return ((f"{origin}, row {row}", encoded[start + row].as_py()) for row in range(count))


def _read_folder(path: Path, form: AudioForm) -> AudioData:
    if not path.is_dir():
        raise DataError(f"{path}: there is no such file or folder")
    folders = [one for one in _inside(path) if one.is_dir()]
    passed_over: list[str] = []
    parts, noise = _parts(path, folders, passed_over)
    if not parts["train"]:
        held = some([one.name for one in _inside(path)]) or "nothing"
        raise DataError(
            f"{path}: holds no recordings ({', '.join(EXTENSIONS)}) in folders named after their class; it holds {held}"
        )
    classes = tuple(sorted({name for _, name in parts["train"]}))
    notes = []
    if parts["val"] and not parts["test"]:
        parts["test"], parts["val"] = parts["val"], []
        notes.append(val_as_test(_LISTS["val"] if (path / _LISTS["val"]).is_file() else "the validation folder"))
    for part, clips in parts.items():
        if unknown := sorted({name for _, name in clips} - set(classes)):
            raise DataError(
                f"{path}: class {unknown[0]!r} of the {PARTS[part]} part is not among the training part's: "
                f"{', '.join(classes)}"
            )
    listed = {part: _listed(part, path, clips, classes) for part, clips in parts.items() if clips}
    return audio_data(
        path,
        [listed[part] for part in ("train", "test") if part in listed],
        validation=listed.get("val"),
        background=contents_of(noise),
        form=form,
        class_names=classes,
        passed_over=passed_over,
        notes=notes,
    )


def _parts(path: Path, folders: Sequence[Path], passed_over: list[str]) -> tuple[dict[str, _Clips], list[Path]]:
    """The recordings of each part, and those of noise alone."""
    noise = [file for one in folders if one.name == _NOISE for file in _recordings(one, passed_over)]
    if noise:
        passed_over.append(f"{_NOISE}/ ({len(noise)} recordings: noise, and no class)")
    kept = [one for one in folders if one.name != _NOISE]
    named: dict[str, list[Path]] = {part: [one for one in kept if _is_part(one, part)] for part in PARTS}
    if named["train"] and (named["test"] or named["val"]):
        for part, same in named.items():
            if len(same) > 1:
                raise DataError(
                    f"{path}: {same[0].name}/ and {same[1].name}/ could each be the {PARTS[part]} part; keep one there"
                )
        used = [one for same in named.values() for one in same]
        passed_over += [f"{one.name}/ (neither a part nor a class of one)" for one in kept if one not in used]
        return {
            part: [clip for one in same for clip in _clips(one, passed_over)] for part, same in named.items()
        }, noise
    return _by_lists(path, _clips(path, passed_over), passed_over), noise


def _is_part(folder: Path, part: str) -> bool:
    """Called as one, and holding folders, not recordings."""
    if part_of(folder.name)[0] != part:
        return False
    inside = _inside(folder)
    return any(one.is_dir() for one in inside) and not any(one.suffix.lower() in EXTENSIONS for one in inside)


def _clips(folder: Path, passed_over: list[str]) -> _Clips:
    """The recordings in the class folders of a folder."""
    found: _Clips = []
    for one in _inside(folder):
        if one.name == _NOISE:
            continue
        if one.is_dir():
            clips = [(file, one.name) for file in _recordings(one, passed_over)]
            if not clips:
                passed_over.append(f"{one.name}/ (no recordings)")
            found += clips
        elif one.name not in _LISTS.values():
            passed_over.append(f"{printable(one.name)} (outside the class folders)")
    return found


def _inside(folder: Path) -> list[Path]:
    """What is in a folder and not hidden, by name."""
    try:
        return [one for one in sorted(folder.iterdir()) if not is_hidden(one.name)]
    except OSError as error:
        raise DataError(f"{folder}: cannot be read ({error.strerror}); give yourself the right to") from error


def _recordings(folder: Path, passed_over: list[str]) -> list[Path]:
    files = _inside(folder)
    found = [one for one in files if one.suffix.lower() in EXTENSIONS and not one.is_dir()]
    if others := [one.name for one in files if one not in set(found) and one.suffix.lower() != ".md"]:
        passed_over.append(f"{folder.name}/: {some(others)} (no recording by the ending)")
    return found


def _by_lists(path: Path, clips: _Clips, passed_over: list[str]) -> dict[str, _Clips]:
    """Speech Commands' own lists say which recordings are tested and validated on."""
    by_name = {f"{name}/{file.name}": (file, name) for file, name in clips}
    parts: dict[str, _Clips] = {part: [] for part in PARTS}
    taken: set[str] = set()
    for part, list_name in _LISTS.items():
        file = path / list_name
        if not file.is_file():
            continue
        text = content_of(file, most=_MOST_BYTES).decode("utf-8-sig", errors="replace")
        lines = list(dict.fromkeys(line.strip() for line in text.splitlines() if line.strip()))
        there = [line for line in lines if line in by_name]
        if lines and not there:
            raise DataError(
                f"{file}: names none of the recordings in {path}, e.g. {lines[0]!r}; it must name them as CLASS/FILE"
            )
        if missing := len(lines) - len(there):
            passed_over.append(f"{missing} of {len(lines)} lines of {list_name} (no such recording)")
        if both := taken & set(there):
            raise DataError(f"{path}: {min(both)} is in both lists; take it out of one")
        taken |= set(there)
        parts[part] = [by_name[line] for line in there]
    parts["train"] = [clip for name, clip in by_name.items() if name not in taken]
    return parts


def _listed(part: str, path: Path, clips: _Clips, classes: Sequence[str]) -> Listed:
    number = {name: label for label, name in enumerate(classes)}
    labels = np.array([number[name] for _, name in clips], dtype=np.int64)
    return Listed(part, f"{path}, {PARTS[part]} part", contents_of([file for file, _ in clips]), labels)


def contents_of(files: Sequence[Path]) -> Iterator[tuple[str, bytes]]:
    """What to call each file, and its bytes, read when it is its turn."""
    return ((str(file), content_of(file, most=_MOST_BYTES)) for file in files)


_OPTIONS = (
    Option("rate", "Hz, to which recordings are resampled; by default the most common one", least=1000),
    Option("milliseconds", "to which recordings are cut or filled; by default what holds 99 % of them whole", least=1),
    Option("mels", f"rows of the log-mel picture; by default {MELS}", least=1),
    Option("test_speaker", "whose recordings are the test part; of parquet files with a column speaker"),
    Option("audio", "the column of a parquet file that holds recordings; audio"),
    Option("label", "the column of a parquet file that holds the classes; label"),
)

ENTRIES = (
    DataEntry(
        name="audio:PATH",
        description="recordings in one folder a class, or of the Hugging Face hub",
        model="res8",
        augment="shift(100)",
        read=read_audio,
        options=_OPTIONS,
        endings=("wav", "flac", "ogg"),
    ),
)
