"""The plan: what a study still needs, as a function of what it has; each result updates it.

    0. range tests     where the study asks for them: one for each method with its options
    1. rate trials     every strategy whose rate is chosen: its grid at seed 0, then point after point past an end
    2. final runs      seeds 0 … at the settled rate; seed 0 of a chosen rate is its trial, already made
    3. test looks      once nothing is left to train: each final run's last weights, once
    4. more seeds      where they are added until verdicts are settled: of the strategies in question, then 3 again

Built again from the store it is the same, so a killed study goes on where it stood. A result costs the plan the same
however many runs there are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from calando.analysis import (
    PlannedRuns,
    Standing,
    plan_study,
    planned_runs,
    rates_that_may_come,
    runs_to_come,
    seeds_at_first,
)
from calando.analysis.conclusion import listed
from calando.language import message
from calando.records import RangeRecord, RunRecord, RunSpec, StrategySpec, StudySpec, TestScore
from calando.study.grid_from_range_test import range_runs
from calando.study.jobs import Find, TestLook

__all__ = ["Plan", "Wanted"]


@dataclass(frozen=True)
class Wanted:
    """A run without a record; `trial`: it decides on a rate, so what follows waits for it."""

    spec: RunSpec
    trial: bool


class Plan:
    """What is still to be made.

    Args:
        study: the question, its grids settled where range tests were asked for, else `finds` is what is to be made.
        runs: records by digest; read, never changed. Whoever adds one calls `took`.
        tests: test scores by digest, read.
        ranges: range tests by digest, read.

    Attributes:
        wanted: runs that can be made now, by digest.
        done, expected: runs made, and how many there will be unless a grid is extended: as the page counts them.
        rates: strategy -> the rates that its runs may still come to have; one where it is settled, none where no
            further seed of it will be asked for.
        seeds: strategy -> how many final runs are asked for so far.
        look_taken: where seeds are added, what the last look found, in words; "" before the first.
    """

    def __init__(
        self,
        study: StudySpec,
        *,
        runs: Mapping[str, RunRecord],
        tests: Mapping[str, TestScore],
        ranges: Mapping[str, RangeRecord],
    ) -> None:
        self.study = study
        self._runs, self._tests, self._ranges = runs, tests, ranges
        self.wanted: dict[str, Wanted] = {}
        self.rates: dict[str, tuple[float, ...]] = {}
        self._undecided: dict[str, set[str]] = {}
        self._take_stock()
        if not self.finds:
            for strategy in study.strategies:
                self._follow(strategy)
        self._count()

    def _take_stock(self) -> None:
        plans, standing = plan_study(self.study, self._runs, self._tests)
        names = [strategy.name for strategy in self.study.strategies]
        self._planned: dict[str, PlannedRuns] = dict(zip(names, plans, strict=True))
        self.seeds: dict[str, int] = dict.fromkeys(names, self.study.seeds) if standing is None else {**standing.seeds}
        self._over: set[str] = set() if standing is None else set(names if standing.decided else standing.settled)
        self.look_taken = "" if standing is None or not standing.looks else _said(standing)

    def _count(self) -> None:
        planned = self._planned.values()
        self._known = {digest for one in planned for digest in one.digests}
        self.done = sum(digest in self._runs for digest in self._known)
        self.expected = len(self._known) + runs_to_come(planned, seeds=seeds_at_first(self.study))

    @property
    def finds(self) -> list[Find]:
        """Range tests to be made before anything is trained."""
        return [Find(run) for digest, run in range_runs(self.study).items() if digest not in self._ranges]

    def took(self, digest: str) -> list[Wanted]:
        """Take in a record that came; the runs that can be made since."""
        self.wanted.pop(digest, None)
        before, followed = set(self.wanted), False
        self.done += digest in self._known
        for name, trials in list(self._undecided.items()):
            trials.discard(digest)
            if not trials:
                del self._undecided[name]
                strategy = self.study.strategy(name)
                self._planned[name] = planned_runs(self.study, strategy, self._runs).up_to(self.seeds[name])
                self._follow(strategy)
                followed = True
        if followed:
            self._count()
        self._go_on()
        return [wanted for key, wanted in self.wanted.items() if key not in before]

    def read(self) -> list[Wanted]:
        """Take in that a test score came; the runs that can be made since."""
        before = set(self.wanted)
        self._go_on()
        return [wanted for key, wanted in self.wanted.items() if key not in before]

    def _go_on(self) -> None:
        """Where seeds are added: ask for those of the next look, once this one has all it needs."""
        if self.study.until is None or not self.trained or self.looks():
            return
        self._take_stock()
        for strategy in self.study.strategies:
            self._follow(strategy)
        self._count()

    @property
    def may_come(self) -> int:
        """How many final runs may still be asked for, beyond those that are."""
        return sum(self.study.seeds - n for name, n in self.seeds.items() if name not in self._over)

    def made(self, digest: str) -> bool:
        """Whether there is a record of that run."""
        return digest in self._runs

    @property
    def trained(self) -> bool:
        """Whether nothing is left to train."""
        return not self.wanted and not self._undecided and not self.finds

    def looks(self) -> list[TestLook]:
        """Test looks to be made, once everything is trained."""
        if not self.trained:
            return []
        finals = dict.fromkeys(digest for planned in self._planned.values() for digest in planned.finals)
        unread = [digest for digest in finals if digest not in self._tests]
        return [
            TestLook(self._runs[digest].spec, diverged=self._runs[digest].outcome == "diverged") for digest in unread
        ]

    def awaited_looks(self) -> set[str]:
        """Digests of the runs whose final weights are or may be wanted for a test look not yet made."""
        wanted = {digest for planned in self._planned.values() for digest in planned.finals or planned.trials}
        return wanted - self._tests.keys()

    def _follow(self, strategy: StrategySpec) -> None:
        """See how far the choice of a strategy's rate has come, and want what follows from that."""
        planned = self._planned[strategy.name]
        choice = planned.choice
        over = strategy.name in self._over
        self.rates[strategy.name] = () if over else rates_that_may_come(self.study, strategy, choice)
        if choice.lr is None:
            self._undecided[strategy.name] = {run.digest() for run in choice.pending}
            self.wanted |= {run.digest(): Wanted(run, trial=True) for run in choice.pending}
            return
        for digest, run in zip(planned.finals, planned.final_runs, strict=True):
            if digest not in self._runs and digest not in self.wanted:
                self.wanted[digest] = Wanted(run, trial=False)


def _said(standing: Standing) -> str:
    """The last look in words: who was settled there, and who goes on to how many seeds."""
    n = standing.looks[-1].n
    settled = [name for name, at in standing.settled.items() if at == n]
    found = message("nothing settled")
    if settled:
        found = message("{names} settled", names=listed(settled, "strategies"))
    if standing.decided:
        return message("look at {n} seeds: {found}", n=n, found=found)
    return message(
        "look at {n} seeds: {found}; {rest} go on to {seeds}",
        n=n,
        found=found,
        rest=listed(standing.in_question, "strategies"),
        seeds=max(standing.seeds.values()),
    )
