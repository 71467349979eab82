"""W&B, offline: a folder a run, which `wandb sync` uploads when a person says so; nothing is sent from here.

    PLACE/wandb/offline-run-DATE-DIGEST/run-DIGEST.wandb

Rows are by `step`, a number of their own: W&B's step may not go back, and a score is known after later updates are.
"""

from __future__ import annotations

import importlib
import shutil
from pathlib import Path
from typing import Any, final

from calando.loops.trackers import Tracked, TrackedRun, register, unreported
from calando.loops.wandb_runs import WandbRuns
from calando.records.files import file_name

__all__ = ["open_wandb"]


@register("wandb", package="wandb", extra="wandb", place=".", see="wandb sync {place}/wandb/offline-run-*")
def open_wandb(place: str, tracked: Tracked) -> WandbRuns:
    """See the top of this page."""
    with unreported("WANDB_ERROR_REPORTING", "false"):
        importlib.import_module("wandb")
    folder = Path(place)

    def start(tracked: Tracked, run: TrackedRun) -> _Run:
        return _Run(folder, tracked, run)

    def drop(run: TrackedRun) -> None:
        for earlier in (folder / "wandb").glob(f"offline-run-*-{run.key}"):
            shutil.rmtree(earlier, ignore_errors=True)

    return WandbRuns(tracked, start=start, drop=drop)


@final
class _Run:
    def __init__(self, folder: Path, tracked: Tracked, run: TrackedRun) -> None:
        # Also offline, errors and numbers of use are sent from here and from the process that W&B starts.
        with unreported("WANDB_ERROR_REPORTING", "false"):
            self.run = self._begun(folder, tracked, run)
        self.run.define_metric("*", step_metric="step")

    def _begun(self, folder: Path, tracked: Tracked, run: TrackedRun) -> Any:
        import wandb

        folder.mkdir(parents=True, exist_ok=True)
        # What the person prints, their code and their machine are none of a study's business.
        settings = wandb.Settings(
            console="off",
            silent=True,
            disable_code=True,
            disable_git=True,
            disable_job_creation=True,
            save_code=False,
            x_disable_meta=True,
            x_disable_stats=True,
        )
        return wandb.init(
            project=file_name(tracked.title),
            group=tracked.name,
            id=run.key,
            name=run.name,
            dir=str(folder),
            mode="offline",
            config={**run.parameters, **tracked.facts},
            resume="allow",
            reinit="create_new",
            settings=settings,
        )

    def log(self, step: int, numbers: dict[str, Any]) -> None:
        self.run.log({"step": step, **numbers})

    def finish(self, outcome: str) -> None:
        if outcome:
            self.run.summary["outcome"] = outcome
        self.run.finish(exit_code=int(outcome == "diverged"))
