"""What is not known of chance, and a score that is no number, are reported."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import calando
from calando.errors import DataError, UsageError

X = torch.randn(120, 5, generator=torch.Generator().manual_seed(0))
Y = X.sum(1)
UNKNOWN = "what a network loses that ignores its inputs is unknown"


def line():
    return nn.Linear(5, 1)


def alone(network, batch):
    return F.mse_loss(network(batch[0]).squeeze(1), batch[1])


def of_its_weights(network, batch):
    return alone(network, batch) + 0 * network.weight.sum(), network(batch[0])


def late(outputs, targets):
    """Its search sees the first 1024 samples; what follows is too much for it."""
    if targets.max() > 4000:
        raise ValueError("no such target")
    return F.l1_loss(outputs.squeeze(1), targets)


@pytest.mark.parametrize(
    ("task", "why"),
    [
        (lambda: {"forward": alone}, "outputs are not one tensor"),
        (lambda: {"forward": of_its_weights}, "AttributeError"),
        (lambda: {"train": (torch.zeros(5000, 5), torch.arange(5000.0)), "loss": late}, "no such target"),
        (lambda: {"train": (X, (Y > 0).long()), "model": lambda: nn.Linear(5, 2), "loss": F.multi_margin_loss}, ""),
    ],
)
def test_unknown_chance_is_reported_with_its_reason(task, why):
    made = calando.workload(**{"train": (X, Y), "model": line, "batch_size": 8, "validation": None, **task()})
    found = [text for text in made.cautions if UNKNOWN in text]
    assert (len(found) == 1) == (made.chance_loss is None)
    if made.chance_loss is None:
        assert why in found[0]


def test_nothing_is_reported_where_chance_is_known():
    for task in ({}, {"train": (X, (Y > 0).long()), "model": lambda: nn.Linear(5, 2)}):
        made = calando.workload(**{"train": (X, Y), "model": line, "batch_size": 8, **task})
        assert not [text for text in made.cautions if UNKNOWN in text]


calls = []


def sometimes(outputs, targets):
    calls.append(len(outputs))
    return math.nan if len(calls) > 3 else 0.5


def test_a_metric_that_gives_nan_is_an_event_of_the_run(tmp_path):
    made = calando.workload(train=(X, Y), model=line, metric=sometimes, batch_size=8)
    calls.clear()
    record = calando.train(made, "sgd(lr=0.01)", epochs=6, device="cpu", folder=tmp_path / "run").record
    said = [event.text for event in record.events if event.kind == "score"]
    assert len(said) == 1
    assert "metric sometimes is nan; counted as the score of chance" in said[0]


def test_r2_of_one_sample_is_refused_before_training():
    with pytest.raises(UsageError, match="metric 'r2' gives nan.* on the 1 samples of the validation part"):
        calando.workload(train=(X, Y), validation=(X[:1], Y[:1]), model=line, metric="r2", batch_size=8)


@pytest.mark.parametrize("targets", [torch.full((120,), 3.0), torch.zeros(120, 3, dtype=torch.bool)])
def test_targets_that_are_all_the_same_are_refused(targets):
    with pytest.raises(DataError, match="train: every sample has the same targets, so there is nothing to learn"):
        calando.workload(train=(X, targets), model=lambda: nn.Linear(5, targets.shape[-1]), batch_size=8)


class Noisy(torch.utils.data.Dataset):
    def __len__(self):
        return 60

    def __getitem__(self, place):
        return X[place], Y[place] + torch.randn(())


@pytest.mark.filterwarnings("ignore::calando.errors.DataWarning")
def test_chance_is_the_same_whenever_it_is_asked_for_and_draws_nothing():
    found = set()
    for seed in range(3):
        made = calando.workload(train=Noisy(), model=line, batch_size=8)
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        found.add((made.chance.score, made.chance_loss))
        assert torch.equal(torch.get_rng_state(), before)
    assert len(found) == 1
