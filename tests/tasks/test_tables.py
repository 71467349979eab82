"""Tables: what stands in a file is read as it is written, and what is done with it is reported."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from calando.errors import DataError
from calando.tasks.data.samples import SampleData
from calando.tasks.data.table_files import read_csv_data, read_parquet_table

Read = Callable[..., SampleData]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Write a file and read it with these options."""

    def made(text: str, **options: Any) -> SampleData:
        path = tmp_path / "t.csv"
        path.write_text(text)
        return read_csv_data(path, **options)

    return made


def lines(header: str, row: Callable[[int], str], count: int = 40) -> str:
    return "\n".join([header, *(row(i) for i in range(count))]) + "\n"


def houses(i: int) -> str:
    return f"{i},{20 + i % 17}.5,{'ABC'[i % 3]},{i * i + 0.5}"


HOUSES = lines("id,area,town,price", houses)


def noted(data: SampleData, *words: str) -> bool:
    return any(all(word in note for word in words) for note in data.notes)


def test_numbers_and_categories(read: Read) -> None:
    data = read(HOUSES, target="price")
    assert (data.loss, data.metric, data.class_names, data.cut, data.by_position) == ("mse", "rmse", None, True, False)
    assert (data.train.inputs.shape, data.test.inputs.shape) == ((32, 4), (8, 4))
    assert (data.train.inputs.dtype, data.train.targets.dtype) == (np.float32, np.float32)
    assert data.train.targets.shape == (32, 1)
    area = data.train.inputs[:, 0]
    assert abs(area.mean()) < 1e-6
    assert area.std() == pytest.approx(1, abs=1e-6)
    for part in (data.train, data.test):
        assert (part.inputs[:, 1:].sum(1) == 1).all()
    values = np.concatenate([part.targets[:, 0] for part in (data.train, data.test)]) * data.scale[0] + data.shift[0]
    assert sorted(values) == pytest.approx(sorted(i * i + 0.5 for i in range(40)), abs=1e-3)
    assert "train 32, test 8 rows, a fifth of the whole" in data.notes[0]
    assert noted(data, "1 numeric column, standardised", "area")
    assert noted(data, "1 categorical column, one-hot", "town (3)")
    assert noted(data, "left out", "id (counts the rows")
    assert noted(data, "target price: a number, 0.5 to 1521.5")


def test_features_are_those_of_the_rows(read: Read) -> None:
    """Undone by hand, row by row."""
    data = read(HOUSES, target="price")
    for part in (data.train, data.test):
        price = part.targets[:, 0] * data.scale[0] + data.shift[0]
        index = np.sqrt(np.maximum(price - 0.5, 0)).round().astype(int)
        assert np.array_equal(part.inputs[:, 1:].argmax(1), index % 3)
        slope = np.polyfit(20.5 + index % 17, part.inputs[:, 0], 1)
        assert np.allclose(np.polyval(slope, 20.5 + index % 17), part.inputs[:, 0], atol=1e-4)


@pytest.mark.parametrize(
    ("column", "task", "classes"),
    [
        (lambda i: ["cat", "dog"][i % 2], None, ("cat", "dog")),
        (lambda i: ["True", "False"][i % 2], None, ("False", "True")),
        (lambda i: str(i % 4 + 3), None, ("3", "4", "5", "6")),
        (lambda i: f"{i % 2}.0", None, ("0", "1")),
        (lambda i: str(i % 11), None, None),  # 40 rows of 11: too few of each to be classes
        (lambda i: str(i % 4 + 3), "regression", None),
        (lambda i: str(i % 11), "classes", tuple(map(str, range(11)))),
        (lambda i: str(i % 4 / 2), None, None),
        (lambda i: str(i % 4 / 2), "classes", ("0", "0.5", "1", "1.5")),
    ],
)
def test_which_targets_are_classes(read: Read, column: Callable[[int], str], task: Any, classes: Any) -> None:
    data = read(lines("x,y", lambda i: f"{i * 7 % 13},{column(i)}"), target="y", **({"task": task} if task else {}))
    assert data.class_names == classes
    if classes:
        assert (data.loss, data.metric, data.train.targets.dtype) == ("cross_entropy", "accuracy", np.int64)
        assert sorted(set(data.train.targets.tolist())) == list(range(len(classes)))
        assert noted(data, f"target y: {len(classes)} classes")
        assert f"{len(classes)} classes ({', '.join(classes[:12])})" in data.notes[0]
    else:
        assert noted(data, "target y: a number", "own unit")


def test_what_a_rule_decided_is_reported_with_the_other_way(read: Read) -> None:
    few = read(lines("x,y", lambda i: f"{i * 7 % 13},{i % 3}"), target="y")
    assert noted(few, "target y: 3 classes (3 different whole numbers; task=regression reads them as numbers)")
    many = read(lines("x,y", lambda i: f"{i * 7 % 13},{i % 30}", 120), target="y")
    assert noted(many, "30 different whole numbers: task=classes reads them as classes")
    once = read(lines("x,y", lambda i: f"{i * 7 % 13},{i}"), target="y")
    assert not noted(once, "task=classes")


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        (
            HOUSES,
            {},
            r"which column is predicted\? its columns are 'id', 'area', .*'price'; write e.g. csv:.*,target=price$",
        ),
        (HOUSES, {"target": "Price"}, r"has no column 'Price'; did you mean target=price\? its columns are"),
        (HOUSES, {"target": "price", "without": "towm"}, "has no column 'towm'; did you mean without=town"),
        (HOUSES, {"target": "price", "without": "price"}, "'price' is the target, so it cannot be left out"),
        (
            HOUSES,
            {"target": "price", "without": "town", "categories": "town"},
            "categories=town and without=town contradict",
        ),
        (
            HOUSES,
            {"target": "price", "without": "area+town"},
            "no column is left to learn from; left out are id .counts",
        ),
        (HOUSES, {"target": "town", "task": "regression"}, "t.csv, line 2, column 'town': 'A' is no number"),
        (
            HOUSES,
            {"target": "price", "task": "classes"},
            "has 40 different values in 40 rows, e.g. '0.5', too many for classes",
        ),
        (HOUSES, {"target": "price", "numbers": "town"}, "line 2, column 'town': 'A' is not a number"),
        ("a,b\n1,2\n3,4\n", {"target": "b"}, "has 2 rows; give at least 5"),
        (lines("a,b", lambda i: f"{i % 7},x"), {"target": "b"}, "the target 'b' is 'x' in every row"),
        (lines("a,b", lambda i: f"{i % 7},3"), {"target": "b"}, "the target 'b' is '3' in every row"),
        (lines("a,b", lambda i: f"{i % 7},2024-01-{i % 28 + 1:02}"), {"target": "b"}, "the target 'b' is dates"),
        (lines("a,b", lambda i: f"{i % 7},"), {"target": "b"}, "the target 'b' is empty"),
        (
            lines("a,b", lambda i: f"{i % 7},{'xyz'[i % 3 if i < 39 else 2]}").replace("x\n", "u\n", 1),
            {"target": "b"},
            "class 'u' has 1 sample",
        ),
        (
            lines("a,b", lambda i: f"{'' if i == 16 else i % 7},{i}.5"),
            {"target": "b"},
            r"line 18, column 'a': is empty \(of 40 rows: a 1\).*missing=mean.*missing=drop.*without=a",
        ),
        (
            lines("a,b", lambda i: f"{i % 7},{'' if i == 16 else i / 7}"),
            {"target": "b"},
            "line 18, column 'b': the target is empty .1 of 40 rows.*missing=drop",
        ),
        (
            lines("a,b", lambda i: f"{i % 7},{'' if i == 16 else i / 7}"),
            {"target": "b", "missing": "mean"},
            "the target is empty",
        ),
        (
            lines("a,b", lambda i: f"{'four' if i == 16 else i % 7},{i / 7}"),
            {"target": "b"},
            "line 18, column 'a': 'four' among numbers; .*categories=a.*without=a",
        ),
        (
            lines("a;b", lambda i: f"{i % 7},5;{i / 7}"),
            {"target": "b"},
            "'0,5' may have a comma for decimals or for thousands; write decimal=comma",
        ),
        (lines("a,b", lambda i: f"{i % 7},{i if i != 5 else 'inf'}"), {"target": "b"}, "'inf' among numbers"),
        (
            lines("a,b", lambda i: f"{i % 7},{i if i != 5 else '1e999'}"),
            {"target": "b"},
            "line 7, column 'b': '1e999' is not",
        ),
        (lines("a,b", lambda i: f"{i % 7}e300,{i}"), {"target": "b"}, "column 'a' has mean .* cannot normalise"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(read: Read, text: str, options: dict[str, str], message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read(text, **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("how", ["mean", "median"])
def test_empty_cells_are_filled_by_the_training_part(read: Read, how: str) -> None:
    text = lines("a,t,b", lambda i: f"{'' if i % 10 == 3 else i % 7},{'' if i % 10 == 5 else 'uv'[i % 2]},{i / 7}")
    data = read(text, target="b", missing=how)
    assert len(data.train) + len(data.test) == 40
    assert noted(data, "column a: 4 empty cells are filled with the training part's " + how)
    assert noted(data, "column t: 4 empty cells are a category of their own")
    assert np.isfinite(data.train.inputs).all()
    if how == "mean":  # the mean is 0 once standardised
        index = np.rint((data.train.targets[:, 0] * data.scale[0] + data.shift[0]) * 7).astype(int)
        assert np.allclose(data.train.inputs[index % 10 == 3, 0], 0, atol=1e-6)


def test_rows_with_empty_cells_are_left_out_if_asked(read: Read) -> None:
    text = lines("a,b", lambda i: f"{'' if i % 10 == 3 else i % 7},{'NA' if i % 10 == 5 else i / 7}")
    data = read(text, target="b", missing="drop")
    assert len(data.train) + len(data.test) == 32
    assert noted(data, "8 of 40 rows have an empty cell and are left out")
    assert noted(data, "column b: 'NA' (4 cells) is read as missing")


def test_a_marker_among_words_is_a_category(read: Read) -> None:
    data = read(lines("alley,b", lambda i: f"{['NA', 'Grvl'][i % 2]},{i / 7}"), target="b")
    assert data.train.inputs.shape[1] == 2
    assert noted(data, "column alley: 'NA' is read as a category, not as missing")


@pytest.mark.parametrize(
    ("cell", "why"),
    [
        (lambda i: str(i + 100), "counts the rows"),
        (lambda i: "same", "'same' everywhere"),
        (lambda i: "3", "'3' everywhere"),
        (lambda i: "", "empty"),
        (lambda i: f"name {i}", "40 different texts in 40 rows"),
        (lambda i: str(10**17 + i * i), "over 15 digits"),
        (lambda i: f"{i % 28 + 1}/{i % 12 + 1}/2024", "dates such as '1/1/2024'"),
    ],
)
def test_what_teaches_nothing_is_left_out_and_reported(read: Read, cell: Callable[[int], str], why: str) -> None:
    data = read(lines("u,x,y", lambda i: f"{cell(i)},{i * 7 % 13},{i / 7}"), target="y")
    assert data.train.inputs.shape[1] == 1
    assert noted(data, "columns left out: u (", why)


def test_an_identifier_is_known_by_name_and_can_be_kept(read: Read) -> None:
    text = lines("PassengerId,x,y", lambda i: f"{i * 37 % 101},{i * 7 % 13},{i / 7}")
    assert noted(read(text, target="y"), "left out: PassengerId", "identifier", "numbers=PassengerId")
    assert read(text, target="y", numbers="PassengerId").train.inputs.shape[1] == 2
    assert read(text.replace("PassengerId", "rank"), target="y").train.inputs.shape[1] == 2


def test_codes_with_leading_zeros_are_words(read: Read) -> None:
    text = lines("zip,y", lambda i: f"{['00501', '10001', '02139'][i % 3]},{i / 7}")
    data = read(text, target="y")
    assert data.train.inputs.shape[1] == 3
    assert noted(data, "column zip: codes such as 00501, read as words", "numbers=zip")
    assert read(text, target="y", numbers="zip").train.inputs.shape[1] == 1


def test_dates_are_days(read: Read) -> None:
    data = read(lines("d,y", lambda i: f"2024-02-{i % 28 + 1:02} 12:00,{i % 28}.5"), target="y")
    both = [(part.inputs[:, 0], part.targets[:, 0]) for part in (data.train, data.test)]
    assert all(np.allclose(x, y, atol=1e-5) for x, y in both), "both are standardised, and one is the other plus 1.5"
    assert noted(data, "1 column of dates, read as days and standardised: d")


def test_decimal_commas_and_thousands(read: Read) -> None:
    comma = lines("x;y", lambda i: f"1.00{i % 7},5;{i},25")
    data = read(comma, target="y", decimal="comma")
    values = np.concatenate([p.targets[:, 0] for p in (data.train, data.test)]) * data.scale[0] + data.shift[0]
    assert sorted(values) == pytest.approx([i + 0.25 for i in range(40)], abs=1e-4)
    assert noted(data, "cells are separated by semicolon")
    assert noted(data, "column x: 1.000,5 is read as 1000.5")
    point = lines("x;y", lambda i: f"{i % 7};{i},250.5")
    data = read(point, target="y", decimal="point")
    assert data.shift[0] > 1000 * 10


def test_parts_in_a_folder(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text(lines("a,t,y", lambda i: f"{i % 7},{'uv'[i % 2]},{['no', 'yes'][i % 2]}"))
    (tmp_path / "test.csv").write_text(
        lines("y,t,a,more", lambda i: f"{['no', 'yes'][i % 2]},{'uw'[i % 2]},{i % 7},1", 10)
    )
    (tmp_path / "sample_submission.csv").write_text("id,y\n1,no\n")
    data = read_csv_data(tmp_path, target="y")
    assert (len(data.train), len(data.test), data.cut) == (40, 10, False)
    assert data.test.inputs[1, 1:].tolist() == [0, 0]
    assert noted(data, "column t has categories that the training part has not, in 5 rows ('w')")
    assert noted(data, "columns that the training part has not are passed over: more")
    assert noted(data, "passed over: sample_submission.csv (no part in the name)")
    assert "train 40 (20 of each), test 10 (5 of each)" in data.notes[0]
    assert "a fifth" not in data.notes[0]


@pytest.mark.parametrize(
    ("test", "message"),
    [
        ("a,t\n1,u\n", "test.csv: has no column 'y', so nothing can be judged on it; name .*train.csv alone"),
        ("a,y\n1,no\n", "test.csv: has no column 't', which the training part has"),
        ("a,t,y\n1,u,maybe\n", "test.csv, line 2, column 'y': class 'maybe' is not among the training part's: no, yes"),
        ("a,t,y\nx,u,no\n", "test.csv, line 2, column 'a': 'x' is not a number, as the training part's are"),
        ("a,t,y\n,u,no\n", "test.csv, line 2, column 'a': is empty"),
        ("a,t,y\n1e300,u,no\n", "test.csv, line 2, column 'a': 1e.300 is beyond all"),
    ],
)
def test_parts_that_do_not_fit(tmp_path: Path, test: str, message: str) -> None:
    (tmp_path / "train.csv").write_text(lines("a,t,y", lambda i: f"{i % 7},{'uv'[i % 2]},{['no', 'yes'][i % 2]}"))
    (tmp_path / "test.csv").write_text(test)
    with pytest.raises(DataError, match=message):
        read_csv_data(tmp_path, target="y")


def test_the_last_rows_if_asked(read: Read) -> None:
    data = read(lines("a,y", lambda i: f"{i % 7},{i}.5"), target="y", split="last")
    values = data.test.targets[:, 0] * data.scale[0] + data.shift[0]
    assert values.tolist() == pytest.approx([i + 0.5 for i in range(32, 40)], abs=1e-4)
    assert data.by_position
    assert "the last fifth of the rows" in data.notes[0]


def test_repeated_rows_are_reported(read: Read) -> None:
    data = read(lines("a,y", lambda i: f"{i % 4},{['no', 'yes'][i % 2]}"), target="y")
    assert noted(data, "8 of 8 test samples are in the training part too, in every column")


# The file


def test_parquet_gives_what_csv_does(tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.csv
    import pyarrow.parquet

    (tmp_path / "t.csv").write_text(HOUSES)
    table = pyarrow.csv.read_csv(tmp_path / "t.csv")
    pyarrow.parquet.write_table(table.append_column("more", [[[1]] * 40]), tmp_path / "t.parquet")
    first, second = (
        read_csv_data(tmp_path / "t.csv", target="price"),
        read_parquet_table(tmp_path / "t.parquet", target="price"),
    )
    for one, other in ((first.train, second.train), (first.test, second.test)):
        assert np.array_equal(one.inputs, other.inputs)
        assert np.array_equal(one.targets, other.targets)
    assert noted(second, "columns of lists, structs or bytes are passed over: more")
    with pytest.raises(DataError, match="which column is predicted"):
        read_parquet_table(tmp_path / "t.parquet")


def test_parquet_rows_are_named(tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    values = [None if i == 7 else float(i % 5) for i in range(40)]
    pyarrow.parquet.write_table(pyarrow.table({"a": values, "y": [i / 7 for i in range(40)]}), tmp_path / "t.parquet")
    with pytest.raises(DataError, match=r"t.parquet, row 7, column 'a': is empty"):
        read_parquet_table(tmp_path / "t.parquet", target="y")
