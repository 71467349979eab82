"""A validation part that is taken for the test part is reported, whatever the files are."""

import io
import wave

import numpy as np
import pytest

from calando.tasks.data.audio_files import read_audio
from calando.tasks.data.table_files import read_csv_data
from calando.tasks.data.text import read_text

SAID = "is the test part, since there is no other; the validation part is cut from the training part"


def wav(place):
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setparams((1, 2, 8000, 0, "NONE", ""))
        out.writeframes(np.rint(9000 * np.sin(np.arange(900) * (0.3 + 0.05 * place))).astype("<i2").tobytes())
    return file.getvalue()


def table(root):
    rows = "".join(f"{i * i},{i % 2}\n" for i in range(40))
    (root / "train.csv").write_text("x,y\n" + rows)
    (root / "valid.csv").write_text("x,y\n" + rows[: rows.index("36,0")])
    return read_csv_data(root, target="y"), "valid.csv"


def text(root):
    for name in ("train.txt", "val.txt"):
        (root / name).write_text("a quick brown fox. " * 40)
    return read_text(root), "val.txt"


def clips(root, *folders):
    for folder in folders:
        for place in range(10):
            (root / folder / f"{place}.wav").parent.mkdir(parents=True, exist_ok=True)
            (root / folder / f"{place}.wav").write_bytes(wav(place + 10 * len(folder)))


def listed(root):
    clips(root, "yes", "right")
    (root / "validation_list.txt").write_text("yes/1.wav\nright/2.wav\n")
    return read_audio(root), "validation_list.txt"


def folders(root):
    clips(root, "train/yes", "train/right", "val/yes", "val/right")
    return read_audio(root), "the validation folder"


@pytest.mark.parametrize("make", [table, text, listed, folders])
def test_it_is_reported(make, tmp_path):
    data, name = make(tmp_path)
    assert [note for note in data.notes if SAID in note] == [f"{name} {SAID}"]


def test_nothing_is_reported_where_there_is_a_test_part(tmp_path):
    clips(tmp_path, "yes", "right")
    (tmp_path / "validation_list.txt").write_text("yes/1.wav\nright/2.wav\n")
    (tmp_path / "testing_list.txt").write_bytes(
        b"\xef\xbb\xbfyes/3.wav\r\nright/4.wav\r\n"
    )  # as Windows' editors write
    data = read_audio(tmp_path)
    assert not [note for note in data.notes if SAID in note]
    assert (len(data.test.labels), len(data.validation.labels), len(data.train.labels)) == (2, 2, 16)
    assert "no such recording" not in " ".join(data.notes)
