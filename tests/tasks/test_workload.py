"""Workloads put together in Python: batches are pure, checks are made, the parts are what they say."""

import io
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps
from torch import nn
from torch.utils.data import TensorDataset

from calando.errors import DataError, DataWarning, UnknownName, UsageError
from calando.tasks.augment import parse_augment
from calando.tasks.custom import workload
from calando.tasks.randomness import batch_indices
from calando.tasks.workload import CrossEntropy, Workload


def linear(*, classes: int, in_channels: int, image_size: tuple[int, int]) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(in_channels * image_size[0] * image_size[1], classes))


def pair(n: int = 60, *, classes: int = 3, channels: int = 1, size: int = 8) -> tuple[torch.Tensor, torch.Tensor]:
    pixels = torch.randint(0, 256, (n, channels, size, size), generator=torch.Generator().manual_seed(n))
    return pixels.to(torch.uint8), torch.arange(n) % classes


@pytest.fixture(scope="module")
def made() -> Workload:
    """60 colour images, augmented, in batches of 7."""
    return workload(
        train=pair(channels=3), test=pair(12, channels=3), model=linear, batch_size=7, augment="crop(2)+flip"
    )


@given(st.integers(0, 200), st.integers(0, 9))
def test_batches_are_pure(made: Workload, step: int, seed: int) -> None:
    x, y = made.batch(step, seed=seed)
    made.batch(step + 1, seed=seed + 1)
    again, targets = made.batch(step, seed=seed)
    assert torch.equal(x, again)
    assert torch.equal(y, targets)
    assert x.dtype == torch.float32
    assert x.is_contiguous()
    assert x.shape == (7, 3, 8, 8)


def test_batches_are_the_documented_composition(made: Workload) -> None:
    rows = batch_indices(size=len(made.train), batch_size=7, seed=4, step=11)
    raw = made.train.fetch(rows)
    augmented = torch.from_numpy(parse_augment("crop(2)+flip")(raw.numpy(), seed=4, step=11))
    mean, std = (torch.tensor(values, dtype=torch.float64)[:, None, None] for values in (made.mean, made.std))
    x, y = made.batch(11, seed=4)
    assert torch.allclose(x.double(), (augmented / 255 - mean) / std, atol=1e-6)
    assert torch.equal(y, made.train.labels[rows])
    raw_again, _ = made.raw_batch(11, seed=4)
    assert torch.equal(raw_again, augmented)


@pytest.mark.parametrize("floats", [True, False])
def test_the_training_part_is_normalised(floats: bool) -> None:
    images, labels = pair(channels=3)
    images = images.float() * 3 - 50 if floats else images
    made = workload(train=(images, labels), model=linear, batch_size=8)
    raw = made.train.fetch(torch.arange(len(made.train)))
    before = raw.clone()
    x = made.normalise(raw).double()
    assert torch.equal(raw, before)
    assert x.mean((0, 2, 3)).abs().max() < 1e-5
    assert (x.std((0, 2, 3), correction=0) - 1).abs().max() < 1e-5


def test_a_constant_channel_becomes_zero() -> None:
    images, labels = pair(channels=2)
    images[:, 1] = 9
    made = workload(train=(images, labels), model=linear, batch_size=8)
    assert made.normalise(images)[:, 1].abs().max() < 1e-6


def rows_of(images: torch.Tensor) -> set[bytes]:
    return {image.numpy().tobytes() for image in images}


def test_parts_are_disjoint_and_complete() -> None:
    images, labels = pair(100, classes=5)
    made = workload(train=(images, labels), model=linear, batch_size=8)
    parts = [rows_of(part.fetch(torch.arange(len(part)))) for part in (made.train, made.validation, made.test)]
    assert [len(part) for part in parts] == [70, 10, 20]
    assert set.union(*parts) == rows_of(images)
    for part in (made.train, made.validation, made.test):
        assert part.labels.unique().tolist() == [0, 1, 2, 3, 4]
    assert made.steps_per_epoch == 8


def test_parts_that_are_given_are_kept() -> None:
    given_parts = {"train": pair(60), "validation": pair(9), "test": pair(6)}
    made = workload(**given_parts, model=linear, batch_size=8)  # type: ignore[arg-type]
    for name, (images, labels) in given_parts.items():
        part = getattr(made, name)
        assert torch.equal(part.fetch(torch.arange(len(part))), images)
        assert torch.equal(part.labels, labels)


def test_tensors_arrays_and_datasets_make_equal_workloads() -> None:
    images, labels = pair()
    kinds = [
        (images, labels),
        (images.numpy(), labels.numpy()),
        (images[:, 0], labels.to(torch.int32)[:, None]),
        [images, labels],
        TensorDataset(images, labels),
    ]
    made = [workload(train=kind, model=linear, batch_size=8) for kind in kinds]  # type: ignore[arg-type]
    for other in made[1:]:
        assert torch.equal(other.batch(3, seed=1)[0], made[0].batch(3, seed=1)[0])
    assert len({one.fingerprint for one in made[:4]}) == 1


def test_what_is_lent_is_not_changed_and_not_followed() -> None:
    images, labels = pair()
    copy = images.clone()
    made = workload(train=(images, labels), model=linear, batch_size=8, augment="crop(2)+flip+cutout(3)")
    first = made.batch(0, seed=0)[0]
    assert torch.equal(images, copy)
    images.zero_()
    assert torch.equal(made.batch(0, seed=0)[0], first)


def test_train_limit_is_stratified_and_leaves_the_validation_part() -> None:
    images, labels = pair(300)
    whole = workload(train=(images, labels), model=linear, batch_size=8)
    part = workload(train=(images, labels), model=linear, batch_size=8, train_limit=30)
    assert torch.bincount(part.train.labels).tolist() == [10, 10, 10]
    assert part.validation.fingerprint() == whole.validation.fingerprint()
    assert part.mean != whole.mean
    assert part.fingerprint != whole.fingerprint


def test_fingerprint_is_of_the_data_alone() -> None:
    images, labels = pair()
    made = workload(train=(images, labels), model=linear, batch_size=8)
    same = workload(train=(images, labels), model="cnn", batch_size=4, augment="flip", name="other")
    assert made.fingerprint == same.fingerprint
    assert len(made.fingerprint) == 16
    images[5, 0, 0, 0] ^= 1
    assert workload(train=(images, labels), model=linear, batch_size=8).fingerprint != made.fingerprint


@given(st.floats(0, 0.99), st.integers(2, 6))
def test_cross_entropy_with_smoothing(smoothing: float, classes: int) -> None:
    torch.manual_seed(classes)
    outputs, targets = torch.randn(5, classes, dtype=torch.float64), torch.arange(5) % classes
    wanted = torch.full((5, classes), smoothing / classes, dtype=torch.float64)
    wanted[torch.arange(5), targets] += 1 - smoothing
    expected = -(wanted * outputs.log_softmax(1)).sum(1).mean()
    assert CrossEntropy(smoothing)(outputs, targets).item() == pytest.approx(expected.item(), rel=1e-12)


def test_a_loss_of_your_own() -> None:
    def loss(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return outputs.square().mean()

    assert workload(train=pair(), model=linear, batch_size=8, loss=loss).loss is loss
    with pytest.raises(UsageError, match="label_smoothing belongs to the cross-entropy"):
        workload(train=pair(), model=linear, batch_size=8, loss=loss, label_smoothing=0.1)


def test_networks_are_built_again() -> None:
    made = workload(train=pair(), model=linear, batch_size=8)
    torch.manual_seed(1)
    first, second = made.build(), made.build()
    assert not torch.equal(first[1].weight, second[1].weight)  # type: ignore[index]


def bad_labels(*values: int) -> tuple[torch.Tensor, torch.Tensor]:
    images, labels = pair()
    labels[: len(values)] = torch.tensor(values)
    return images, labels


def not_finite(place: int) -> tuple[torch.Tensor, torch.Tensor]:
    images, labels = pair(6)
    images = images.float()
    images[place, 0, 3, 3] = float("nan")
    return images, labels


@pytest.mark.parametrize("place", [0, 7, 31, 59])
@pytest.mark.parametrize("as_dataset", [False, True])
def test_a_bad_sample_of_what_is_cut_is_named_by_its_own_number(place: int, as_dataset: bool) -> None:
    images, labels = pair()
    images = images.float()
    images[place, 0, 3, 3] = float("nan")
    train = torch.utils.data.TensorDataset(images, labels) if as_dataset else (images, labels)
    with pytest.raises(DataError, match=f"train: sample {place} has a NaN"):
        workload(train=train, model=linear, batch_size=8)


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16, torch.float64])
def test_floats_of_any_width_are_read(kind: torch.dtype) -> None:
    images, labels = pair()
    made = workload(train=(images.to(kind), labels), test=(images.float(), labels), model=linear, batch_size=8)
    rows = torch.arange(6)
    assert torch.equal(made.test.fetch(rows), images[rows].to(kind).float())


def test_sparse_tensors_and_lists_of_labels_are_read() -> None:
    images, labels = pair()
    plain = workload(train=(images.float(), labels), model=linear, batch_size=8)
    for train in ((images.float().to_sparse(), labels), (images.float().numpy(), labels.tolist())):
        assert workload(train=train, model=linear, batch_size=8).train.fingerprint() == plain.train.fingerprint()
    with pytest.raises(DataError, match="train: labels must be whole numbers"):
        workload(train=(images, ["a"] * len(images)), model=linear, batch_size=8)
    with pytest.raises(DataError, match="train, labels: cannot be made an array"):
        workload(train=(images, [1, [2, 3]]), model=linear, batch_size=8)


def test_parts_of_two_types_need_one_scale() -> None:
    images, labels = pair()
    plain = workload(train=(images, labels), test=(images, labels), model=linear, batch_size=8)
    unit = workload(train=(images, labels), test=(images / 255, labels), model=linear, batch_size=8)
    assert unit.mean == plain.mean
    normal = (images / 255 - 0.5) / 0.25
    for train, test in ((images, images.float()), (images.float(), images), (images, normal), (normal, images)):
        with pytest.raises(DataError, match="no scale in common; give both in one type and scale"):
            workload(train=(train, labels), test=(test, labels), model=linear, batch_size=8)
    workload(train=(normal, labels), test=(images.float(), labels), model=linear, batch_size=8)  # a scale of their own


def test_pictures_of_a_dataset_that_are_to_be_turned_are_reported() -> None:
    exif = Image.Exif()
    content = []
    for i in range(30):
        exif[0x0112] = 6 if i < 4 else 1
        file = io.BytesIO()
        Image.fromarray(pair()[0][i, 0].numpy()).save(file, "PNG", exif=exif)
        content.append((file, i % 3))
    lying = [(Image.open(file), label) for file, label in content]
    with pytest.warns(DataWarning, match="4 of 30 PIL images are to be rotated by their EXIF") as caught:
        made = workload(train=lying, model=linear, batch_size=8)
    assert [str(warning.message) for warning in caught] == list(made.doubts)
    turned = [(ImageOps.exif_transpose(image), label) for image, label in lying]  # what the line advises
    assert workload(train=turned, model=linear, batch_size=8).doubts == ()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train": (torch.zeros(0, 1, 8, 8), torch.zeros(0))}, "train: holds no samples"),
        ({"train": pair(classes=1)}, "train: holds a single class"),
        ({"train": bad_labels(-1)}, "train: labels must be 0 … 2, got -1"),
        ({"train": bad_labels(9)}, "train: no training sample of class 3, 4, 5, 6, 7 … of 10; number the classes"),
        ({"train": bad_labels(9), "classes": 3}, "train: labels must be 0 … 2, got 9"),
        ({"train": bad_labels(3), "test": pair(6)}, "class 3 has only one sample; a validation part"),
        ({"test": pair(6, classes=4)}, "test: sample 3 has label 3, but the training part's classes are 0 … 2"),
        ({"validation": pair(6, classes=4)}, "validation: sample 3 has label 3"),
        ({"test": pair(6, size=9)}, r"test: images are \(1, 9, 9\), those of train \(1, 8, 8\)"),
        ({"test": pair(6, channels=3)}, r"test: images are \(3, 8, 8\)"),
        ({"test": not_finite(4)}, "test: sample 4 has a NaN or infinite value"),
        ({"validation": not_finite(2)}, "validation: sample 2 has a NaN"),
        ({"test": (torch.zeros(0, 1, 8, 8), torch.zeros(0))}, "test: holds no samples"),
        ({"batch_size": 55}, "batch size 55 is larger than the training part, which has 54 samples"),
        ({"batch_size": 20, "train_limit": 10}, "batch size 20 is larger than the training part, which has 10"),
        ({"train_limit": 2}, "train_limit=2 cannot hold"),
        ({"train": (torch.ones(60, 1, 8, 8), pair()[1])}, "train: every pixel of every image is the same"),
        ({"train": (pair()[0], pair()[1][:-1])}, "train: 60 images but 59 labels"),
        ({"train": (pair()[0].int(), pair()[1])}, "train: images must be uint8 or floating point, got int32"),
        ({"classes": 5}, "train: no training sample of class 3, 4 of 5"),
    ],
)
def test_data_that_cannot_be_trained_on(changes: dict[str, object], message: str) -> None:
    arguments = {"train": pair(), "test": pair(6), "model": linear, "batch_size": 8, **changes}
    with pytest.raises(DataError, match=message) as caught:
        workload(**arguments)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 0}, "batch size must be at least 1, got 0"),
        ({"label_smoothing": 1.0}, r"label smoothing must be in \[0, 1\), got 1.0"),
        ({"label_smoothing": float("nan")}, "got nan"),
        ({"validation_fraction": 0.0}, r"validation fraction must be in \(0, 1\), got 0.0"),
        ({"train_limit": 0}, "train limit must be at least 1, got 0"),
        ({"augment": "crop(8)"}, "choose at most 7"),
        ({"class_names": ("a", "b", "c", "d")}, "no training sample of class 3 of 4"),
        ({"class_names": ("a", "b", "c"), "classes": 4}, "no training sample"),
        ({"model": nn.Linear(64, 3)}, "got an instance of Linear; write model=torch.nn.Linear, or model=lambda"),
        ({"model": 3}, "got an object of type int"),
        ({"model": lambda: nn.Linear(8, 3)}, r"must give \[N, 3\] scores"),
    ],
)
def test_arguments_that_cannot_be(changes: dict[str, object], message: str) -> None:
    arguments = {"train": pair(), "test": pair(6), "model": linear, "batch_size": 8, **changes}
    with pytest.raises(UsageError, match=message):
        workload(**arguments)  # type: ignore[arg-type]


def test_unknown_names() -> None:
    with pytest.raises(UnknownName, match="unknown network 'cnnn'; did you mean 'cnn'"):
        workload(train=pair(), model="cnnn", batch_size=8)
    with pytest.raises(UnknownName, match="unknown augmentation 'flop'; did you mean 'flip'"):
        workload(train=pair(), model=linear, batch_size=8, augment="flop")


def test_a_workload_is_changed_by_replacing(made: Workload) -> None:
    other = replace(made, batch_size=9)
    assert other.batch(0, seed=0)[0].shape[0] == 9
    assert other.fingerprint == made.fingerprint


@pytest.mark.cuda
def test_normalising_on_the_gpu() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no NVIDIA GPU")
    made = workload(train=pair(channels=3), model=linear, batch_size=7)
    raw, _ = made.raw_batch(0, seed=0)
    assert torch.allclose(made.normalise(raw.cuda()).cpu(), made.normalise(raw), atol=1e-6)


WRONG_KINDS = [
    {"batch_size": "16"},
    {"batch_size": 1.5},
    {"batch_size": None},
    {"batch_size": True},
    {"train_limit": float("nan")},
    {"train_limit": "9"},
    {"validation_fraction": "0.1"},
    {"validation_fraction": None},
    {"label_smoothing": "a"},
    {"classes": 2.0},
    {"classes": float("nan")},
    {"class_names": "ab"},
    {"class_names": ("a", 3)},
    {"class_names": ("\x1b[2J", "b")},
    {"class_names": iter("ab")},
    {"name": 3},
    {"augment": None},
    {"loss": "cross-entropi"},
    {"loss": torch.nn.CrossEntropyLoss},
    {"train": None},
]


@pytest.mark.parametrize(
    "wrong", WRONG_KINDS, ids=lambda wrong: f"{next(iter(wrong))}={type(next(iter(wrong.values()))).__name__}"
)
def test_an_argument_of_another_kind_is_a_line(wrong):
    given = {"train": (torch.rand(40, 1, 8, 8), torch.arange(40) % 2), "model": "cnn", "batch_size": 8}
    with pytest.raises(UsageError, match=next(iter(wrong)).replace("_", "[_ ]")) as caught:
        workload(**{**given, **wrong})
    assert "\n" not in str(caught.value)
    assert "\x1b" not in str(caught.value)
