"""Sources: in memory or one by one, they say the same of the same samples."""

import random

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from torch.utils.data import Dataset, TensorDataset

from calando.errors import DataError
from calando.tasks.custom import workload
from calando.tasks.source import Source, TensorSource
from calando.tasks.torch_dataset import DatasetSource

pixels = st.one_of(
    arrays(np.uint8, st.tuples(st.integers(1, 6), st.integers(1, 3), st.integers(1, 5), st.integers(1, 5))),
    arrays(
        np.float32,
        st.tuples(st.integers(1, 6), st.integers(1, 3), st.integers(1, 5), st.integers(1, 5)),
        elements=st.floats(-1000, 1000, width=32),
    ),
)


def both(images: np.ndarray) -> tuple[Source, Source]:
    x, y = torch.from_numpy(images), torch.arange(len(images))
    return TensorSource(x, y, origin="memory"), DatasetSource(TensorDataset(x, y), origin="set")


@given(pixels, st.data())
def test_both_kinds_agree(images: np.ndarray, data: st.DataObject) -> None:
    rows = torch.tensor(data.draw(st.lists(st.integers(0, len(images) - 1), min_size=1, max_size=8)))
    again = torch.tensor(data.draw(st.lists(st.integers(0, len(rows) - 1), min_size=1, max_size=8)))
    unit = 255.0 if images.dtype == np.uint8 else 1.0
    for whole in both(images):
        part = whole.take(rows)
        assert len(part) == len(rows)
        assert part.shape == images.shape[1:]
        assert torch.equal(part.labels, rows)
        assert torch.equal(part.fetch(again), torch.from_numpy(images)[rows][again])
        chosen = images[rows.numpy()].astype(np.float64) / unit
        assert part.moments().mean == pytest.approx(chosen.mean((0, 2, 3)), rel=1e-9, abs=1e-9)
        assert part.moments().std == pytest.approx(chosen.std((0, 2, 3)), rel=1e-6, abs=1e-4)
        assert part.first_not_finite() is None


@pytest.mark.parametrize("place", [0, 1, 511, 512, 1199])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_value_that_is_not_finite_is_found_wherever_it_is(place: int, value: float) -> None:
    images = torch.zeros(1200, 1, 1, 2)
    images[place, 0, 0, 1] = images[-1, 0, 0, 0] = value
    assert TensorSource(images, torch.zeros(1200, dtype=torch.int64), origin="x").first_not_finite() == place
    few = torch.tensor([7, place, 1199])
    source = DatasetSource(TensorDataset(images[few], torch.zeros(3)), origin="x")
    assert source.first_not_finite() == 1
    assert source.take(torch.tensor([0, 0])).first_not_finite() is None
    # of a part by its number in the whole, which is what a person can look up
    assert source.take(torch.tensor([0, 1])).first_not_finite() == 1
    whole = TensorSource(images, torch.zeros(1200, dtype=torch.int64), origin="x")
    assert whole.take(torch.tensor([1199])).first_not_finite() == 1199
    assert whole.take(torch.tensor([3, 1199])).take(torch.tensor([1])).first_not_finite() == 1199


def test_what_is_fetched_is_a_copy() -> None:
    for source in both(np.ones((3, 1, 2, 2), np.uint8)):
        source.fetch(torch.tensor([0, 1, 2])).zero_()
        assert source.fetch(torch.tensor([1])).sum() == 4


def test_fingerprints_tell_contents_apart() -> None:
    images = np.random.default_rng(0).integers(0, 256, (9, 1, 2, 2), dtype=np.uint8)
    other = images.copy()
    other[8] ^= 1
    for plain, changed in zip(both(images), both(other), strict=True):
        rows = torch.arange(9)
        assert (
            plain.fingerprint()
            == plain.take(rows).fingerprint()
            == both(images)[type(plain) is DatasetSource].fingerprint()
        )
        assert plain.fingerprint() != changed.fingerprint()
        assert plain.fingerprint() != plain.take(rows.flip(0)).fingerprint()


class Noisy(Dataset[tuple[torch.Tensor, int]]):
    """A transform that draws from all three generators."""

    def __len__(self) -> int:
        return 6

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return torch.rand(1, 2, 2) + random.random() + np.random.rand(), index % 2


def test_looking_leaves_the_generators_alone_and_repeats_itself() -> None:
    first = DatasetSource(Noisy(), origin="x")
    random.seed(1)
    np.random.seed(1)
    torch.manual_seed(1)
    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()
    second = DatasetSource(Noisy(), origin="x")
    assert first.moments() == second.moments()
    assert first.fingerprint() == second.fingerprint()
    assert random.getstate() == before[0]
    assert np.random.get_state()[1].tolist() == before[1]
    assert torch.equal(torch.get_rng_state(), before[2])


def grey(value: int) -> np.ndarray:
    return np.full((4, 4), value, np.uint8)


@pytest.mark.parametrize(
    "sample",
    [
        (Image.fromarray(grey(7)), 1),
        [grey(7), np.int64(1)],
        {"image": torch.from_numpy(grey(7)), "label": torch.tensor(1)},
        {"image": grey(7)[None], "label": np.array([1]), "more": "x"},
        (torch.from_numpy(grey(7))[None], 1.0),
    ],
)
def test_forms_of_a_sample(sample: object) -> None:
    source = DatasetSource([sample, sample], origin="x")
    assert source.labels.tolist() == [1, 1]
    assert torch.equal(source.fetch(torch.tensor([1])), torch.full((1, 1, 4, 4), 7, dtype=torch.uint8))


def test_colour_pictures_have_their_channels_first() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    source = DatasetSource([(Image.fromarray(picture), 0)], origin="x")
    assert torch.equal(source.fetch(torch.tensor([0]))[0], torch.from_numpy(picture).permute(2, 0, 1))


def torn() -> object:
    raise OSError("image file is truncated")


class Broken:
    """The second sample cannot be read."""

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> object:
        return (grey(0), 0) if index == 0 else torn()


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        (iter([1]), "x: a data set must have a length and be indexed by position"),
        ([], "x: the data set is empty"),
        (Broken(), "x, sample 1: cannot be read: image file is truncated"),
        ([(grey(0), 0), 5], r"x, sample 1: must be \(image, label\) or a dict .* got int"),
        ([(grey(0), 0), (grey(0)[:2], 0)], r"x, sample 1: the image is torch.uint8 \(1, 2, 4\), the first is"),
        ([(grey(0), 0), (grey(0) / 2, 0)], "x, sample 1: the image is torch.float32"),
        ([(grey(0), "cat")], "x, sample 0: the label must be a whole number 0 … classes-1, got 'cat'"),
        ([(grey(0), 0.5)], "got 0.5"),
        ([(grey(0), float("nan"))], "got nan"),
        ([(grey(0).astype(np.int64), 0)], "uint8 or float, got ndarray"),
        ([(torch.zeros(4, 4, dtype=torch.int64), 0)], "uint8 or floating point, got torch.int64"),
        ([(np.zeros((1, 0, 4)), 0)], r"axes \[C, H, W\], \[H, W, C\] or \[H, W\], got \(1, 0, 4\)"),
        ([("file.png", 0)], "got str"),
    ],
)
def test_samples_that_cannot_be_used(dataset: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        DatasetSource(dataset, origin="x")  # type: ignore[arg-type]


class Shrinking:
    """After it was looked at."""

    def __init__(self) -> None:
        self.reads = 0

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        self.reads += 1
        return grey(index)[: 4 if self.reads < 4 else 2], index


def test_a_shape_that_changes_later_is_noticed() -> None:
    source = DatasetSource(Shrinking(), origin="x")
    with pytest.raises(DataError, match="sample 1: the image is"):
        source.fetch(torch.tensor([1]))


@pytest.mark.parametrize("count", [0, 3, 5])
def test_one_label_an_image(count: int) -> None:
    images, labels = torch.zeros(4, 1, 2, 2), torch.zeros(count, dtype=torch.int64)
    with pytest.raises(DataError, match=f"x: 4 images but {count} labels"):
        TensorSource(images, labels, origin="x")


class Whole:
    """60 pictures, of which some may be others; transforms that draw from the global generators where asked for."""

    def __init__(self, changed: tuple[int, ...] = (), *, noisy: bool = False, unseeded: bool = False) -> None:
        self.images = np.random.default_rng(0).random((60, 1, 4, 4), dtype=np.float32)
        self.images[list(changed)] += 0.5
        self.noisy, self.unseeded = noisy, unseeded

    def __len__(self) -> int:
        return 60

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        image = torch.from_numpy(self.images[index])
        image = image + torch.rand(()) * random.random() * np.random.rand() if self.noisy else image
        return (image + float(np.random.default_rng().random()) if self.unseeded else image), index % 3


@pytest.mark.parametrize("noisy", [False, True])
def test_a_dataset_is_known_by_every_sample(noisy: bool) -> None:
    source = DatasetSource(Whole(noisy=noisy), origin="x")
    assert source.unrepeatable is None
    assert source.hash_of_samples() == DatasetSource(Whole(noisy=noisy), origin="x").hash_of_samples()
    for place in (1, 7, 31, 58):
        other = DatasetSource(Whole((place,), noisy=noisy), origin="x")
        assert other.hash_of_samples() != source.hash_of_samples()
        rest = torch.tensor([row for row in range(60) if row != place])
        assert other.take(rest).hash_of_samples() == source.take(rest).hash_of_samples()


@pytest.mark.filterwarnings("ignore::calando.errors.DataWarning")
def test_pixels_that_no_seed_repeats_are_not_what_a_dataset_is_known_by() -> None:
    one, other = (DatasetSource(Whole(unseeded=True), origin="x") for _ in range(2))
    assert one.unrepeatable == 0
    assert one.hash_of_samples() == other.hash_of_samples()
    assert one.fingerprint() == other.fingerprint()
    made = workload(train=Whole(unseeded=True), model="cnn", batch_size=8)
    assert any("training data: two reads of sample 0 differ though the generators" in note for note in made.cautions)


def test_looking_leaves_a_dataset_as_it_was_given() -> None:
    given = Shrinking()
    DatasetSource(given, origin="x")
    assert given.reads == 0
