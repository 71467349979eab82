"""The store gives back what was put, to the bit, and says so where it cannot."""

import dataclasses
import multiprocessing
import os
import sqlite3

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calando.errors import CalandoError, CorruptFile, UsageError
from calando.records import Evaluation, Event, Lane, RunRecord, Store, StrategySpec, StudySpec, TestScore, WorkloadSpec
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
        steps_done=len(losses),
        losses=np.array(losses, np.float32),
        rates=np.full(len(losses), 0.1),
        evaluations=(Evaluation(step=1, loss=float("inf"), score=0.1),),
        chance=0.1,
        events=(Event(step=1, kind="diverged", text="loss is nan"),),
        seconds=1.5,
        host={"machine": "x"},
    )


def as_tuple(record: RunRecord) -> tuple:
    return (
        record.spec, record.outcome, record.steps_done, record.losses.tobytes(), record.rates.tobytes(),
        record.evaluations, record.chance, record.events, record.seconds, record.host, record.skips, record.undone,
    )  # fmt: skip


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


def test_a_reader_does_not_block_the_writer(tmp_path):
    study = a_study()
    with Store.create(tmp_path, study, fingerprint="f") as writer, Store.open(tmp_path, read_only=True) as reader:
        assert reader.runs() == {}
        writer.put_run(a_record(study))
        assert len(reader.runs()) == 1


def test_commands_are_taken_once(tmp_path):
    with Store.create(tmp_path, a_study(), fingerprint="f") as store:
        store.post_command("stop")
        assert store.take_commands() == ["stop"]
        assert store.take_commands() == []


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


@given(st.integers(0, 2**31), st.integers(1, 255))
def test_a_flipped_byte_is_survived_or_named(tmp_path_factory, place, change):
    """Whatever a damaged byte does, only our own error comes out, and never another record."""
    folder = tmp_path_factory.mktemp("flip")
    study = a_study()
    with Store.create(folder, study, fingerprint="f") as store:
        store.put_run(a_record(study))
    path = folder / "study.sqlite"
    data = bytearray(path.read_bytes())
    data[place % len(data)] ^= change
    path.write_bytes(data)
    message = ""
    try:
        with Store.open(folder) as store:
            assert store.study.digest()
            assert all(isinstance(text, str) for text in (store.fingerprint, store.command))
            assert store.tests() == {}
            for digest, record in store.runs().items():
                assert record.spec.digest() == digest
    except CalandoError as error:
        message = str(error)
    assert "\n" not in message


def _hold(folder, entered, leave):
    with sole_coordinator(folder):
        entered.set()
        leave.wait(30)


def test_a_second_coordinator_is_refused_naming_the_first(tmp_path):
    context = multiprocessing.get_context("spawn")
    entered, leave = context.Event(), context.Event()
    process = context.Process(target=_hold, args=(tmp_path, entered, leave))
    process.start()
    assert entered.wait(30)
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


def to_first_version(folder) -> None:
    """Make the store what calando's first version wrote."""
    connection = sqlite3.connect(folder / "study.sqlite")
    with connection:
        connection.execute("ALTER TABLE runs DROP COLUMN skips")
        connection.execute("ALTER TABLE runs DROP COLUMN undone")
        connection.execute("UPDATE meta SET value = '1' WHERE key = 'schema'")
    connection.close()


def test_a_store_of_the_first_version_is_read_and_brought_up_to_date_with_a_copy_beside_it(tmp_path):
    study = a_study()
    first, second = a_record(study), a_record(study, seed=1)
    with Store.create(tmp_path, study, fingerprint="f") as store:
        store.put_run(first)
    to_first_version(tmp_path)
    before = (tmp_path / "study.sqlite").read_bytes()
    with Store.open(tmp_path, read_only=True) as store:
        assert as_tuple(store.runs()[first.spec.digest()]) == as_tuple(first)
    assert (tmp_path / "study.sqlite").read_bytes() == before
    for _ in range(2):
        with Store.open(tmp_path) as store:
            store.put_run(dataclasses.replace(second, skips=((3, 4), (7, 1)), undone=6))
            found = store.runs()
        assert as_tuple(found[first.spec.digest()]) == as_tuple(first)
        assert (found[second.spec.digest()].skips, found[second.spec.digest()].undone) == (((3, 4), (7, 1)), 6)
    copy = sqlite3.connect(tmp_path / "study.sqlite.v1")
    assert copy.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone() == ("1",)
    assert copy.execute("SELECT count(*) FROM runs").fetchone() == (1,)
    copy.close()
