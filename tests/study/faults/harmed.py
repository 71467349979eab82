"""The study that is harmed: what is asked, how it ends, and its folder at three moments."""

import dataclasses
from pathlib import Path

from calando.strategy.presets import choose_strategies
from calando.study.build_spec import build_study
from calando.study.limits import Budget, Machine
from calando.tasks.catalog import resolve

STRATEGIES = ("fixed", "step")
WORDS = [
    "digits",
    *STRATEGIES,
    "--steps",
    "24",
    "--seeds",
    "2",
    "--rates",
    "2",
    "--batch-size",
    "16",
    "--device",
    "cpu",
    "--no-page",
]


def ask(*strategies: str, steps: int = 24):
    """What the command asks, or something else."""
    return build_study(
        resolve("digits", batch_size=16),
        choose_strategies(strategies or STRATEGIES),
        budget=Budget(steps=steps),
        machine=Machine(device="cpu"),
        seeds=2,
        rates=2,
    )


@dataclasses.dataclass(frozen=True)
class Ended:
    """How the command ended."""

    status: int
    out: str
    err: str


def timeless(said: object) -> object:
    """What the command says as JSON, without what depends on the moment: seconds, and what was spent."""
    if isinstance(said, dict):
        moment = ("second", "spent", "inherited")
        return {key: timeless(one) for key, one in said.items() if not any(word in key for word in moment)}
    return [timeless(one) for one in said] if isinstance(said, list) else said


@dataclasses.dataclass(frozen=True)
class Moments:
    """The study of this page as its folder was at three moments, and what it comes to.

    Args:
        midway: killed with some runs made and one begun, what was last written still in the store's log.
        trained: killed with everything trained and nothing tested.
        finished: left alone.
    """

    midway: Path
    trained: Path
    finished: Path
    decided: dict
    table: object
