"""Ray: what is its own next to what every executor keeps to. Nodes die, coordinators die, nothing is printed."""

import os
import random
import signal
import subprocess
import sys
import time
import uuid
from functools import partial
from pathlib import Path

import pytest
from tests.waiting import PATIENCE, until

from calando.errors import DiskFull, StudyStopped, UsageError, WorkerLost
from calando.study.checkpoint_cache import run_folder
from calando.study.executors import ray as of_ray
from calando.study.executors.ray import RayExecutor
from calando.study.jobs import Failed, Lost, OnProgress, Train
from calando.study.stages import RunPath
from calando.study.workers.messages import Ready, Setup, versions
from calando.study.workers.ray_cluster import check_versions, how_it_died, join
from calando.testing.executor_trial import ExecutorTrial, alone, same

ray = pytest.importorskip("ray")

CONSTANT = "sgd(lr=0.01, momentum=0.9)"
FALLING = "sgd(lr=0.01, momentum=0.9) | constant(1, over='50%') >> linear(1, 0)"
LONG, SLOW = 240, "dawdle 0.5"


class TwoNodes:
    """A cluster of two machines with a CPU each, as far as Ray can tell."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        self.cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
        self.add()

    def add(self) -> None:
        self.second = self.cluster.add_node(num_cpus=1)

    def kill(self) -> None:
        self.cluster.remove_node(self.second, allow_graceful=False)

    def executor(self, setup: Setup, on_progress: OnProgress, *, shared: bool | None) -> RayExecutor:
        return RayExecutor(setup, workers=2, on_progress=on_progress, address=self.cluster.address, shared=shared)


@pytest.fixture
def two_nodes():
    ray.shutdown()
    nodes = TwoNodes()
    yield nodes
    ray.shutdown()
    nodes.cluster.shutdown()


@pytest.fixture(scope="module")
def one_node():
    """A Ray with room for one worker, that executors join."""
    ray.shutdown()
    assert not join(None, cpus=1)
    yield
    ray.shutdown()


def alone_on(setup: Setup, on_progress: OnProgress, *, gpus: float = 0, shared: bool | None = None) -> RayExecutor:
    return RayExecutor(setup, workers=1, on_progress=on_progress, gpus=gpus, shared=shared)


def test_a_node_that_dies_is_a_worker_that_died(two_nodes, tmp_path):
    """What it left on the way is there; the other node does the rest, and nobody waits for the worker without room."""
    crew = ExecutorTrial(partial(two_nodes.executor, shared=False), tmp_path)
    specs = [crew.run(FALLING, seed=seed, steps=LONG) for seed in (0, 1)]
    forks = [RunPath(spec).fork(8, seed=spec.seed) for spec in specs]
    crew.mood.write_text(SLOW)
    leases = [crew.submit(Train(spec)) for spec in specs]
    for lease in leases:
        crew.process_of(lease)
    two_nodes.kill()
    crew.mood.write_text("calm")
    (lost,) = [word for word in crew.hear(*leases) if isinstance(word, Lost)]
    # What Ray says of it depends on what it notices first.
    assert any(words in lost.reason for words in ("died", "cannot be reached any more"))
    heirs = [crew.run(CONSTANT, seed=spec.seed, steps=LONG) for spec in specs]
    assert [RunPath(heir).fork(8, seed=heir.seed) for heir in heirs] == forks
    words = crew.do(*[Train(heir, leaves=(fork,)) for heir, fork in zip(heirs, forks, strict=True)])
    words += crew.do(*[Train(spec, origin=fork) for spec, fork in zip(specs, forks, strict=True)])
    for spec, word in zip([*heirs, *specs], words, strict=True):
        record, weights = alone(spec, crew.workload, tmp_path)
        assert same(word.result, record)
        assert crew.weights(spec) == weights
    assert crew.stop() == []


@pytest.mark.torture
@pytest.mark.parametrize("shared", [None, False])
def test_nodes_that_die_again_and_again_change_nothing(two_nodes, tmp_path, shared):
    """Twelve runs while a node dies at random moments, ten times, and is replaced."""
    random.seed(0)
    crew = ExecutorTrial(partial(two_nodes.executor, shared=shared), tmp_path)
    crew.mood.write_text("dawdle 0.05")
    specs = [crew.run(text, seed=seed, steps=LONG) for text in (CONSTANT, FALLING) for seed in range(6)]
    waiting, out, records = list(specs), [], {}
    deaths, due = 0, time.monotonic() + random.uniform(1, 6)
    while len(records) < len(specs):
        while waiting and len(out) < 2:
            out.append(crew.submit(Train(waiting.pop(0))))
        for word in crew.executor.poll(seconds=0.2):
            out.remove(word.lease)
            if isinstance(word, Lost):
                waiting.append(word.lease.job.spec)
            else:
                records[word.lease.job.spec.digest()] = word.result
        if deaths < 10 and time.monotonic() > due:
            two_nodes.kill()
            two_nodes.add()
            deaths, due = deaths + 1, time.monotonic() + random.uniform(1, 6)
    crew.stop()
    crew.mood.write_text("calm")
    assert deaths >= 5
    for spec in specs:
        record, weights = alone(spec, crew.workload, tmp_path)
        assert same(records[spec.digest()], record)
        assert crew.weights(spec) == weights


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("ray://head:10001", "is of Ray's client; run calando on a machine of the cluster"),
        ("127.0.0.1:1", r"no Ray cluster can be joined at '127.0.0.1:1' \(.*\); start one with `ray start --head`"),
    ],
)
def test_an_address_where_nobody_answers_is_said_in_a_line(address, message):
    ray.shutdown()
    with pytest.raises(UsageError, match=message) as caught:
        join(address, cpus=1)
    assert "\n" not in str(caught.value)
    assert not ray.is_initialized()


COMMAND = """
import signal
import sys
from functools import partial
from pathlib import Path

from calando.testing.executor_trial import ExecutorTrial
from tests.study.test_ray import FALLING, LONG, SLOW, alone_on

from calando.study.jobs import Train

# A shell that started the tests in the background may have told them to ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)
crew = ExecutorTrial(alone_on, Path(sys.argv[1]))
crew.mood.write_text(SLOW)
lease = crew.submit(Train(crew.run(FALLING, seed=0, steps=LONG)))
try:
    print(crew.process_of(lease), flush=True)
    while True:
        crew.executor.poll(seconds=0.2)
except KeyboardInterrupt:
    print([type(word).__name__ for word in crew.stop()])
"""


@pytest.mark.parametrize("sign", [signal.SIGINT, pytest.param(signal.SIGKILL, marks=pytest.mark.torture)])
def test_a_ray_of_our_own_is_quiet_and_ends_with_its_coordinator(tmp_path, sign):
    """Ctrl-C, which all in the terminal hear, and death: the run is put away both times, and no process is left."""
    mark = uuid.uuid4().hex
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, str(tmp_path)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "MARK": mark},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    worker = process.stdout.readline().strip()
    assert worker.isdigit(), process.communicate()
    assert int(worker) in marked(mark)
    if sign == signal.SIGINT:
        os.killpg(process.pid, sign)
    else:
        process.kill()
    out, err = process.communicate(timeout=PATIENCE)
    until(lambda: not living(mark, sign))
    assert err == ""
    assert out == ("['Stopped']\n" if sign == signal.SIGINT else "")
    study = tmp_path / "study"
    crew = ExecutorTrial(alone_on, tmp_path, start=False)
    assert (run_folder(study, crew.run(FALLING, seed=0, steps=LONG).digest()) / "state.json").is_file()


def living(mark: str, sign: signal.Signals) -> list[int]:
    """What should not be there any more: everything, or where Ray was left behind, which ends in its own time, ours."""
    names = {process: Path(f"/proc/{process}/cmdline") for process in marked(mark)}
    ours = (b"workers.worker", b"ray::RemoteWorker")
    return [
        process
        for process, name in names.items()
        if sign == signal.SIGINT or (name.exists() and any(one in name.read_bytes() for one in ours))
    ]


def marked(mark: str) -> list[int]:
    """The processes that inherited the mark."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"MARK={mark}".encode() in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
        except OSError:
            continue
    return found


@pytest.fixture(scope="module")
def without_a_shared_path(one_node, tmp_path_factory):
    """The executor that tests share: what they do to its worker is not to be noticed by the next."""
    crew = ExecutorTrial(partial(alone_on, shared=False), tmp_path_factory.mktemp("crew"))
    yield crew
    assert crew.stop() == []


def test_a_full_disk_at_the_coordinators_end_is_a_failed_job(without_a_shared_path, tmp_path, monkeypatch):
    """The checkpoint has travelled and finds no room."""
    crew = without_a_shared_path
    spec = crew.run(CONSTANT, seed=0)

    def full(transfer, folder):
        raise DiskFull(f"no space left for {folder}; free some and run the same command again")

    with monkeypatch.context() as patch:
        patch.setattr(of_ray, "unpack", full)
        (word,) = crew.do(Train(spec))
    assert isinstance(word, Failed)
    assert word.fault == "disk"
    assert not run_folder(crew.folder, spec.digest()).exists()
    (word,) = crew.do(Train(spec))
    assert same(word.result, alone(spec, crew.workload, tmp_path)[0])


def test_an_actor_that_dies_is_lost_and_its_worker_ends_by_itself(without_a_shared_path, tmp_path):
    """The worker is no child of the actor, and puts its run away; where it had a folder of its own, that goes too."""
    crew = without_a_shared_path
    crew.mood.write_text(SLOW)
    spec = crew.run(FALLING, seed=0, steps=LONG)
    lease = crew.submit(Train(spec))
    worker = crew.process_of(lease)
    actor = parent_of(parent_of(worker))
    os.kill(actor, signal.SIGKILL)
    (word,) = crew.hear(lease)
    assert isinstance(word, Lost)
    assert "worker process has died" in word.reason
    until(lambda: not Path(f"/proc/{worker}").exists())
    crew.mood.write_text("calm")
    (word,) = crew.do(Train(spec))
    assert same(word.result, alone(spec, crew.workload, tmp_path)[0])


def parent_of(process: int) -> int:
    return int(Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[1])


@pytest.mark.usefixtures("one_node")
def test_waiting_for_room_ends(tmp_path, monkeypatch):
    monkeypatch.setattr(of_ray, "WAIT_SECONDS", 1.2)
    crew = ExecutorTrial(partial(alone_on, gpus=1), tmp_path)
    with pytest.raises(StudyStopped, match=r"no room for a worker \(1 CPUs and 1 GPUs\) .*`ray status`"):
        crew.do(Train(crew.run(CONSTANT, seed=0)))
    assert crew.stop() == []


class Unborn:
    """What a machine without calando makes of a remote worker."""

    def __init__(self, setup: bytes, settings: object, *, slot: int) -> None:
        raise ModuleNotFoundError("No module named 'calando'")

    def news(self, *, seconds: float, silent_seconds: float) -> list[object]:
        raise NotImplementedError

    def stop(self) -> None:
        raise NotImplementedError


@pytest.mark.torture
@pytest.mark.usefixtures("one_node")
def test_workers_that_cannot_be_started_are_not_tried_for_ever(without_a_shared_path, tmp_path, monkeypatch):
    without_a_shared_path.stop()  # there is room for one
    monkeypatch.setattr(of_ray, "RemoteWorker", Unborn)
    monkeypatch.setattr(of_ray, "FORGIVEN_STARTS", 1)
    crew = ExecutorTrial(alone_on, tmp_path)
    with pytest.raises(WorkerLost, match=r"no worker can be started .*ModuleNotFoundError: No module named 'calando'"):
        crew.do(Train(crew.run(CONSTANT, seed=0)))
    assert crew.stop() == []


def test_without_ray_its_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UsageError, match=r"pip install 'calando\[ray\]'"):
        join(None, cpus=1)


def test_other_versions_are_refused():
    ready = Ready("node7", 1, shared=True, versions=versions() | {"torch": "1.0"})
    with pytest.raises(UsageError, match=r"node7 has torch 1\.0, here .*; install the same on every machine"):
        check_versions(ready, versions())
    check_versions(Ready("node7", 1, shared=True, versions=versions()), versions())


NODE_DIED = """The actor died unexpectedly before finishing this task.
\tclass_name: RemoteWorker
\tip: 10.0.0.3
The actor is dead because its node has died. Node Id: 00fa
\tthe actor's node was terminated: x."""


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (NODE_DIED, "its node has died"),
        ("The actor is dead because it was killed by `ray.kill`.", "it was killed by `ray.kill`"),
        ("something else", "RayError"),
    ],
)
def test_rays_account_of_a_death_is_told_in_a_few_words(text, words):
    assert how_it_died(ray.exceptions.RayError(text)) == words
