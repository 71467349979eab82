"""JSON files of ours that lack a key are refused by an error that names the key and the file."""

import json
from pathlib import Path

import pytest

from calando.analysis.looked import Looked
from calando.errors import CorruptFile, fault_of
from calando.verbs.stored_spec import StoredSpec


@pytest.mark.parametrize("read", [Looked.read, lambda path: StoredSpec.read(path, {})])
def test_the_key_and_the_file_are_named(read, tmp_path: Path) -> None:
    path = tmp_path / "spec.json"
    path.write_text("{}")
    with pytest.raises(CorruptFile, match=r"spec.json.*it lacks '\w+'"):
        read(path)


def test_a_key_that_nobody_could_print_stays_short() -> None:
    assert len(fault_of(KeyError("x" * 5000))) < 100
    assert fault_of(KeyError()) == "KeyError"
    assert fault_of(json.JSONDecodeError("no", "{", 0)) == "JSONDecodeError"
