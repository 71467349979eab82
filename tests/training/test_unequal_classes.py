"""At unequal class shares a network that names one class only has a low loss and a high score, and is at chance."""

import pytest
import torch
from tests.training.small_runs import a_run
from torch import nn

import calando
from calando.controllers import Observation, Rollback
from calando.training.loop import execute
from calando.workloads.chance import chance_of

HIGH = "sgd(lr=1.5, momentum=0.9)"


class Plain(nn.Module):
    """No normalisation: it dies where its rate is too high."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        hidden = [nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU()]
        self.layers = nn.Sequential(nn.Flatten(), *hidden, nn.Linear(32, classes))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


def samples(*sizes: int) -> tuple[torch.Tensor, torch.Tensor]:
    labels = torch.cat([torch.full((size,), place) for place, size in enumerate(sizes)])
    pixels = torch.randint(0, 60, (len(labels), 1, 8, 8), generator=torch.Generator().manual_seed(0))
    return (pixels + 40 * labels[:, None, None, None]).to(torch.uint8), labels


@pytest.fixture(scope="module")
def rare():
    return calando.workload(train=samples(1000, 52), model=Plain, batch_size=32)


def test_a_network_that_names_one_class_died_at_chance(rare):
    record = execute(a_run(HIGH, rare, steps=150), rare)
    assert record.score == 100 / 105  # looks like success
    assert (record.outcome, record.at_chance) == ("died", True)
    assert record.chance == rare.chance.score
    texts = {event.kind: event.text for event in record.events}
    assert "chance level, 0.199, the entropy of the labels" in texts["died"]
    assert (
        "95.24%, is no better than always naming the most frequent class, which is right for 95.24%" in texts["chance"]
    )


def test_one_that_learns_is_not(rare):
    record = execute(a_run("sgd(lr=0.05)", rare, steps=150), rare)
    assert (record.outcome, record.at_chance, record.events) == ("finished", False, ())


def test_a_rollback_brings_it_back(rare):
    record = execute(a_run(f"{HIGH} | rollback()", rare, steps=150), rare)
    assert any(event.kind == "rewind" for event in record.events)
    assert (record.outcome, record.at_chance) == ("finished", False)
    assert record.score > 0.98


def test_a_loss_of_your_own_has_no_chance_but_its_score_has():
    def loss(outputs, targets):
        return nn.functional.multi_margin_loss(outputs, targets)

    workload = calando.workload(train=samples(1000, 52), model=Plain, batch_size=32, loss=loss)
    record = execute(a_run(HIGH, workload, steps=60), workload)
    assert (record.outcome, record.at_chance) == ("finished", True)


def test_a_diverged_run_scores_as_the_most_frequent_class(rare):
    record = execute(a_run("sgd(lr=1e30)", rare), rare)
    assert record.outcome == "diverged"
    assert record.score == record.chance == rare.chance.score > 0.94


def traces(sizes, *, batch_size, rate, updates=400, learned=60, seed=0):
    """(loss, chance of its batch): a network that knows much, then one of which only the last bias is alive."""
    labels = torch.cat([torch.full((size,), place) for place, size in enumerate(sizes)])
    chance, rng = chance_of(labels, classes=len(sizes)), torch.Generator().manual_seed(seed)
    scores, velocity = -chance.costs, torch.zeros(len(sizes), dtype=torch.float64)
    found = []
    for step in range(updates):
        batch = labels[torch.randint(len(labels), (batch_size,), generator=rng)]
        own = chance.of_batch(batch)
        if step < learned:
            found.append((0.3 * own, own))
            continue
        logs = scores.log_softmax(0)
        found.append((float(-logs[batch].mean()), own))
        velocity = 0.9 * velocity + logs.exp() - torch.bincount(batch, minlength=len(sizes)) / batch_size
        scores = scores - rate * velocity
    return found, chance.loss


@pytest.mark.parametrize("sizes", [(1000, 52), (1000, 10), (500, 300, 100, 20), (100, 100)])
@pytest.mark.parametrize("batch_size", [32, 128])
@pytest.mark.parametrize("rate", [0.01, 0.1, 1.0])
def test_rollback_sees_that_only_class_shares_are_left(sizes, batch_size, rate):
    for seed in range(3):
        found, chance = traces(sizes, batch_size=batch_size, rate=rate, seed=seed)
        controller, at = Rollback(), None
        state = controller.initial()
        for step, (loss, own) in enumerate(found):
            seen = Observation(step=step, loss=loss, chance=chance, batch_chance=own)
            state, action = controller.respond(state, seen)
            if action.rewind:
                at = step
                break
        assert at is not None
        assert 60 < at < 60 + 150


@pytest.mark.parametrize("batch_size", [8, 32])
def test_rare_samples_are_no_spike(batch_size):
    """A network that knows the frequent class well and the rare one little: its loss depends on the batch."""
    labels = torch.cat([torch.zeros(1000), torch.ones(52)]).long()
    chance, rng = chance_of(labels, classes=2), torch.Generator().manual_seed(0)
    costs = chance.costs * torch.tensor([0.1, 0.7])
    controller = Rollback()
    state = controller.initial()
    for step in range(3000):
        batch = labels[torch.randint(len(labels), (batch_size,), generator=rng)]
        loss = float(costs[batch].mean())
        seen = Observation(step=step, loss=loss, chance=chance.loss, batch_chance=chance.of_batch(batch))
        state, action = controller.respond(state, seen)
        assert not action.rewind, (step, action.event)
