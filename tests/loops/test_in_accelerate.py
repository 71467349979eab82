"""Accelerate takes calando's scheduler where it takes torch's: prepares it, holds it back, saves it and resumes it."""

import json
import os
import socket
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch
from tests.waiting import PATIENCE

import calando

accelerate = pytest.importorskip("accelerate")

TEXT = "linear(0.1, 1, over='25%') >> cosine(1, 0)"
TOTAL = 12
BASES = (0.1, 0.01)


def build(folder, *, accumulate=1):
    accelerator = accelerate.Accelerator(cpu=True, gradient_accumulation_steps=accumulate, project_dir=folder)
    model = torch.nn.Linear(2, 1)
    groups = [{"params": [model.weight], "lr": BASES[0]}, {"params": [model.bias], "lr": BASES[1]}]
    optimizer = torch.optim.SGD(groups, momentum=0.9)
    scheduler = calando.LRScheduler(optimizer, TEXT, total_steps=TOTAL)
    return accelerator, *accelerator.prepare(model, optimizer, scheduler)


def train(accelerator, model, optimizer, scheduler, *, batches):
    """The rates of the updates that `batches` batches make."""
    seen = []
    for _ in range(batches):
        with accelerator.accumulate(model):
            accelerator.backward(model(torch.ones(2, 2)).square().mean())
            if accelerator.sync_gradients:
                seen.append([group["lr"] for group in optimizer.param_groups])
            optimizer.step()
            scheduler.step()
            optimizer.zero_grad()
    return seen


def wanted():
    curve = calando.parse(TEXT).bind(TOTAL)
    return [[base * curve(t) for base in BASES] for t in range(TOTAL)]


@pytest.mark.parametrize("accumulate", [1, 3])
def test_every_update_has_its_rate(tmp_path, accumulate):
    prepared = build(tmp_path, accumulate=accumulate)
    assert train(*prepared, batches=TOTAL * accumulate) == wanted()
    assert prepared[-1].get_last_lr() == [0.0, 0.0]


def test_resumed_from_a_saved_state_the_next_rates_are_right(tmp_path):
    accelerator, *prepared = build(tmp_path)
    before = train(accelerator, *prepared, batches=5)
    accelerator.save_state(tmp_path / "saved")
    accelerator, *prepared = build(tmp_path)
    accelerator.load_state(tmp_path / "saved")
    assert before + train(accelerator, *prepared, batches=TOTAL - 5) == wanted()


def build_attached(folder, *, reported):
    accelerator = accelerate.Accelerator(cpu=True, project_dir=folder)
    torch.manual_seed(1)
    model = torch.nn.Linear(2, 1)
    groups = [{"params": [model.weight], "lr": BASES[0]}, {"params": [model.bias], "lr": BASES[1]}]
    optimizer = torch.optim.SGD(groups, momentum=0.9)
    attached = calando.attach(optimizer, TEXT, total_steps=TOTAL)
    scheduler = attached.scheduler if reported else Unstepped()
    given = (model, optimizer, scheduler) if reported else (model, optimizer)
    return accelerator, *accelerator.prepare(*given), *(() if reported else (scheduler,))


class Unstepped:
    def step(self):
        pass


@pytest.mark.parametrize("reported", [True, False])
def test_an_attached_schedule_is_resumed_with_the_optimizer(tmp_path, reported):
    accelerator, *prepared = build_attached(tmp_path, reported=reported)
    whole, used = prepared[0], watched(prepared[1])
    train(accelerator, *prepared, batches=TOTAL)
    assert used == wanted()
    accelerator, *prepared = build_attached(tmp_path, reported=reported)
    train(accelerator, *prepared, batches=5)
    accelerator.save_state(tmp_path / "saved")
    accelerator, *prepared = build_attached(tmp_path, reported=reported)
    accelerator.load_state(tmp_path / "saved")
    used = watched(prepared[1])
    train(accelerator, *prepared, batches=TOTAL - 5)
    assert used == wanted()[5:]
    assert [p.tolist() for p in whole.parameters()] == [p.tolist() for p in prepared[0].parameters()]


def watched(optimizer):
    """The rates that updates were made with, as they are made."""
    used = []
    optimizer.optimizer.register_step_post_hook(lambda o, *_: used.append([group["lr"] for group in o.param_groups]))
    return used


def test_a_reported_rate_is_right_however_many_processes_step_it(tmp_path, monkeypatch):
    monkeypatch.setattr(accelerate.scheduler, "AcceleratorState", lambda: SimpleNamespace(num_processes=3))
    accelerator, *prepared = build_attached(tmp_path, reported=True)
    used = watched(prepared[1])
    assert train(accelerator, *prepared, batches=TOTAL) == used == wanted()


def test_a_scheduler_that_is_stepped_once_a_process_is_noticed_at_the_second_update(tmp_path, monkeypatch):
    monkeypatch.setattr(accelerate.scheduler, "AcceleratorState", lambda: SimpleNamespace(num_processes=3))
    prepared = build(tmp_path)
    train(*prepared, batches=1)
    with pytest.warns(UserWarning, match="called 3 times for each update, so its 12 steps are over after 4 updates"):
        train(*prepared, batches=1)
    train(*prepared, batches=2)
    assert prepared[-1].scheduler.last_epoch == TOTAL


def test_so_is_one_that_was_built_on_a_prepared_optimizer(tmp_path, monkeypatch):
    monkeypatch.setattr(accelerate.scheduler, "AcceleratorState", lambda: SimpleNamespace(num_processes=2))
    accelerator = accelerate.Accelerator(cpu=True, project_dir=tmp_path)
    model = torch.nn.Linear(2, 1)
    model, optimizer = accelerator.prepare(model, torch.optim.SGD(model.parameters(), lr=0.1))
    scheduler = accelerator.prepare(calando.LRScheduler(optimizer, TEXT, total_steps=TOTAL))
    with pytest.warns(UserWarning, match="called 2 times for each update"):
        train(accelerator, model, optimizer, scheduler, batches=2)


SCRIPT = """
import json, warnings
import accelerate, torch, calando

accelerator = accelerate.Accelerator(cpu=True)
found = [accelerator.num_processes]
for kind in ("attached", "scheduler"):
    model = torch.nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    if kind == "attached":
        scheduler = calando.attach(optimizer, "linear(1, 0)", total_steps=4).scheduler
    else:
        scheduler = calando.LRScheduler(optimizer, "linear(1, 0)", total_steps=4)
    used = []
    optimizer.register_step_post_hook(lambda o, *_: used.append(o.param_groups[0]["lr"]))
    model, optimizer, scheduler = accelerator.prepare(model, optimizer, scheduler)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(4):
            accelerator.backward(model(torch.ones(2, 2)).square().mean())
            optimizer.step()
            scheduler.step()
            optimizer.zero_grad()
    found += [used, [str(one.message) for one in caught if "once a process" in str(one.message)]]
print(json.dumps(found))
"""


def test_two_real_processes():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = {**os.environ, "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "OMP_NUM_THREADS": "1"}
    ranks = [
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT],
            env={**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    for rank in ranks:
        out, problem = rank.communicate(timeout=PATIENCE)
        assert rank.returncode == 0, problem
        processes, *attached, scheduled, said = json.loads(out.splitlines()[-1])
        assert processes == 2
        assert attached == [[0.1 * (1 - step / 4) for step in range(4)], []]
        assert scheduled == [0.1, 0.05, 0.0, 0.0]
        assert len(said) == 1
        assert "called 2 times for each update, so its 4 steps are over after 2 updates" in said[0]


@pytest.mark.parametrize("text", ["schedule_free_sgd(lr=0.5)", "adamw(lr=0.01) | cosine(1, 0) | ema(decay=0.5)"])
def test_a_strategy_is_followed_held_back_saved_and_resumed(tmp_path, text):
    def build():
        accelerator = accelerate.Accelerator(cpu=True, gradient_accumulation_steps=2, project_dir=tmp_path)
        torch.manual_seed(2)
        course = calando.follow(torch.nn.Linear(2, 1), text, total_steps=TOTAL)
        return accelerator, course, *accelerator.prepare(course.network, course.optimizer)

    def train(accelerator, model, optimizer, *, batches):
        for index in range(batches):
            with accelerator.accumulate(model):
                accelerator.backward(model(torch.eye(2) + index % 2).square().mean())
                optimizer.step()
                optimizer.zero_grad()

    def judged(course):
        with course.evaluated():
            return [p.tolist() for p in course.network.parameters()]

    accelerator, whole, *rest = build()
    train(accelerator, *rest, batches=2 * TOTAL)
    accelerator, first, *rest = build()
    train(accelerator, *rest, batches=10)
    assert first.step == 5
    accelerator.save_state(tmp_path / "saved")
    accelerator, second, *rest = build()
    accelerator.load_state(tmp_path / "saved")
    train(accelerator, *rest, batches=2 * TOTAL - 10)
    assert whole.done
    assert second.done
    assert judged(whole) == judged(second)
