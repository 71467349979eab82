"""A study as steering sees it: its runs in progress, those that can be named, and how one is put away."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, final

from calando.language import message
from calando.records import RunRecord, RunSpec, Store
from calando.records.command_log import Branch
from calando.study.executors import Executor
from calando.study.jobs import Lease, Train
from calando.study.plan import Plan
from calando.study.run_queue import RunQueue
from calando.study.workers.messages import names_of_own

__all__ = ["StudyAsSteered"]


class _Steering(Protocol):
    branches: dict[str, Branch]
    resting: dict[str, str]


class _Conducted(Protocol):
    """What is needed of the scheduler."""

    store: Store
    plan: Plan
    queue: RunQueue
    runs: dict[str, RunRecord]
    leases: dict[int, Lease]
    steps_known: dict[str, int]
    executor: Executor | None
    sent: frozenset[str] | None

    @property
    def steering(self) -> _Steering:
        """Who carries commands out."""
        ...

    def tell(self, note: str) -> None:
        """Tell the user."""
        ...


@final
class StudyAsSteered:
    """See `calando.study.steering.Steered`.

    Args:
        study: its scheduler.
    """

    def __init__(self, study: _Conducted) -> None:
        self._study = study

    def in_progress(self) -> dict[str, tuple[RunSpec, int]]:
        """Those out on lease."""
        jobs = [lease.job for lease in self._study.leases.values()]
        specs = {job.spec.digest(): job.spec for job in jobs if isinstance(job, Train)}
        return {digest: (spec, self._study.steps_known.get(digest, 0)) for digest, spec in specs.items()}

    def all_runs(self) -> dict[str, RunSpec]:
        """Those made, those wanted, and branches."""
        known = {digest: record.spec for digest, record in self._study.runs.items()}
        known |= {digest: one.spec for digest, one in self._study.plan.wanted.items()}
        return known | {digest: one.spec for digest, one in self._study.steering.branches.items()}

    def is_made(self, digest: str) -> bool:
        """Whether the store has it."""
        return digest in self._study.runs

    def put_away(self, digest: str) -> bool:
        """Ask the executor."""
        lease = next(one for one in self._study.leases.values() if one.job.spec.digest() == digest)
        ask = getattr(self._study.executor, "put_away", None)
        if ask is not None:
            ask(lease)
        return ask is not None

    def unknown_to_workers(self, spec: RunSpec) -> list[str]:
        """What its text names that the workers were not given when they started."""
        sent = self._study.sent
        return [] if sent is None else sorted(names_of_own(spec.strategy.text) - sent)

    def changed(self) -> None:
        """The queue passes over what rests."""
        self._study.queue.rest(self._study.steering.resting)

    def tell(self, note: str) -> None:
        """As a note of the study."""
        self._study.tell(note)

    def paused_note(self, resting: Mapping[str, str]) -> str:
        """What to report where all that is left is paused; "": nobody has paused anything."""
        paused = next((digest for digest, why in resting.items() if why == "paused"), None)
        return (
            ""
            if paused is None
            else message("all that is left is paused; `{resume}` lets it go on", resume=self._resume(paused))
        )

    def lacking_note(self, resting: Mapping[str, str]) -> str:
        """What the study needs and will not get, since it rests; "": nothing."""
        lacking = [digest for digest in resting if digest in self._study.plan.wanted]
        commands = ", ".join(f"`{self._resume(one)}`" for one in lacking)
        return commands and (
            message(
                "the comparison needs {count} more, which rest by command: let them go on ({commands}), and "
                "run the same command again",
                count=len(lacking),
                commands=commands,
            )
        )

    def _resume(self, digest: str) -> str:
        return f"calando steer {self._study.store.folder} resume --run {digest}"
