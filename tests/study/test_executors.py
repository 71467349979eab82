"""What every executor keeps to. A new one joins with one line in `EXECUTORS`."""

import os
import shutil
import signal
import sys
import time
from functools import partial
from pathlib import Path

import pytest
from tests.study.executor_kit import Crew, Make, alone, same

from calando.records import RangeRecord
from calando.study import executors
from calando.study.checkpoint_cache import fork_folder, run_folder
from calando.study.executors.inline import InlineExecutor
from calando.study.executors.process import ProcessExecutor
from calando.study.jobs import Failed, Find, Finished, Lost, OnProgress, Stopped, TestLook, Train
from calando.study.stages import RunPath
from calando.study.workers.messages import Setup
from calando.training.checkpoint import load_weights
from calando.training.evaluate import evaluate
from calando.training.lane import holding_lane
from calando.training.loop import Interrupted, execute
from calando.training.state import start

LONG, SLOW = 60, "dawdle 0.5"  # half a minute
CONSTANT = "sgd(lr=0.01, momentum=0.9)"
FALLING = "sgd(lr=0.01, momentum=0.9) | constant(1, over='50%') >> linear(1, 0)"
RISING = "sgd(lr=0.01, momentum=0.9) | constant(1, over='75%') >> linear(1, 2)"


def inline(setup: Setup, on_progress: OnProgress) -> InlineExecutor:
    return InlineExecutor(setup, on_progress=on_progress)


def process(setup: Setup, on_progress: OnProgress) -> ProcessExecutor:
    return ProcessExecutor(setup, workers=2, on_progress=on_progress)


@pytest.fixture(scope="module", autouse=True)
def ray_is_ended():
    """The one that all tests here share."""
    yield
    if "ray" in sys.modules:
        sys.modules["ray"].shutdown()


def ray(setup: Setup, on_progress: OnProgress, *, shared: bool | None = None):
    """On the Ray that the tests share."""
    there = pytest.importorskip("ray")
    from calando.study.executors.ray import RayExecutor
    from calando.study.workers.ray_cluster import join

    if not there.is_initialized():
        join(None, cpus=2)
    return RayExecutor(setup, workers=2, on_progress=on_progress, shared=shared)


EXECUTORS: dict[str, Make] = {
    "inline": inline,
    "process": process,
    "ray": ray,
    "ray without a shared path": partial(ray, shared=False),
}


@pytest.fixture(scope="module", params=EXECUTORS)
def kept(request, tmp_path_factory):
    """One that all tests of an executor share: what they do to its workers is not to be noticed by the next."""
    crew = Crew(EXECUTORS[request.param], tmp_path_factory.mktemp("crew"))
    yield crew
    crew.executor.stop()


@pytest.fixture
def crew(kept):
    if kept.stopped:
        kept.start()
    kept.mood.write_text("calm")
    return kept


# Those whose workers can be killed.
mortal = pytest.mark.parametrize("kept", ["process", "ray"], indirect=True)


def test_records_and_weights_are_those_of_the_run_alone(crew, tmp_path):
    specs = [crew.run(text, seed=seed) for text in (CONSTANT, "adam(lr=0.01) | cosine(1, 0)") for seed in (0, 1)]
    for spec, word in zip(specs, crew.do(*map(Train, specs)), strict=True):
        record, weights = alone(spec, crew.workload, tmp_path)
        assert isinstance(word, Finished)
        assert same(word.result, record)
        assert crew.weights(spec) == weights
        assert word.result.inherited == 0


def test_all_slots_work_at_a_time_and_say_how_far_they_are(crew):
    crew.mood.write_text("dawdle 0.1")
    leases = [crew.submit(Train(crew.run(CONSTANT, seed=10 + slot))) for slot in range(crew.executor.slots)]
    crew.hear(*leases)
    crew.mood.write_text("calm")
    assert {told.slot for told in crew.progress} == set(range(crew.executor.slots))
    for lease in leases:
        told = [(told.step, told.lr) for told in crew.progress if told.lease == lease]
        assert len(told) >= 2
        assert told == sorted(told)
        assert all(0 < step <= lease.job.spec.steps and lr == 0.01 for step, lr in told)


def test_a_fork_left_is_told_and_other_leases_start_from_it(crew, tmp_path):
    """Left by one run while it goes on; taken up by two others, which leave one of their own."""
    carrying, first, second = (crew.run(text, seed=2) for text in (CONSTANT, FALLING, RISING))
    path = RunPath(first)
    early, late = path.fork(8, seed=2), RunPath(second).fork(16, seed=2)
    assert path.fork(8, seed=2) == RunPath(carrying).fork(8, seed=2)
    (word,) = crew.do(Train(carrying, leaves=(early, late)))
    assert [(left.lease, left.fork) for left in crew.forks] == [(word.lease, early), (word.lease, late)]
    assert all((fork_folder(crew.folder, fork) / "state.json").is_file() for fork in (early, late))
    words = crew.do(Train(first, origin=early), Train(second, origin=late))
    for spec, word, inherited in zip((first, second), words, (8, 16), strict=True):
        record, weights = alone(spec, crew.workload, tmp_path)
        assert same(word.result, record)
        assert crew.weights(spec) == weights
        assert word.result.inherited == inherited


def test_a_job_whose_fork_is_damaged_is_done_all_the_same(crew, tmp_path):
    """Trained from the start; what is damaged is not left for others to stumble over."""
    carrying, spec = crew.run(CONSTANT, seed=3), crew.run(FALLING, seed=3)
    fork = RunPath(spec).fork(8, seed=3)
    crew.do(Train(carrying, leaves=(fork,)))
    folder = fork_folder(crew.folder, fork)
    (file,) = folder.glob("tensors-*")
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    (word,) = crew.do(Train(spec, origin=fork))
    assert same(word.result, alone(spec, crew.workload, tmp_path)[0])
    assert word.result.inherited == 0
    assert not folder.exists()


def test_a_fork_that_is_gone_is_done_without(crew, tmp_path):
    spec = crew.run(FALLING, seed=4)
    (word,) = crew.do(Train(spec, origin=RunPath(spec).fork(8, seed=4)))
    assert same(word.result, alone(spec, crew.workload, tmp_path)[0])
    assert word.result.inherited == 0


def test_test_looks_and_range_tests_are_jobs_too(crew):
    spec = crew.run(CONSTANT, seed=5)
    crew.do(Train(spec))
    look, find = crew.do(TestLook(spec, diverged=False), Find(spec))
    with holding_lane(spec.lane):
        network = start(spec, crew.workload).network  # laid out as the lane has it
    load_weights(network, run_folder(crew.folder, spec.digest()))
    loss, score = evaluate(network, crew.workload, crew.workload.test, lane=spec.lane)
    assert (look.result.loss, look.result.score, look.result.n) == (loss, score, 30)
    assert isinstance(find.result, RangeRecord)
    assert find.result.updates > 0


def test_weights_that_are_gone_before_the_look_are_made_again(crew):
    spec = crew.run(CONSTANT, seed=5)
    crew.do(Train(spec))
    before, look = crew.weights(spec), TestLook(spec, diverged=False)
    (expected,) = crew.do(look)
    shutil.rmtree(run_folder(crew.folder, spec.digest()))
    (found,) = crew.do(look)
    assert found.result == expected.result
    assert crew.weights(spec) == before


def test_weights_that_are_not_of_the_end_are_not_looked_at(crew, tmp_path):
    """What a worker put away that was taken for dead, after another had finished its run."""
    spec = crew.run(CONSTANT, seed=5)
    crew.do(Train(spec))
    folder, look = run_folder(crew.folder, spec.digest()), TestLook(spec, diverged=False)
    (expected,) = crew.do(look)
    shutil.rmtree(folder)
    with pytest.raises(Interrupted):
        execute(spec, crew.workload, folder=folder, keep=True, watch=lambda state: state.step == 10)
    (found,) = crew.do(look)
    assert found.result == expected.result


@pytest.mark.parametrize(
    ("mood", "fault", "message"),
    [("mistaken", "user", "RuntimeError: my own mistake; the traceback is in"), ("full", "disk", "no space left for")],
)
def test_what_cannot_be_done_is_said_in_a_line(crew, mood, fault, message):
    spec = crew.run(CONSTANT, seed=len(mood))
    crew.mood.write_text(mood)
    (word,) = crew.do(Train(spec))
    crew.mood.write_text("calm")
    assert isinstance(word, Failed)
    assert word.fault == fault
    assert message in word.message
    assert "\n" not in word.message
    if fault == "user":
        log = crew.folder / "error.log"
        assert str(log) in word.message
        assert "my own mistake\nwith two lines" in log.read_text()
    assert isinstance(crew.do(Train(spec))[0], Finished)


@mortal
def test_workers_killed_and_silent_are_lost_and_their_slots_live_again(crew, tmp_path, monkeypatch):
    """SIGKILL for one. SIGSTOP for the other: it answers no more, and must not come back and write where others do."""
    crew.mood.write_text(SLOW)
    specs = [crew.run(FALLING, seed=seed, steps=LONG) for seed in (7, 8)]
    leases = [crew.submit(Train(spec)) for spec in specs]
    victims = [crew.process_of(lease) for lease in leases]
    os.kill(victims[0], signal.SIGKILL)
    (killed,) = crew.hear(leases[0])
    assert isinstance(killed, Lost)
    assert "killed by SIGKILL" in killed.reason
    again = crew.submit(Train(specs[0]))
    # The new worker, which starts meanwhile, is still to be heard of often enough.
    crew.process_of(again)
    monkeypatch.setattr(executors, "SILENT_SECONDS", 2.5)
    os.kill(victims[1], signal.SIGSTOP)
    (silent,) = crew.hear(leases[1])
    monkeypatch.undo()
    assert isinstance(silent, Lost)
    assert "no sign of life for 2.5 s" in silent.reason
    assert gone(victims[1])
    crew.mood.write_text("calm")
    words = crew.hear(again, crew.submit(Train(specs[1])))
    for spec, word in zip(specs, words, strict=True):
        assert same(word.result, alone(spec, crew.workload, tmp_path)[0])
    assert not {*victims} & {*crew.executor.process_ids}


def test_stop_puts_away_and_the_next_goes_on_to_the_same_bits(crew, tmp_path):
    """The next is of another kind even: what was put away lies where any finds it."""
    specs = [crew.run(CONSTANT, seed=30 + slot, steps=LONG) for slot in range(crew.executor.slots)]
    crew.mood.write_text(SLOW)
    leases = [crew.submit(Train(spec)) for spec in specs]
    if isinstance(crew.executor, InlineExecutor):
        assert crew.stop() == []
    else:
        processes = [crew.process_of(lease) for lease in leases]
        words = crew.stop()
        assert {word.lease.number for word in words if isinstance(word, Stopped)} == {one.number for one in leases}
        assert all(map(gone, processes))
        assert all((run_folder(crew.folder, spec.digest()) / "state.json").is_file() for spec in specs)
    assert crew.stop() == []
    assert {path.name for path in crew.folder.iterdir()} <= {"checkpoints", "forks", "error.log"}
    crew.mood.write_text("calm")
    heir = Crew(inline, crew.folder.parent)
    for spec, word in zip(specs, heir.do(*map(Train, specs)), strict=True):
        record, weights = alone(spec, crew.workload, tmp_path)
        assert same(word.result, record)
        assert crew.weights(spec) == weights


def gone(process: int) -> bool:
    until = time.monotonic() + 10
    while time.monotonic() < until:
        status = Path(f"/proc/{process}/stat")
        if not status.exists() or status.read_text().rsplit(")", 1)[1].split()[0] == "Z":
            return True
        time.sleep(0.05)
    return False
