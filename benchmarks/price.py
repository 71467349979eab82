"""Price: what an update costs with each method, average and controller, by one of SGD with momentum.

    python benchmarks/price.py run [--data ../shared/data]      some ten minutes; give it a quiet moment
    python benchmarks/price.py show

ResNet-8 on CIFAR-10, batches of 128, one thread, the lane as always: `training.loop.advance`, so drawing the batch and
augmenting it count, evaluations do not. Blocks of UPDATES take turns with blocks of plain SGD, ROUNDS times; processor
time is compared, so that other work on the machine counts for neither. A ratio is of the same pair of blocks: the
median, with its quartiles.
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Any

from runs import Kept, Task, run_or_show

from calando.methods import METHODS
from calando.tasks.workload import Workload
from calando.training.lane import holding_lane
from calando.training.loop import advance
from calando.training.state import TrainState, start

KEPT = Kept(Path(__file__).with_suffix(".json"))
UPDATES, ROUNDS, WARM = 4, 9, 2
TASK = Task(data="cifar10", model="resnet8", batch=128, steps=WARM + UPDATES * ROUNDS, limit=5_000)
SGD = "sgd(lr=0.01, momentum=0.9)"
OTHERS = {
    "ema": f"{SGD} | ema()",
    "swa": f"{SGD} | swa(start=0, every=1)",
    "plateau": f"{SGD} | plateau()",
    "rollback": f"{SGD} | rollback()",
    "edge": f"{SGD} | edge(until='100%')",
}


def entries() -> dict[str, str]:
    """Name -> strategy; rates so small that nothing diverges."""
    methods = {name: f"{name}(lr={method.usual_rate / 100:g})" for name, method in METHODS.items()}
    return {**methods, "sgd": SGD, **OTHERS}


class Side:
    """A run that makes a block of updates at a time."""

    def __init__(self, strategy: str, data_dir: Path) -> None:
        spec, self.workload = TASK.settled(strategy, seed=0, data_dir=data_dir)
        self.lane = spec.lane
        with holding_lane(self.lane):
            self.state: TrainState = start(spec, self.workload)
            self.block(WARM)

    def block(self, updates: int) -> float:
        """Seconds of the processor an update."""
        workload: Workload = self.workload
        with holding_lane(self.lane):
            began = time.thread_time()
            # One less than the run's length: its last update is followed by an evaluation.
            advance(self.state, workload, until=min(self.state.step + updates, TASK.steps - 1))
            return (time.thread_time() - began) / updates


def measure(strategy: str, data_dir: Path) -> dict[str, Any]:
    theirs, mine = Side(SGD, data_dir), Side(strategy, data_dir)
    ratios, times = [], []
    for turn in range(ROUNDS - 1):
        if turn % 2:
            ours, sgd = mine.block(UPDATES), theirs.block(UPDATES)
        else:
            sgd, ours = theirs.block(UPDATES), mine.block(UPDATES)
        ratios.append(ours / sgd)
        times.append(1e3 * sgd)
    assert mine.state.step == theirs.state.step == WARM + UPDATES * (ROUNDS - 1), "a run stopped"
    low, middle, high = statistics.quantiles(ratios, n=4)
    return {
        "ratio": round(middle, 3),
        "quartiles": [round(low, 3), round(high, 3)],
        "sgd_ms": round(statistics.median(times), 1),
    }


def run(data_dir: Path) -> None:
    for name, strategy in entries().items():
        key = {"task": str(TASK), "name": name, "strategy": strategy, "rounds": ROUNDS - 1}
        KEPT.measured(key, lambda strategy=strategy: measure(strategy, data_dir))


def show() -> None:
    for row in sorted(KEPT.rows(), key=lambda row: row["ratio"]):
        low, high = row["quartiles"]
        told = f"{row['name']:20} {row['ratio']:.2f}  [{low:.2f}, {high:.2f}]"
        print(f"{told}  sgd {row['sgd_ms']:.0f} ms, n={row['rounds']} pairs")


if __name__ == "__main__":
    run_or_show(__doc__, run, show)
