"""The Free Spoken Digit Dataset: 3,000 recordings of the digits 0 … 9 by six speakers, 8 kHz.

    fsdd                 the official parts: takes 0 … 4 of each digit and speaker, 300 recordings, are the test part;
                         every speaker of it is in training too
    fsdd-test-jackson    leave one speaker out: all 500 recordings of that speaker are the test part, those of the five
                         others are trained on; one name for each of george, jackson, lucas, nicolas, theo, yweweler

Recordings are made 1 s long: 20 of the 3,000 lose their end. The files are the hub's, train.parquet and test.parquet,
with the columns audio, label and speaker. All six folds:

    for speaker in george jackson lucas nicolas theo yweweler; do calando compare fsdd-test-$speaker; done

Source: Z. Jackson et al., "Free Spoken Digit Dataset", github.com/Jakobovski/free-spoken-digit-dataset, CC BY-SA 4.0.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from calando.errors import DataError
from calando.language import message
from calando.tasks.data import DataEntry, Layout
from calando.tasks.data.audio import AudioData, AudioForm, audio_data, with_note
from calando.tasks.data.audio_files import leave_out, recordings_in
from calando.tasks.data.parquet import has_parquet
from calando.tasks.data.parquet_files import find_files

__all__ = ["ENTRIES", "SPEAKERS", "read_fsdd"]

SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
"""Who speaks; each is the test part of one fold."""

_FORM = AudioForm(milliseconds=1000)
_DIGITS = tuple("0123456789")


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
        raise DataError(
            message(
                "{folder}: is not the Free Spoken Digit Dataset: two parts of the digits 0 … 9 are needed",
                folder=folder,
            )
        )
    if test_speaker is None:
        data = audio_data(folder, listed, form=_FORM, class_names=_DIGITS, passed_over=files.passed_over, notes=notes)
        return with_note(
            data,
            message("the official test part is of speakers who are in training too; fsdd-test-NAME is not"),
        )
    parts, about = leave_out(files, listed, test_speaker, path=folder)
    data = audio_data(folder, parts, form=_FORM, class_names=_DIGITS, passed_over=files.passed_over, notes=notes)
    return with_note(data, about)


def _entry(name: str, description: str, speaker: str | None) -> DataEntry:
    return DataEntry(
        name=name,
        description=description,
        model="res8",
        augment="shift(100)",
        epochs=10,
        fetched_from=message(
            "put train.parquet and test.parquet of the hub's Free Spoken Digit Dataset into a folder fsdd"
        ),
        layouts=tuple(Layout(below, has_parquet, partial(read_fsdd, test_speaker=speaker)) for below in (".", "fsdd")),
    )


ENTRIES = (
    _entry("fsdd", "3,000 spoken digits of six speakers, 8 kHz (Free Spoken Digit Dataset), its official parts", None),
    *(
        _entry(f"fsdd-test-{one}", f"the same, tested on {one}, trained on the five other speakers", one)
        for one in SPEAKERS
    ),
)
