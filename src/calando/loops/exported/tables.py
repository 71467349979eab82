"""Everything of a run as rows of five tables, for files that any program reads.

    runs           one row a run: what was run, how it ended, what it cost; which run it left where it was steered
    evaluations    one row a look at the validation part
    trace          one row an update: its rate and its loss
    events         what controllers and the loop did
    specs          the whole spec of a run as JSON, from which it can be made again

`run` is the run's digest in all of them. A number that is not known is None.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal

import numpy as np

from calando.records.kept_runs import KeptRun

__all__ = ["TABLES", "Cells", "cells_of"]

Type = Literal["text", "whole", "number"]
Cells = Mapping[str, Sequence[Any] | np.ndarray]
"""Column -> its values, all equally many."""

TABLES: Final[Mapping[str, Mapping[str, Type]]] = {
    "runs": {
        "run": "text",
        "task": "text",
        "strategy": "text",
        "text": "text",
        "method": "text",
        "lr": "number",
        "seed": "whole",
        "steps": "whole",
        "steps_per_epoch": "whole",
        "parent": "text",
        "branched_at": "whole",
        "outcome": "text",
        "steps_done": "whole",
        "validation_score": "number",
        "validation_loss": "number",
        "test_score": "number",
        "test_loss": "number",
        "test_n": "whole",
        "updates": "whole",
        "updates_spent": "whole",
        "seconds_spent": "number",
        "lane": "text",
        "machine": "text",
        "torch": "text",
        "python": "text",
    },
    "evaluations": {
        "run": "text",
        "step": "whole",
        "score": "number",
        "loss": "number",
        "raw_score": "number",
        "raw_loss": "number",
    },
    "trace": {"run": "text", "step": "whole", "rate": "number", "loss": "number"},
    "events": {"run": "text", "step": "whole", "kind": "text", "text": "text"},
    "specs": {"run": "text", "spec": "text"},
}


def cells_of(run: KeptRun) -> Mapping[str, Cells]:
    """Its rows in each table."""
    spec, test, host, key = run.spec, run.test, run.host, run.digest
    row = {
        "run": key,
        "task": spec.workload.title,
        "strategy": spec.strategy.name,
        "text": spec.strategy.text,
        "method": spec.strategy.method,
        "lr": spec.lr,
        "seed": spec.seed,
        "steps": spec.steps,
        "steps_per_epoch": spec.steps_per_epoch,
        "parent": None if run.branch is None else run.branch.parent,
        "branched_at": None if run.branch is None else run.branch.step,
        "outcome": run.outcome,
        "steps_done": run.steps_done,
        "validation_score": run.score,
        "validation_loss": run.loss,
        "test_score": None if test is None else test.score,
        "test_loss": None if test is None else test.loss,
        "test_n": None if test is None else test.n,
        "updates": run.updates,
        "updates_spent": run.updates_spent,
        "seconds_spent": run.seconds_spent,
        "lane": spec.lane.text,
        "machine": host.get("machine"),
        "torch": host.get("torch"),
        "python": host.get("python"),
    }
    assert row.keys() == TABLES["runs"].keys()
    count = len(run.losses)
    return {
        "runs": {name: [value] for name, value in row.items()},
        "evaluations": _cells(key, ("step", "score", "loss", "raw_score", "raw_loss"), run.evaluations),
        "trace": {"run": [key] * count, "step": np.arange(count), "rate": run.rates, "loss": run.losses},
        "events": _cells(key, ("step", "kind", "text"), run.events),
        "specs": {"run": [key], "spec": [spec.model_dump_json()]},
    }


def _cells(key: str, names: Sequence[str], entries: Iterable[object]) -> Cells:
    found = list(entries)
    return {"run": [key] * len(found), **{name: [getattr(entry, name) for entry in found] for name in names}}
