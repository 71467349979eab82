"""The store gives back what was put, to the bit, and says so where it cannot."""

import dataclasses
import math
import multiprocessing
import os
import sqlite3
from contextlib import closing, contextmanager

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.waiting import PATIENCE

from calando.errors import CorruptFile, UsageError
from calando.records import (
    Evaluation,
    Event,
    Lane,
    RangeRecord,
    RunRecord,
    Store,
    StrategySpec,
    StudySpec,
    TestScore,
    WorkloadSpec,
    database,
)
from calando.records.migrate import create_tables
from calando.records.rows import RUNS, TESTS, RunReader, insert, read_score, run_row, score_row, sealed
from calando.records.store import sole_coordinator


def a_study(**changes) -> StudySpec:
    fields = {
        "workload": WorkloadSpec(data="digits"),
        "strategies": (StrategySpec(name="fixed", method="sgd", lr=0.1, options={"betas": (0.9, 0.99)}),),
        "rate_grids": {},
        "seeds": 2,
        "steps": 5,
        "steps_per_epoch": 5,
        "evaluate_every": 5,
        "lane": Lane(),
    }
    return StudySpec(**{**fields, **changes})


def a_record(study: StudySpec, *, seed: int = 0, losses=(1.0, float("nan")), outcome="diverged") -> RunRecord:
    return RunRecord(
        spec=study.run(study.strategies[0], seed=seed),
        outcome=outcome,
        steps_done=max(0, len(losses) - (outcome == "diverged")),
        losses=np.array(losses, np.float32),
        rates=np.full(len(losses), 0.1),
        evaluations=(Evaluation(step=1, loss=float("inf"), score=0.1),),
        chance=0.1,
        events=(Event(step=1, kind="diverged", text="loss is nan"),),
        seconds=1.5,
        second_passes=3,
        inherited=1,
        inherited_seconds=0.25,
        host={"machine": "x"},
    )


def as_tuple(record: RunRecord) -> tuple:
    return (
        record.spec, record.outcome, record.steps_done, record.losses.tobytes(), record.rates.tobytes(),
        record.evaluations, record.chance, record.events, record.seconds, record.host, record.skips, record.undone,
        record.inherited, record.inherited_seconds, record.second_passes,
    )  # fmt: skip


@settings(max_examples=30)  # each syncs a file several times
@given(st.lists(st.floats(width=32), max_size=20))
def test_a_record_comes_back_to_the_bit(tmp_path_factory, losses):
    study = a_study()
    record = a_record(study, losses=losses)
    folder = tmp_path_factory.mktemp("store")
    with Store.create(folder, study, fingerprint="f") as store:
        store.put_run(record)
        store.put_test(record.spec.digest(), TestScore(score=0.5, loss=1.0, n=10))
    with Store.open(folder, read_only=True) as store:
        assert store.study == study
        assert store.fingerprint == "f"
        (back,) = store.runs().values()
        assert as_tuple(back) == as_tuple(record)
        assert store.tests() == {record.spec.digest(): TestScore(score=0.5, loss=1.0, n=10)}


def test_what_was_put_first_stays(tmp_path):
    study = a_study()
    with Store.create(tmp_path, study, fingerprint="f") as store:
        store.put_run(a_record(study, losses=[1.0]))
        store.put_run(a_record(study, losses=[2.0]))
        (back,) = store.runs().values()
        assert back.losses.tolist() == [1.0]


def test_without_traces_all_else_is_there(tmp_path):
    study = a_study()
    with Store.create(tmp_path, study, fingerprint="f") as store:
        for seed in range(3):
            store.put_run(a_record(study, seed=seed))
        whole, light = store.runs(), store.runs(traces=False)
    assert list(whole) == list(light) == [store_key(study, seed) for seed in range(3)]
    for digest, record in whole.items():
        empty = dataclasses.replace(record, losses=np.empty(0, np.float32), rates=np.empty(0))
        assert as_tuple(light[digest]) == as_tuple(empty)


@given(
    st.lists(
        st.builds(
            Evaluation,
            step=st.integers(0, 2**40), loss=st.floats(), score=st.floats(0, 1),
            raw_loss=st.none() | st.floats(), raw_score=st.none() | st.floats(0, 1),
        ),
        max_size=6,
    ),
    st.lists(st.builds(Event, step=st.integers(0, 2**40), kind=st.text(), text=st.text()), max_size=3),
    st.floats(0, 1e9),
    st.integers(0, 2**40),
)  # fmt: skip
def test_looks_events_and_costs_come_back_to_the_bit(looks, events, seconds, inherited):
    record = dataclasses.replace(
        a_record(a_study()), evaluations=tuple(looks), events=tuple(events), seconds=seconds, inherited=inherited
    )
    with through_sqlite() as connection:
        connection.execute(insert("runs", RUNS), run_row(record))
        back = RunReader().read(connection.execute(f"SELECT {', '.join(RUNS)} FROM runs").fetchone(), None)
    assert repr(back.evaluations) == repr(record.evaluations)
    assert (back.events, back.seconds, back.inherited) == (record.events, record.seconds, record.inherited)


@given(st.floats(0, 1), st.floats())
def test_any_test_score_comes_back(score, loss):
    with through_sqlite() as connection:
        connection.execute(insert("tests", TESTS), score_row("a" * 16, TestScore(score=score, loss=loss, n=7)))
        key, back = read_score(connection.execute(f"SELECT {', '.join(TESTS)} FROM tests").fetchone())
    assert (key, back.score, back.n) == ("a" * 16, score, 7)
    assert back.loss == loss or math.isnan(back.loss) == math.isnan(loss) is True


@contextmanager
def through_sqlite():
    with closing(sqlite3.connect(":memory:")) as connection:
        create_tables(connection)
        yield connection


def test_what_a_run_cost_alone_and_what_was_trained_for_it():
    record = dataclasses.replace(a_record(a_study()), steps_done=10, undone=4, inherited=6, inherited_seconds=0.5)
    assert (record.updates, record.updates_spent, record.seconds_spent) == (17, 11, 1.0)


def test_a_reader_does_not_block_the_writer(tmp_path):
    study = a_study()
    with Store.create(tmp_path, study, fingerprint="f") as writer, Store.open(tmp_path, read_only=True) as reader:
        assert reader.runs() == {}
        writer.put_run(a_record(study))
        assert len(reader.runs()) == 1


def _write(folder, runs):
    study = a_study(seeds=runs)
    for seed in range(runs):
        with Store.open(folder) as store:
            store.put_run(a_record(study, seed=seed))
            store.put_test(store_key(study, seed), TestScore(score=0.5, loss=1.0, n=10))


def test_reading_never_fails_while_another_process_opens_writes_and_closes(tmp_path):
    """The log and what readers share come and go with each opening: the worst that a reader can meet."""
    runs = 60
    Store.create(tmp_path, a_study(seeds=runs), fingerprint="f").__exit__(None, None, None)
    process = multiprocessing.get_context("spawn").Process(target=_write, args=(tmp_path, runs))
    process.start()
    seen = [0]
    while process.is_alive() or seen[-1] < runs:
        assert process.is_alive() or process.exitcode == 0
        with Store.open(tmp_path, read_only=True) as store:
            tests, found = store.tests(), store.runs(traces=len(seen) % 2 == 0)
            assert tests.keys() <= found.keys()
            seen.append(len(found))
    process.join()
    assert seen == sorted(seen)
    assert len(set(seen)) > 2


def test_a_writer_that_is_slow_to_commit_does_not_block_reading(tmp_path):
    study = a_study()
    with Store.create(tmp_path, study, fingerprint="f") as writer:
        writer.put_run(a_record(study))
        with closing(sqlite3.connect(tmp_path / "study.sqlite")) as other:
            other.execute("BEGIN IMMEDIATE")
            other.execute("DELETE FROM traces")
            with Store.open(tmp_path, read_only=True) as reader:
                assert len(reader.runs()) == 1
            other.rollback()


def test_a_newer_schema_is_refused_naming_what_is_read(tmp_path):
    Store.create(tmp_path, a_study(), fingerprint="f").__exit__(None, None, None)
    with closing(sqlite3.connect(tmp_path / "study.sqlite")) as connection, connection:
        connection.execute("UPDATE meta SET value = ?, seal = ? WHERE key = ?", (*sealed("schema", "6")[1:], "schema"))
    with pytest.raises(CorruptFile, match="has schema '6', this calando reads 1 to 5"):
        Store.open(tmp_path)


def test_no_study_is_said(tmp_path):
    with pytest.raises(UsageError, match="no study in"):
        Store.open(tmp_path)


@pytest.mark.parametrize("keep", [0, 10, 100, 4096, 5000])
def test_a_truncated_store_is_named(tmp_path, keep):
    with Store.create(tmp_path, a_study(), fingerprint="f") as store:
        store.put_run(a_record(a_study()))
    path = tmp_path / "study.sqlite"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(CorruptFile, match=r"study\.sqlite"), Store.open(tmp_path) as store:
        store.runs()


def a_full_store(folder):
    study = a_study()
    with Store.create(folder, study, fingerprint="f", command="calando compare digits") as store:
        for seed in (0, 1):
            store.put_run(a_record(study, seed=seed, losses=[seed, 2.0], outcome="finished"))
            store.put_test(store_key(study, seed), TestScore(score=0.5, loss=1.0, n=10))
        store.settle(a_study(seeds=3))
        store.put_range("f" * 16, RangeRecord(decayed=None, constant=None, doubts=("flat",), updates=8, seconds=0.5))
    return folder / "study.sqlite"


def store_key(study, seed):
    return study.run(study.strategies[0], seed=seed).digest()


def everything(folder):
    """All that a store says."""
    with Store.open(folder, read_only=True) as store:
        runs = {digest: as_tuple(record) for digest, record in store.runs().items()}
        return store.asked, store.study, store.fingerprint, store.command, runs, store.tests(), store.ranges()


def right_or_named(folder, path, data, right):
    """Whatever is damaged, only our own error comes out, in a line that names the file; or what was written."""
    path.write_bytes(data)
    message = ""
    try:
        assert everything(folder) == right
    except CorruptFile as error:
        message = str(error)
    assert not message or "study.sqlite" in message
    assert "\n" not in message
    return not message


def test_a_flipped_byte_is_named_or_changes_nothing(tmp_path):
    path = a_full_store(tmp_path)
    right, whole = everything(tmp_path), path.read_bytes()
    rng = np.random.default_rng(0)
    # Much of a small store is empty; half of the flips are where something is written.
    written = np.flatnonzero(np.frombuffer(whole, np.uint8))
    named = 0
    for place in (*rng.choice(written, 150), *rng.integers(len(whole), size=150)):
        data = bytearray(whole)
        data[place] ^= int(rng.integers(1, 256))
        named += not right_or_named(tmp_path, path, data, right)
    assert named > 50


def test_no_byte_of_how_pages_hang_together_loses_a_row_in_silence(tmp_path):
    """Page headers, cell pointers and the keys of indices: the checks of what is read find what SQLite does not."""
    path = a_full_store(tmp_path)
    right, whole = everything(tmp_path), path.read_bytes()
    found = 0
    for page in range(0, len(whole), 4096):
        for place in (*range(page + (100 if page == 0 else 0), page + 20 + (100 if page == 0 else 0)),):
            for change in (1, 255):
                data = bytearray(whole)
                data[place] ^= change
                found += not right_or_named(tmp_path, path, data, right)
    assert found > 100


def test_a_page_lost_on_the_way_to_the_disk_is_noticed(tmp_path):
    path = a_full_store(tmp_path)
    right, whole = everything(tmp_path), path.read_bytes()
    kept = []
    for page in range(4096, len(whole), 4096):
        data = bytearray(whole)
        data[page : page + 4096] = bytes(4096)
        kept.append(right_or_named(tmp_path, path, data, right))
    # The table of commands, its counter and their like say nothing that is asked for.
    assert sum(kept) <= 2


def test_damaged_traces_are_named_where_they_are_read_and_only_there(tmp_path):
    study = a_study()
    losses = np.random.default_rng(0).random(20_000)
    with Store.create(tmp_path, study, fingerprint="f") as store:
        store.put_run(a_record(study, losses=losses, outcome="finished"))
    path = tmp_path / "study.sqlite"
    data = bytearray(path.read_bytes())
    assert len(data) > 80_000
    data[len(data) // 2 // 4096 * 4096 + 1000] ^= 1
    path.write_bytes(data)
    with Store.open(tmp_path, read_only=True) as store:
        (record,) = store.runs(traces=False).values()
        assert (record.steps_done, record.losses.size, record.rates.size) == (20_000, 0, 0)
        assert (record.losses.dtype, record.rates.dtype) == (np.float32, np.float64)
        with pytest.raises(CorruptFile, match="traces of run"):
            store.runs()


def _hold(folder, entered, leave):
    with sole_coordinator(folder):
        entered.set()
        leave.wait()


def test_a_second_coordinator_is_refused_naming_the_first(tmp_path):
    context = multiprocessing.get_context("spawn")
    entered, leave = context.Event(), context.Event()
    process = context.Process(target=_hold, args=(tmp_path, entered, leave), daemon=True)
    process.start()
    assert entered.wait(PATIENCE)
    with pytest.raises(UsageError, match=str(process.pid)), sole_coordinator(tmp_path):
        pass
    os.kill(process.pid, 9)
    process.join()
    with sole_coordinator(tmp_path):
        assert (tmp_path / "study.lock").read_text() == str(os.getpid())


def test_digests_name_content_and_ignore_only_the_strategy_name():
    study = a_study()
    run = study.run(study.strategies[0], seed=0)
    renamed = study.run(study.strategies[0].model_copy(update={"name": "other"}), seed=0)
    assert run.digest() == renamed.digest()
    assert run.digest() != study.run(study.strategies[0], seed=1).digest()
    assert run.digest() != study.run(study.strategies[0].at_rate(0.2), seed=0).digest()
    assert StudySpec.model_validate_json(study.model_dump_json()) == study


def test_specs_refuse_what_cannot_be():
    with pytest.raises(UsageError, match="twice"):
        a_study(strategies=a_study().strategies * 2)
    with pytest.raises(UsageError, match="at least one"):
        a_study(strategies=())
    with pytest.raises(UsageError, match="must divide"):
        WorkloadSpec(data="digits", batch_size=10, accumulate=3)


def test_a_store_that_another_program_holds_is_locked_not_damaged(tmp_path, monkeypatch):
    """A database browser with a transaction open, say."""
    Store.create(tmp_path, a_study(), fingerprint="data").__exit__(None, None, None)
    monkeypatch.setattr(database, "PATIENCE_SECONDS", 0.1)
    other = sqlite3.connect(tmp_path / "study.sqlite")
    other.execute("PRAGMA locking_mode = EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(UsageError, match="is locked by another program") as refused, Store.open(tmp_path) as store:
        store.identify("other")
    assert not isinstance(refused.value, CorruptFile)
    other.close()
