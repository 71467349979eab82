"""The Free Spoken Digit Dataset: 3,000 recordings of the digits 0 … 9 by six speakers, 8 kHz.

    fsdd                 the official parts: takes 0 … 4 of each digit and speaker, 300 recordings, are the test part;
                         every speaker of it is in training too
    fsdd-test-jackson    leave one speaker out: all 500 recordings of that speaker are the test part, those of the five
                         others are trained on; one name for each of george, jackson, lucas, nicolas, theo, yweweler

Recordings are made 1 s long: 20 of the 3,000 lose their end. Two layouts are read, with the same recordings in another
order, so runs on one are not those on the other:

    recordings/DIGIT_SPEAKER_TAKE.wav    the authors', which `calando data get fsdd` fetches; by digit, speaker, take
    train.parquet, test.parquet          the hub's, with the columns audio, label and speaker

All six folds:

    for speaker in george jackson lucas nicolas theo yweweler; do calando compare fsdd-test-$speaker; done

Source: Z. Jackson et al., "Free Spoken Digit Dataset", github.com/Jakobovski/free-spoken-digit-dataset, CC BY-SA 4.0.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

import numpy as np

from calando.errors import DataError
from calando.tasks.data import DataEntry, Download, Layout
from calando.tasks.data.audio import AudioData, AudioForm, Listed, audio_data, with_note
from calando.tasks.data.audio_files import contents_of, leave_out, parts_by_speaker, recordings_in
from calando.tasks.data.parquet import has_parquet
from calando.tasks.data.parquet_files import find_files

__all__ = ["ENTRIES", "SPEAKERS", "read_fsdd", "read_recordings"]

SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
"""Who speaks; each is the test part of one fold."""

_FORM = AudioForm(milliseconds=1000)
_DIGITS = tuple("0123456789")
_FOLDER = "recordings"
_NAME = re.compile(r"([0-9])_([a-z]+)_([0-9]{1,4})\.wav")
_TEST_TAKES = 5
_OFFICIAL = "the official test part is of speakers who are in training too; fsdd-test-NAME is not"
_HOST = "https://github.com/Jakobovski/free-spoken-digit-dataset"


def read_fsdd(folder: Path, *, test_speaker: str | None = None) -> AudioData:
    """Read the data set from the folder of its parquet files.

    Args:
        test_speaker: whose recordings are the test part; None: the official parts.

    Raises:
        UsageError: pyarrow is not installed.
        DataError: a file is missing or damaged, or holds other speakers or digits.
    """
    files = find_files(folder)
    listed, _, notes = recordings_in(files)
    if len(listed) != 2 or max(int(part.labels.max()) for part in listed) >= len(_DIGITS):
        raise DataError(f"{folder}: is not the Free Spoken Digit Dataset: two parts of the digits 0 … 9 are needed")
    parts, about = (listed, _OFFICIAL) if test_speaker is None else leave_out(files, listed, test_speaker, path=folder)
    data = audio_data(folder, parts, form=_FORM, class_names=_DIGITS, passed_over=files.passed_over, notes=notes)
    return with_note(data, about)


def read_recordings(folder: Path, *, test_speaker: str | None = None) -> AudioData:
    """Read the data set from the folder that holds `recordings`.

    Args:
        test_speaker: as `read_fsdd` takes it.

    Raises:
        DataError: a recording is missing in one part or damaged, or there is no such speaker.
    """
    found, passed_over = [], []
    for file in sorted((folder / _FOLDER).iterdir()):
        if named := _NAME.fullmatch(file.name):
            found.append((int(named[1]), named[2], int(named[3]), file))
        else:
            passed_over.append(file.name)
    found.sort()
    official = [
        Listed(
            name,
            f"{folder / _FOLDER}, {name}",
            contents_of([file for _, _, _, file in rows]),
            np.array([digit for digit, _, _, _ in rows], np.int64),
        )
        for name, rows in (
            ("train", [one for one in found if one[2] >= _TEST_TAKES]),
            ("test", [one for one in found if one[2] < _TEST_TAKES]),
        )
    ]
    parts, about = official, _OFFICIAL
    if test_speaker is not None:
        trained_first = sorted(found, key=lambda one: one[2] < _TEST_TAKES)
        parts, about = parts_by_speaker([one[1] for one in trained_first], official, test_speaker, path=folder)
    data = audio_data(folder, parts, form=_FORM, class_names=_DIGITS, passed_over=passed_over)
    return with_note(data, about)


def _has_recordings(folder: Path) -> bool:
    return any(_NAME.fullmatch(file.name) for file in (folder / _FOLDER).glob("*.wav"))


def _entry(name: str, description: str, speaker: str | None) -> DataEntry:
    return DataEntry(
        name=name,
        description=description,
        model="res8",
        augment="shift(100)",
        epochs=10,
        kept_in="fsdd",
        layouts=(
            Layout(".", has_parquet, partial(read_fsdd, test_speaker=speaker)),
            Layout(".", _has_recordings, partial(read_recordings, test_speaker=speaker)),
        ),
        downloads=(
            Download(
                "v1.0.10.tar.gz",
                "dbd573d7cafe79c4b49f65718115e1304e24e067fa39eff18a660dc6cb9c360f",
                (f"{_HOST}/archive/refs/tags/v1.0.10.tar.gz",),
                folder=_FOLDER,
            ),
        ),
    )


ENTRIES = (
    _entry("fsdd", "3,000 spoken digits of six speakers, 8 kHz (Free Spoken Digit Dataset), its official parts", None),
    *(
        _entry(f"fsdd-test-{one}", f"the same, tested on {one}, trained on the five other speakers", one)
        for one in SPEAKERS
    ),
)
