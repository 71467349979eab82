"""Sharing: what a comparison costs when shared pasts are trained once, over training every run alone.

    python benchmarks/sharing.py [--data ../shared/data] [--only NAME] [--rounds 1] [--workers 2]

Each study is made twice in one run, with sharing and without, in turns, each time in a new folder, by the same two
worker processes. It prints, and fails where the first two do not hold:

    the same     every run of the one equals that of the other to the bit: losses, rates, evaluations, events, outcome,
                 test scores; so do rates settled on and verdicts
    trained      updates trained over updates asked for; equal to the fewest that the tree of pasts allows (forks below
                 update 8 left out: a checkpoint costs about as much; where a run diverges, less is asked for)
    seconds      wall-clock with sharing over without: workers' start, store, checkpoints, test looks, all in

    digits          the default comparison: what `calando compare digits` runs
    digits-stages   fixed, step, multistep, stable-then-decay at three horizons, and plateau; 5 rates, 3 seeds
    cifar-stages    the same with ResNet-8 on 5,000 images of CIFAR-10
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from calando.records import Store
from calando.strategy.presets import DEFAULT_STRATEGIES
from calando.study.build_spec import BuiltStudy, build_study
from calando.study.conduct import conduct
from calando.study.limits import Budget, Machine
from calando.study.stages import LEAST_SHARED, StageTree
from calando.tasks.catalog import resolve

STUDIES = ("digits", "digits-stages", "cifar-stages")
SGD = "sgd(lr=auto, momentum=0.9, nesterov=true, weight_decay=0.0005)"
STAGES = (
    f"fixed = {SGD}",
    f"step = {SGD} | step(every='30%', factor=0.1)",
    f"multistep = {SGD} | multistep(at=['50%', '75%'], factor=0.1)",
    *(
        f"wsd-{share[:-1]} = {SGD} | constant(1, over='80%') >> one_minus_sqrt(1, 0) | horizon('{share}')"
        for share in ("40%", "70%", "100%")
    ),
    f"plateau = {SGD} | plateau(factor=0.1, patience='10%')",
)


@dataclass(frozen=True)
class Made:
    """What a study gave, and what it took."""

    contents: dict[str, Any]
    asked: int
    trained: int
    fewest: int
    seconds: float


def study(name: str, data: Path) -> BuiltStudy:
    """What is compared."""
    machine = Machine(device="cpu")
    if name == "digits":
        return build_study(resolve("digits"), DEFAULT_STRATEGIES, budget=Budget(), machine=machine)
    if name == "digits-stages":
        return build_study(resolve("digits"), STAGES, budget=Budget(epochs=10), machine=machine, seeds=3, rates=5)
    workload = resolve("cifar10", model="resnet8", train_limit=5000)
    return build_study(workload, STAGES, budget=Budget(steps=120), machine=machine, seeds=3, rates=5, data_dir=data)


def make(asked: BuiltStudy, *, data: Path, workers: int, sharing: bool) -> Made:
    """The whole study, in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        how = "checked" if sharing else "none"
        summary = conduct(Path(folder), asked.study, asked.task, data_dir=data, workers=workers, sharing=how)
        seconds = time.monotonic() - began
        with Store.open(Path(folder), read_only=True) as store:
            runs, tests = store.runs(), store.tests()
    contents = {
        "runs": {
            digest: (run.outcome, run.losses.tobytes(), run.rates.tobytes(), repr(run.evaluations), run.events)
            for digest, run in runs.items()
        },
        "tests": tests,
        "verdicts": (summary.best, repr(summary.comparisons), [(one.name, one.lr) for one in summary.results]),
    }
    trees: dict[int, StageTree] = {}
    for run in runs.values():
        if run.outcome != "diverged":
            trees.setdefault(run.spec.seed, StageTree()).add(run.spec)
    # What a run that diverged shares is not known from its spec: its own updates count.
    lost = sum(run.updates_spent for run in runs.values() if run.outcome == "diverged")
    return Made(
        contents,
        asked=sum(run.updates for run in runs.values()),
        trained=sum(run.updates_spent for run in runs.values()),
        fewest=lost + sum(tree.updates(least=LEAST_SHARED) for tree in trees.values()),
        seconds=seconds,
    )


def measure(name: str, *, data: Path, rounds: int, workers: int) -> None:
    """Print one study's line."""
    asked = study(name, data)
    shared, alone = [], []
    for turn in range(rounds):
        order = (True, False) if turn % 2 == 0 else (False, True)
        for sharing in order:
            (shared if sharing else alone).append(make(asked, data=data, workers=workers, sharing=sharing))
    first, other = shared[0], alone[0]
    assert all(made.contents == first.contents for made in (*shared, *alone)), "sharing changes a result"
    assert all(made.trained == made.fewest for made in shared), (first.trained, first.fewest)
    assert other.trained == other.asked == first.asked
    ratios = [one.seconds / two.seconds for one, two in zip(shared, alone, strict=True)]
    spread = f" ({min(ratios):.3f} to {max(ratios):.3f})" if rounds > 1 else ""
    share = f"{first.trained} of {first.asked} updates = {first.trained / first.asked:.3f}, the fewest the tree allows"
    took, would = (statistics.median(made.seconds for made in these) for these in (shared, alone))
    clock = f"{took:.0f} s / {would:.0f} s = {statistics.median(ratios):.3f}{spread}, n={rounds}"
    runs = len(first.contents["runs"])
    print(f"{name}: {runs} runs, the same to the bit; trained {share}; wall-clock {clock}", flush=True)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--only", choices=STUDIES)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    for name in STUDIES:
        if options.only in (None, name):
            measure(name, data=options.data, rounds=options.rounds, workers=options.workers)


if __name__ == "__main__":
    main()
