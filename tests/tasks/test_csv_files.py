"""CSV files: whatever a writer makes is read back; what is damaged is refused in a line."""

import csv
import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calando.errors import DataError
from calando.tasks.data.csv_file import DELIMITERS, read_csv
from calando.tasks.data.table_files import read_csv_data

cells = st.text("ab1 ,;\t|\"'é\n.", max_size=5)


@given(
    rows=st.lists(st.tuples(cells, cells, cells), min_size=2, max_size=6),
    delimiter=st.sampled_from(sorted(DELIMITERS)),
    ending=st.sampled_from(["\n", "\r\n"]),
)
def test_what_a_csv_writer_writes_is_read(rows: list[Any], delimiter: str, ending: str, tmp_path_factory: Any) -> None:
    file = io.StringIO()
    writer = csv.writer(file, delimiter=DELIMITERS[delimiter], lineterminator=ending, quoting=csv.QUOTE_ALL)
    writer.writerows([("one", "two", "three"), *rows])
    path = tmp_path_factory.mktemp("csv") / "t.csv"
    path.write_bytes(file.getvalue().encode())
    table = read_csv(path, delimiter=delimiter)
    assert list(zip(*table.columns.values(), strict=True)) == [tuple(cell.strip() for cell in row) for row in rows]


@pytest.mark.parametrize("delimiter", sorted(DELIMITERS))
def test_the_delimiter_is_found(tmp_path: Path, delimiter: str) -> None:
    sign = DELIMITERS[delimiter]
    (tmp_path / "t.csv").write_text(sign.join("ab") + "\n" + f'1{sign}"x{sign},;y"\n')
    table = read_csv(tmp_path / "t.csv")
    assert table.columns == {"a": ["1"], "b": [f"x{sign},;y"]}
    assert any(f"separated by {delimiter}" in note for note in table.notes) == (delimiter != "comma")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "has one column"),
        (b"a,b\n", "holds a header and no rows"),
        (b"a,b\n1,2\n3\n", "line 3 has 1 cells, the header 2"),
        (b'a,b\n"1\n2",3\n4,5,6\n', "line 4 has 3 cells, the header 2"),
        (b"a,b;c\n1,2;3\n", "may be separated by comma or semicolon; say which behind its name: delimiter=comma"),
        (b"1,2\n3,4\n", "its first line is numbers .*header=no"),
        (b"a,a\n1,2\n", "two columns are called 'a'"),
        (b"a,b\n1,2\na,b\n3,4\n", "line 3 repeats the header"),
        (b'a,b\n1,"2\n', "line 2 cannot be read"),
        (b"a,b\n1,\xe9\n", "line 2 is not UTF-8 .*encoding=latin-1"),
        ("a,b\n1,2\n".encode("utf-16"), "is UTF-16 by its first bytes; write encoding=utf-16"),
        (b"\x1f\x8b\x08 and more", "is compressed; unpack it first"),
        (b"a,b\n1,\x00\n", "it is no text"),
        (b"just words\nand more\n", "has one column, separated by comma.*it begins with 'just words'"),
    ],
)
def test_damaged_files(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        read_csv(tmp_path / "t.csv")
    assert "\n" not in str(caught.value)


def test_other_encodings_and_no_header(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes("1;é\n2;ü\n".encode("latin-1"))
    table = read_csv(tmp_path / "t.csv", encoding="latin-1", header=False)
    assert table.columns == {"c1": ["1", "2"], "c2": ["é", "ü"]}
    (tmp_path / "u.csv").write_bytes("a,b\n1,é\n".encode("utf-16"))
    assert read_csv(tmp_path / "u.csv", encoding="utf-16").columns == {"a": ["1"], "b": ["é"]}


def test_a_file_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no.csv: there is no such file"):
        read_csv_data(tmp_path / "no.csv", target="x")
    with pytest.raises(DataError, match="no such file"):
        read_csv_data(tmp_path / "no.csv,mean", target="x")
