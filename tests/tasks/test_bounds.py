"""Numbers that cannot be trained on are refused before they cost memory: pixels, labels, targets."""

import tracemalloc

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

import calando
from calando.errors import CalandoError, UsageError
from calando.range_test.constant_outputs import SharesSeen
from calando.records import WorkloadSpec
from calando.tasks.data.npz import read_npz
from calando.tasks.load_task import load
from calando.tasks.torch_dataset import DatasetSource

N = 40
Y = np.arange(N) % 2


def noise(scale=1.0, shift=0.0):
    return (np.random.default_rng(0).standard_normal((N, 1, 8, 8)) * scale + shift).astype(np.float32)


def taken(images, labels=Y, **more):
    return calando.workload(train=(images, labels), model=Small, batch_size=8, **more)


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(64, 2)

    def forward(self, x):
        return self.layer(x.flatten(1))


def refused(call, *words, memory=64):
    tracemalloc.start()
    with pytest.raises(CalandoError) as caught:
        call()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < memory * 2**20
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("scale", [1e-38, 1e-41, 1e-44, 1e31, 1e37])
def test_pixels_that_cannot_be_normalised(scale):
    refused(lambda: taken(noise(scale)), "single precision cannot normalise", "scale the images")
    dataset = list(zip(torch.from_numpy(noise(scale)), Y.tolist(), strict=True))
    refused(lambda: calando.workload(train=dataset, model=Small, batch_size=8), "cannot normalise")


def test_one_channel_of_denormals_among_sound_ones():
    images = np.concatenate([noise(), noise(1e-40)], axis=1)
    refused(lambda: taken(images), "channel 1")


@pytest.mark.parametrize("scale", [1e-20, 1.0, 1e20])
def test_what_can_be_is(scale):
    images, _ = taken(noise(scale)).batch(0, seed=0)
    assert torch.isfinite(images).all()
    assert 0.5 < float(images.std()) < 2


def test_a_part_that_another_cannot_normalise():
    refused(lambda: taken(noise(1e-20), test=(noise(1e20), Y)), "test: pixels", "scale all parts alike")


def test_pixels_beyond_single_precision():
    refused(lambda: taken(np.full((N, 1, 8, 8), 1e300) * noise()), "infinite value")


@pytest.mark.parametrize("largest", [2_000_000_000, 2**31 - 1, 2**31, 2**62, -(2**62)])
def test_labels_are_looked_at_before_they_are_counted(largest, tmp_path):
    labels = np.where(Y == 1, largest, 0)
    refused(lambda: taken(noise(), labels))
    refused(lambda: taken(noise(), Y, test=(noise(), labels)))
    dataset = list(zip(torch.from_numpy(noise()), labels.tolist(), strict=True))
    refused(lambda: calando.workload(train=dataset, model=Small, batch_size=8))
    np.savez(tmp_path / "x.npz", images=noise(), labels=labels)
    refused(lambda: load(WorkloadSpec(data=f"npz:{tmp_path / 'x.npz'}", batch_size=8)))


@pytest.mark.parametrize("largest", [1e300, 2.0**63, float(2**64)])
def test_labels_as_floats(largest):
    labels = np.where(Y == 1, largest, 0.0)
    refused(lambda: taken(noise(), labels), "labels must be whole numbers")
    refused(lambda: DatasetSource(list(zip(noise(), labels, strict=True)), origin="mine"), "must be a whole number")


def test_what_is_missing_is_named_as_before():
    refused(lambda: taken(noise(), np.where(Y == 1, 7, 0)), "class 1, 2, 3, 4, 5 … of 8")
    refused(lambda: taken(noise(), np.where(Y == 1, 2, 0)), "class 1 of 3")


def test_targets_of_a_loop_of_ones_own():
    labels = torch.tensor([0, 2_000_000_000])
    with pytest.raises(UsageError, match="go up to 2000000000 here"):
        calando.follow(nn.Linear(1, 1), "sgd(lr=0.1)", total_steps=9, chance=labels)
    seen = SharesSeen(cross_entropy)
    seen.add(torch.zeros(2, 3), labels)
    seen.add(torch.zeros(2, 3), torch.tensor([0, -1]))
    assert seen.chance is None


def test_the_reader_of_archives_is_the_same_for_sound_labels(tmp_path):
    np.savez(tmp_path / "x.npz", images=noise(), labels=Y.astype(np.uint8))
    assert read_npz(tmp_path / "x.npz").train.labels.dtype == np.int64
