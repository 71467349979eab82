"""Targets of several class numbers a sample: negative ones, gaps, more than the network has scores for."""

import pytest
import torch
from torch import nn

import calando
from calando.errors import DataError, UsageError
from calando.tasks.whole_targets import WholeTargets


class Pixels(nn.Module):
    def __init__(self, classes=3):
        super().__init__()
        self.layer = nn.Conv2d(1, classes, 1)

    def forward(self, x):
        return self.layer(x)


class Masks(torch.utils.data.Dataset):
    def __init__(self, x, y):
        self.x, self.y = x, y

    def __len__(self):
        return len(self.x)

    def __getitem__(self, place):
        return self.x[place], self.y[place]


def masks(marked, place=7):
    x = torch.rand(60, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    y = (x[:, 0] * 3).long()
    y[place, 0, 0] = marked
    return x, y


@pytest.mark.parametrize("given", [lambda x, y: (x, y), Masks], ids=["arrays", "dataset"])
class TestMasks:
    def test_negative_numbers_are_refused(self, given):
        with pytest.raises(
            DataError, match="a target is -1; classes are numbered from 0, and what is left out is -100"
        ):
            calando.workload(train=given(*masks(-1)), model=Pixels, batch_size=8)

    def test_a_network_with_too_few_scores_is_refused_wherever_the_number_is(self, given):
        for place in (1, 7, 59):
            with pytest.raises(
                UsageError, match="gives 3 scores, and the largest class number among the targets is 255"
            ):
                calando.workload(train=given(*masks(255, place)), model=lambda: Pixels(), batch_size=8)

    def test_numbers_that_are_left_free_are_reported(self, given):
        task = calando.workload(train=given(*masks(255)), validation=masks(0), model=Pixels, batch_size=8)
        note = (
            "train: class numbers go up to 255, and 3, 4, 5, 6, 7 … (252) occur nowhere; if 255 marks what is left out"
        )
        assert sum(note in one for one in task.notes) == 1
        assert task.outputs[0] == 256

    def test_what_is_left_out_leaves_no_gap(self, given):
        task = calando.workload(train=given(*masks(-100)), model=Pixels, batch_size=8)
        assert task.outputs[0] == 3
        assert not [one for one in task.notes if "occur nowhere" in one]


def test_numbers_of_a_vocabulary_are_not_listed():
    seen = WholeTargets()
    seen.add(torch.tensor([[0, 50_000]]))
    assert (seen.least, seen.most, seen.gaps) == (0, 50_000, [])
    seen.add(torch.rand(3))
    assert seen.most == 50_000
