"""MLflow: a parent run a study, and a nested run for each of its runs; into a file of SQLite, or any tracking URI.

experiment    the task
parent run    the study, by the tag calando.study
nested run    by the tag calando.run, its digest: what is begun twice is one run
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, final

from calando.loops.trackers import Point, Tracked, TrackedRun, register, unreported, uri_of

__all__ = ["MLflow"]

MOST_METRICS = 1000
"""Of one call: MLflow refuses more."""
LONGEST = 5000
"""Letters of a tag or a parameter: MLflow cuts or refuses more."""


@register(
    "mlflow",
    package="mlflow",
    extra="mlflow",
    place="mlflow.db",
    see="mlflow ui --backend-store-uri {uri} (the whole mlflow package)",
)
@final
class MLflow:
    """See the top of this page."""

    def __init__(self, place: str, tracked: Tracked) -> None:
        with unreported("MLFLOW_DISABLE_TELEMETRY", "true"):
            import mlflow

        if "://" not in place and not Path(place).exists():
            _create(Path(place))
        self.client = mlflow.MlflowClient(tracking_uri=uri_of(place))
        found = self.client.get_experiment_by_name(tracked.title)
        self.experiment = found.experiment_id if found else self.client.create_experiment(tracked.title)
        tags = {"calando.study": tracked.key, "mlflow.runName": tracked.name}
        tags |= {f"calando.{name}": value[:LONGEST] for name, value in tracked.facts.items()}
        self.parent = self._found(f"tags.`calando.study` = '{tracked.key}'")
        if self.parent is None:
            self.parent = self.client.create_run(self.experiment, tags=tags).info.run_id
        self.client.update_run(self.parent, status="RUNNING")
        self.ids: dict[str, str] = {}

    def begin(self, run: TrackedRun, *, since: int | None) -> None:
        """The nested run of that digest, or a new one."""
        there = self._nested(run)
        if there is not None and since is None:
            self.client.delete_run(there)
        elif there is not None:
            self.ids[run.key] = there
            self.client.update_run(there, status="RUNNING")
            return
        from mlflow.entities import Param

        tags = {"calando.run": run.key, "mlflow.parentRunId": self.parent, "mlflow.runName": run.name}
        made = self.ids[run.key] = self.client.create_run(self.experiment, tags=tags).info.run_id
        parameters = [Param(name, str(value)[:LONGEST]) for name, value in run.parameters.items()]
        self.client.log_batch(made, params=parameters)

    def points(self, run: TrackedRun, points: Sequence[Point]) -> None:
        """Metrics."""
        self._log(self.ids[run.key], points)

    def late(self, run: TrackedRun, points: Sequence[Point]) -> None:
        """The same of a run that is over, where there is one."""
        if (there := self._nested(run)) is not None:
            self._log(there, points)

    def _log(self, run: str, points: Sequence[Point]) -> None:
        from mlflow.entities import Metric

        now = round(time.time() * 1000)
        metrics = [Metric(name, value, now, step) for step, numbers in points for name, value in numbers.items()]
        for start in range(0, len(metrics), MOST_METRICS):
            self.client.log_batch(run, metrics=metrics[start : start + MOST_METRICS])

    def end(self, run: TrackedRun, outcome: str) -> None:
        """Its status; a run that diverged has failed."""
        made = self.ids.pop(run.key)
        self.client.set_tag(made, "calando.outcome", outcome)
        self.client.set_terminated(made, status="FINISHED" if outcome != "diverged" else "FAILED")

    def leave(self, run: TrackedRun) -> None:
        """It is not running."""
        self.client.set_terminated(self.ids.pop(run.key), status="KILLED")

    def close(self) -> None:
        """The study is not running."""
        self.client.set_terminated(self.parent)

    def _nested(self, run: TrackedRun) -> Any:
        return self._found(f"tags.`calando.run` = '{run.key}' and tags.`mlflow.parentRunId` = '{self.parent}'")

    def _found(self, where: str) -> Any:
        found = self.client.search_runs([self.experiment], filter_string=where, max_results=1)
        return found[0].info.run_id if found else None


def _create(path: Path) -> None:
    """Have MLflow make its tables, under another name until all are there: it refuses what a kill leaves of them."""
    import mlflow

    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.new")
    for name in ("", "-journal", "-wal", "-shm"):
        fresh.with_name(f"{fresh.name}{name}").unlink(missing_ok=True)
    mlflow.MlflowClient(tracking_uri=uri_of(str(fresh))).search_experiments(max_results=1)
    fresh.replace(path)
