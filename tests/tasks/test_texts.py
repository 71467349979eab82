"""Text: windows hold what the file holds, in its order, and no token is in two of them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calando.errors import DataError
from calando.tasks.data.samples import SampleData
from calando.tasks.data.text import read_text

POEM = "The quick brown fox jumps over the lazy dog; and then again, once more. " * 40


def put(folder: Path, text: str, name: str = "t.txt") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())
    return path


def read_back(data: SampleData) -> list[np.ndarray]:
    """The tokens of each part, from its windows."""
    return [np.concatenate([part.inputs, part.targets[:, -1:]], axis=1).ravel() for part in (data.train, data.test)]


@settings(deadline=None)
@given(
    text=st.text("abcé\n 世", min_size=60, max_size=300),
    length=st.integers(2, 9),
    level=st.sampled_from(["characters", "bytes"]),
)
def test_windows_are_the_text(text: str, length: int, level: str, tmp_path_factory: Any) -> None:
    text = "abcé\n 世" * 40 + text[:20]
    data = read_text(put(tmp_path_factory.mktemp("t"), text), length=length, level=level)
    whole = list(text.encode()) if level == "bytes" else [sorted(set(text)).index(one) for one in text]
    cut = len(whole) - round(0.2 * len(whole))
    train, test = read_back(data)
    assert train.tolist() == whole[:cut][: len(train)]
    assert test.tolist() == whole[cut:][: len(test)]
    assert all(0 <= len(part) - len(found) <= length for part, found in ((whole[:cut], train), (whole[cut:], test)))
    assert (data.train.inputs[:, 1:] == data.train.targets[:, :-1]).all()
    assert data.outputs == (256 if level == "bytes" else 7 + (length == 7))


def test_what_is_reported(tmp_path: Path) -> None:
    data = read_text(put(tmp_path, POEM))
    assert (data.loss, data.metric, data.by_position, data.cut, data.class_names) == (
        "cross_entropy",
        "perplexity",
        True,
        True,
        None,
    )
    assert (data.train.inputs.dtype, data.train.targets.dtype) == (np.int64, np.int64)
    assert data.train.inputs.shape == data.train.targets.shape == (35, 64)
    assert (
        f"t.txt: {len(POEM):,} characters, windows of 64 that share none; train 35, test 8 windows, the last fifth"
        in data.notes[0]
    )
    assert "29 and 56 characters at the ends fill no window" in data.notes[0]
    assert "vocabulary of the training part: 31 characters (' ,.;T" in data.notes[1]


def test_parts_in_a_folder(tmp_path: Path) -> None:
    put(tmp_path / "d", POEM, "train.txt")
    put(tmp_path / "d", POEM[:200], "test.txt")
    put(tmp_path / "d", POEM[:200], "valid.txt")
    data = read_text(tmp_path / "d", length=9)
    assert (len(data.train), len(data.test), data.cut) == (288, 20, False)
    assert any("passed over: valid.txt (there is a test part" in note for note in data.notes)


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("", {}, "t.txt: holds no text"),
        ("aaaaaaaaaa" * 20, {}, "holds a single kind of character"),
        ("ab" * 20, {}, r"\d+ tokens are fewer than a window and the token after it .65.; choose a smaller length="),
        (
            "ab" * 200 + "ü",
            {},
            r"\(its last fifth\): character 'ü' .number 79 there; 1 in all. is not in the training part.*level=bytes",
        ),
    ],
)
def test_refused(tmp_path: Path, text: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read_text(put(tmp_path, text), **options)
    assert "\n" not in str(caught.value)


def test_encodings(tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    path.write_bytes(("na\nïve " * 100).encode("latin-1"))
    with pytest.raises(DataError, match="line 2 is not utf-8 .*encoding=latin-1, or take level=bytes"):
        read_text(path)
    assert read_text(path, encoding="latin-1").outputs == 7
    assert read_text(path, level="bytes").outputs == 256
    with pytest.raises(DataError, match="no.txt: there is no such file"):
        read_text(tmp_path / "no.txt")
