"""Methods: a step through our driver against the optimizer's own step, at 50 parameter groups.

    python benchmarks/methods.py run [--rounds 41]      a minute or two; give it a quiet moment
    python benchmarks/methods.py show

Each of torch's methods as the registry builds it, 50 groups of a filter bank each (16 x 16 x 3 x 3), equal gradients;
`driver.write(step)` and `optimizer.step()` against a second optimizer's `step()` alone. Blocks of steps take turns, so
both see the same machine; processor time is compared, so that other work on the machine counts for neither. A ratio is
ours by theirs in the same pair of blocks: the median over the rounds, with its quartiles.

Goal: at most 1.02. `run` measures all again; of several measurements of a method the one with the closest quartiles is
kept, in methods.json.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from calando.methods import METHODS, Driver, Method
from calando.records.files import write_atomically
from calando.schedules import parse
from calando.schedules.span import Horizon

RESULTS = Path(__file__).with_suffix(".json")
GROUPS, SHAPE = 50, (16, 16, 3, 3)
SCHEDULE = "linear(0.1, 1, over='5%') >> cosine(1, 0)"
HORIZON = 1_000_000
BLOCK_SECONDS = 0.02
GOAL = 1.02
IN_TORCH = [
    METHODS[name] for name in ("sgd", "adagrad", "rmsprop", "adam", "adamw", "nadam", "radam", "adadelta", "adafactor")
]


def new_optimizer(method: Method) -> torch.optim.Optimizer:
    generator = torch.Generator().manual_seed(0)
    groups = []
    for index in range(GROUPS):
        weight = torch.nn.Parameter(torch.randn(SHAPE, generator=generator))
        weight.grad = 0.01 * torch.randn(SHAPE, generator=generator)
        groups.append({"name": f"group {index}", "params": [weight]})
    return method.build(groups, 1e-5, method.settle({}))


def seconds_a_step(step: Callable[[], object], steps: int) -> float:
    began = time.thread_time()
    for _ in range(steps):
        step()
    return (time.thread_time() - began) / steps


def measure(method: Method, *, rounds: int) -> dict[str, Any]:
    bare, ours = new_optimizer(method), new_optimizer(method)
    driver = Driver(ours, schedules={"lr": parse(SCHEDULE)}, horizon=Horizon(HORIZON))
    made = 0

    def driven() -> None:
        nonlocal made
        driver.write(made)
        ours.step()
        made += 1

    seconds_a_step(driven, 20)
    steps = max(5, round(BLOCK_SECONDS / seconds_a_step(bare.step, 20)))
    ratios, times = [], []
    for turn in range(rounds):
        if turn % 2:
            mine, theirs = seconds_a_step(driven, steps), seconds_a_step(bare.step, steps)
        else:
            theirs, mine = seconds_a_step(bare.step, steps), seconds_a_step(driven, steps)
        ratios.append(mine / theirs)
        times.append(1e6 * theirs)
    low, middle, high = statistics.quantiles(ratios, n=4)
    return {
        "method": method.name,
        "ratio": round(middle, 4),
        "quartiles": [round(low, 4), round(high, 4)],
        "bare_us": round(statistics.median(times), 1),
        "rounds": rounds,
    }


def read() -> dict[str, dict[str, Any]]:
    """Method -> its row."""
    return {row["method"]: row for row in json.loads(RESULTS.read_text())} if RESULTS.is_file() else {}


def run(*, rounds: int) -> None:
    rows = read()
    for method in IN_TORCH:
        found = measure(method, rounds=rounds)
        rows[method.name] = min(found, rows.get(method.name, found), key=_spread)
    kept = [rows[method.name] for method in IN_TORCH]
    write_atomically(RESULTS, ("[\n" + ",\n".join(map(json.dumps, kept)) + "\n]\n").encode())


def _spread(row: dict[str, Any]) -> float:
    low, high = row["quartiles"]
    return high - low


def show() -> None:
    for row in read().values():
        low, high = row["quartiles"]
        verdict = "reached" if row["ratio"] <= GOAL else "MISSED"
        print(
            f"{row['method']:10} {row['ratio']:.4f} times  [{low:.4f}, {high:.4f}]  bare {row['bare_us']:8.1f} us, "
            f"n={row['rounds']} pairs  asked {GOAL}: {verdict}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("run", "show"))
    parser.add_argument("--rounds", type=int, default=41)
    options = parser.parse_args()
    if options.what == "run":
        torch.set_num_threads(1)
        run(rounds=options.rounds)
    show()


if __name__ == "__main__":
    main()
