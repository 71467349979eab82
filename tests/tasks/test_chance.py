"""Chance follows from the class shares: torch's own cross-entropy is the oracle."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from calando.range_test.constant_outputs import SharesSeen
from calando.range_test.loss import BatchLoss
from calando.tasks.chance import chance_of
from calando.tasks.custom import workload

counts = st.lists(st.integers(1, 400), min_size=2, max_size=8)
smoothings = st.sampled_from([0.0, 0.1, 0.5])


def labels_of(sizes: list[int]) -> torch.Tensor:
    return torch.cat([torch.full((size,), place) for place, size in enumerate(sizes)])


@given(counts, smoothings, st.integers(0, 1000))
def test_no_constant_answer_has_a_lower_loss(sizes: list[int], smoothing: float, seed: int) -> None:
    labels, classes = labels_of(sizes), len(sizes)
    chance = chance_of(labels, classes=classes, label_smoothing=smoothing)
    shares = torch.tensor(sizes, dtype=torch.float64) / sum(sizes)
    best = ((1 - smoothing) * shares + smoothing / classes).log()

    def loss(scores: torch.Tensor) -> float:
        return float(F.cross_entropy(scores.expand(len(labels), -1), labels, label_smoothing=smoothing))

    assert chance.loss == pytest.approx(loss(best), rel=1e-12)
    other = best + torch.randn(classes, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    assert chance.loss <= loss(other) + 1e-12
    assert chance.score == pytest.approx(max(sizes) / sum(sizes), rel=1e-12)
    batch = labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))[:7]]
    own = float(F.cross_entropy(best.expand(len(batch), -1), batch, label_smoothing=smoothing))
    assert chance.of_batch(batch) == pytest.approx(own, rel=1e-12)


@given(st.integers(2, 50), smoothings)
def test_equal_classes_have_the_logarithm_of_their_number_on_every_batch(classes: int, smoothing: float) -> None:
    chance = chance_of(torch.arange(3 * classes) % classes, classes=classes, label_smoothing=smoothing)
    assert chance.loss == pytest.approx(math.log(classes), rel=1e-12)
    assert chance.of_batch(torch.tensor([0, 1, 1])) == pytest.approx(math.log(classes), rel=1e-12)
    assert chance.score == pytest.approx(1 / classes, rel=1e-12)


def test_a_workload_counts_what_it_trains_on() -> None:
    labels = labels_of([100, 20])
    images = torch.rand(120, 1, 4, 4)

    def net(*, classes: int) -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(16, classes))

    def loss(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return outputs.square().mean()

    made = workload(train=(images, labels), model=net, batch_size=8)
    share = float((made.train.labels == 0).double().mean())
    assert made.chance.score == share
    assert made.chance_loss == pytest.approx(-share * math.log(share) - (1 - share) * math.log(1 - share), rel=1e-12)
    assert torch.equal(made.batch_targets(3, seed=1).targets, made.batch(3, seed=1)[1])
    assert workload(train=(images, labels), model=net, batch_size=8, loss=loss).chance_loss is None


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({}, "numbers"),
        ({"label_smoothing": 0.2}, "numbers"),
        ({"weight": torch.tensor([1.0, 5.0, 0.5])}, "numbers"),
        ({"weight": torch.tensor([1.0, 5.0, 0.5]), "label_smoothing": 0.1}, "numbers"),
        ({"ignore_index": 1}, "numbers"),
        ({}, "dense"),
        ({"weight": torch.tensor([1.0, 5.0, 0.5]), "label_smoothing": 0.1}, "probabilities"),
    ],
)
def test_a_range_test_counts_the_targets_that_it_sees(options: dict[str, object], kind: str) -> None:
    """The loss of the best constant answer, found by descent."""
    labels = labels_of([2000, 100, 700])
    loss_fn = nn.CrossEntropyLoss(**options)  # type: ignore[arg-type]
    target = {"dense": labels.reshape(4, 7, 100), "probabilities": F.one_hot(labels, 3).float() * 0.8 + 0.2 / 3}.get(
        kind, labels
    )

    def answer(scores: torch.Tensor) -> torch.Tensor:
        return scores[None, :, None, None].expand(4, 3, 7, 100) if kind == "dense" else scores.expand(len(labels), 3)

    scores = torch.zeros(3, requires_grad=True)
    optimizer = torch.optim.LBFGS([scores], max_iter=200, tolerance_grad=1e-9, tolerance_change=1e-12)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = loss_fn(answer(scores), target)
        loss.backward()
        return loss

    optimizer.step(closure)
    seen = SharesSeen(loss_fn)
    seen.add(answer(scores.detach()), target)
    assert seen.chance == pytest.approx(closure().item(), rel=1e-2)  # Laplace's rule


@pytest.mark.parametrize("loss_fn", [nn.MSELoss(), nn.CrossEntropyLoss(reduction="sum"), nn.NLLLoss(), None])
def test_of_other_losses_chance_stays_unknown(loss_fn: nn.Module | None) -> None:
    seen = SharesSeen(loss_fn)
    seen.add(torch.zeros(4, 3), torch.tensor([0, 1, 2, 0]))
    assert seen.chance is None


def test_many_classes_are_not_mistaken_for_few() -> None:
    """A sweep of 100 batches of 64 sees six samples of each of 1,000 classes, and one batch sees almost none."""
    labels = torch.randint(1000, (6400,), generator=torch.Generator().manual_seed(0))
    seen = SharesSeen(F.cross_entropy)
    for batch in labels.split(64):
        seen.add(torch.zeros(1, 1000), batch)
        assert seen.chance == pytest.approx(math.log(1000), rel=0.02)


def test_chance_that_is_given_is_kept() -> None:
    net = nn.Linear(2, 2)
    loss = BatchLoss(model=net, loss_fn=F.cross_entropy, chance=0.3)
    loss((torch.zeros(4, 2), torch.tensor([0, 0, 0, 1])))
    assert loss.chance == 0.3
