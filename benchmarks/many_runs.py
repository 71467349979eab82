"""Many runs: what the engine adds to a study of 10,000 short runs, and how fast it plans.

python benchmarks/many_runs.py [--runs 10000]

plan      1,000 runs of 10,000 steps (100 strategies, 10 rates): seconds until the first run can start, with the tree
          of pasts; the memory that takes. Goal: below 5 s and 1 GiB.
conduct   the coordinator alone: workers that answer at once with a record made beforehand, with traces of 100 steps,
          and with a score: milliseconds a run for planning, leasing and storing, and memory over the first
          thousand runs and over all. Goal: at most 10 ms a run, memory flat.
train     the same study trained for real, two updates a run, by two workers: milliseconds of wall-clock a run
          beyond the seconds that the runs themselves took, shared by two workers. Not part of the goal: a run's
          network, checkpoint and test look.
show      seconds of `calando show`, cold, on what that left. Goal: below 1 s.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from calando.records import Evaluation, RunRecord, Store, TestScore
from calando.study.build_spec import BuiltStudy, build_study
from calando.study.checkpoint_cache import CheckpointCache
from calando.study.conduct import conduct
from calando.study.jobs import Finished, Lease, Outcome, TestLook, Train
from calando.study.limits import Budget, Machine
from calando.study.plan import Plan
from calando.study.run_queue import RunQueue
from calando.study.scheduler import Scheduler
from calando.tasks.catalog import resolve

WORKLOAD = resolve("digits", batch_size=16, train_limit=32)
MACHINE = Machine(device="cpu")
SGD = "sgd(lr=auto, momentum=0.9)"
TRACE_STEPS = 100


def resident() -> float:
    """MiB in use now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def plan() -> None:
    """Print the cost of planning."""
    shapes = [f"linear(0, 1, over='5%') >> constant(1, over='{share}%') >> linear(1, 0)" for share in range(30, 80)]
    texts = [f"s{place} = {SGD} | {shape}" for place, shape in enumerate(shapes)]
    texts += [
        f"h{share} = {SGD} | constant(1, over='80%') >> linear(1, 0) | horizon('{share}%')" for share in range(50, 100)
    ]
    asked = build_study(WORKLOAD, texts, budget=Budget(steps=10_000), machine=MACHINE, seeds=1, rates=10)
    before, began = resident(), time.monotonic()
    made = Plan(asked.study, runs={}, tests={}, ranges={})
    queue = RunQueue(made, CheckpointCache(Path("/nowhere"), finished=[], keep=0), sharing=True)
    assert queue.next(1) is not None
    print(
        f"plan: {len(made.wanted)} runs of 10000 steps, {len(queue.shared)} paths that share: "
        f"{time.monotonic() - began:.2f} s, {resident() - before:.0f} MiB",
        flush=True,
    )


def many(runs: int, *, steps: int) -> BuiltStudy:
    """Ten strategies at given rates; two of them share a past."""
    names = "constant(1)", "multistep(at=['50%'], factor=0.1)", *(f"linear(1, 0.{digit})" for digit in range(1, 9))
    texts = [f"s{place} = sgd(lr=0.1) | {name}" for place, name in enumerate(names)]
    return build_study(WORKLOAD, texts, budget=Budget(steps=steps), machine=MACHINE, seeds=runs // len(texts))


class AtOnce:
    """An executor whose jobs are done when they are given."""

    slots = 2

    def __init__(self) -> None:
        self.given: list[Lease] = []
        self.memory: list[float] = []
        self.trace = np.random.default_rng(0).random(TRACE_STEPS)

    def submit(self, lease: Lease) -> None:
        self.given.append(lease)

    def poll(self, *, seconds: float) -> list[Outcome]:
        self.memory.append(resident())
        done, self.given = [Finished(lease, self.result(lease.job)) for lease in self.given], []
        return list(done)

    def stop(self) -> list[Outcome]:
        return []

    def result(self, job: Train | TestLook) -> RunRecord | TestScore:
        score = np.random.default_rng(job.spec.seed).random()
        if isinstance(job, TestLook):
            return TestScore(score=score, loss=1.0, n=100)
        evaluations = tuple(Evaluation(step=step, loss=1.0, score=score) for step in range(5, job.spec.steps + 1, 5))
        return RunRecord(
            spec=job.spec,
            outcome="finished",
            steps_done=job.spec.steps,
            losses=self.trace.astype(np.float32),
            rates=self.trace,
            evaluations=evaluations,
            chance=0.1,
        )


def conducted(runs: int) -> None:
    """Print the coordinator's own cost."""
    asked = many(runs, steps=TRACE_STEPS)
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        with Store.create(Path(folder), asked.study, fingerprint="none") as store:
            crew = AtOnce()
            Scheduler(store, asked.task, keep=10**9, sharing="checked", listen=None).run(crew)
        seconds = time.monotonic() - began
        first, last = crew.memory[len(crew.memory) // 20], crew.memory[-1]
        cost = f"{1000 * seconds / runs:.2f} ms a run, their test looks included"
        grown = f"memory {first:.0f} MiB after a twentieth, {last:.0f} MiB at the end"
        print(f"conduct: {runs} runs, {cost}; {grown}", flush=True)
        show(Path(folder))


def trained(runs: int) -> None:
    """Print what a real study costs."""
    asked = many(runs, steps=2)
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        summary = conduct(Path(folder), asked.study, asked.task, workers=2)
        beyond = time.monotonic() - began - summary.seconds / 2
        print(
            f"train: {runs} runs of 2 updates, {1000 * beyond / runs:.2f} ms a run beyond their own seconds", flush=True
        )


def show(folder: Path) -> None:
    """Print how fast a study is shown."""
    command = "import sys; from calando.cli.main import main; sys.argv = ['calando', 'show', sys.argv[1]]; main()"
    times = []
    for _ in range(5):
        began = time.monotonic()
        subprocess.run([sys.executable, "-c", command, folder], check=True, stdout=subprocess.DEVNULL)
        times.append(time.monotonic() - began)
    print(f"show: {statistics.median(times):.2f} s ({min(times):.2f} to {max(times):.2f}), n={len(times)}", flush=True)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10_000)
    options = parser.parse_args()
    plan()
    conducted(options.runs)
    trained(options.runs // 10)


if __name__ == "__main__":
    main()
