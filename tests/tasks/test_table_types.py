"""Cells whose type or form says more than their digits: identifiers, categories, moments, bytes, marks of encodings."""

import datetime
import json

import pytest

from calando.errors import DataError
from calando.tasks.data.table_files import read_csv_data, read_parquet_table
from calando.tasks.data.text import read_text

ROWS = 60
OTHER = [float(i * i % 17) for i in range(ROWS)]
TARGET = [i % 2 for i in range(ROWS)]


@pytest.fixture
def parquet(tmp_path):
    """Write columns next to a number and a target, and read them."""
    pyarrow, files = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")

    def read(metadata=None, **columns):
        table = pyarrow.table({**columns, "other": OTHER, "y": columns.get("y", TARGET)})
        if metadata:
            table = table.replace_schema_metadata(metadata)
        files.write_table(table, tmp_path / "t.parquet")
        return read_parquet_table(tmp_path / "t.parquet", target="y")

    return read


@pytest.fixture
def table(tmp_path):
    def read(name, cell, *, target=lambda i: i % 2, **options):
        rows = [f"{name},other,y", *(f"{cell(i)},{OTHER[i]},{target(i)}" for i in range(ROWS))]
        (tmp_path / "t.csv").write_bytes("\n".join(rows).encode())
        return read_csv_data(tmp_path / "t.csv", target="y", **options)

    return read


def noted(data, text):
    return [note for note in data.notes if text in note]


def test_the_index_that_pandas_writes_is_an_identifier(table, parquet):
    shuffled = [(i * 37) % ROWS for i in range(ROWS)]
    assert noted(table("Unnamed: 0", lambda i: shuffled[i]), "Unnamed: 0 (another whole number in every row")
    found = parquet(__index_level_0__=shuffled)
    assert noted(found, "__index_level_0__ (another whole number in every row")
    assert found.train.inputs.shape[1] == 1


def test_categories_of_numbers_are_words(parquet):
    import pyarrow as pa

    texts = pa.array(["3", "7"] * 30).dictionary_encode()
    assert noted(parquet(a=texts), "1 categorical column, one-hot: a (2)")
    about = {"columns": [{"name": "a", "pandas_type": "categorical"}, {"name": "y", "pandas_type": "int64"}]}
    assert noted(parquet({"pandas": json.dumps(about)}, a=[3, 7] * 30), "1 categorical column, one-hot: a (2)")
    assert noted(parquet({"pandas": "{"}, a=[3, 7] * 30), "2 numeric columns")


def test_texts_that_are_numbers_are_reported(parquet):
    assert noted(parquet(a=["3", "7.5"] * 30), "column a: its texts are numbers and read as such (else categories=a)")


def test_moments_finer_than_python_has_are_cut_off(parquet):
    import pyarrow as pa

    coarse = parquet(a=pa.array([10**9 + i * i for i in range(ROWS)], pa.timestamp("s")))
    fine = parquet(a=pa.array([10**18 + i * i * 10**9 + 1 for i in range(ROWS)], pa.timestamp("ns")))
    assert fine.train.inputs.tobytes() == coarse.train.inputs.tobytes()
    assert noted(fine, "1 column of dates")


def test_durations_are_seconds(parquet):
    import pyarrow as pa

    found = parquet(a=pa.array([i * i * 500 for i in range(ROWS)], pa.duration("ms")))
    assert noted(found, "column a is times that pass, read as seconds")
    assert found.train.inputs.shape[1] == 2


def test_what_python_cannot_hold_or_name_is_refused_in_a_line(parquet):
    import pyarrow as pa

    with pytest.raises(DataError, match="column a has a date outside the years 1 to 9999"):
        parquet(a=pa.array([-i * 40_000 for i in range(ROWS)], pa.date32()))
    with pytest.raises(DataError, match="column 1 has no name; give it one"):
        parquet(**{"": OTHER})


def test_bytes_of_any_kind_are_passed_over(parquet):
    import pyarrow as pa

    for kind in (pa.binary(), pa.large_binary(), pa.binary(2), pa.binary_view()):
        assert noted(parquet(a=pa.array([b"xy"] * ROWS, kind)), "lists, structs or bytes are passed over: a")


def test_targets_that_would_be_one_are_refused(table):
    with pytest.raises(DataError, match="whole numbers of over 15 digits.*categories=y"):
        table("a", lambda i: i * i, target=lambda i: 2**60 + i % 2)
    words = table("a", lambda i: i * i, target=lambda i: 2**60 + i % 2, categories="y")
    assert words.class_names == (str(2**60), str(2**60 + 1))


def test_minus_zero_is_zero(table):
    assert table("a", lambda i: i * i, target=lambda i: ["0", "-0", "1", "1.0"][i % 4]).class_names == ("0", "1")


def test_dates_that_are_none_are_shown(table):
    found = table("a", lambda i: f"2023-02-{i % 30 + 1:02d}")
    assert noted(found, "a (dates such as '2023-02-29'")


def test_moments_with_and_without_a_zone_are_reported(table):
    start = datetime.datetime(2024, 1, 1)
    mixed = [f"{start + datetime.timedelta(hours=i * i)}{'+02:00' * (i % 3 == 0)}" for i in range(ROWS)]
    assert noted(
        table("a", lambda i: mixed[i]), "column a: 20 moments have a zone, the others none and are read as UTC"
    )
    assert not noted(table("a", lambda i: mixed[i].partition("+")[0]), "zone")


def test_a_mark_of_another_encoding_is_refused(tmp_path):
    with pytest.raises(DataError, match="is UTF-8 by its first bytes; write encoding=utf-8"):
        read_csv_data(_written(tmp_path / "b.csv", "a,y\n1,2\n".encode("utf-8-sig")), target="y", encoding="latin-1")
    text = _written(tmp_path / "t.txt", ("a quick brown fox. " * 200).encode("utf-16"))
    with pytest.raises(DataError, match="is UTF-16 by its first bytes; write encoding=utf-16"):
        read_text(text)
    assert len(read_text(text, encoding="utf-16").train)


def _written(path, content):
    path.write_bytes(content)
    return path


def test_a_column_that_is_damaged_and_ends_early_is_refused(parquet, monkeypatch):
    from calando.tasks.data import parquet_columns as reader

    whole = reader.unpacked
    monkeypatch.setattr(reader, "unpacked", lambda file, name: whole(file, name)[: ROWS - 3 * (name == "other")])
    with pytest.raises(DataError, match="column other has 57 of 60 rows: the file is damaged"):
        parquet(a=OTHER)


def test_a_point_is_a_decimals_or_a_thousands_in_a_whole_column(table):
    """With decimal=comma, 1.500 was read as 1500 and 1.50 as 1.5 once, in one column."""
    points = table("a", lambda i: ["1.500", "1.50", "2.125"][i % 3], decimal="comma")
    assert noted(points, "column a: its points are those of decimals, as in 1.50")
    plain = table("a", lambda i: ["1.500", "1.50", "2.125"][i % 3])
    assert points.train.inputs.tobytes() == plain.train.inputs.tobytes()
    thousands = table("a", lambda i: f"{i + 1}.500", decimal="comma")
    assert noted(thousands, "column a: 1.500 is read as 1500")
    with pytest.raises(DataError, match="'1.50' has a point, and '1,25' there a comma for decimals"):
        table("a", lambda i: ['"1,25"', "1.50"][i % 2], decimal="comma")
