"""Damage in the log that SQLite passes over in silence is noticed; a log that a kill cut short is not damage."""

import random
import shutil
import sqlite3
from pathlib import Path

import pytest

from calando.records import database
from calando.records.database import lost_commits

COMMITS = 12


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Path:
    """A store in use, a dozen changes in its log, some of several pages; and an older log's rest behind them."""
    folder = tmp_path_factory.mktemp("log")
    with sqlite3.connect(folder / "used.sqlite") as file:
        file.execute("PRAGMA journal_mode = WAL")
        file.execute("CREATE TABLE t (a)")
        file.commit()
        for _ in range(3 * COMMITS):
            file.execute("INSERT INTO t VALUES (?)", ("older" * 2000,))
            file.commit()
        file.execute("DELETE FROM t")
        file.commit()
        file.execute("PRAGMA wal_checkpoint(RESTART)")
        for size in range(COMMITS):
            file.execute("INSERT INTO t VALUES (?)", ("x" * 1000 * size,))
            file.commit()
        for name in ("used.sqlite", "used.sqlite-wal", "used.sqlite-shm"):
            shutil.copy(folder / name, folder / name.replace("used", "left"))
    file.close()
    return folder / "left.sqlite"


@pytest.fixture(autouse=True)
def nobody_else_writes(monkeypatch):
    monkeypatch.setattr(database, "AGAIN_SECONDS", 0.0)


def readable(path: Path) -> int:
    """How many of the changes SQLite finds."""
    file = sqlite3.connect(path)
    try:
        (count,) = file.execute("SELECT count(*) FROM t").fetchone()
    except sqlite3.DatabaseError:
        return 0
    finally:
        file.close()
    return int(count)


def copy(store: Path, folder: Path, log: bytes) -> Path:
    shutil.copy(store, folder / "copy.sqlite")
    (folder / "copy.sqlite-shm").unlink(missing_ok=True)
    (folder / "copy.sqlite-wal").write_bytes(log)
    return folder / "copy.sqlite"


def log_of(store: Path) -> bytes:
    return store.with_name(f"{store.name}-wal").read_bytes()


def test_a_log_that_is_whole_or_not_there_is_no_damage(store, tmp_path):
    assert lost_commits(store) == 0
    assert lost_commits(tmp_path / "none.sqlite") == 0
    assert readable(copy(store, tmp_path, log_of(store))) == COMMITS


def test_wherever_a_kill_cuts_it_short_it_is_no_damage(store, tmp_path):
    log = log_of(store)
    for end in range(0, len(log), 1999):
        assert lost_commits(copy(store, tmp_path, log[:end])) == 0, end


def test_where_its_index_is_left_a_log_that_is_shorter_has_lost_something(store, tmp_path):
    """A kill leaves the index, which says how long the log was; somebody emptied it since."""
    log, index = log_of(store), store.with_name(f"{store.name}-shm").read_bytes()
    written = 0
    for end in (0, 31, 32, 5000, len(log)):
        path = copy(store, tmp_path, log[:end])
        path.with_name(f"{path.name}-shm").write_bytes(index)
        lost = lost_commits(path)
        written += lost
        assert lost == (readable(path) < COMMITS), end
    assert written == 4


def test_an_index_that_says_nothing_is_not_believed(store, tmp_path):
    index = bytearray(store.with_name(f"{store.name}-shm").read_bytes())
    index[16] ^= 1  # its two copies differ, as in the midst of a write
    for wrong in (bytes(index), b"", bytes(200)):
        path = copy(store, tmp_path, b"")
        path.with_name(f"{path.name}-shm").write_bytes(wrong)
        assert lost_commits(path) == 0


def test_a_flipped_bit_that_loses_a_change_is_noticed_and_one_that_loses_none_is_not(store, tmp_path):
    log, rng, harmful = log_of(store), random.Random(0), 0
    for _ in range(150):
        flipped, place = bytearray(log), rng.randrange(len(log))
        flipped[place] ^= 1 << rng.randrange(8)
        path = copy(store, tmp_path, bytes(flipped))
        lost, found = lost_commits(path), readable(path)
        harmful += found < COMMITS
        assert (lost > 0) == (found < COMMITS), place
    assert harmful > 10


def test_as_many_changes_are_reported_as_are_lost(store, tmp_path):
    log = bytearray(log_of(store))
    log[32 + 24 + 100] ^= 1
    path = copy(store, tmp_path, bytes(log))
    assert lost_commits(path) == COMMITS - readable(path) == COMMITS
