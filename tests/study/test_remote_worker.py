"""Remote workers and the transfer of checkpoints, without Ray: what travels, what is reported."""

import os
import pickle
import signal
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.training.small_runs import a_run
from tests.waiting import PATIENCE, until

from calando.errors import DiskFull
from calando.study.jobs import Failed, Lease, Train
from calando.study.workers import checkpoint_transfer, remote_worker
from calando.study.workers.checkpoint_transfer import ERROR_LOG, Transfer, pack, stamp, unpack
from calando.study.workers.messages import Ended, Ready, Refused, Setup, WorkerSettings
from calando.study.workers.remote_worker import RemoteWorker
from calando.testing.executor_trial import moody_task

NAMES = st.text("abcdefgh-0123456789", min_size=1, max_size=8)
FILES = st.dictionaries(NAMES, st.binary(max_size=64), max_size=2)
FOLDERS = st.dictionaries(NAMES.map("forks/{}".format), FILES, max_size=2)


@settings(max_examples=20)  # each file is synced to disk
@given(st.data())
def test_what_is_unpacked_is_what_was_packed(tmp_path_factory, data):
    """Whatever lay there before: files that are not in the transfer go, and folders without files."""
    here, there = tmp_path_factory.mktemp("here"), tmp_path_factory.mktemp("there")
    before, after = data.draw(FOLDERS), data.draw(FOLDERS)
    unpack(Transfer(before), there)
    unpack(Transfer(after), here)
    unpack(Transfer(pack(here, {*before, *after})), there)
    assert pack(there, {*before, *after}) == {name: after.get(name, {}) for name in {*before, *after}}
    assert {path.name for path in (there / "forks").glob("*")} == {
        name.removeprefix("forks/") for name, files in after.items() if files
    }


def test_a_checkpoint_is_there_whole_or_not_at_all(tmp_path, monkeypatch):
    """The seal, which makes it one, is written last; where that fails the old one stands."""
    old = {"state.json": b"old", "tensors-1": b"1"}
    unpack(Transfer({"forks/a": old}), tmp_path)
    write, written = checkpoint_transfer.write_atomically, []

    def filling(path: Path, data: bytes) -> None:
        written.append(path.name)
        if path.name == "state.json":
            raise DiskFull(f"no space left for {path}")
        write(path, data)

    monkeypatch.setattr(checkpoint_transfer, "write_atomically", filling)
    with pytest.raises(DiskFull):
        unpack(Transfer({"forks/a": {"state.json": b"new", "tensors-2": b"2"}}), tmp_path)
    assert written == ["tensors-2", "state.json"]
    assert pack(tmp_path, ["forks/a"])["forks/a"] == {**old, "tensors-2": b"2"}


def test_a_stamp_tells_whether_anything_was_written(tmp_path):
    unpack(Transfer({"a": {"state.json": b"same"}}), tmp_path)
    stamps = [stamp(tmp_path, "a"), stamp(tmp_path, "a")]
    unpack(Transfer({"a": {"state.json": b"same"}}), tmp_path)
    stamps.append(stamp(tmp_path, "a"))
    (tmp_path / "a" / "state.json").unlink()
    stamps.append(stamp(tmp_path, "a"))
    assert stamps[0] == stamps[1]
    assert len({*stamps}) == 3
    assert stamp(tmp_path, "nowhere") == frozenset()


def orders(folder: Path, *, token: tuple[Path, str] | None = None, beat_seconds: float = 0.2) -> WorkerSettings:
    return WorkerSettings(
        folder=folder, token=token, directory=Path.cwd(), paths=(*sys.path,), threads=1, beat_seconds=beat_seconds
    )


def told(station: RemoteWorker, *, silent_seconds: float = 60.0) -> list[object]:
    """What a remote worker reports until its process ends."""
    words: list[object] = []

    def has_ended() -> bool:
        words.extend(station.news(seconds=0.2, silent_seconds=silent_seconds))
        return any(isinstance(word, Ended) for word in words)

    until(has_ended)
    return words


def a_setup(folder: Path) -> Setup:
    workload = moody_task(folder / "mood")
    spec = a_run("sgd(lr=0.1)", workload).workload
    return Setup(task=spec, given=workload, data_dir=None, folder=folder, threads=1)


@pytest.mark.parametrize(("content", "shared"), [("secret", True), ("another study's", False)])
def test_a_folder_is_shared_where_the_same_token_lies_in_it(tmp_path, content, shared):
    token = tmp_path / ".seen"
    token.write_text(content)
    station = RemoteWorker(b"", orders(tmp_path, token=(token, "secret")), slot=0)
    (ready, *_) = station.news(seconds=PATIENCE, silent_seconds=60)
    assert isinstance(ready, Ready)
    assert ready.shared is shared
    os.kill(ready.process_id, signal.SIGKILL)
    (*_, ended) = told(station)
    assert ended == Ended("killed by SIGKILL (out of memory?)")


def test_what_the_worker_cannot_import_is_said_in_a_line(tmp_path):
    here, nowhere = moody_task.__module__.encode(), moody_task.__module__.encode()[:-1] + b"z"
    setup = pickle.dumps(a_setup(tmp_path))
    assert here in setup
    setup = setup.replace(here, nowhere)
    words = told(RemoteWorker(setup, orders(tmp_path), slot=0))
    (refused,) = [word for word in words if isinstance(word, Refused)]
    assert "cannot be loaded on" in refused.message
    assert f"No module named '{nowhere.decode()}'" in refused.message
    assert words[-1] == Ended("exited with status 0")


def test_a_worker_that_is_not_heard_of_is_killed(tmp_path):
    station = RemoteWorker(b"", orders(tmp_path), slot=0)
    (ready,) = station.news(seconds=PATIENCE, silent_seconds=60)
    os.kill(ready.process_id, signal.SIGSTOP)
    assert told(station, silent_seconds=1.0)[-1] == Ended(
        "no sign of life for 1 s: stopped, or its machine is overloaded"
    )
    with pytest.raises(ProcessLookupError):
        os.kill(ready.process_id, 0)


def test_no_room_for_what_a_job_needs_is_a_failed_job(tmp_path, monkeypatch):
    """Nothing is begun; the worker's own folder goes with it."""
    folders = []

    def full(parcel: Transfer, folder: Path) -> None:
        folders.append(folder)
        raise DiskFull(f"no space left for {folder}")

    monkeypatch.setattr(remote_worker, "unpack", full)
    setup = a_setup(tmp_path)
    station = RemoteWorker(pickle.dumps(setup), orders(tmp_path), slot=0)
    lease = Lease(1, Train(a_run("sgd(lr=0.1)", setup.given)))
    station.take(lease, Transfer())
    station.stop()
    said, *_ = [word.outcome for word in told(station) if hasattr(word, "outcome")]
    assert isinstance(said, Failed)
    assert (said.lease, said.fault) == (lease, "disk")
    assert "no space left for" in said.message
    assert not folders[0].exists()
    assert not (tmp_path / ERROR_LOG).exists()
