"""What others do with the same runs: the usual rate, a range test, and Optuna's samplers and pruners.

Optuna proposes exponents of two between the case's bounds and is answered from the table of truth (schedule "half"):
what a run scores on validation, and for pruners minus its smoothed training loss at each tenth of the run. Every
update is charged; a study ends with the run in which its budget is used up, and answers with the best run that was
finished. Test scores are those of the answer's cell, so that nobody's luck counts.

    tpe         Optuna's TPE, whole runs
    hyperband   TPE with the Hyperband pruner
    asha        random search with the successive-halving pruner, asynchronous as in Li et al. 2020
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from .cases import Case
from .truth import read, traces

__all__ = ["OPTUNA", "optuna_answer"]

OPTUNA = ("tpe", "hyperband", "asha")
TENTHS = 10
_read, _traces = cache(read), cache(traces)


def _makers() -> dict[str, Callable[[int], tuple[Any, Any]]]:
    import optuna
    from optuna.pruners import HyperbandPruner, NopPruner, SuccessiveHalvingPruner
    from optuna.samplers import RandomSampler, TPESampler

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return {
        "tpe": lambda seed: (TPESampler(seed=seed), NopPruner()),
        "hyperband": lambda seed: (TPESampler(seed=seed), HyperbandPruner(1, TENTHS, 3)),
        "asha": lambda seed: (RandomSampler(seed=seed), SuccessiveHalvingPruner(min_resource=1, reduction_factor=3)),
    }


def optuna_answer(case: Case, kind: str, *, seed: int, budget: float, draw: int = 0) -> tuple[int | None, float]:
    """The exponent that a study ends with, None where no run was finished; and what it cost, in runs."""
    import optuna

    rows, losses = _read(case), _traces(case)
    sampler, pruner = _makers()[kind](1000 * seed + draw)
    study = optuna.create_study(direction="maximize", sampler=sampler, pruner=pruner)
    spent, done = 0.0, dict[int, float]()
    while spent < budget:
        trial = study.ask()
        exponent = trial.suggest_int("exponent", *case.exponents)
        key = f"half {exponent} {seed}"
        made = 0
        for tenth in range(1, TENTHS + 1):
            made, stop = tenth, round(case.steps * tenth / TENTHS)
            window = losses[key][max(0, stop - case.steps // 20) : stop]
            loss = float(np.nan_to_num(window.mean(dtype=np.float64), nan=1e9))
            trial.report(-loss, tenth)
            if spent + tenth / TENTHS >= budget or (kind != "tpe" and trial.should_prune()):
                break
        spent += made / TENTHS
        if made == TENTHS:
            done[exponent] = float(rows[key]["validation"])
            study.tell(trial, done[exponent])
        else:
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
    return (max(done, key=lambda one: done[one]) if done else None), spent
