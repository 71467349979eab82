"""`find --race` on the cases of `calando tune`: how often its rate is good, at 0.6 runs or less.

good    rates whose "half" cell is within a point of the best of them; near: within a factor of 1.5 of such a rate
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .cases import CASES
from .replay import replay
from .score import Truth

__all__ = ["show"]

NEAR = np.log2(1.5)
MOST_RUNS = 0.6


def show(data_dir: Path) -> None:
    """A line a case, and all of them."""
    found = {case.name: _races(case.name, data_dir) for case in CASES if Truth(case).known}
    for name, rows in (*found.items(), ("all", np.concatenate(list(found.values())))):
        near, sure, runs, regret = rows.T
        print(
            f"{name:26} n={len(rows):3d}  near {near.mean():.0%}  sure {sure.mean():.0%}  near where sure "
            f"{near[sure == 1].mean():.0%}  regret {regret.mean():.2f}  runs {runs.mean():.2f}, most {runs.max():.2f}"
        )


def _races(name: str, data_dir: Path) -> np.ndarray:
    """A row a race: near, sure, runs, regret of its cell among those of "half"."""
    case = next(case for case in CASES if case.name == name)
    truth, exponents = Truth(case), sorted(case.rates)
    scores = np.array([truth.score("half", k) for k in exponents])
    fine = np.arange(exponents[0], exponents[-1] + 0.001, 1 / 50)
    good = fine[np.interp(fine, exponents, scores) >= scores.max() - 1]
    rows = []
    for seed in truth.seeds:
        for off in (0, -1, 1):
            settled = replay(case, seed, data_dir, budget=MOST_RUNS, alone=True, off=off)
            assert settled is not None, "a race alone never goes back"
            place = float(np.log2(settled.leg.rate))
            regret = scores.max() - truth.score("half", round(place))
            sure = settled.begun is not None and not settled.edge
            rows.append((np.abs(good - place).min() <= NEAR + 1e-9, sure, settled.charged / case.steps, regret))
    return np.array(rows, float)
