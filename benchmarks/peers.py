"""Peers: the same set of runs through Ray Tune and through Optuna over ours, on the same two cores.

    python benchmarks/peers.py study [--rounds 3]
    python benchmarks/peers.py overhead [--runs 100] [--rounds 3] [--tools bare,ours,optuna]

It needs two packages next to the pin: pip install -c constraints.txt "ray[tune]==2.60.0" "optuna==5.0.0".

The training function is the same, `calando.training.loop.execute` on the same 30 or so specs, fixed beforehand, and
every tool must give the same scores and losses to the bit. Each measurement is a fresh Python process, timed whole
from outside: what a user waits for, imports and the start of workers included. The order of the tools is rotated
from round to round; printed are medians, ranges, and ratios of medians. Next to them the processor's seconds of that
process and those it waited for (Ray leaves some of its own unwaited), which other work on the machine disturbs less.
See peer_tools.py for how each is driven.

    study       digits; fixed, step, multistep, wsd and cosine at 3 rates and 2 seeds, 150 steps: 30 runs
    overhead    runs of 2 steps of a linear network on 48 images; seconds above the bare function on all of
                them in one process, a run. Published for 100 trivial trials: Ray Tune 22.7 s, a loop 0.1 s
                (github.com/ray-project/ray/issues/11004)

What comes with the training: ours keeps every loss and rate, writes a checkpoint of each run and forks, reads the test
part for each run, and works out the statistics; killed, it goes on. Ray Tune writes each trial's result as JSON, CSV
and TensorBoard events; Optuna appends each trial to its journal. Neither keeps weights, reads a test part or
compares. Goal: ahead of both in both.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

STUDY, OVERHEAD = ("ours", "ours-alone", "ray", "optuna"), ("bare", "ours", "ray", "optuna")
STUDY_RUNS, STUDY_STEPS, OVERHEAD_STEPS = 30, 150, 2
TRIAL_LIMIT = 1800


def timed(tool: str, *, task: str, runs: int, steps: int, workers: int) -> tuple[float, float, object]:
    """Seconds of a process that drives one tool, by the clock and of the processor, and what the runs gave."""
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "answer.json"
        values = (task, runs, steps, workers, folder, answer)
        command = [sys.executable, __file__, "drive", "--tools", tool, "--values", json.dumps(values, default=str)]
        began, busy = time.perf_counter(), _processor_seconds()
        ended = subprocess.run(command, capture_output=True, text=True, timeout=TRIAL_LIMIT, check=False)
        seconds, busy = time.perf_counter() - began, _processor_seconds() - busy
        if ended.returncode:
            raise SystemExit(f"{tool} ended with status {ended.returncode}:\n{ended.stderr[-3000:]}")
        return seconds, busy, json.loads(answer.read_text())


def drive(tool: str, values: str) -> None:
    """In the process that is timed."""
    from peer_tools import TOOLS, Runs

    task, count, steps, workers, folder, answer = json.loads(values)
    given = TOOLS[tool](Runs(task=task, count=count, steps=steps, workers=workers), Path(folder))
    Path(answer).write_text(json.dumps(given))


def measure(tools: tuple[str, ...], *, task: str, runs: int, steps: int, options: argparse.Namespace) -> None:
    """Rounds over all tools; a line each."""
    seconds: dict[str, list[float]] = {tool: [] for tool in tools}
    busy: dict[str, list[float]] = {tool: [] for tool in tools}
    answers = []
    for place in range(options.rounds):
        turn = place % len(tools)
        for tool in tools[turn:] + tools[:turn]:
            spent, worked, answer = timed(tool, task=task, runs=runs, steps=steps, workers=options.workers)
            seconds[tool].append(spent)
            busy[tool].append(worked)
            answers.append(answer)
            said = f"{spent:7.1f} s, processor {worked:6.1f} s, load {os.getloadavg()[0]:.1f}"
            print(f"  round {place + 1} {tool:10} {said}", file=sys.stderr, flush=True)
    assert all(answer == answers[0] for answer in answers), "the tools disagree on what the runs gave"
    middle = {tool: statistics.median(times) for tool, times in seconds.items()}
    print(f"{task}: {runs} runs of {steps} steps, {options.workers} workers, n={options.rounds}, all answers equal")
    for tool, times in seconds.items():
        line = f"  {tool:10} {middle[tool]:7.1f} s [{min(times):.1f}, {max(times):.1f}]"
        line += f"  processor {statistics.median(busy[tool]):6.1f} s"
        if "bare" in middle and tool != "bare":
            line += f"  above bare {1e3 * (middle[tool] - middle['bare']) / runs:7.1f} ms a run"
        if "ours" in middle:
            line += f"  over ours {middle[tool] / middle['ours']:.2f}"
        print(line)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("study", "overhead", "drive"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--runs", type=int, default=100, help="of overhead; a multiple of 10")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--tools", help="some of them, with commas between")
    parser.add_argument("--values", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.what == "drive":
        drive(options.tools, options.values)
        return
    tools = tuple(options.tools.split(",")) if options.tools else STUDY if options.what == "study" else OVERHEAD
    if missing := [name for name in ("ray", "optuna") if any(name in tool for tool in tools) and not _there(name)]:
        sys.exit(f"{', '.join(missing)} not found; see the top of this file for what to install")
    os.environ["OMP_NUM_THREADS"] = "1"
    if options.what == "study":
        measure(tools, task="digits", runs=STUDY_RUNS, steps=STUDY_STEPS, options=options)
    else:
        measure(tools, task="tiny", runs=options.runs, steps=OVERHEAD_STEPS, options=options)


def _processor_seconds() -> float:
    """Of all processes that this one has waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _there(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


if __name__ == "__main__":
    main()
