"""At unequal class shares a network that names one class only has a low loss and a high score, and is at chance."""

import pytest
import torch
from tests.training.small_runs import a_run
from torch import nn

import calando
from calando.controllers import Observation, Rollback
from calando.errors import UsageError
from calando.records.store import Store
from calando.report import training_figure
from calando.report.page_contents import run_rows
from calando.tasks.chance import chance_of
from calando.training.lane import holding_lane, seed_step
from calando.training.loop import execute
from calando.training.state import start

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


def learning(sizes, *, batch_size, seed, updates=400):
    """(loss, chance of its batch) of a linear network on classes that overlap, and the mean loss at chance."""
    rng = torch.Generator().manual_seed(seed)
    labels = torch.cat([torch.full((size,), place) for place, size in enumerate(sizes)])
    inputs = 0.5 * torch.randn(len(sizes), 10, generator=rng)[labels] + torch.randn(len(labels), 10, generator=rng)
    chance, network = chance_of(labels, classes=len(sizes)), nn.Linear(10, len(sizes))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
    optimizer, found = torch.optim.SGD(network.parameters(), lr=0.003, momentum=0.9), []
    for _ in range(updates):
        rows = torch.randint(len(labels), (batch_size,), generator=rng)
        loss = nn.functional.cross_entropy(network(inputs[rows]), labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        found.append((loss.item(), chance.of_batch(labels[rows])))
    return found, chance.loss


@pytest.mark.parametrize("sizes", [(1000, 52), (1000, 10), (500, 300, 100, 20), (100, 100)])
@pytest.mark.parametrize("batch_size", [4, 16, 64])
def test_a_network_that_learns_slowly_is_left_alone(sizes, batch_size):
    """Also where a window of small batches holds hardly a rare sample."""
    for seed in range(2):
        found, chance = learning(sizes, batch_size=batch_size, seed=seed)
        controller = Rollback()
        state = controller.initial()
        for step, (loss, own) in enumerate(found):
            seen = Observation(step=step, loss=loss, chance=chance, batch_chance=own)
            state, action = controller.respond(state, seen)
            assert not action.rewind, (seed, step, action.event)


def test_in_a_loop_of_ones_own_the_labels_give_what_calandos_own_loop_knows(rare):
    text = f"{HIGH} | rollback(warmup=3)"
    spec = a_run(text, rare, steps=150)
    record = execute(spec, rare)
    with holding_lane(spec.lane):
        network = start(spec, rare).network
        training = calando.follow(network, text, total_steps=spec.steps, chance=rare.train.labels)
        index = 0
        while not training.done:
            seed_step(spec.seed, index)
            images, targets = rare.batch(index, seed=spec.seed)
            loss = rare.loss(network(images), targets)
            loss.backward()
            training.optimizer.step()
            training.optimizer.zero_grad()
            training.observe(loss=loss, targets=targets)
            index += 1
    assert training.events == tuple(event.text for event in record.events if event.kind == "controller")
    assert training.events


def test_labels_that_are_none_are_refused():
    network = nn.Linear(2, 2)
    for wrong in (torch.rand(4), [0, 0], [], [-1, 1], object(), True, "a"):
        with pytest.raises(UsageError, match="chance must be a loss above 0, .*or the class numbers"):
            calando.follow(network, "sgd(lr=0.1) | rollback()", total_steps=9, chance=wrong)
    for chance, words in ((0.2, r"give follow\(chance=labels\)"), ([0, 1], "targets must be class numbers 0 … 1")):
        training = calando.follow(network, "sgd(lr=0.1) | rollback(warmup=1, every=1)", total_steps=9, chance=chance)
        network(torch.ones(1, 2)).sum().backward()
        training.optimizer.step()
        with pytest.raises(UsageError, match=words):
            training.observe(loss=1.0, targets=torch.tensor([2]))


def test_what_scores_at_chance_is_called_so_where_its_score_is_shown(rare, tmp_path):
    summary = calando.compare(
        rare, "sgd(lr=1.5, momentum=0.9)", folder=tmp_path, steps=60, seeds=2, executor="inline", listen=lambda _: None
    )
    (result,) = summary.results
    assert result.test.mean > 0.95
    assert "2 of 2 final runs score no better than always naming one class" in result.note
    assert "every final run diverged or ended at chance level" in summary.headline
    with Store.open(tmp_path) as store:
        rows = run_rows(summary, store.runs(), store.tests())
        title = str(training_figure(next(iter(store.runs().values()))).to_dict()["title"])
    assert [row.outcome for row in rows] == ["died at chance"] * 2
    assert "(chance)" in title
