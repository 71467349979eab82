"""Accelerate takes calando's scheduler where it takes torch's: prepares it, holds it back, saves it and resumes it."""

import pytest
import torch

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
