"""Options behind a path: what a shell passes unquoted is read back; what is no option is refused."""

import shlex
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calando.errors import UsageError
from calando.tasks.data.options import Option, names_of, split_options

TARGET = Option("target", "the column that is predicted")
MISSING = Option("missing", "what to do about empty cells", choices=("refuse", "mean", "drop"))
LENGTH = Option("length", "tokens of a window", least=2)
KNOWN = (TARGET, MISSING, LENGTH)

words = st.text("abcxyzé0123456789 .,+_-/", min_size=1, max_size=12)


@given(
    path=words,
    target=words,
    missing=st.sampled_from(MISSING.choices),
    length=st.integers(2, 10**6),
    order=st.permutations([0, 1, 2]),
)
def test_what_is_written_is_read(path: str, target: str, missing: str, length: int, order: list[int]) -> None:
    path = f"nowhere-at-all/{path}"
    pieces = [f"target={target}", f"missing={missing}", f"length={length}"]
    text = ",".join([path, *(pieces[i] for i in order)])
    assert split_options("csv", text, KNOWN) == (path, {"target": target, "missing": missing, "length": length})


def test_a_shell_takes_it_unquoted() -> None:
    text = "csv:data/houses.csv,target=price,missing=mean,without=id+date"
    assert shlex.split(text) == [text]


def test_a_path_with_commas_and_no_option_is_a_path() -> None:
    assert split_options("csv", "a,b,c.csv", KNOWN) == ("a,b,c.csv", {})
    assert split_options("csv", "a,b.csv,target=y", KNOWN) == ("a,b.csv", {"target": "y"})


def test_what_exists_as_it_is_written_is_that_file(tmp_path: Path) -> None:
    for name in ("x,target=y.csv", "x,colour=red.csv"):
        (tmp_path / name).write_text("")
        assert split_options("csv", f"{tmp_path}/{name}", KNOWN) == (f"{tmp_path}/{name}", {})
        read = split_options("csv", f"{tmp_path}/{name},target=z", KNOWN)
        assert read == (f"{tmp_path}/{name}", {"target": "z"})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("h.csv,targt=price", "has no option 'targt'; did you mean ,target=…"),
        ("h.csv,target=price,mising=mean", "has no option 'mising'; did you mean ,missing=refuse"),
        ("h.csv,mising=mean,target=price", "has no option 'mising'; did you mean ,missing=refuse"),
        ("h.csv,colour=red", "has no option 'colour'; its options are target, missing, length"),
        ("h.csv, target=price", "has no option 'target'; did you mean ,target=…"),
        ("h.csv,Target=price", "did you mean ,target=…"),
        ("h.csv,target=", "target= has no value; write target=…"),
        ("h.csv,target=a,target=b", "target= is given twice"),
        ("h.csv,missing=meen", "missing must be refuse, mean or drop, got 'meen'; did you mean missing=mean?"),
        ("h.csv,length=1", "length must be a whole number of at least 2, got '1'"),
        ("h.csv,length=many", "length must be a whole number of at least 2, got 'many'"),
        ("h.csv,length=" + "9" * 5000, "length must be a whole number of at least 2, got"),
    ],
)
def test_what_is_no_option_is_refused_in_one_line(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        split_options("csv", text, KNOWN)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_form_without_options() -> None:
    assert split_options("npz", "a,b.npz", ()) == ("a,b.npz", {})
    with pytest.raises(UsageError, match="npz: takes no options, got 'target'"):
        split_options("npz", "a.npz,target=x", ())


@given(st.lists(st.text("abc+", min_size=1, max_size=5), min_size=1, max_size=4, unique=True))
def test_columns_joined_by_plus_are_found_whole(columns: list[str]) -> None:
    read = names_of("+".join(columns), columns)
    assert "+".join(read) == "+".join(columns)
    assert names_of(columns[0], columns) == (columns[0],)


def test_no_columns() -> None:
    assert names_of(None, ["a"]) == ()
    assert names_of("x+a", ["a"]) == ("x", "a")
