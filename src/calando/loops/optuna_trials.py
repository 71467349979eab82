"""The trials of an Optuna storage as runs: each has one rate, a parameter of it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from calando.errors import UsageError, quote
from calando.language import message
from calando.loops.log_readers import LoggedRun, is_rate

__all__ = ["trials_in"]


def trials_in(file: Path, storage: Any) -> Iterator[LoggedRun]:
    """A run for each trial that has a parameter which is a rate.

    Raises:
        UsageError: none has.
    """
    import optuna

    count, seen, named = 0, 0, set[str]()
    for study_name in sorted(optuna.get_all_study_names(storage)):
        study = optuna.load_study(study_name=study_name, storage=storage)
        for trial in study.get_trials(deepcopy=False):
            seen += 1
            named |= trial.params.keys()
            rated = next((name for name in trial.params if is_rate(name)), None)
            if rated is None:
                continue
            looks = [(step, value) for step, value in sorted(trial.intermediate_values.items()) if math.isfinite(value)]
            if not looks and trial.values and len(trial.values) == 1:
                looks = [(0, trial.values[0])]
            count += 1
            state = trial.state.name.lower()
            yield LoggedRun(
                f"{file} {study_name}/trial {trial.number}",
                [(0, float(trial.params[rated]))],
                None,
                [],
                {"objective": looks} if looks else {},
                (
                    message(
                        "the trial ({state}) has one rate, its parameter {rated}: what it became later is not kept",
                        state=state,
                        rated=repr(rated),
                    ),
                ),
            )
    if not count:
        params = ", ".join(sorted(named)) or "none"
        raise UsageError(
            message(
                "none of the {seen} trials in {file} has a rate; their parameters: {params}",
                seen=seen,
                file=repr(str(file)),
                params=quote(params),
            )
        )
