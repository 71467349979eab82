"""The same set of runs through one tool: what `peers.py` times, each in a process of its own.

    bare             the training function on one run after another, in this process; what the tools' overhead is above
    ours             `calando.compare`, worker processes, shared pasts trained once
    ours-alone       the same, each run trained alone
    ray              Ray Tune: a trial a run, actors kept for the next trial
    ray-fresh        Ray Tune as it comes: a new actor process for each trial, which imports torch each time
    optuna           Optuna: worker processes on a shared journal file, the runs queued beforehand

Optuna's own pages advise against SQLite for this: two workers take the same queued trial ("Cannot tell a COMPLETE
trial", seen here in 1 of 6 tries). Its GridSampler on the journal takes as long as the queue and makes a run or two
twice.

The training function is `calando.training.loop.execute`, which writes nothing without a folder; only ours is given
one. Every tool answers with (score, loss) of each run, in the order of the set. Nothing here imports torch before it
is needed, so that no tool waits for it in its coordinator before its workers start.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from calando.records import RunRecord, RunSpec
    from calando.study.build_spec import BuiltStudy
    from calando.study.scheduler import Sharing

__all__ = ["TOOLS", "Runs"]

Answer = tuple[float, float]
SGD = "sgd(lr={rate}, momentum=0.9, nesterov=True, weight_decay=0.0005)"
SCHEDULES = {
    "fixed": "constant(1)",
    "step": "step(every='34%', factor=0.1)",
    "multistep": "multistep(at=['50%', '75%'], factor=0.1)",
    "wsd": "linear(0.01, 1, over='5%') >> constant(1) >> linear(1, 0, over='20%')",
    "cosine": "cosine(1, 0)",
}
RATES, SEEDS = (0.03, 0.1, 0.3), 2
TINY_STRATEGIES = 10


@dataclass(frozen=True)
class Runs:
    """A set of runs, fixed beforehand.

    Args:
        task: "digits": five schedules at three rates and two seeds; "tiny": see peer_work.py, ten rates and as many
            seeds as `count` asks for.
    """

    task: str
    count: int
    steps: int
    workers: int

    @property
    def workload(self) -> str:
        """Its name."""
        return "digits" if self.task == "digits" else "peer_work:tiny"

    @property
    def strategies(self) -> list[str]:
        """As pipe texts."""
        if self.task == "digits":
            return [
                f"{name}-{rate} = {SGD.format(rate=rate)} | {schedule}"
                for name, schedule in SCHEDULES.items()
                for rate in RATES
            ]
        return [f"lr{rate} = sgd(lr={rate / 1000})" for rate in range(1, TINY_STRATEGIES + 1)]

    @property
    def seeds(self) -> int:
        """Of each strategy."""
        return self.count // len(self.strategies)

    def run(self, index: int) -> RunRecord:
        """Train one of them in this process, which reads the data once."""
        from calando.training.loop import execute

        return execute(self.spec(index), _asked(self).workload)

    def spec(self, index: int) -> RunSpec:
        """One of them, in the set's order."""
        study = _asked(self).study
        strategy, seed = divmod(index, study.seeds)
        return study.run(study.strategies[strategy], seed=seed)


@cache
def _asked(runs: Runs) -> BuiltStudy:
    from calando.study.build_spec import build_study
    from calando.study.limits import Budget, Machine
    from calando.tasks.catalog import resolve

    machine = Machine(device="cpu", precision="fp32")
    workload, budget = resolve(runs.workload), Budget(steps=runs.steps)
    asked = build_study(workload, runs.strategies, budget=budget, machine=machine, seeds=runs.seeds)
    assert len(asked.study.strategies) * asked.study.seeds == runs.count
    return asked


def bare(runs: Runs, folder: Path) -> list[Answer]:
    """One after another."""
    del folder
    records = [runs.run(index) for index in range(runs.count)]
    return [(record.score, record.loss) for record in records]


def ours(runs: Runs, folder: Path, *, sharing: Sharing = "checked") -> list[Answer]:
    """A study: the store, forks and checkpoints, a test look for each run, the statistics."""
    import calando

    calando.compare(
        runs.workload,
        *runs.strategies,
        folder=folder / "study",
        steps=runs.steps,
        seeds=runs.seeds,
        sharing=sharing,
        workers=runs.workers,
        device="cpu",
        precision="fp32",
    )
    from calando.records import Store

    with Store.open(folder / "study", read_only=True) as store:
        records, tests = store.runs(), store.tests()
    assert len(records) == len(tests) == runs.count
    assert sharing == "checked" or not any(record.inherited for record in records.values())
    found = [records[runs.spec(index).digest()] for index in range(runs.count)]
    return [(record.score, record.loss) for record in found]


def ours_alone(runs: Runs, folder: Path) -> list[Answer]:
    """Nothing shared."""
    return ours(runs, folder, sharing="none")


def ray(runs: Runs, folder: Path, *, reuse: bool = True) -> list[Answer]:
    """A grid over the set's places; one CPU a trial."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["RAY_AIR_NEW_OUTPUT"] = "0"
    import ray as ray_itself
    from ray import tune

    ray_itself.init(num_cpus=runs.workers, include_dashboard=False, log_to_driver=False)
    tuner = tune.Tuner(
        tune.with_resources(_trial, {"cpu": 1}),
        param_space={"runs": runs, "index": tune.grid_search(list(range(runs.count)))},
        tune_config=tune.TuneConfig(metric="score", mode="max", reuse_actors=reuse),
        run_config=tune.RunConfig(storage_path=str(folder), verbose=0),
    )
    results = tuner.fit()
    found = {result.config["index"]: (result.metrics["score"], result.metrics["loss"]) for result in results}
    ray_itself.shutdown()
    return [found[index] for index in range(runs.count)]


def _trial(config: dict) -> dict[str, float]:
    record = config["runs"].run(config["index"])
    return {"score": record.score, "loss": record.loss}


def ray_fresh(runs: Runs, folder: Path) -> list[Answer]:
    """As it comes."""
    return ray(runs, folder, reuse=False)


def optuna(runs: Runs, folder: Path) -> list[Answer]:
    """Queued trials, taken by worker processes that share the storage."""
    import optuna as optuna_itself

    optuna_itself.logging.set_verbosity(optuna_itself.logging.WARNING)
    study = optuna_itself.create_study(study_name="runs", storage=_journal(folder), direction="maximize")
    for index in range(runs.count):
        study.enqueue_trial({"index": index})
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_work, args=(runs, folder)) for _ in range(runs.workers)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    trials = study.get_trials(deepcopy=False, states=(optuna_itself.trial.TrialState.COMPLETE,))
    found = {trial.params["index"]: (trial.value, trial.user_attrs["loss"]) for trial in trials}
    return [found[index] for index in range(runs.count)]


def _work(runs: Runs, folder: Path) -> None:
    import optuna as optuna_itself

    optuna_itself.logging.set_verbosity(optuna_itself.logging.WARNING)

    def objective(trial: optuna_itself.Trial) -> float:
        if trial.number >= runs.count:
            # The queue ran dry between the last trial and this one.
            trial.study.stop()
            raise optuna_itself.TrialPruned
        record = runs.run(trial.suggest_int("index", 0, runs.count - 1))
        trial.set_user_attr("loss", record.loss)
        return record.score

    states = optuna_itself.trial.TrialState
    enough = optuna_itself.study.MaxTrialsCallback(runs.count, states=(states.COMPLETE, states.RUNNING))
    sampler = optuna_itself.samplers.RandomSampler(seed=0)
    study = optuna_itself.load_study(study_name="runs", storage=_journal(folder), sampler=sampler)
    study.optimize(objective, callbacks=[enough])


def _journal(folder: Path) -> object:
    import optuna as optuna_itself

    backend = optuna_itself.storages.journal.JournalFileBackend(str(folder / "optuna.log"))
    return optuna_itself.storages.JournalStorage(backend)


TOOLS: dict[str, Callable[[Runs, Path], list[Answer]]] = {
    "bare": bare,
    "ours": ours,
    "ours-alone": ours_alone,
    "ray": ray,
    "ray-fresh": ray_fresh,
    "optuna": optuna,
}
