"""What `open_data` and `get_data` cannot even look for is refused in a line of ours that says what is accepted."""

from pathlib import Path

import pytest

from calando.errors import DataError, UsageError
from calando.tasks.catalog import READERS, VARIANTS
from calando.tasks.fetch import get_data, open_data

LONG = "x" * 5000


@pytest.mark.parametrize("data", [None, 3, 1.5, True, b"digits", [], {}, object(), Path("photos")])
def test_what_is_no_text(data: object) -> None:
    with pytest.raises(UsageError, match=r'must be a data set\'s name, "digits", or the text FORM:PATH, .*, got '):
        open_data(data)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"must be a data set's name, one of .*cifar10.*, got "):
        get_data(data)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", [*(f"{form}:PATH" for form in READERS), "csv:PATH,target=a", "parquet:PATH,target=a"])
@pytest.mark.parametrize("name", [LONG, "é" * 200, f"photos/{LONG}"])
def test_a_name_that_is_too_long(text: str, name: str) -> None:
    assert {one.form for one in VARIANTS} <= {"csv", "parquet"}
    with pytest.raises(DataError, match=r"cannot be read \(File name too long\); name another path") as refused:
        open_data(text.replace("PATH", name))
    assert len(str(refused.value)) < 200


def test_a_folder_whose_name_is_too_long(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="File name too long"):
        open_data("cifar10", data_dir=tmp_path / LONG)
    with pytest.raises(DataError, match="File name too long"):
        get_data("cifar10", data_dir=tmp_path / LONG)
