"""The checkpoints of a study on disk that runs may still start from, within a budget.

    STUDY/checkpoints/RUN      of each run; an unfinished run goes on from its own, which is not in the cache
    STUDY/forks/ADDRESS        of a past that several runs share

What is beyond the budget is dropped: first what no wanted run passes, then what one does, each time the deepest first,
since more runs can start from an earlier one. What is dropped and wanted again is trained again. The final weights of
runs that wait for their test look stay, whatever the budget.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import final

from calando.study.stages import Fork
from calando.training.checkpoint import Place, drop_checkpoint, size_of, step_of

__all__ = ["CheckpointCache", "fork_folder", "place", "run_folder"]

ROOM_MADE = 0.9
"""Share of the budget that is left occupied after something had to go, so that not every fork drops another."""


def run_folder(study_folder: Path, digest: str) -> Path:
    return study_folder / "checkpoints" / digest


def fork_folder(study_folder: Path, fork: Fork) -> Path:
    return run_folder(study_folder, fork.address) if fork.final else study_folder / "forks" / fork.address


def place(study_folder: Path, fork: Fork) -> Place:
    return Place(fork_folder(study_folder, fork), fork.address)


@final
class CheckpointCache:
    """The checkpoints there are in a study's folder, within `keep` bytes; `finished` are digests of finished runs.

    `found` holds the steps of the forks that were on disk at first.
    """

    def __init__(self, folder: Path, *, finished: Iterable[str], keep: int) -> None:
        self.folder, self.keep = folder, keep
        self._kept: dict[str, tuple[Fork, int]] = {}  # by address, with its size in bytes
        self._occupied = 0
        forks = folder / "forks"
        for path in sorted(forks.iterdir()) if forks.is_dir() else ():
            step = step_of(path)
            if step is None:
                drop_checkpoint(path)
            else:
                self.put(Fork(step, path.name))
        self.found = frozenset(fork.step for fork, _ in self._kept.values())
        finals = folder / "checkpoints"
        there = {path.name for path in finals.iterdir()} if finals.is_dir() else set()
        for digest in finished:
            if digest in there and (step := step_of(finals / digest)) is not None:
                self.put(Fork(step, digest, final=True))

    def __contains__(self, address: str) -> bool:
        return address in self._kept

    def put(self, fork: Fork) -> None:
        _, before = self._kept.get(fork.address, (fork, 0))
        self._kept[fork.address] = fork, size_of(fork_folder(self.folder, fork))
        self._occupied += self._kept[fork.address][1] - before

    def drop(self, address: str) -> None:
        if address in self._kept:
            fork, size = self._kept.pop(address)
            self._occupied -= size
            drop_checkpoint(fork_folder(self.folder, fork))

    def trim(self, *, wanted: Callable[[], set[str]], held: Callable[[], set[str]]) -> int:
        """Drop what is beyond the budget, never what is `held`, first what is not `wanted`; how many were."""
        if self._occupied <= self.keep:
            return 0
        useful, staying = wanted(), held()
        leaving = sorted(
            (fork for fork, _ in self._kept.values() if fork.address not in staying),
            key=lambda fork: (fork.address in useful, -fork.step, fork.address),
        )
        count = 0
        for fork in leaving:
            if self._occupied <= ROOM_MADE * self.keep:
                break
            self.drop(fork.address)
            count += 1
        return count
