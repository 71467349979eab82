"""A study from an old version still renders: stores that older calandos wrote, kept as SQL, are read and brought up."""

import dataclasses
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from calando.analysis import summarize
from calando.errors import CorruptFile, DiskFull
from calando.records import Evaluation, Event, RangeRecord, Store, TestScore, rows
from calando.records import migrate as migrating

KEPT = Path(__file__).parent / "old_stores"
VERSIONS = ("1", "2", "3", "4")


def dump(path):
    with closing(sqlite3.connect(path)) as connection:
        return "\n".join(connection.iterdump()) + "\n"


@pytest.fixture(params=VERSIONS)
def old(request, tmp_path):
    """A study folder as that version of calando left it."""
    with closing(sqlite3.connect(tmp_path / "study.sqlite")) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript((KEPT / f"schema_{request.param}.sql").read_text())
    return tmp_path


def version_of(folder):
    with closing(sqlite3.connect(folder / "study.sqlite")) as connection:
        return migrating.schema_of(connection)


def check(store, version):
    """What the old calando was given, value for value."""
    runs, tests = store.runs(), store.tests()
    assert store.fingerprint == "0123456789abcdef"
    assert store.command == "calando compare digits --strategies fixed,cosine"
    assert store.study == store.asked
    assert store.study.beyond is None
    assert [(record.spec.strategy.name, record.spec.lr, record.spec.seed) for record in runs.values()] == [
        ("fixed", 0.1, 0), ("fixed", 0.1, 1), ("cosine", 0.01, 0), ("cosine", 0.1, 0), ("cosine", 1.0, 0),
        ("cosine", 0.1, 1),
    ]  # fmt: skip
    for digest, record in runs.items():
        assert digest == record.spec.digest()
        bad = record.outcome == "diverged"
        assert bad == (record.spec.lr == 1.0 or (record.spec.strategy.name, record.spec.seed) == ("fixed", 1))
        losses = np.linspace(2.3, 0.1, 8).astype(np.float32)[: record.steps_done].copy()
        losses[-1] = np.nan if bad else losses[-1]
        assert record.losses.tobytes() == losses.tobytes()
        assert record.rates.tobytes() == np.full(record.steps_done, record.spec.lr).tobytes()
        raw = {} if version == "1" else {"raw_loss": 0.5, "raw_score": 0.25}
        scores = {step: 0.5 + 0.05 * step - abs(record.spec.lr - 0.1) / 10 - record.spec.seed / 100 for step in (4, 8)}
        looks = tuple(Evaluation(step=step, loss=1 / step, score=score, **raw) for step, score in scores.items())
        assert record.evaluations == (() if bad else looks)
        assert record.events == ((Event(step=2, kind="diverged", text="loss is nan at update 2"),) if bad else ())
        assert (record.skips, record.undone) == (((), 0) if version == "1" else (((3, 4),), 2))
        assert record.second_passes == (2 if version == "4" else 0)
        assert (record.chance, record.seconds, record.inherited, record.inherited_seconds) == (0.1, 1.5, 0, 0.0)
        assert record.host == {"machine": "x86_64, 2 cores", "torch": "2.13.0"}
    looked = {digest for digest, record in runs.items() if record.outcome == "finished" and record.spec.lr == 0.1}
    assert tests == {digest: TestScore(score=0.9 - runs[digest].spec.seed / 100, loss=0.25, n=360) for digest in looked}
    found = RangeRecord(decayed=(0.1, 0.05, 0.2), constant=None, doubts=("too flat",), updates=64, seconds=0.5)
    assert list(store.ranges().values()) == ([] if version == "1" else [found])
    summary = summarize(store.study, runs, tests)
    assert summary.complete
    assert summary.best == "cosine"
    assert summary.runs_done == summary.runs_known == 6


def test_it_is_read_and_left_as_it_is(old):
    version = version_of(old)
    before = (old / "study.sqlite").read_bytes()
    with Store.open(old, read_only=True) as store:
        check(store, version)
        assert all(not record.losses.size for record in store.runs(traces=False).values())
    assert (old / "study.sqlite").read_bytes() == before
    assert version_of(old) == version
    assert not (old / f"study.sqlite.v{version}").exists()


def test_it_is_brought_up_to_date_with_a_copy_beside_it(old):
    version = version_of(old)
    original = dump(old / "study.sqlite")
    for _ in range(2):
        with Store.open(old) as store:
            check(store, version)
    with Store.open(old) as store:
        more = dataclasses.replace(next(iter(store.runs().values())), inherited=5, inherited_seconds=0.5)
        more = dataclasses.replace(more, spec=more.spec.model_copy(update={"seed": 7}))
        store.put_run(more)
        assert store.runs()[more.spec.digest()].updates_spent == more.updates - 5
    assert version_of(old) == str(migrating.SCHEMA_VERSION)
    assert dump(old / f"study.sqlite.v{version}") == original


def test_runs_of_the_first_version_had_other_keys(tmp_path):
    """What makes the rekeying needful: were the keys the same, the tests above would show nothing."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript((KEPT / "schema_1.sql").read_text())
        stored = {digest for (digest,) in connection.execute("SELECT digest FROM runs")}
        migrating.bring_up_to_date(connection, path=None)
        assert not stored & {digest for (digest,) in connection.execute("SELECT digest FROM runs")}


@pytest.mark.parametrize("after", [0, 3])
def test_a_full_disk_on_the_way_leaves_it_as_it_was(old, monkeypatch, after):
    version, original = version_of(old), dump(old / "study.sqlite")
    done = []

    def full(*args):
        done.append(args)
        if len(done) > after:
            raise sqlite3.OperationalError("database or disk is full")
        return real(*args)

    real = rows.packed_trace_row
    monkeypatch.setattr(rows, "packed_trace_row", full)
    with pytest.raises(DiskFull, match="same command"):
        Store.open(old)
    monkeypatch.undo()
    assert dump(old / "study.sqlite") == original
    with Store.open(old) as store:
        check(store, version)


def test_of_two_that_bring_it_up_at_once_the_second_finds_it_done(old):
    version = version_of(old)
    with closing(sqlite3.connect(old / "study.sqlite")) as other:
        assert migrating.schema_of(other) == version
        Store.open(old).__exit__(None, None, None)
        migrating.bring_up_to_date(other, path=old / "study.sqlite")
    with closing(sqlite3.connect(old / f"study.sqlite.v{version}")) as copy:
        assert migrating.schema_of(copy) == version
    with Store.open(old) as store:
        check(store, version)


def test_a_reader_that_looked_before_it_was_brought_up_still_reads(old):
    version = version_of(old)
    with Store.open(old, read_only=True) as reader:
        Store.open(old).__exit__(None, None, None)
        check(reader, version)
    with Store.open(old, read_only=True) as reader:
        check(reader, version)


def test_a_run_whose_spec_is_damaged_is_named_and_nothing_is_changed(old):
    with closing(sqlite3.connect(old / "study.sqlite")) as connection, connection:
        connection.execute("UPDATE runs SET spec = replace(spec, 'sgd', 'sgd\"') WHERE rowid = 2")
    original = dump(old / "study.sqlite")
    for read_only in (True, False):
        with pytest.raises(CorruptFile, match=r"study\.sqlite"):
            Store.open(old, read_only=read_only)
    assert dump(old / "study.sqlite") == original
