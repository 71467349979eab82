"""Errors of data, networks and stores are shown in Chinese, with no English left in them."""

import json
import pickle
import re
import wave
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from calando import workload
from calando.errors import CalandoError, said_by
from calando.language import in_language, translated
from calando.records.command import parse_command
from calando.records.files import read_plain
from calando.records.kept_runs import open_kept
from calando.records.store import Store
from calando.tasks.catalog import resolve
from calando.tasks.data.images import cached
from calando.tasks.data.safe_pickle import load_arrays
from calando.tasks.load_task import load

HAN = re.compile("[\u4e00-\u9fff]")
ENGLISH = re.compile(r"\b[a-z]{2,} [a-z]{2,} [a-z]{2,}\b")

TABLE = "a,b,c\n" + "".join(f"{i % 7},{'x' if i % 3 else 'y'},{1.5 * i}\n" for i in range(40))
PIXELS = np.random.default_rng(0).integers(0, 255, (40, 8, 8), dtype=np.uint8)


def wav(path: Path, *, samples: int = 800) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(np.arange(samples, dtype="<i2").tobytes())


def pictures(folder: Path) -> None:
    for i in range(12):
        path = folder / "ab"[i % 2] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(PIXELS[i][:, : 8 - (i == 3)]).save(path)


@pytest.fixture
def data(tmp_path, monkeypatch):
    """A folder of data, good and bad, where commands look for them."""
    monkeypatch.chdir(tmp_path)
    for name, text in {
        "good.csv": TABLE,
        "hole.csv": TABLE.replace("3,x", "3,"),
        "ragged.csv": f"{TABLE}1,2\n",
        "mixed.csv": TABLE.replace("2,x", "unknown,x"),
        "commas.csv": "a;b\n" + "".join(f'"{i},5";{i}\n' for i in range(30)),
        "numbers.csv": "1,2\n3,4\n",
        "same.csv": "a,b\n" + "1,2\n" * 9,
        "one.txt": "aaaa",
        "short.txt": "abc" * 40,
    }.items():
        Path(name).write_text(text)
    Path("latin.csv").write_bytes(TABLE.encode() + b"\xff,x,3\n")
    np.savez("part.npz", x_train=PIXELS, y_train=np.arange(40) % 2)
    np.savez("axes.npz", images=np.ones((40, 5, 6, 7), np.uint8), labels=np.arange(40) % 2)
    np.savez("objects.npz", images=np.array([object()] * 3), labels=np.arange(3))
    np.savez("lone.npz", images=PIXELS, labels=np.arange(40) // 39)
    pictures(Path("pictures"))
    pictures(Path("broken"))
    Path("broken/a/13.png").write_bytes(b"no picture")
    for i in range(10):
        wav(Path("cut") / "ab"[i % 2] / f"{i}.wav")
    Path("cut/a/0.wav").write_bytes(Path("cut/a/0.wav").read_bytes()[:600])
    Path("no_recordings/a").mkdir(parents=True)
    return tmp_path


def shown(error: CalandoError) -> str:
    """In Chinese, as the terminal shows it; the same after it came from another process."""
    with in_language("zh"):
        text = translated(said_by(error))
        assert translated(said_by(pickle.loads(pickle.dumps(error)))) == text
    with in_language("en"):
        assert translated(said_by(error)) == str(error)
    return text


@pytest.mark.parametrize(
    "text",
    [
        *("csv:good.csv", "csv:good.csv,target=d", "csv:good.csv,targt=c", "csv:good.csv,target=c,missing=mod"),
        *("csv:hole.csv,target=c", "csv:ragged.csv,target=c", "csv:mixed.csv,target=c", "csv:commas.csv,target=b"),
        *("csv:latin.csv,target=c", "csv:numbers.csv,target=2", "csv:same.csv,target=b", "csv:gone.csv,target=c"),
        *("csv:good.csv,target=c,without=c", "csv:good.csv,target=c,target=b", "csv:good.csv,target=b,task=regression"),
        *("text:one.txt", "text:short.txt,length=80", "text:gone.txt"),
        *("npz:part.npz", "npz:axes.npz", "npz:objects.npz", "npz:lone.npz", "npz:gone.npz"),
        *("folder:broken", "folder:gone", "folder:no_recordings", "audio:cut", "audio:no_recordings", "audio:good.csv"),
        *("parquet:gone.parquet", "digitz", "folder"),
    ],
)
def test_of_data_that_cannot_be_read(data, text):
    with pytest.raises(CalandoError) as refused:
        load(resolve(text))
    said = shown(refused.value)
    assert HAN.search(said)
    assert not ENGLISH.search(said.replace("cannot identify image file", "")), said  # that is Pillow's


@pytest.mark.parametrize(
    "options",
    [
        *({"augment": text} for text in ("crop(x)", "crop(4)+shift(100)", "crop(900)", "spek(1)", "noise(9, 1)")),
        *({"model": name} for name in ("resnet7", "gru-64", "resnett8", "mlp-0", "transformers:", "wrn-10-0")),
        *({"batch_size": 5000}, {"train_limit": 3}, {"metric": "f2"}, {"batch_size": 6, "accumulate": 4}),
        *({"label_smoothing": 2.0}, {"clip_norm": -1.0}, {"validation_fraction": 1.5}),
    ],
    ids=str,
)
def test_of_what_does_not_fit_the_data(options):
    with pytest.raises(CalandoError) as refused:
        load(resolve("digits", **options))
    said = shown(refused.value)
    assert HAN.search(said)
    assert not ENGLISH.search(said), said


def line() -> torch.nn.Module:
    return torch.nn.Linear(3, 2)


ROWS, LABELS = torch.rand(20, 3), torch.arange(20) % 2


@pytest.mark.parametrize(
    "given",
    [
        {"train": None},
        {"train": (ROWS, torch.rand(20))},
        {"train": (ROWS, ["a"] * 20)},
        {"train": (ROWS, LABELS), "loss": "bcf"},
        {"train": (ROWS, LABELS), "metric": 3},
        {"train": (ROWS, LABELS), "metric": "accuracy", "goal": "min"},
        {"train": (ROWS, LABELS), "class_names": ["a"]},
        {"train": (ROWS, LABELS), "augment": "flip"},
        {"train": (ROWS, LABELS), "model": torch.nn.Linear(3, 2)},
        {"train": (ROWS, torch.rand(20, 2)), "metric": "accuracy"},
        {"train": (torch.rand(20, 1, 8, 8), torch.rand(20)), "model": "cnn"},
        {"train": (torch.rand(20, 1, 8, 8), torch.zeros(20, dtype=torch.int64)), "model": "cnn"},
        {"train": (torch.full((20, 1, 8, 8), torch.nan), LABELS), "model": "cnn"},
        {"train": (torch.rand(19, 1, 8, 8), LABELS), "model": "cnn"},
        {"train": {"x": ROWS}, "rate": 8000},
    ],
    ids=lambda given: " ".join(given),
)
def test_of_samples_that_a_person_gives(given):
    with pytest.raises(CalandoError) as refused:
        workload(**{"model": line, "name": "mine", **given})
    said = shown(refused.value)
    assert HAN.search(said)
    assert not ENGLISH.search(said.removeprefix("网络 'line' 连同其损失和指标：")), said


@pytest.mark.parametrize(
    "text", ["rate 0.5", "rat *2", "rate *x", "rate =-1", "rate *2 schedule cosine(1, 0)", "", "x" * 2000]
)
def test_of_commands(text):
    with pytest.raises(CalandoError) as refused:
        parse_command(text)
    said = shown(refused.value)
    assert HAN.search(said)
    assert not ENGLISH.search(said), said


def test_of_folders_and_stores(tmp_path):
    def nothing() -> None:
        with open_kept(tmp_path):
            pass

    def junk() -> None:
        (tmp_path / "study.sqlite").write_bytes(b"junk" * 200)
        Store.open(tmp_path, read_only=True)

    for wrong, foreign in ((nothing, "-"), (junk, "file is not a database")):
        with pytest.raises(CalandoError) as refused:
            wrong()
        said = shown(refused.value)
        assert HAN.search(said)
        assert not ENGLISH.search(said.replace(foreign, "")), said
    with pytest.raises(OSError, match="is larger than 100 bytes") as refused:
        read_plain(tmp_path / "study.sqlite", most=100)
    with in_language("zh"):
        assert translated(refused.value.strerror) == "大于 100 字节"


@pytest.mark.parametrize("content", [pickle.dumps({"a": print}), pickle.dumps([1]), pickle.dumps({3: 1})])
def test_of_pickles(content):
    with pytest.raises(CalandoError) as refused:
        load_arrays(content, origin="batch")
    said = shown(refused.value)
    assert HAN.search(said)
    assert not ENGLISH.search(said), said


@pytest.mark.parametrize(
    "text", ["csv:good.csv,target=c", "csv:good.csv,target=b", "csv:hole.csv,target=c,missing=drop", "folder:pictures"]
)
def test_notes_on_data_are_chinese_and_are_known_by_their_english(data, text):
    notes = load(resolve(text, batch_size=4)).notes
    with in_language("zh"):
        said = [translated(note) for note in notes]
    assert len(said) > 1
    assert all(HAN.search(one) for one in said)
    assert not [one for one in said if ENGLISH.search(one)]
    assert json.loads(json.dumps(notes)) == [str(note) for note in notes]


def test_notes_that_come_from_the_cache_are_chinese_too(data, monkeypatch):
    monkeypatch.setattr("calando.tasks.data.images.cache_folder", lambda: data / "cache")
    monkeypatch.setitem(cached.__kwdefaults__, "worth_seconds", 0.0)
    first, again = (load(resolve("folder:pictures", batch_size=4)).notes for _ in range(2))
    assert first == again
    assert list((data / "cache").rglob("*.npy"))
    with in_language("zh"):
        assert [translated(note) for note in first] == [translated(note) for note in again]
