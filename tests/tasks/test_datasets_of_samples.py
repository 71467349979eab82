"""Datasets and collates that do what nobody expects."""

from collections import namedtuple

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import calando
from calando.errors import DataError, DataWarning, UsageError
from calando.testing import check_task

G = torch.Generator().manual_seed(0)
X = torch.randn(120, 5, generator=G)
Y = X.sum(1)


class Given(torch.utils.data.Dataset):
    def __init__(self, sample, size=120):
        self.sample, self.size = sample, size

    def __len__(self):
        return self.size

    def __getitem__(self, place):
        return self.sample(place)


def line():
    return nn.Linear(5, 1)


@pytest.mark.parametrize(
    ("sample", "size", "message"),
    [
        (lambda i: (X[i], Y[i]) if i != 70 else 1 / 0, 120, "train, sample 70: cannot be read: ZeroDivisionError"),
        (lambda i: (X[i], Y[i]), 130, "train, sample 120: cannot be read: IndexError"),
        (lambda i: (X[i], Y[i]) if i != 70 else {"x": X[i]}, 120, "train, sample 70: is of another make than sample 0"),
        (lambda i: (X[i][: 5 - (i == 9)], Y[i]), 120, r"train, sample 9: .*float32 \[4\], and there .* \[5\]"),
        (lambda i: (X[i], 1.0 if i else 1), 120, r"train, sample 1: .* sample\[1\] is float, and there int"),
        (lambda i: (X[i], Y[i], "a") if i == 3 else (X[i], Y[i]), 120, r"train, sample 3: .* str, and there missing"),
    ],
)
def test_the_sample_that_is_otherwise_is_named(sample, size, message):
    with pytest.raises(DataError, match=message):
        calando.workload(train=Given(sample, size), model=line, batch_size=8)


def test_named_tuples_and_texts_are_refused_in_a_line():
    pair = namedtuple("pair", "x y")
    with pytest.raises(UsageError, match="give forward="):
        calando.workload(train=Given(lambda i: pair(X[i], Y[i])), model=line, batch_size=8)
    with pytest.raises(UsageError, match="targets are texts"):
        calando.workload(train=Given(lambda i: (X[i], "ab"[i % 2])), model=line, batch_size=8)


def noisy(place):
    return X[place] + 0.1 * torch.randn(5), Y[place]


def test_random_transforms_of_parts_that_are_cut_are_reported_and_trained_on_to_the_bit():
    clean = Given(lambda i: (X[i], Y[i]))
    with pytest.warns(DataWarning, match="train: two reads of sample 0 differ: the validation part and the test part"):
        cut = calando.workload(train=Given(noisy), model=line, batch_size=8)
    assert len(cut.doubts) == 1
    check_task(calando.workload(train=Given(noisy), clean=clean, model=line, batch_size=8))


class First(nn.Module):
    """Sequences with time in the first axis."""

    def __init__(self, first=True):
        super().__init__()
        self.first, self.gru, self.out = first, nn.GRU(3, 4), nn.Linear(4, 1)

    def forward(self, x):
        return self.out(self.gru(x if self.first else x.transpose(0, 1))[0][-1])


def sequences(make):
    x = torch.randn(100, 20, 3, generator=torch.Generator().manual_seed(0))
    return calando.workload(
        train=Given(lambda i: (x[i], x[i].sum()), 100),
        model=lambda: First(make is time_first),
        collate=make,
        batch_size=8,
    )


def time_first(samples):
    return torch.stack([x for x, _ in samples], 1), torch.stack([y for _, y in samples])


def time_second(samples):
    return torch.stack([x for x, _ in samples]), torch.stack([y for _, y in samples])


def test_a_batch_has_as_many_samples_as_were_read_wherever_collate_puts_them(tmp_path):
    """Twenty time steps in front once were taken for twenty samples, and cut into pieces of eight."""
    tasks = [sequences(make) for make in (time_first, time_second)]
    runs = [
        calando.train(task, "sgd(lr=0.01)", steps=9, device="cpu", folder=tmp_path / str(place)).record
        for place, task in enumerate(tasks)
    ]
    assert runs[0].losses.tobytes() == runs[1].losses.tobytes()
    assert repr(runs[0].evaluations) == repr(runs[1].evaluations)
    assert tasks[0].chance_loss == tasks[1].chance_loss
    with pytest.raises(UsageError, match=r"accumulate= cuts a batch of 8 samples.*batch\[0\] has 20 in its first axis"):
        tasks[0].batch(0, seed=0).split(4)
    assert [part.count for part in tasks[1].batch(0, seed=0).split(4)] == [4, 4]


class Bag:
    """A batch that is neither tensor nor dict, as libraries of graphs have them."""

    def __init__(self, samples):
        self.x, self.y = (torch.stack(part) for part in zip(*samples, strict=True))


def test_batches_of_a_class_of_ones_own_are_evaluated():
    task = calando.workload(
        train=Given(lambda i: (X[i], Y[i])),
        collate=Bag,
        forward=lambda network, bag: F.mse_loss(network(bag.x).squeeze(1), bag.y),
        model=line,
        batch_size=8,
    )
    batch = task.read(task.validation, torch.arange(5))
    assert batch.count == batch.weight == 5
    check_task(task)


def test_samples_that_collate_leaves_out_are_counted():
    task = calando.workload(
        train=Given(lambda i: (X[i], Y[i])), collate=lambda batch: time_second(batch[:3]), model=line, batch_size=8
    )
    assert "train: collate makes 3 samples of the first 8" in task.notes


@pytest.mark.parametrize(
    ("train", "clean"),
    [
        ((X, Y), (X, Y.roll(1))),
        ((X, (Y > 0).long()), (X, (Y < 0).long())),
        (Given(lambda i: (X[i], i % 2)), Given(lambda i: (X[i], (i + 1) % 2))),
    ],
)
def test_a_twin_of_other_targets_is_refused(train, clean):
    with pytest.raises(DataError, match="clean: sample 0 has target .*, and in train .*the same in the same order"):
        calando.workload(train=train, clean=clean, model=lambda: nn.Linear(5, 2), batch_size=8, images=False)
    width = 1 if isinstance(train, tuple) and train[1] is Y else 2
    calando.workload(train=train, clean=train, model=lambda: nn.Linear(5, width), batch_size=8)
