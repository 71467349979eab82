"""The race with one thing changed at a time, on the development cases: what each rule is worth."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from calando.analysis.arms import USUAL

from .cases import CASES
from .score import Truth, line, ours

__all__ = ["CHANGES", "show"]

CHANGES: dict[str, dict[str, Any]] = {
    "as it is": {},
    "ties go to the lower loss": {"tie": 0.0, "sure": 0.0},
    "ties twice as wide": {"tie": 0.02},
    "no clock: judged at 10 % whatever was learned": {"begun": 9.9, "later": 0.0},
    "the clock strikes earlier, at 95 % of chance": {"begun": 0.95},
    "judged at 5 %": {"judged": 0.05},
    "judged at 20 %": {"judged": 0.2},
    "a window a fourth as long": {"window": 0.01, "least_window": 8},
    "no patience with arms that are behind early": {"patience": 0.0},
    "twice the patience": {"patience": 0.2},
    "half as sure": {"sure": 1.0},
    "twice as sure": {"sure": 4.0},
    "arms a factor of two apart from the start": {"spacing": 2.0},
    "no arms between, a factor of four apart": {"fine": 4.0},
    "an arm at chance while a sibling learns is not dead": {"at_chance": 99.0},
    "looked at half as often": {"rung": 0.02},
}


def show(data_dir: Path) -> None:
    """A line a change."""
    cases = [case for case in CASES if not case.untouched and Truth(case).known]
    for name, change in CHANGES.items():
        found = [pair for case in cases for pair in ours(case, data_dir, rules=replace(USUAL, **change))]
        print(line(name[:52].ljust(52), found), flush=True)
    found = [pair for case in cases for pair in ours(case, data_dir, own_batches=True)]
    print(line("every arm on weights and batches of its own".ljust(52), found))
