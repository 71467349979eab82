"""Ray: workers on many machines, each a long-lived actor.

    RayExecutor  -- take, stop, news -->  actor (a RemoteWorker), wherever Ray finds room  -- pipe -->  worker process

Without an address a Ray of this machine's own is started, and ended with the executor. Each actor is asked for news
all the time; an answer, empty or not, is its heartbeat. An actor that dies, or its node, is a worker that died: its
lease is Lost, and Ray is asked for another actor. Leases wait here until an actor is there to take them, so that
nothing waits for resources while the study could go on.

Checkpoints are used where they are if the actor sees the study's folder, and travel through the object store if not.

Source: Moritz et al. 2018, *Ray: A Distributed Framework for Emerging AI Applications*.
"""

from __future__ import annotations

import secrets
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, cast, final

from calando.errors import DiskFull, StudyStopped, UsageError, WorkerLost, said_by
from calando.language import message
from calando.records.files import write_atomically
from calando.study import executors
from calando.study.checkpoint_cache import fork_folder, run_folder
from calando.study.executors import register
from calando.study.jobs import Failed, Job, JobProgress, Lease, Left, Lost, OnProgress, Outcome, TestLook, Train
from calando.study.stages import Fork
from calando.study.workers.checkpoint_transfer import Transfer, pack, unpack
from calando.study.workers.messages import (
    Ended,
    Message,
    Ready,
    Refused,
    Reported,
    Setup,
    WorkerSettings,
    silent_for,
    versions,
)
from calando.study.workers.ray_cluster import check_versions, how_it_died, join
from calando.study.workers.remote_worker import RemoteWorker

if TYPE_CHECKING:
    from ray import ObjectRef
    from ray.actor import ActorHandle

__all__ = ["RayExecutor"]

HERE = Path()
TOKEN = ".seen"
NEWS_SECONDS = 0.5
STOP_SECONDS = 30.0
ENDING_SECONDS = 2.0
WAIT_SECONDS = 1200.0
"""How long nobody may be there to take a job: as long as a cloud may need to start a machine, and some more."""

FORGIVEN_STARTS = 3
"""Actors in succession that may die before they are there."""


@dataclass
class _Worker:
    slot: int
    actor: ActorHandle[RemoteWorker]
    news: ObjectRef[list[Message]]
    heard: float
    ready: Ready | None = None
    lease: Lease | None = None
    spent: bool = False


@final
class RayExecutor:
    """Workers as Ray actors, asked for at once.

    Args:
        setup: what each worker loads; put into the object store once.
        workers: how many.
        on_progress: called in this process with each progress report.
        address: of the cluster, as `ray.init` takes it; None: a Ray of our own, or the one this process is joined to.
        gpus: that each worker needs, or the share of one.
        shared: whether workers see the study's folder; None: each looks for itself.

    Raises:
        UsageError: Ray is not installed, or no cluster answers at the address.
    """

    def __init__(
        self,
        setup: Setup,
        *,
        workers: int,
        on_progress: OnProgress,
        address: str | None = None,
        gpus: float = 0,
        shared: bool | None = None,
    ) -> None:
        self.slots = workers
        self._on_progress = on_progress
        self._folder = setup.folder.absolute()
        self._one_run_each = setup.one_run_each
        self._gpus = gpus
        data_dir = setup.data_dir and setup.data_dir.absolute()
        setup = replace(setup, folder=self._folder, data_dir=data_dir)
        self._token = None if shared is False else (self._folder / TOKEN, secrets.token_hex())
        self._settings = _settings(setup, self._token)
        self._joined = join(address, cpus=workers * setup.threads)
        import ray
        from ray import cloudpickle

        if self._token is not None:
            path, content = self._token
            write_atomically(path, content.encode())
        self._setup = ray.put(cloudpickle.dumps(setup))
        self._versions = versions()
        self._waiting: list[Lease] = []
        self._unborn = 0
        self._stopped = False
        self._workers = [self._ask_for(slot) for slot in range(workers)]
        self._polled = self._served = time.monotonic()

    @property
    def process_ids(self) -> list[int]:
        """Of the workers that are there, on whatever machine."""
        return [worker.ready.process_id for worker in self._workers if worker.ready]

    def submit(self, lease: Lease) -> None:
        """Give a job to an idle worker, now or when one is there."""
        out = sum(worker.lease is not None for worker in self._workers)
        assert out + len(self._waiting) < self.slots
        self._waiting.append(lease)
        self._hand_out()

    def poll(self, *, seconds: float) -> list[Outcome]:
        """What came in, and `Lost` for jobs whose worker died or was silent for too long; such a worker is replaced.

        Raises:
            UsageError: a worker refused the workload, or is not fit for it.
            WorkerLost: workers die before they are there.
            StudyStopped: Ray had no room for any worker for too long.
        """
        outcomes: list[Outcome] = []
        self._receive(outcomes, seconds=seconds)
        self._hand_out()
        if any(worker.ready for worker in self._workers):
            self._served = time.monotonic()
        elif time.monotonic() - self._served > WAIT_SECONDS:
            needed = f"{self._settings.threads} CPUs" + (f" and {self._gpus:g} GPUs" if self._gpus else "")
            raise StudyStopped(
                message(
                    "Ray had no room for a worker ({needed}) for {wait_seconds:.0f} minutes; see `ray status`, "
                    "then run the same command again",
                    needed=needed,
                    wait_seconds=WAIT_SECONDS / 60,
                )
            )
        return outcomes

    def put_away(self, lease: Lease) -> None:
        """Have this job saved in its checkpoint; `poll` reports it Stopped, unless it has ended meanwhile."""
        for worker in self._workers:
            if worker.lease == lease:
                worker.actor.put_away.remote(lease.number)

    def stop(self) -> list[Outcome]:
        """Ask every worker to save its run; wait for it; end it, and Ray if it is our own."""
        outcomes: list[Outcome] = []
        if self._stopped:
            return outcomes
        import ray

        self._stopped = True
        self._waiting.clear()
        for worker in self._workers:
            worker.actor.stop.remote()
        until = time.monotonic() + STOP_SECONDS
        while any(worker.lease for worker in self._workers) and time.monotonic() < until:
            self._receive(outcomes, seconds=NEWS_SECONDS)
        until = time.monotonic() + ENDING_SECONDS
        while any(worker.ready for worker in self._workers) and time.monotonic() < until:
            self._receive(outcomes, seconds=NEWS_SECONDS)
        for worker in self._workers:
            ray.kill(worker.actor)
        self._workers = []
        if self._token is not None:
            self._token[0].unlink(missing_ok=True)
        if not self._joined:
            ray.shutdown()
        return outcomes

    def _ask_for(self, slot: int) -> _Worker:
        import ray

        made = (
            ray.remote(RemoteWorker)
            .options(
                num_cpus=self._settings.threads,
                num_gpus=self._gpus,
                # One thread answers while another is given a job.
                max_concurrency=4,
                scheduling_strategy="SPREAD",
            )
            .remote(self._setup, self._settings, slot=slot)
        )
        # Ray's types do not say that what a class's `remote` gives is a handle.
        actor = cast("ActorHandle[RemoteWorker]", made)
        return _Worker(slot, actor, _ask(actor), heard=time.monotonic())

    def _receive(self, outcomes: list[Outcome], *, seconds: float) -> None:
        """Take in what workers report; outcomes are added, dead workers replaced."""
        import ray
        from ray.exceptions import RayError

        asked = [worker.news for worker in self._workers]
        ray.wait(asked, num_returns=1, timeout=seconds)
        answered = set(ray.wait(asked, num_returns=len(asked), timeout=0)[0])
        now = time.monotonic()
        # While this process was itself held up, it heard nobody: that time does not count as the workers' silence.
        deaf, self._polled = max(0.0, now - self._polled - seconds), now
        for worker in list(self._workers):
            worker.heard += deaf
            if worker.news in answered:
                try:
                    messages = ray.get(worker.news)
                except RayError as error:
                    self._replace(worker, how_it_died(error), outcomes)
                    continue
                worker.heard = now
                ended = [message.reason for message in messages if isinstance(message, Ended)]
                self._hear(worker, messages, outcomes)
                if ended:
                    self._replace(worker, ended[0], outcomes)
                else:
                    worker.news = _ask(worker.actor)
            elif worker.ready and now - worker.heard > executors.SILENT_SECONDS:
                self._replace(worker, silent_for(executors.SILENT_SECONDS), outcomes)

    def _hear(self, worker: _Worker, messages: Iterable[Message], outcomes: list[Outcome]) -> None:
        for told in messages:
            match told:
                case Ready():
                    worker.ready = told
                    check_versions(told, self._versions)
                    self._unborn = 0
                case JobProgress():
                    self._on_progress(told)
                case Refused(reason):
                    if not self._stopped:
                        raise UsageError(reason)
                case Reported(outcome, transfer):
                    try:
                        if transfer is not None:
                            unpack(transfer, self._folder)
                    except DiskFull as error:
                        outcome = Failed(outcome.lease, "disk", said_by(error))
                    if not isinstance(outcome, Left):
                        # It ends by itself, and another takes its place.
                        worker.spent = self._one_run_each and not isinstance(outcome.lease.job, TestLook)
                        worker.lease = None
                    outcomes.append(outcome)
                case Ended():
                    pass

    def _hand_out(self) -> None:
        """Give waiting leases to workers that are there and idle."""
        import ray

        for worker in self._workers:
            if not self._waiting:
                return
            if worker.lease is None and worker.ready and not worker.spent:
                worker.lease = self._waiting.pop(0)
                transfer = None
                if not worker.ready.shared:
                    transfer = ray.put(Transfer(pack(self._folder, _needed(worker.lease.job))))
                worker.actor.take.remote(worker.lease, transfer)

    def _replace(self, worker: _Worker, reason: str, outcomes: list[Outcome]) -> None:
        """End what is left of a worker; Ray is asked for another unless the study is over."""
        import ray

        where = f" on {worker.ready.host}" if worker.ready else ""
        if worker.lease is not None:
            outcomes.append(Lost(worker.lease, reason + where))
        worker.lease = None
        ray.kill(worker.actor)
        if worker.ready is None and not self._stopped:
            self._unborn += 1
            if self._unborn > FORGIVEN_STARTS:
                raise WorkerLost(
                    message("no worker can be started through Ray ({reason}); see Ray's own logs", reason=reason)
                )
        index = self._workers.index(worker)
        if self._stopped:
            del self._workers[index]
        else:
            self._workers[index] = self._ask_for(worker.slot)


@register("ray")
def _executor(setup: Setup, *, workers: int, on_progress: OnProgress, address: str | None) -> RayExecutor:
    if setup.device.startswith("cuda:"):
        raise UsageError(
            message(
                "Ray gives each worker a GPU of its own, which is its only one: --device cuda, not {device}",
                device=setup.device,
            )
        )
    gpus = 1 if setup.device == "cuda" else 0
    return RayExecutor(setup, workers=workers, on_progress=on_progress, address=address, gpus=gpus)


def _ask(actor: ActorHandle[RemoteWorker]) -> ObjectRef[list[Message]]:
    """Ask for news."""
    return actor.news.remote(seconds=NEWS_SECONDS, silent_seconds=executors.SILENT_SECONDS)


def _settings(setup: Setup, token: tuple[Path, str] | None) -> WorkerSettings:
    installed = {Path(sys.prefix), Path(sys.base_prefix)}
    paths = [path for path in sys.path if path and not any(Path(path).is_relative_to(root) for root in installed)]
    return WorkerSettings(
        folder=setup.folder,
        token=token,
        directory=Path.cwd(),
        paths=tuple(paths),
        threads=setup.threads,
        beat_seconds=executors.BEAT_SECONDS,
    )


def _needed(job: Job) -> list[str]:
    """Where in the study's folder is what a job may start from or read."""
    own = run_folder(HERE, job.spec.digest()).as_posix()
    match job:
        case Train(origin=Fork() as origin):
            return [own, fork_folder(HERE, origin).as_posix()]
        case Train() | TestLook(diverged=False):
            return [own]
        case _:
            return []
