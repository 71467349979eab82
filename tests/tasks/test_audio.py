"""Recordings: what is read of WAV files, folders and parquet files, and that what was done to them is in the notes."""

import builtins
import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import resample_poly
from tests.tasks.recordings_kit import RATE, parquet, ten_of, tone, wav, write

import calando
from calando.errors import CalandoError, DataError, UsageError
from calando.tasks.data.audio import AudioData
from calando.tasks.data.audio_files import read_audio
from calando.tasks.data.wav import read_clip
from calando.tasks.fetch import open_data


@given(st.sampled_from([8, 16, 24, 32]), st.integers(1, 3), st.integers(0, 99))
def test_every_level_of_pcm_is_what_it_stands_for(bits: int, channels: int, seed: int) -> None:
    top = 2 ** (bits - 1)
    values = np.random.default_rng(seed).integers(-top, top, 6 * channels)
    values[:2] = -top, top - 1
    clip = read_clip(wav(values, bits=bits, channels=channels), origin="a.wav")
    expected = (values / top).reshape(-1, channels).astype(np.float32).mean(1, dtype=np.float64).astype(np.float32)
    assert np.array_equal(clip.samples, expected)
    assert (clip.rate, clip.channels, clip.bits) == (RATE, channels, bits)
    assert clip.is_fine == (channels == 1 and bits <= 16)


@pytest.mark.parametrize("bits", [16, 24])
def test_the_extensible_form_of_pcm_is_read_and_any_chunks_before_it(bits: int) -> None:
    values = tone(1)
    plain = wav(values, bits=bits)
    tail = struct.pack("<HHIHH", 22, bits, 4, 1, 0) + b"\x00\x00\x10\x00\x80\x00\x00\xaa\x008\x9bq"
    head = struct.pack("<HHIIHH", 0xFFFE, 1, RATE, RATE * bits // 8, bits // 8, bits) + tail
    chunks = b"LIST" + struct.pack("<I", 3) + b"abc\0" + b"fmt " + struct.pack("<I", 40) + head + plain[36:]
    content = b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks
    clip = read_clip(content, origin="x")
    assert np.array_equal(clip.samples, read_clip(plain, origin="x").samples)
    assert clip.bits == bits


def of_floats(values: np.ndarray) -> bytes:
    body = values.astype("<f4").tobytes()
    head = struct.pack("<HHIIHH", 3, 1, RATE, 4 * RATE, 4, 32)
    chunks = b"fmt " + struct.pack("<I", 16) + head + b"data" + struct.pack("<I", len(body)) + body
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


@pytest.mark.parametrize("content", [of_floats(np.zeros(9)), b"fLaC" + bytes(50), b"OggS" + bytes(50), b"<html>"])
def test_other_formats_need_soundfile_and_say_so(content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **named: Any) -> Any:
        if name == "soundfile":
            raise ModuleNotFoundError(name)
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UsageError, match=r"x: is no PCM WAV file \(.*\); .* pip install 'calando\[speech\]'") as caught:
        read_clip(content, origin="x")
    assert "\n" not in str(caught.value)


def test_soundfile_reads_them_where_it_is_installed() -> None:
    soundfile = pytest.importorskip("soundfile")
    values = tone(3) / 2**15
    for kind, subtype in (("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("WAV", "FLOAT")):
        file = io.BytesIO()
        soundfile.write(file, values, RATE * 8, format=kind, subtype=subtype)
        clip = read_clip(file.getvalue(), origin="x")
        assert clip.rate == RATE * 8
        assert clip.is_fine == (kind == "FLAC")
        assert abs(clip.samples - values).max() < (0.2 if kind == "OGG" else 1e-7)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (wav(tone(0))[:-7], "x: is cut off: 196 of 200 frames are there"),
        (wav(tone(0)[:0]), "x: holds no samples"),
        (b"", "x: is empty"),
    ],
)
def test_damaged_recordings_are_refused(content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_clip(content, origin="x")


@given(st.binary(max_size=200), st.integers(0, 430), st.binary(max_size=4))
def test_whatever_a_file_holds_it_is_read_or_refused_in_a_line(junk: bytes, place: int, patch: bytes) -> None:
    whole = wav(tone(0, 180))
    for content in (junk, whole[:place] + patch + whole[place + len(patch) :]):
        message = ""
        try:
            read_clip(content, origin="x")
        except CalandoError as error:
            message = str(error)
        assert "\n" not in message


def test_a_folder_of_classes_is_one_whole_of_which_a_fifth_is_tested_on(tmp_path: Path) -> None:
    data = read_audio(write(tmp_path, *ten_of("no", "yes"), "README.txt", "yes/notes.txt"), mels=8)
    assert data.class_names == ("no", "yes")
    assert (data.cut, len(data.train.labels), len(data.test.labels)) == (True, 16, 4)
    assert data.train.images.dtype == np.int16
    everything = np.concatenate([data.train.images, data.test.images])
    assert {row.tobytes() for row in everything} == {tone(i).astype(np.int16).tobytes() for i in range(20)}
    assert data.notes[0] == (
        f"{tmp_path}: 2 classes (no, yes); train 16 (8 of each), test 4 (2 of each), a fifth of the whole; passed "
        "over: README.txt (outside the class folders); yes/: notes.txt (no recording by the ending)"
    )
    assert data.notes[1] == (
        "recordings: 20 at 1000 Hz, 16 bits; 0.2 to 0.2 s long, made 0.2 s, which holds 99 % of the training part whole"
    )
    assert str(data.front_end) in data.notes[2]


def test_speech_commands_own_lists_make_the_parts(tmp_path: Path) -> None:
    files = ten_of("no", "yes")
    write(tmp_path, *files, "_background_noise_/hum.wav", length=lambda i: 200 if i < 20 else 2000)
    (tmp_path / "_background_noise_" / "README.md").write_text("noise")
    (tmp_path / "testing_list.txt").write_text("no/1.wav\nyes/1.wav\r\nyes/99.wav\n")
    (tmp_path / "validation_list.txt").write_text("no/0.wav\nno/2.wav\nyes/0.wav\n")
    data = read_audio(tmp_path, mels=8)
    assert data.validation is not None
    assert [len(part.labels) for part in (data.train, data.validation, data.test)] == [15, 3, 2]
    assert data.validation.labels.tolist() == [0, 0, 1]
    assert np.array_equal(data.test.images[1], tone(11).astype(np.int16))
    assert not data.cut
    assert [len(one) for one in data.background] == [2000]
    assert "validation 3 (no 2 = 67 %, yes 1 = 33 %)" in data.notes[0]
    assert "_background_noise_/ (1 recordings: noise, and no class)" in data.notes[0]
    assert "1 of 3 lines of testing_list.txt (no such recording)" in data.notes[0]
    assert "background noise for noise(low, high): 1 recordings, 2 s in all" in data.notes[1]


def test_folders_called_train_and_test_are_parts(tmp_path: Path) -> None:
    parts = {"train": 6, "val": 2, "test": 3}
    files = [f"{part}/{name}/{i}.wav" for part, count in parts.items() for name in "ab" for i in range(count)]
    data = read_audio(write(tmp_path, *files, "more/a/1.wav"), mels=8)
    assert data.validation is not None
    assert [len(part.labels) for part in (data.train, data.validation, data.test)] == [12, 4, 6]
    assert "more/ (neither a part nor a class of one)" in data.notes[0]
    fewer = write(tmp_path / "other", *(name for name in files if not name.startswith("test")))
    read = read_audio(fewer, mels=8)
    assert (read.validation, len(read.test.labels)) == (None, 4)


def test_rates_are_made_one_and_lengths_too_and_it_is_said(tmp_path: Path) -> None:
    write(tmp_path, *ten_of("a", "b"), length=lambda i: 150 + 5 * i)
    (tmp_path / "a" / "0.wav").write_bytes(wav(tone(0, 300), rate=2 * RATE))
    (tmp_path / "b" / "0.wav").write_bytes(wav(np.repeat(tone(1, 900), 2), channels=2))
    (tmp_path / "b" / "1.wav").write_bytes(wav(tone(2, 100) << 16, bits=32))
    data = read_audio(tmp_path, milliseconds=200, mels=8)
    assert data.train.images.dtype == np.float32
    everything = {row.tobytes() for part in (data.train, data.test) for row in part.images}
    slower = resample_poly(tone(0, 300) / 2**15, 1, 2).astype(np.float32)
    assert np.pad(slower, (0, 50)).tobytes() in everything
    assert (tone(1, 900)[:200] / 2**15).astype(np.float32).tobytes() in everything
    assert data.front_end.shape == (8, 21)
    for said in (
        "20 at 1000 Hz, 19 of 16 bits, 1 of 32 bits",
        "1 resampled from 2000 Hz (scipy.signal.resample_poly)",
        "1 of several channels, mixed to one",
        "1 of 32 bits, of which float32 keeps 24",
        "0.1 to 0.9 s long, made 0.2 s, as asked",
        "longer ones cut at their end",
    ):
        assert said in data.notes[1]
    other = read_audio(tmp_path, rate=2 * RATE)
    assert "19 resampled from 1000 Hz" in other.notes[1]


def test_a_chosen_length_holds_99_of_100_whole(tmp_path: Path) -> None:
    data = read_audio(
        write(tmp_path, *(f"{'ab'[i % 2]}/{i}.wav" for i in range(200)), length=lambda i: 100 + i), mels=8
    )
    assert data.train.images.shape[1] == 300
    assert "long, made 0.3 s" in data.notes[1]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ([], "holds no recordings .* it holds nothing"),
        (["a.wav"], "in folders named after their class; it holds a.wav"),
        (["train/a/1.wav", "test/b/1.wav"], "class 'b' of the test part is not among the training part's: a"),
        (["train/a/1.wav", "train_2/a/1.wav", "test/a/1.wav"], "train/ and train_2/ could each be the training part"),
    ],
)
def test_folders_that_are_no_data_set_are_refused(tmp_path: Path, files: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_audio(write(tmp_path, *files))


def test_lists_that_name_nothing_or_the_same_are_refused(tmp_path: Path) -> None:
    write(tmp_path, *ten_of("a", "b"))
    (tmp_path / "testing_list.txt").write_text("1.wav\n")
    with pytest.raises(DataError, match="names none of the recordings .* as CLASS/FILE"):
        read_audio(tmp_path)
    for name in ("testing_list.txt", "validation_list.txt"):
        (tmp_path / name).write_text("a/1.wav\n")
    with pytest.raises(DataError, match="a/1.wav is in both lists"):
        read_audio(tmp_path)


def test_parquet_files_of_the_hub(tmp_path: Path) -> None:
    clips = [wav(tone(i)) for i in range(20)]
    parquet(tmp_path / "train-00000-of-00001.parquet", clips[:12], ["yes", "no"] * 6)
    parquet(tmp_path / "test-00000-of-00001.parquet", clips[12:], ["no", "yes"] * 4)
    data = open_data(f"audio:{tmp_path},milliseconds=150,mels=8")
    assert isinstance(data, AudioData)
    assert data.class_names == ("no", "yes")
    assert data.train.labels.tolist() == [1, 0] * 6
    assert np.array_equal(data.test.images[0], tone(12)[:150].astype(np.int16))
    with pytest.raises(DataError, match=r"train.parquet, row 1: is cut off"):
        read_audio(parquet(tmp_path / "one" / "train.parquet", [clips[0], clips[1][:-9]], [0, 1]))
    import pyarrow
    import pyarrow.parquet as storage

    storage.write_table(pyarrow.table({"image": [b"x"], "label": [0]}), tmp_path / "x.parquet")
    with pytest.raises(DataError, match=r"has no recording column \(audio\).*; write audio=NAME behind the path$"):
        read_audio(tmp_path / "x.parquet")
    storage.write_table(pyarrow.table({"clip": clips, "word": ["a", "b"] * 10}), tmp_path / "y.parquet")
    other = open_data(f"audio:{tmp_path / 'y.parquet'},audio=clip,label=word,mels=8")
    assert (other.class_names, len(other.train.labels)) == (("a", "b"), 16)
    with pytest.raises(DataError, match="audio:PATH reads recordings$"):
        open_data(f"parquet:{tmp_path / 'one' / 'train.parquet'}")


def test_your_own_recordings() -> None:
    waves = np.stack([tone(i, 800) for i in range(40)]).astype(np.int16)
    labels = np.arange(40) % 2
    made = calando.workload(train=(waves, labels), rate=8000, model="res8-narrow", batch_size=8, augment="shift(5)")
    floats = calando.workload(
        train=(torch.from_numpy(waves / 2**15), torch.from_numpy(labels)), rate=8000, model="res8-narrow", batch_size=8
    )
    assert made.shape == floats.shape == (1, 40, 11)
    rows = torch.arange(5)
    assert torch.equal(made.read(made.train, rows).inputs, floats.read(floats.train, rows).inputs)
    assert made.notes[0].startswith("train: 40 recordings of 0.1 s at 8000 Hz; a network sees log-mel(")


@pytest.mark.parametrize(
    ("train", "options", "message"),
    [
        ((np.zeros((4, 2, 99), np.int16), np.arange(4) % 2), {}, r"axes \[N, T\], one channel, got \(4, 2, 99\)"),
        ((np.zeros((4, 99), np.int32), np.arange(4) % 2), {}, "must be int16 .* or floating point .* got int32"),
        ([1, 2, 3], {}, r"with rate=, samples are \(recordings \[N, T\], labels\)"),
        ((np.zeros((4, 99)), np.arange(4) % 2), {"rate": 0}, "rate must be a whole number of Hz"),
        ((np.zeros((4, 99)), np.arange(4) % 2), {"images": True}, "leave forward, collate, images"),
        ((np.full((40, 800), np.nan), np.arange(40) % 2), {}, "NaN or infinite"),
        ((np.zeros((40, 800)), np.arange(40) % 2), {}, "is the same"),
    ],
)
def test_other_recordings_are_refused(train: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(CalandoError, match=message):
        calando.workload(**({"train": train, "rate": 8000, "model": "res8-narrow", "batch_size": 4} | options))
