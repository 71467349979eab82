"""`find_lr(race=…)` and `find(race=True)`: short arms on a person's own objects, and on a task."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import calando
from calando.errors import UsageError
from calando.range_test.raced import MOST_RUNS, Raced


def lent(seed: int = 0) -> tuple[nn.Module, torch.optim.Optimizer, DataLoader]:
    """A network with dropout, momentum, and a loader that shuffles."""
    torch.manual_seed(seed)
    x = torch.randn(512, 16)
    y = (x[:, :4].sum(1) > 0).long() + 2 * (x[:, 4] > 0).long()
    model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Dropout(0.1), nn.Linear(32, 4))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    return model, optimizer, DataLoader(TensorDataset(x, y), batch_size=32, shuffle=True)


def test_it_finds_a_rate_that_trains_and_gives_back_what_it_was_lent():
    model, optimizer, loader = lent()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    drawn = torch.get_rng_state()
    found = calando.find_lr(model, optimizer, nn.functional.cross_entropy, loader, race=400)
    assert isinstance(found, Raced)
    assert 0.01 <= found.rate <= 2
    assert found.suggestion.decayed.rate == found.rate
    assert found.updates <= MOST_RUNS * 400
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), drawn)
    assert optimizer.param_groups[0]["lr"] == 0.01
    assert not optimizer.state
    assert "race of" in str(found)
    assert found.table()[0]["rate"] >= found.table()[-1]["rate"]


def test_it_is_a_function_of_the_weights_and_the_generator():
    rates = []
    for _ in range(2):
        model, optimizer, loader = lent()
        rates.append(str(calando.find_lr(model, optimizer, nn.functional.cross_entropy, loader, race=200)))
    assert rates[0] == rates[1]


def test_arms_see_the_same_batches_and_the_same_dropout():
    """Two arms of one rate would lose the same: the first losses of all arms are equal."""
    model, optimizer, loader = lent()
    found = calando.find_lr(model, optimizer, nn.functional.cross_entropy, loader, race=200)
    assert len({float(losses[0]) for losses in found.traces.values()}) == 1


def test_a_rate_that_explodes_is_no_fault_of_the_batch():
    model, optimizer, loader = lent()
    for group in optimizer.param_groups:
        group["lr"] = group["initial_lr"] = 1e6
    found = calando.find_lr(
        model, optimizer, lambda out, y: (out**4).mean() + nn.functional.cross_entropy(out, y), loader, race=200
    )
    assert found.updates <= MOST_RUNS * 200


@pytest.mark.parametrize("race", [0, 50, True, 2.5])
def test_a_length_that_cannot_be_raced_is_refused(race):
    model, optimizer, loader = lent()
    with pytest.raises(UsageError, match="race must be the updates"):
        calando.find_lr(model, optimizer, nn.functional.cross_entropy, loader, race=race)


def test_a_task_is_raced_in_the_loop_of_ours():
    found = calando.find("digits", race=True, epochs=12, threads=1, listen=lambda status: None)
    assert isinstance(found, Raced)
    assert found.updates <= MOST_RUNS * found.run.steps
    assert 0.01 <= found.rate <= 0.5
    with pytest.raises(UsageError, match="length of the runs that a race is for"):
        calando.find("digits", epochs=12, threads=1)
