"""The spoken digits: two layouts, official parts and speakers left out, and what is fetched."""

from pathlib import Path

import numpy as np
import pytest
from tests.tasks.recordings_kit import parquet, ten_of, tone, wav, write

from calando.errors import DataError, UsageError
from calando.tasks.catalog import resolve
from calando.tasks.data.audio import AudioData
from calando.tasks.data.audio_files import read_audio
from calando.tasks.data.spoken_digits import SPEAKERS, read_fsdd, read_recordings
from calando.tasks.fetch import SOURCES, folder_sha256, open_data
from calando.tasks.load_task import load


@pytest.fixture(params=["parquet files", "recordings"])
def digits(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """Two takes of each digit by each speaker, the first of which is the official test part."""
    for take, part in ((0, "test"), (5, "train")):
        spoken = [(digit, speaker) for digit in range(10) for speaker in SPEAKERS]
        clips = [wav(tone(i + 100 * (take > 0)), rate=8000) for i in range(len(spoken))]
        if request.param == "recordings":
            folder = tmp_path / "fsdd" / "recordings"
            folder.mkdir(parents=True, exist_ok=True)
            for (digit, speaker), clip in zip(spoken, clips, strict=True):
                (folder / f"{digit}_{speaker}_{take}.wav").write_bytes(clip)
        else:
            names = [speaker for _, speaker in spoken]
            parquet(tmp_path / "fsdd" / f"{part}.parquet", clips, [digit for digit, _ in spoken], speaker=names)
    return tmp_path


in_parquet_files = pytest.mark.parametrize("digits", ["parquet files"], indirect=True)


in_recordings = pytest.mark.parametrize("digits", ["recordings"], indirect=True)


def test_a_speaker_left_out_is_tested_on_and_never_trained_on(digits: Path) -> None:
    whole = open_data("fsdd", data_dir=digits)
    assert isinstance(whole, AudioData)
    assert len(whole.train.labels) == len(whole.test.labels) == 60
    assert "speakers who are in training too" in whole.notes[-1]
    everything = sorted(row.tobytes() for part in (whole.train, whole.test) for row in part.images)
    for speaker in SPEAKERS:
        data = open_data(f"fsdd-test-{speaker}", data_dir=digits)
        assert isinstance(data, AudioData)
        assert (len(data.train.labels), len(data.test.labels)) == (100, 20)
        both = [row.tobytes() for part in (data.train, data.test) for row in part.images]
        assert sorted(both) == everything
        mine = {np.pad(tone(6 * d + SPEAKERS.index(speaker) + 100 * t), (0, 7800)).astype(np.int16).tobytes()
                for d in range(10) for t in (0, 1)}  # fmt: skip
        assert {row.tobytes() for row in data.test.images} == mine
        assert f"the test part is all of {speaker}" in data.notes[-1]


@in_parquet_files
def test_any_parquet_files_with_speakers_may_leave_one_out(digits: Path) -> None:
    data = open_data(f"audio:{digits / 'fsdd'},test_speaker=theo,milliseconds=50")
    assert isinstance(data, AudioData)
    assert (len(data.train.labels), len(data.test.labels)) == (100, 20)
    with pytest.raises(UsageError, match="test_speaker= is of columns of parquet files, and this is a folder"):
        read_audio(write(digits / "folder", *ten_of("a", "b")), test_speaker="theo")


@in_parquet_files
def test_other_speakers_or_digits_are_refused(tmp_path: Path, digits: Path) -> None:
    parquet(digits / "fsdd" / "test.parquet", [wav(tone(1), rate=8000)], [1], speaker=["somebody"])
    with pytest.raises(DataError, match="must be one of several speakers, got 'nobody'; it has george, jackson"):
        read_audio(digits / "fsdd", test_speaker="nobody")
    parquet(digits / "fsdd" / "test.parquet", [wav(tone(1), rate=8000)], [10], speaker=["theo"])
    with pytest.raises(DataError, match="is not the Free Spoken Digit Dataset"):
        read_fsdd(digits / "fsdd")


@in_recordings
def test_recordings_that_cannot_be_the_digits(digits: Path) -> None:
    folder = digits / "fsdd" / "recordings"
    (folder / "readme.txt").write_text("")
    data = open_data("fsdd", data_dir=digits)
    assert "passed over: readme.txt" in data.notes[0]
    (folder / "3_theo_0.wav").write_bytes(b"")
    with pytest.raises(DataError, match=r"3_theo_0\.wav"):
        open_data("fsdd", data_dir=digits)
    for file in folder.glob("*_0.wav"):
        file.unlink()
    with pytest.raises(DataError, match=r"recordings, test: holds no recordings"):
        open_data("fsdd", data_dir=digits)
    with pytest.raises(DataError, match="must be one of several speakers, got 'nobody'; it has george, jackson"):
        read_recordings(digits / "fsdd", test_speaker="nobody")


def test_what_is_nowhere_is_reported_with_what_fetches_it(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="fsdd-test-theo was not found; .* fetch it with `calando data get fsdd`"):
        open_data("fsdd-test-theo", data_dir=tmp_path)


def test_what_is_fetched_are_the_recordings_of_the_parquet_files(real_data: Path, tmp_path: Path) -> None:
    """Byte for byte, so the content that `calando data get fsdd` expects is held against a second source."""
    storage = pytest.importorskip("pyarrow.parquet")
    folder = tmp_path / "fsdd" / "recordings"
    folder.mkdir(parents=True)
    for part in ("train", "test"):
        for audio in storage.read_table(real_data / "fsdd" / f"{part}.parquet")["audio"].to_pylist():
            (folder / audio["path"]).write_bytes(audio["bytes"])
    assert folder_sha256(folder) == SOURCES["fsdd"][0].sha256
    hub, authors = (open_data("fsdd", data_dir=place) for place in (real_data, tmp_path))
    for one, other in ((hub.train, authors.train), (hub.test, authors.test)):
        pairs = (zip(part.labels.tolist(), map(bytes, part.images), strict=True) for part in (one, other))
        assert sorted(next(pairs)) == sorted(next(pairs))
    assert hub.front_end == authors.front_end


def test_the_real_data_set(real_data: Path) -> None:
    made = load(resolve("fsdd-test-jackson", model="res8-narrow"), data_dir=real_data)
    assert [len(part) for part in (made.train, made.validation, made.test)] == [2250, 250, 500]
    assert made.shape == (1, 40, 101)
    assert any("20 longer ones cut at their end" in note for note in made.notes)
    assert made.chance.score == 0.1
