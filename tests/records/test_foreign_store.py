"""A study that somebody else made is read in bounded time, obeys nobody's terminal, and is refused if hostile."""

import json
import os
import sqlite3
import time
import zlib
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.report.fabricate import fabricate, make_study

from calando.analysis import summarize
from calando.cli.main import main
from calando.errors import CorruptFile, UsageError, is_plain, plain
from calando.records import Store, rows
from calando.records.files import read_plain

STUDY = make_study(("fixed", "cosine"), seeds=2, steps=60)
ENDLESS = "WITH RECURSIVE e(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM e)"
SECONDS = 10.0


@pytest.fixture
def folder(tmp_path):
    runs, tests = fabricate(STUDY)
    with Store.create(tmp_path, STUDY, fingerprint="digits 1f2e") as store:
        for record in runs.values():
            store.put_run(record)
        for digest, test in tests.items():
            store.put_test(digest, test)
    return tmp_path


def change(folder: Path, *statements: str | tuple) -> None:
    with closing(sqlite3.connect(folder / "study.sqlite")) as file, file:
        for one in statements:
            file.execute(*((one,) if isinstance(one, str) else one))


def meta(key: str, value: str) -> tuple:
    """A row of `meta`, sealed as ours are: whoever makes a study can seal it."""
    return "REPLACE INTO meta VALUES (?, ?, ?)", rows.sealed(key, value)


def spec(**changes: object) -> str:
    return json.dumps(json.loads(STUDY.model_dump_json()) | changes)


def named(name: str) -> str:
    return spec().replace('"fixed"', json.dumps(name))


HOSTILE = {
    "an endless view": ("DROP TABLE runs", f"CREATE VIEW runs AS {ENDLESS} SELECT n FROM e"),
    "a column that is computed": (
        "ALTER TABLE tests ADD COLUMN more BLOB GENERATED ALWAYS AS (hex(zeroblob(900000000))) VIRTUAL",
    ),
    "a trigger": ("CREATE TRIGGER t AFTER DELETE ON commands BEGIN DELETE FROM runs; END",),
    "a table of words": ("CREATE VIRTUAL TABLE words USING fts5(a)",),
    "two thousand million seeds": (meta("study", spec(seeds=2_000_000_000)),),
    "more steps than there are": (meta("study", spec(steps=10**15)),),
    "a number of thousands of digits": (meta("study", spec().replace('"seeds": 2', '"seeds": 2' + "0" * 5000)),),
    "a list a hundred thousand deep": (meta("study", "[" * 100_000),),
    "a name that clears the terminal": (meta("study", named("\x1b[2Jfixed")),),
    "a name of two hundred thousand letters": (meta("study", named("f" * 200_000)),),
    "a name in two lines": (meta("study", named("fixed\nbest")),),
    "a name that is read backwards": (meta("study", named("\u202edexif")),),
    "no name": (meta("study", "null"),),
}


@pytest.mark.parametrize("statements", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_store_is_refused_in_a_line_and_at_once(folder, statements, monkeypatch, capsys):
    change(folder, *statements)
    began = time.process_time()  # other processes share the machine
    monkeypatch.setattr("sys.argv", ["calando", "show", str(folder)])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr()
    assert ended.value.code == 2
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert is_plain(said.err.strip("\n"))
    assert "study.sqlite" in said.err
    assert len(said.err) < 1000
    assert time.process_time() - began < SECONDS


def test_a_trace_that_inflates_without_end_is_refused(folder):
    bomb = zlib.compress(bytes(200_000_000))
    with closing(sqlite3.connect(folder / "study.sqlite")) as file:
        (digest,) = file.execute("SELECT digest FROM runs LIMIT 1").fetchone()
    row = rows.packed_trace_row(digest, bomb, zlib.compress(np.zeros(60).tobytes()))
    change(folder, ("REPLACE INTO traces VALUES (?, ?, ?, ?)", row))
    with Store.open(folder, read_only=True) as store, pytest.raises(CorruptFile, match="holds more than its run's 60"):
        store.runs()


@pytest.mark.parametrize("name", ["study.sqlite", "study.sqlite-wal", "study.sqlite-shm"])
def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(folder, name):
    (folder / name).unlink(missing_ok=True)
    os.mkfifo(folder / name)
    with pytest.raises(UsageError, match="study"):
        Store.open(folder, read_only=True)


def test_pipes_folders_and_devices_are_not_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, Path("/dev/zero")):
        with pytest.raises(OSError, match="not a file|Is a directory"):
            read_plain(path, most=9)


def test_an_honest_store_is_read_as_ever(folder):
    with Store.open(folder, read_only=True) as store:
        summary = summarize(store.study, store.runs(), store.tests())
    assert summary.complete


@given(st.text())
def test_plain_is_one_line_without_controls_and_leaves_alone_what_is_plain(text):
    said = plain(text)
    assert is_plain(said)
    said.encode()
    assert plain(said) == said
    if is_plain(text):
        assert said == text
