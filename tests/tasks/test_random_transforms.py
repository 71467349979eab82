"""A Dataset with random transforms: parts cut from it would be evaluated on changed pixels, which is reported."""

import random
import warnings

import numpy as np
import pytest
import torch
from torch import nn

from calando.errors import DataError, DataWarning, UsageError
from calando.records import Lane
from calando.tasks.catalog import resolve
from calando.tasks.custom import workload
from calando.tasks.load_task import load
from calando.training.evaluate import evaluate

IMAGES = torch.randint(0, 256, (60, 1, 8, 8), generator=torch.Generator().manual_seed(0)).to(torch.uint8)


def net(*, classes: int) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, classes))


def flipped(image: torch.Tensor) -> torch.Tensor:
    return image.flip(2) if torch.rand(()) < 0.5 else image


def seldom(image: torch.Tensor) -> torch.Tensor:
    return image.flip(2) if random.random() < 0.1 else image


def noisy(image: torch.Tensor) -> torch.Tensor:
    return image + torch.from_numpy(np.random.randint(0, 5, image.shape, dtype=np.uint8))


class Own:
    """A transform with a generator of its own, which no seed reaches."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng(0)

    def __call__(self, image: torch.Tensor) -> torch.Tensor:
        return image.roll(int(self.rng.integers(8)), 2)


class Data:
    """60 images of three classes, the first `n` of them."""

    def __init__(self, transform=None, n: int = 60, shift: int = 0) -> None:
        self.transform, self.n, self.shift = transform, n, shift

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        image = IMAGES[index]
        return (self.transform(image) if self.transform else image), (index + self.shift) % 3


RANDOM = [flipped, seldom, noisy, Own()]


@pytest.mark.parametrize("transform", RANDOM)
@pytest.mark.parametrize(
    ("given_too", "message"),
    [
        ({}, "the validation part and the test part cut from it get"),
        ({"test": Data(n=9)}, "the validation part cut from it get"),
        ({"validation": Data(n=9)}, "the test part cut from it get"),
    ],
)
def test_parts_cut_from_random_transforms_are_reported(transform, given_too, message) -> None:
    with pytest.warns(DataWarning, match=f"train: two reads of sample .* differ: {message}.* give clean=") as caught:
        made = workload(train=Data(transform), model=net, batch_size=8, **given_too)
    assert len(caught) == 1
    assert made.doubts == (str(caught[0].message),)


@pytest.mark.parametrize("transform", RANDOM)
def test_with_a_clean_twin_the_parts_are_its_samples(transform) -> None:
    # One that acts seldom might else not act at all.
    random.seed(0)
    made = workload(train=Data(transform), clean=Data(), model=net, batch_size=8)
    plain = workload(train=Data(), model=net, batch_size=8)
    assert made.doubts == ()
    for mine, theirs in ((made.validation, plain.validation), (made.test, plain.test)):
        rows = torch.arange(len(theirs))
        assert torch.equal(mine.fetch(rows), theirs.fetch(rows))
        assert torch.equal(mine.labels, theirs.labels)
    assert torch.equal(made.train.labels, plain.train.labels)
    rows = torch.arange(len(plain.train))
    assert not torch.equal(made.train.fetch(rows), plain.train.fetch(rows))


def test_then_scores_are_the_same_from_look_to_look() -> None:
    made = workload(train=Data(noisy), clean=Data(), model=net, batch_size=8)
    network, lane = made.build(), Lane(device="cpu", precision="fp32", threads=1, channels_last=False)
    assert len({evaluate(network, made, made.validation, lane=lane) for _ in range(3)}) == 1


@pytest.mark.parametrize("form", ["all given", "not random", "arrays"])
def test_nothing_is_reported_where_nothing_is_wrong(form: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        if form == "all given":
            workload(train=Data(flipped), validation=Data(n=9), test=Data(n=12), model=net, batch_size=8)
        elif form == "not random":
            workload(train=Data(lambda image: image.flip(1)), model=net, batch_size=8)
        else:
            workload(train=(IMAGES, torch.arange(60) % 3), model=net, batch_size=8)


@pytest.mark.parametrize("name", ["validation", "test", "clean"])
def test_a_part_to_evaluate_on_that_is_random_itself_is_reported(name: str) -> None:
    with pytest.warns(DataWarning, match=f"{name}: two reads of sample .* differ, so its scores are of pixels"):
        workload(train=Data(), model=net, batch_size=8, **{name: Data(flipped)})


@pytest.mark.parametrize(
    ("clean", "message"),
    [
        (Data(n=59), "clean: 59 samples, but train has 60; it must hold the same samples"),
        (Data(shift=1), "clean: sample 0 has label 1, but in train 0; it must hold the same samples in the same order"),
    ],
)
def test_a_twin_must_be_one(clean: Data, message: str) -> None:
    with pytest.raises(DataError, match=message):
        workload(train=Data(flipped), clean=clean, model=net, batch_size=8)


def test_a_twin_that_nothing_is_cut_from_is_refused() -> None:
    with pytest.raises(UsageError, match="clean= is what parts are cut from, and both are given"):
        workload(train=Data(flipped), clean=Data(), validation=Data(n=9), test=Data(n=9), model=net, batch_size=8)


def random_task():
    return workload(train=Data(flipped), model=net, batch_size=8)


def test_a_named_workload_keeps_its_doubts_and_no_process_warns() -> None:
    name = f"{__name__}:random_task"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made = load(resolve(name))
    assert "two reads" in made.doubts[0]
