"""People's own scripts in a study while their processes are killed: the same numbers, and no process left over."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from tests.waiting import PATIENCE

pytestmark = [pytest.mark.torture, pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")]

KILLS = 20
SECONDS = 1200

SCRIPT = """
import os, time, torch
import torch.distributed as ranks
import calando

run = calando.run("cosine", lr=0.1, goal="min", unit="MSE")
x = torch.randn(64, 3); y = x.sum(1, keepdim=True)
layers = torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.Dropout(0.1), torch.nn.Linear(4, 1)
model = torch.nn.Sequential(*layers)
count = int(os.environ.get("WORLD_SIZE", 1))
if count > 1:
    ranks.init_process_group("gloo")
trained = torch.nn.parallel.DistributedDataParallel(model) if count > 1 else model
epochs = run.epochs(4)
training = run.follow(model, total_steps=len(epochs) * 8, steps_per_epoch=8)
run.keep(model=model, training=training, every=EVERY)
for epoch in epochs:
    model.train()
    for batch in run.batches(torch.randperm(64).split(8)):
        mine = batch.chunk(count)[ranks.get_rank() if count > 1 else 0]
        loss = torch.nn.functional.mse_loss(trained(x[mine]), y[mine])
        loss.backward()
        training.optimizer.step(); training.optimizer.zero_grad()
        time.sleep(0.05)
    with training.evaluated([x]):
        run.report(torch.nn.functional.mse_loss(model(x), y))
run.finish(test=torch.nn.functional.mse_loss(model(x), y) + 1)
if count > 1:
    ranks.destroy_process_group()
"""


def processes(script: Path) -> dict[str, list[int]]:
    """Whose command line names the script, by what they are."""
    found: dict[str, list[int]] = {"run": [], "rank": []}
    for folder in Path("/proc").iterdir():
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            ranked = b"\0LOCAL_RANK=" in b"\0" + (folder / "environ").read_bytes()
        except OSError:
            continue
        if folder.name.isdigit() and str(script).encode() in words and b"compare" not in words:
            found["rank" if ranked else "run"].append(int(folder.name))
    return found


def below(pid: int) -> list[int]:
    """A process's children, theirs, and so on."""
    children = []
    for folder in Path("/proc").iterdir():
        try:
            rest = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if rest[1] == str(pid):
            children.append(int(folder.name))
    return [*children, *(one for child in children for one in below(child))]


def victims(coordinator: int, script: Path) -> dict[str, list[int]]:
    theirs = processes(script)
    taken = {*theirs["run"], *theirs["rank"]}
    workers = [pid for pid in below(coordinator) if pid not in taken]
    return {kind: pids for kind, pids in {"coordinator": [coordinator], "worker": workers, **theirs}.items() if pids}


def values(text: str) -> dict[str, tuple]:
    return {
        one["name"]: (one["test"]["values"], one["validation"]["values"], one["steps_final"])
        for one in json.loads(text)["results"]
    }


@pytest.mark.parametrize(
    ("launcher", "every"),
    [("", 0.0), ("", 1e-9), ("torchrun --nproc-per-node 2 ", 0.0)],
    ids=["ends", "within", "ranks"],
)
def test_twenty_random_kills_change_nothing(tmp_path, launcher, every):
    """SIGKILL to coordinator, worker, run or rank, at random moments; every study that ends is the undisturbed one."""
    script = tmp_path / "train.py"
    script.write_text(SCRIPT.replace("EVERY", repr(every)))
    begin = [sys.executable, "-c", "from calando.cli.main import main; main()", "compare", f"{launcher}{script}"]
    options = ["fixed", "cosine", "--seeds", "2", "--lr", "0.02", "--workers", "1", "--no-page", "--json", "--study"]
    plain = subprocess.run([*begin, *options, "plain"], cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE)
    assert plain.returncode == 0, plain.stderr
    rng, kills, ended, until = random.Random(0), Counter(), 0, time.monotonic() + SECONDS
    while kills.total() < KILLS or not ended:
        assert time.monotonic() < until, f"{dict(kills)}, {ended} studies ended"
        study = subprocess.Popen(
            [*begin, *options, "killed"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        while study.poll() is None and kills.total() < KILLS:
            try:
                study.wait(timeout=rng.uniform(1, 12))
            except subprocess.TimeoutExpired:
                there = victims(study.pid, script)
                # Of each kind as often as the others.
                kind = min(there, key=lambda one: (kills[one], rng.random()))
                try:
                    os.kill(rng.choice(there[kind]), signal.SIGKILL)
                except ProcessLookupError:
                    continue
                kills[kind] += 1
        out, error = study.communicate(timeout=PATIENCE)
        # Killed itself, or one run or the looks were killed too often: the study goes on at the next command.
        often = "lost its worker" in error or "does not survive its first updates" in error
        assert study.returncode in (0, -signal.SIGKILL) or often, error
        if study.returncode == 0:
            assert values(out) == values(plain.stdout)
            shutil.rmtree(tmp_path / "killed")
            ended += 1
    for _ in range(200):
        if not any(processes(script).values()):
            break
        time.sleep(0.1)
    assert not any(processes(script).values())
    print(f"{dict(kills)}, {ended} studies ended")
