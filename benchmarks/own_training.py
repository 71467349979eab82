"""What the run handle costs, and a study of a training function next to Optuna and Ray Tune.

step     a training loop with `run.follow`, against the same loop with torch's optimizer and scheduler:
         median over pairs of the ratio of seconds, in alternating order
run      from the call of a function in a worker to its first update, and from its last to its record: the same
         function run by hand, subtracted
runs     the same 30 runs of one training function: calando.compare, Optuna, Ray Tune, each with two processes

python benchmarks/own_training.py [--pairs 20] [--only step|run|runs]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import torch
from torch import nn

import calando
from calando.loops.run_channel import Assignment
from calando.loops.run_start import active
from calando.strategy import parse_strategy

STEPS = 400


def network() -> nn.Module:
    """A small convolutional network: an update takes about a millisecond, so that overheads show."""
    return nn.Sequential(
        nn.Conv2d(3, 16, 3), nn.ReLU(), nn.Conv2d(16, 16, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(16, 10),
    )  # fmt: skip


def loop(model: nn.Module, optimizer: torch.optim.Optimizer, after, *, steps: int = STEPS) -> float:
    """Seconds of a plain training loop."""
    x, y = torch.randn(32, 3, 16, 16), torch.randint(0, 10, (32,))
    began = time.perf_counter()
    for _ in range(steps):
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
        optimizer.zero_grad()
        after()
    return time.perf_counter() - began


def script_alone() -> float:
    """As people write it: torch's optimizer and torch's cosine."""
    torch.manual_seed(0)
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    return loop(model, optimizer, scheduler.step)


def with_handle(how: str) -> float:
    """The same under a study: `how` is "follow" or "scheduler"."""
    text = "sgd(lr=0.01, momentum=0.9) | cosine(1, 0)" if how == "follow" else "own(lr=0.01) | cosine(1, 0)"
    asked = Assignment(strategy="", seed=0, total_steps=STEPS, steps_per_epoch=100)
    with active(parse_strategy(text), asked, lambda report: False) as run:
        model = network()
        if how == "follow":
            return loop(model, run.follow(model, total_steps=STEPS, steps_per_epoch=100).optimizer, lambda: None)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
        scheduler = run.scheduler(optimizer, total_steps=STEPS, steps_per_epoch=100)
        return loop(model, optimizer, scheduler.step)


def measure_step(pairs: int) -> None:
    """Ratio of a step's time with the handle to that of the script alone."""
    script_alone(), with_handle("follow"), with_handle("scheduler")
    for how in ("follow", "scheduler"):
        ratios = []
        for pair in range(pairs):
            order = [script_alone, lambda how=how: with_handle(how)]
            seconds = {}
            for which in (0, 1) if pair % 2 else (1, 0):
                seconds[which] = order[which]()
            ratios.append(seconds[1] / seconds[0])
        low, high = statistics.quantiles(ratios, n=4)[0], statistics.quantiles(ratios, n=4)[2]
        print(
            f"step, run.{how}: ratio {statistics.median(ratios):.4f} (quartiles {low:.4f} to {high:.4f}, n = {pairs})"
        )


def tiny(run) -> None:
    """One update, so that what is left is what a run costs."""
    model = nn.Linear(2, 1)
    training = run.follow(model, total_steps=1)
    model(torch.ones(1, 2)).sum().backward()
    training.optimizer.step()
    run.report(0.5)


def measure_run(pairs: int) -> None:
    """Milliseconds of a run that are not its code's: everything but process start."""
    from calando.records import OwnTrainingSpec, RunSpec
    from calando.study.jobs import Lease, Train
    from calando.study.own_training import OwnTraining, perform_own

    spec = OwnTrainingSpec(code="function:tiny")
    training = OwnTraining(spec, function=tiny)
    strategy = parse_strategy("sgd(lr=0.01) | cosine(1, 0)")
    spent = []
    with tempfile.TemporaryDirectory() as folder:
        for pair in range(pairs + 1):
            run = RunSpec(workload=spec, strategy=strategy, steps=1, steps_per_epoch=1, evaluate_every=1, seed=pair)
            began = time.perf_counter()
            perform_own(Lease(1, Train(run)), training, Path(folder), slot=0, threads=1, report=lambda *_: False)
            whole = time.perf_counter() - began
            began = time.perf_counter()
            tiny(calando.run("sgd(lr=0.01) | cosine(1, 0)"))
            spent.append(1000 * (whole - (time.perf_counter() - began)))
    spent = spent[1:]
    print(f"run, apart from its process: {statistics.median(spent):.1f} ms (most {max(spent):.1f}, n = {pairs})")


def train(run) -> None:
    """A second or so of training."""
    model = network()
    training = run.follow(model, total_steps=STEPS, steps_per_epoch=STEPS)
    loop(model, training.optimizer, lambda: None)
    run.report(0.5)


def plain(lr: float) -> float:
    """The same as a function of the rate, as tuners call it."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    loop(model, optimizer, scheduler.step)
    return 0.5


def by_calando() -> float:
    """30 runs: two strategies of 15 seeds at a given rate."""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        calando.compare(
            train, "fixed", "cosine", seeds=15, lr=0.01, workers=2, folder=folder, check_repeats=False,
            listen=lambda status: None,
        )  # fmt: skip
    return time.perf_counter() - began


def by_optuna() -> float | None:
    """30 trials in two processes, as Optuna's tutorial on parallel trials has it: one storage, two studies."""
    try:
        import optuna
    except ImportError:
        return None
    import multiprocessing

    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        storage = f"sqlite:///{folder}/optuna.db"
        optuna.create_study(study_name="rates", storage=storage)
        context = multiprocessing.get_context("spawn")
        workers = [context.Process(target=_optuna_worker, args=(storage,)) for _ in range(2)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    return time.perf_counter() - began


def _optuna_worker(storage: str) -> None:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.load_study(study_name="rates", storage=storage)
    study.optimize(lambda trial: plain(trial.suggest_float("lr", 1e-3, 1e-1, log=True)), n_trials=15)


def by_ray() -> float | None:
    """30 trials on two CPUs."""
    try:
        from ray import tune
    except ImportError:
        return None
    import ray

    began = time.perf_counter()
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    with tempfile.TemporaryDirectory() as folder:
        tuner = tune.Tuner(
            lambda config: {"score": plain(config["lr"])},
            param_space={"lr": tune.loguniform(1e-3, 1e-1)},
            tune_config=tune.TuneConfig(num_samples=30),
            run_config=tune.RunConfig(storage_path=folder, verbose=0),
        )
        tuner.fit()
    ray.shutdown()
    return time.perf_counter() - began


def measure_runs(pairs: int) -> None:
    """Wall-clock of the same 30 runs, in one sitting."""
    kinds = {"calando": by_calando, "optuna": by_optuna, "ray": by_ray}
    seconds: dict[str, list[float]] = {name: [] for name in kinds}
    for pair in range(pairs):
        for name, make in reversed(kinds.items()) if pair % 2 else kinds.items():
            found = make()
            if found is not None:
                seconds[name].append(found)
                print(f"runs, {name}: {found:.1f} s", flush=True)
    for name in ("optuna", "ray"):
        if seconds[name]:
            ratios = [ours / theirs for ours, theirs in zip(seconds["calando"], seconds[name], strict=True)]
            print(
                f"runs, calando over {name}: {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}, "
                f"n = {len(ratios)} pairs)"
            )
        else:
            print(f"runs, {name}: not installed")


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--only", choices=("step", "run", "runs"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.only in (None, "step"):
        measure_step(options.pairs)
    if options.only in (None, "run"):
        measure_run(options.pairs)
    if options.only in (None, "runs"):
        measure_runs(max(1, options.pairs // 10))


if __name__ == "__main__":
    main()
