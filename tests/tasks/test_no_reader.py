"""A prefix that is none of our readers is refused as such, whatever Python module shares its name."""

from pathlib import Path

import pytest

from calando.errors import UsageError
from calando.tasks.catalog import data_entry, is_standard, resolve

READERS = (
    "readers are audio:PATH, folder:PATH, npz:PATH, parquet:PATH, csv:FILE, text:FILE; or name your function as "
    "MODULE:CALLABLE"
)


@pytest.mark.parametrize(
    "text",
    [
        "xml:FILE",
        "xml:data.csv",
        "xml:data/train.csv",
        "xml:reader",
        "json:x",
        "zipfile:photos.zip",
        "sqlite3:x.db",
        "email.mime:x",
        "imagefolder:my photos",
        "hdf5:/data/x.h5",
        "hdf5:FILE",
        "PIL:photos",
        "numpy:x.npy",
    ],
)
def test_a_prefix_that_is_no_reader_is_refused_and_it_says_which_are(text: str) -> None:
    with pytest.raises(UsageError) as refused:
        resolve(text)
    assert f"{text.partition(':')[0]!r} is not a reader; {READERS}" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_the_nearest_reader_is_proposed() -> None:
    with pytest.raises(UsageError, match="did you mean parquet:data/x"):
        data_entry("parqet:data/x")


OWN = {
    "raises": "def task():\n    raise ValueError('my own fault')\n",
    "refuses": "import calando\ndef task():\n    raise calando.UsageError('my own fault')\n",
    "imports": "def task():\n    import my_own_fault\n",
    "is_broken": "import my_own_fault\ndef task(): ...\n",
    "is_ours": "import calando\ndef task():\n    return calando.workload(train=3)\n",
}


@pytest.mark.parametrize("module", OWN)
def test_a_function_of_ones_own_that_fails_is_reported_alone(
    module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / f"{module}.py").write_text(OWN[module])
    with pytest.raises((UsageError, TypeError)) as refused:
        resolve(f"{module}:task")
    assert "reader" not in str(refused.value)
    if module != "is_ours":
        assert "own" in str(refused.value)
        assert "fault" in str(refused.value)


def test_a_module_of_ones_own_may_be_called_as_one_of_pythons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "chunk.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    assert not is_standard("chunk")
    assert not is_standard("my.csv")
