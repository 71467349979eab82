"""Every run of a study as it is written: what was run, what for, and what came out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from calando.analysis.results import StudySummary
from calando.records.record import RunRecord, TestScore
from calando.report.numbers import ABSENT, count, percent, rate

__all__ = ["RunRow", "run_rows"]


@dataclass(frozen=True)
class RunRow:
    """One run; `strategy` names all it stands for, since equal training is one run; `role`: trial, final or both.

    `steps`: those of the run, how many more were taken back, and how many of all it did not train but started from.
    `events`: (step, what happened).
    """

    digest: str
    strategy: str
    rate: str
    seed: int
    role: str
    outcome: str
    steps: str
    validation: str
    test: str
    seconds: str
    host: str
    events: tuple[tuple[str, str], ...]


def run_rows(
    summary: StudySummary, runs: Mapping[str, RunRecord], tests: Mapping[str, TestScore]
) -> tuple[RunRow, ...]:
    """The study's runs that have a record: by strategy, best first, then by rate and seed."""
    users: dict[str, dict[str, None]] = {}
    roles: dict[str, dict[str, None]] = {}
    for result in summary.results:
        for role, digests in {"trial": result.planned.trials, "final": result.planned.finals}.items():
            for digest in digests:
                users.setdefault(digest, {})[result.name] = None
                roles.setdefault(digest, {})[role] = None
    first = {result.name: place for place, result in enumerate(summary.results)}
    there = sorted(
        (digest for digest in users if digest in runs),
        key=lambda digest: (first[next(iter(users[digest]))], runs[digest].spec.lr, runs[digest].spec.seed),
    )
    return tuple(
        _row(digest, runs[digest], tests.get(digest), users=users[digest], roles=roles[digest]) for digest in there
    )


def _row(
    digest: str, record: RunRecord, test: TestScore | None, *, users: Mapping[str, None], roles: Mapping[str, None]
) -> RunRow:
    # As `calando.analysis.summary` counts them.
    diverged = record.outcome == "diverged" or (test is not None and not math.isfinite(test.loss))
    return RunRow(
        digest=digest,
        strategy=", ".join(users),
        rate=rate(record.spec.lr),
        seed=record.spec.seed,
        role=" + ".join(roles),
        outcome=record.outcome + (" at chance" if record.at_chance and record.outcome != "diverged" else ""),
        steps=_steps(record),
        validation=percent(record.score),
        test=ABSENT if test is None else percent(record.chance if diverged else test.score),
        seconds=f"{record.seconds:.1f}",
        host=", ".join(f"{key} {value}" for key, value in record.host.items()),
        events=tuple((count(event.step), event.text) for event in record.events),
    )


def _steps(record: RunRecord) -> str:
    undone = f" + {count(record.undone)} taken back" if record.undone else ""
    passes = f" + {count(record.second_passes)} second passes" if record.second_passes else ""
    inherited = f", {count(record.inherited)} of them shared" if record.inherited else ""
    return f"{count(record.steps_done)}{undone}{passes}{inherited}"
