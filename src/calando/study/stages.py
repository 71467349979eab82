"""Stages: runs whose pasts are equal share them.

    past of a run at step s   what decides its state before update s:
                                  workload, seed, lane, method with its options, the steps after which it is evaluated;
                                  controllers and average, bound to the horizon;
                                  v[0..s), every value that every parameter group's hyper-parameters had
    two runs part             at the first step whose values differ, and at the latest before the shorter one's last
                              update, which an evaluation of its own follows
    address of a fork         SHA-256 of the past: equal pasts have one address, whoever trained them, and when

Values are compared, not names: a constant rate, a staircase and a plateau that then decays have one past until their
values part. A run is a path through the tree of pasts; a stage is the part between two forks on it.

Sources: Shin et al. 2020, *Stage-based Hyper-parameter Optimization* (stage trees); Li et al. 2018 (Massively parallel
tuning shares nothing, and pays for it).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import final

import numpy as np

from calando.records import RunSpec
from calando.records.family import RunFamily
from calando.strategy import bind

__all__ = ["LEAST_SHARED", "Fork", "RunPath", "StageTree", "part_at"]

LEAST_SHARED = 8
"""Updates below which a past is trained again rather than kept: a checkpoint costs about as much."""

COMPARED_AT_ONCE = 1024


@dataclass(frozen=True)
class Fork:
    """A checkpoint at `step`, of the past at an address; where `final`, of the run with that digest, at its end."""

    step: int
    address: str
    final: bool = False


@final
class RunPath:
    """A run as its values, blind to its seed."""

    def __init__(self, spec: RunSpec) -> None:
        self._family = RunFamily(spec)
        self.spec, self.digest = self._family.run(0), self._family.digest(0)
        strategy = spec.strategy
        bound = bind(strategy, spec.horizon)
        method, curves = bound.method, bound.curves
        names = method.groups.names(dict(bound.options))
        self.steps = spec.steps
        known = {
            "workload": spec.workload.model_dump(),
            "lane": spec.lane.model_dump(),
            "method": method.name,
            "options": dict(bound.options),
            "base": spec.lr if method.keeps_base else None,
            "scheduled": sorted(bound.schedules),
            "controllers": repr(bound.controllers),
            "average": repr(bound.average),
            "steps_per_epoch": spec.steps_per_epoch,
            "evaluate_every": spec.evaluate_every,
            "skips": spec.skips,
        }
        self.key = hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()
        sampled = {
            key: {curve.schedule: curve.sample() * (spec.lr if key == "lr" else 1.0) for curve in curves[key]}
            for key in sorted(curves)
        }
        # One column a hyper-parameter and group; groups that follow one schedule share the array.
        self.columns = tuple(sampled[key][bound.schedules[key].for_group(name)] for key in sampled for name in names)
        self._pasts: dict[int, str] = {}

    def run_digest(self, seed: int) -> str:
        return self._family.digest(seed)

    def past(self, step: int) -> str:
        """Digest of the past before update `step`, blind to the seed."""
        if step not in self._pasts:
            seen: dict[int, bytes] = {}
            for column in self.columns:
                if id(column) not in seen:
                    seen[id(column)] = hashlib.sha256(column[:step].astype("<f8").tobytes()).digest()
            parts = b"".join(seen[id(column)] for column in self.columns)
            self._pasts[step] = hashlib.sha256(f"{self.key} {step} ".encode() + parts).hexdigest()
        return self._pasts[step]

    def fork(self, step: int, *, seed: int) -> Fork:
        """Where this path stands before update `step`, at one seed."""
        return Fork(step, hashlib.sha256(f"{self.past(step)} {seed}".encode()).hexdigest()[:24])

    def values(self, step: int) -> bytes:
        """What tells this path from others at update `step`; its last update is like no other."""
        own = self.digest if step == self.steps - 1 else ""
        return b"".join(column[step].tobytes() for column in self.columns) + own.encode()


def part_at(one: RunPath, other: RunPath, *, since: int = 0) -> int:
    """The first update that the two do not share; they are known to share those before `since`.

    >>> from calando.strategy import parse_strategy
    >>> from calando.records import RunSpec, WorkloadSpec
    >>> def path(text: str, steps: int) -> RunPath:
    ...     strategy = parse_strategy(text)
    ...     return RunPath(RunSpec(workload=WorkloadSpec(data="digits"), strategy=strategy, steps=steps,
    ...                            steps_per_epoch=10, evaluate_every=10, seed=0))
    >>> constant, falling = path("sgd(lr=0.1)", 100), path("sgd(lr=0.1) | constant(1, over='80%') >> linear(1, 0)", 100)
    >>> part_at(constant, falling), part_at(constant, path("sgd(lr=0.1)", 1000))
    (81, 99)
    """
    if one.key != other.key:
        return 0
    end = min(one.steps, other.steps) - 1
    # Tracks of equal groups are compared once.
    pairs = {(id(a), id(b)): (a, b) for a, b in zip(one.columns, other.columns, strict=True)}.values()
    for start in range(since, end, COMPARED_AT_ONCE):
        stop = min(start + COMPARED_AT_ONCE, end)
        differing = [np.flatnonzero(a[start:stop] != b[start:stop]) for a, b in pairs]
        if any(len(places) for places in differing):
            return start + min(int(places[0]) for places in differing if len(places))
    return max(end, since)


@dataclass(eq=False)
class _Node:
    """A path from where it parted from an earlier one to its own end, and the paths that part from it."""

    path: RunPath
    branches: dict[int, dict[bytes, _Node]] = field(default_factory=dict)


@final
class StageTree:
    """The paths of all runs that there may be, merged where they are equal; grows as paths are added."""

    def __init__(self) -> None:
        self._roots: dict[tuple[str, bytes], _Node] = {}
        self.paths: dict[str, RunPath] = {}
        self._cached: dict[str, tuple[int, ...]] = {}

    def add(self, spec: RunSpec) -> RunPath:
        """The path of a run, taken in if it is new; equal ones are one, whatever their seeds."""
        digest = RunFamily(spec).digest(0)
        if digest not in self.paths:
            self.paths[digest] = RunPath(spec)
            self._insert(self.paths[digest])
            self._cached.clear()
        return self.paths[digest]

    def branchings(self, path: RunPath) -> tuple[int, ...]:
        """The steps, ascending, before which other paths part from this one."""
        if path.digest not in self._cached:
            self._cached[path.digest] = tuple(sorted(self._branchings_on_the_way(path)))
        return self._cached[path.digest]

    def updates(self, *, least: int = 0) -> int:
        """The fewest updates that train every path at one seed, if forks before update `least` are not worth it."""
        total, nodes = 0, [(node, 0) for node in self._roots.values()]
        while nodes:
            node, start = nodes.pop()
            total += node.path.steps - start
            for step, children in node.branches.items():
                nodes += [(child, step if step >= least else 0) for child in children.values()]
        return total

    def _insert(self, path: RunPath) -> None:
        root = (path.key, path.values(0))
        node = self._roots.get(root)
        if node is None:
            self._roots[root] = _Node(path)
            return
        since = 0
        while True:
            since = part_at(path, node.path, since=since)
            children = node.branches.setdefault(since, {})
            child = children.get(path.values(since))
            if child is None:
                children[path.values(since)] = _Node(path)
                return
            node = child

    def _branchings_on_the_way(self, path: RunPath) -> set[int]:
        """Of a path that is in the tree, from its root through every node that it passes."""
        node = self._roots[path.key, path.values(0)]
        found: set[int] = set()
        since = 0
        while True:
            parted = path.steps if node.path is path else part_at(path, node.path, since=since)
            found |= {step for step in node.branches if since <= step <= parted}
            if node.path is path:
                return found
            since = parted
            node = node.branches[parted][path.values(parted)]
