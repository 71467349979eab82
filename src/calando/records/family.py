"""Runs that differ in their seed alone: a thousand of them are made, read and named for the price of a few.

    canonical JSON of a run     head  ,"seed":  SEED  tail
    digest                      first 16 hexadecimal digits of SHA-256(head ,"seed": SEED tail)

The head is hashed once; what a seed adds is a few bytes.
"""

from __future__ import annotations

import hashlib
from typing import final

from calando.records.spec import RunSpec

__all__ = ["RunFamily", "SpecReader"]

_SEED = ',"seed":'


@final
class RunFamily:
    """A run at any seed, made of a run at one.

    >>> from calando.records.strategy_spec import StrategySpec
    >>> from calando.records.task_spec import WorkloadSpec
    >>> run = RunSpec(
    ...     workload=WorkloadSpec(data="digits"), strategy=StrategySpec(name="a", method="sgd", lr=0.1),
    ...     steps=9, steps_per_epoch=3, evaluate_every=3, seed=0,
    ... )
    >>> family = RunFamily(run)
    >>> family.run(7).seed, family.digest(7) == family.run(7).digest()
    (7, True)
    """

    def __init__(self, run: RunSpec) -> None:
        self._one = run
        # After the seed come the lane and the skips, which hold no names of the user's: the last one is the run's.
        head, seed, rest = run.canonical().rpartition(_SEED)
        digits, comma, tail = rest.partition(",")
        assert seed
        assert digits == str(run.seed)
        self._head = hashlib.sha256(f"{head}{seed}".encode())
        self._tail = f"{comma}{tail}".encode()

    def run(self, seed: int) -> RunSpec:
        assert seed >= 0
        return self._one.model_copy(update={"seed": seed})

    def digest(self, seed: int) -> str:
        hashed = self._head.copy()
        hashed.update(b"%d" % seed + self._tail)
        return hashed.hexdigest()[:16]


@final
class SpecReader:
    """Runs from their JSON; of those whose texts differ in the seed alone, one is parsed."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], RunFamily] = {}

    def read(self, text: str) -> tuple[RunSpec, str]:
        """The run of a text, and its digest; ValueError where it is none."""
        head, _, rest = text.rpartition(_SEED)
        digits, comma, tail = rest.partition(",")
        family = self._known.get((head, tail))
        if family is None or not _is_seed(digits):
            run = RunSpec.model_validate_json(text)
            family = RunFamily(run)
            # Only where what was cut out is the run's seed, and nothing else in it.
            if digits == str(run.seed):
                other = RunSpec.model_validate_json(f"{head}{_SEED}{run.seed + 1}{comma}{tail}")
                if other == family.run(run.seed + 1):
                    self._known[head, tail] = family
            return run, family.digest(run.seed)
        return family.run(int(digits)), family.digest(int(digits))


def _is_seed(digits: str) -> bool:
    return digits.isascii() and digits.isdigit() and digits == str(int(digits))
