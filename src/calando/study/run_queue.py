"""The queue of runs: which is made next, where it starts, and what it leaves for others.

    starts   from the deepest checkpoint there is of its own past
    waits    while a run in progress is to leave one that is deeper
    leaves   a fork wherever another run that may still be wanted parts from it
    next     trials before final runs; then runs that start from a checkpoint, so that few are kept (depth first);
             then those with the longest path left, so that none is left over at the end

So each past is trained once: what is trained in all is the fewest updates that train every run, as long as nothing
is lost. Where nothing is shared, every run starts at the beginning, the longest first.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Mapping
from typing import final

from calando.records import RunSpec
from calando.study.checkpoint_cache import CheckpointCache, run_folder
from calando.study.jobs import Train
from calando.study.plan import Plan, Wanted
from calando.study.stages import LEAST_SHARED, Fork, RunPath, StageTree
from calando.training.checkpoint import step_of

__all__ = ["RunQueue"]


@final
class RunQueue:
    """The runs that a plan wants, in the order in which they start; without `sharing` each is trained alone."""

    def __init__(self, plan: Plan, cache: CheckpointCache, *, sharing: bool) -> None:
        self._plan, self._cache, self._sharing = plan, cache, sharing
        self._tree = StageTree()
        self._owners: dict[str, set[tuple[str, float]]] = {}  # path -> strategies and rates that take it
        self._passing: dict[str, set[str]] = {}  # past -> paths that have it
        self._finals: dict[str, Fork] = {}  # address of a past that a finished run ends with -> its last checkpoint
        self._ends: set[int] = set()  # their steps
        self._started: set[str] = set()
        self._promised: dict[str, int] = {}  # address of a fork -> lease that is to leave it
        self._waiting: defaultdict[str, list[str]] = defaultdict(list)  # address -> runs that wait for it
        self._heap: list[tuple[bool, bool, int, int, str]] = []
        self.asleep: set[str] = set()  # runs that rest by command and were passed over
        self.resting: Mapping[str, str] = {}  # runs that rest by command, and why
        self._places: dict[str, int] = {}  # run -> its place among equals, which it keeps when it comes back
        self.put(list(plan.wanted.values()))

    def put(self, wanted: list[Wanted]) -> None:
        if self._sharing:
            self._grow()
        for one in wanted:
            self._push(one)

    @property
    def waiting(self) -> int:
        """Runs that wait for a fork that another will leave."""
        return sum(len(runs) for runs in self._waiting.values())

    @property
    def queued(self) -> int:
        """Runs that have not been started."""
        return len(self._plan.wanted) - len(self._started)

    @property
    def shared(self) -> list[RunPath]:
        """The paths of which a part may be trained once for several."""
        paths = self._tree.paths.values()
        return [path for path in paths if any(step >= LEAST_SHARED for step in self._tree.branchings(path))]

    def next(self, number: int) -> Train | None:
        """The next run that can start now, for the lease of that number; None: there is none."""
        while self._heap:
            digest = heapq.heappop(self._heap)[-1]
            if digest not in self._plan.wanted or digest in self._started:
                continue
            if digest in self.resting:
                self.asleep.add(digest)
                continue
            spec = self._plan.wanted[digest].spec
            own = step_of(run_folder(self._cache.folder, digest))
            origin = self._origin(spec)
            since = max(own or 0, origin.step if origin else 0)
            awaited = [fork for fork in self._forks(spec) if fork.step > since and fork.address in self._promised]
            if awaited and own is None:
                self._waiting[awaited[0].address].append(digest)
                continue
            leaves = tuple(
                fork for fork in self._branchings(spec) if fork.step > since and self._wanted_by_others(fork, spec)
            )
            self._started.add(digest)
            self._promised |= {fork.address: number for fork in leaves}
            return Train(spec, origin=origin, leaves=leaves, spares=self._sharing)
        return None

    def rest(self, resting: Mapping[str, str]) -> None:
        """These runs rest from now on, and no others."""
        self.resting = resting
        for digest in self.asleep - resting.keys():
            self.asleep.discard(digest)
            if digest in self._plan.wanted:
                self._push(self._plan.wanted[digest])

    def left(self, fork: Fork) -> None:
        """A fork is on disk: those who waited for it can start."""
        self._promised.pop(fork.address, None)
        self._wake(fork.address)

    def ended(self, number: int, digest: str) -> None:
        """A lease is over, however it ended: nobody waits any longer for what it promised and did not leave."""
        self._started.discard(digest)
        for address in [address for address, lease in self._promised.items() if lease == number]:
            del self._promised[address]
            self._wake(address)
        if digest in self._plan.wanted:
            self._push(self._plan.wanted[digest])

    def finished(self, spec: RunSpec) -> None:
        """A run's last checkpoint is on disk: longer ones can start from it."""
        # An evaluation of its own after its last update would not be one of the longer run's.
        if self._sharing and spec.steps < self._plan.study.steps and spec.steps % spec.evaluate_every == 0:
            address = self._tree.add(spec).fork(spec.steps, seed=spec.seed).address
            self._finals[address] = Fork(spec.steps, spec.digest(), final=True)
            self._ends.add(spec.steps)

    def useful(self) -> set[str]:
        """Addresses of the checkpoints that runs still wanted may start from."""
        return {fork.address for one in self._plan.wanted.values() for fork in self._forks(one.spec)}

    def _push(self, one: Wanted) -> None:
        digest, origin = one.spec.digest(), self._origin(one.spec)
        since = max(origin.step if origin else 0, step_of(run_folder(self._cache.folder, digest)) or 0)
        place = self._places.setdefault(digest, len(self._places))
        heapq.heappush(self._heap, (not one.trial, not since, since - one.spec.steps, place, digest))

    def _wake(self, address: str) -> None:
        for digest in self._waiting.pop(address, []):
            if digest in self._plan.wanted:
                self._push(self._plan.wanted[digest])

    def _origin(self, spec: RunSpec) -> Fork | None:
        return next((fork for fork in self._forks(spec) if fork.address in self._cache), None)

    def _forks(self, spec: RunSpec) -> list[Fork]:
        """Where this run could start, deepest first: forks, and last checkpoints of shorter runs."""
        if not self._sharing:
            return []
        path = self._tree.add(spec)
        steps = {*self._tree.branchings(path), *self._cache.found}
        forks = [path.fork(step, seed=spec.seed) for step in steps if LEAST_SHARED <= step < spec.steps]
        shorter = [step for step in self._ends if step < spec.steps]
        ends = [self._finals.get(path.fork(step, seed=spec.seed).address) for step in shorter]
        return sorted([*forks, *(end for end in ends if end)], key=lambda fork: (-fork.step, fork.final))

    def _branchings(self, spec: RunSpec) -> list[Fork]:
        if not self._sharing:
            return []
        path = self._tree.add(spec)
        return [path.fork(step, seed=spec.seed) for step in self._tree.branchings(path) if step >= LEAST_SHARED]

    def _wanted_by_others(self, fork: Fork, spec: RunSpec) -> bool:
        """Whether another run that is not made, and may come to be wanted, has this past."""
        if fork.address in self._cache or fork.address in self._promised:
            return False
        own = self._tree.add(spec)
        others = self._passing.get(own.past(fork.step), set()) - {own.digest}
        return any(self._may_come(self._tree.paths[other], spec.seed) for other in others)

    def _may_come(self, path: RunPath, seed: int) -> bool:
        digest = path.run_digest(seed)
        if digest in self._started or self._plan.made(digest):
            return False
        # A rate that lost its trials will not be wanted at further seeds.
        owners = self._owners.get(path.digest, set())
        return digest in self._plan.wanted or any(lr in self._plan.rates[name] for name, lr in owners)

    def _grow(self) -> None:
        """Take in the paths of all runs that there may be."""
        study, before = self._plan.study, len(self._tree.paths)
        known = {owner for owners in self._owners.values() for owner in owners}
        for name, lr in sorted({(name, lr) for name, rates in self._plan.rates.items() for lr in rates} - known):
            path = self._tree.add(study.run(study.strategy(name).at_rate(lr), seed=0))
            self._owners.setdefault(path.digest, set()).add((name, lr))
        if len(self._tree.paths) > before:
            self._passing = {}
            for path in self._tree.paths.values():
                for step in self._tree.branchings(path):
                    self._passing.setdefault(path.past(step), set()).add(path.digest)
