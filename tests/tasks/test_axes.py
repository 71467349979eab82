"""Where the channels are: read where one order alone is likely, as given where it is given, refused elsewhere."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import nn
from torch.utils.data import TensorDataset

from calando.errors import DataError, UsageError
from calando.tasks.custom import workload
from calando.tasks.data.arrays import find_channels
from calando.tasks.data.npz import read_npz
from calando.tasks.torch_dataset import DatasetSource

COUNTS = [1, 2, 3, 4, 8, 13]
SIZES = [(16, 16), (32, 24), (28, 40)]


def net(*, classes: int, in_channels: int, image_size: tuple[int, int]) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(in_channels * image_size[0] * image_size[1], classes))


def images(channels: int, size: tuple[int, int], dtype: str, n: int = 40) -> np.ndarray:
    """[N, C, H, W]."""
    drawn = np.random.default_rng(channels).integers(0, 256, (n, channels, *size))
    return drawn.astype(np.uint8) if dtype == "uint8" else (drawn / 255).astype(dtype)


class Samples:
    """A Dataset of images as they are."""

    def __init__(self, pictures: list[object]) -> None:
        self.pictures = pictures

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: int) -> tuple[object, int]:
        return self.pictures[index], index % 2


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("channels", COUNTS)
def test_every_form_gives_the_same_pixels(channels: int, size: tuple[int, int], dtype: str) -> None:
    first = images(channels, size, dtype)
    last = np.ascontiguousarray(first.transpose(0, 2, 3, 1))
    labels = np.arange(len(first)) % 2
    forms = {
        "arrays, first": (first, labels),
        "arrays, last": (last, labels),
        "tensors, first": (torch.from_numpy(first), torch.from_numpy(labels)),
        "tensors, last": (torch.from_numpy(last), torch.from_numpy(labels)),
        "set of tensors, first": TensorDataset(torch.from_numpy(first), torch.from_numpy(labels)),
        "set of tensors, last": TensorDataset(torch.from_numpy(last), torch.from_numpy(labels)),
        "set of arrays, first": Samples(list(first)),
        "set of arrays, last": Samples(list(last)),
    }
    rows = torch.arange(28)
    for form, given_as in forms.items():
        made = workload(train=given_as, model=net, batch_size=8)  # type: ignore[arg-type]
        assert made.shape == (channels, *size), form
        whole = torch.from_numpy(first).float() if dtype != "uint8" else torch.from_numpy(first)
        kept = {row.numpy().tobytes() for row in whole}
        assert all(row.numpy().tobytes() in kept for row in made.train.fetch(rows)), form
        (note,) = made.notes
        plural = "s" * (channels > 1)
        assert f"40 images of {size[0]}x{size[1]} pixels in {channels} channel{plural}, read" in note
        assert note.endswith("C, H, W]" if "first" in form else "H, W, C]"), (form, note)


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 40), st.booleans())
def test_a_shape_is_never_read_differently_from_its_mirror(a: int, b: int, c: int, tensor: bool) -> None:
    """What is read with its channels first is, turned round, read with its channels last, or refused."""

    def read(shape: tuple[int, int, int]) -> str:
        try:
            return find_channels(shape, origin="x", tensor=tensor)
        except DataError:
            return "refused"

    if read((a, b, c)) == "first" and not tensor and a > 1:
        assert read((b, c, a)) != "first" or b == c == 1 or b == 1
    if a == b == c > 3 or (a == c > 4 and a < 2 * b):
        assert read((a, b, c)) == "refused"


@pytest.mark.parametrize("shape", [(8, 8, 8), (8, 16, 8), (16, 4, 8), (32, 48, 40), (4, 16, 4)])
@pytest.mark.parametrize("form", ["arrays", "tensors", "set of arrays", "set of tensors"])
def test_what_may_be_either_is_refused_and_the_advice_works(shape: tuple[int, int, int], form: str) -> None:
    pixels = np.random.default_rng(0).random((40, *shape), dtype=np.float32)
    labels = np.arange(40) % 2
    given_as = {
        "arrays": (pixels, labels),
        "tensors": (torch.from_numpy(pixels), torch.from_numpy(labels)),
        "set of arrays": Samples(list(pixels)),
        "set of tensors": Samples(list(torch.from_numpy(pixels))),
    }[form]
    a, b, c = shape
    message = (
        f"may be {b}x{c} pixels in {a} channels (channels first), or {a}x{b} pixels in {c} channels (channels last); "
        "say which with channels='first' or channels='last' in calando.workload(…)"
    )
    with pytest.raises(DataError, match=re.escape(message)):
        workload(train=given_as, model=net, batch_size=8)  # type: ignore[arg-type]
    first = workload(train=given_as, model=net, batch_size=8, channels="first")  # type: ignore[arg-type]
    last = workload(train=given_as, model=net, batch_size=8, channels="last")  # type: ignore[arg-type]
    assert (first.shape, last.shape) == ((a, b, c), (c, a, b))
    assert first.notes[0].endswith("C, H, W]")
    assert last.notes[0].endswith("H, W, C]")
    rows = torch.arange(5)
    assert torch.equal(first.train.fetch(rows), last.train.fetch(rows).permute(0, 2, 3, 1))


def test_what_is_given_wins_over_the_shape() -> None:
    pixels = np.zeros((40, 3, 16, 16), np.uint8)
    pixels[::2] = 1
    made = workload(train=(pixels, np.arange(40) % 2), model=net, batch_size=8, channels="last")
    assert made.shape == (16, 3, 16)


@pytest.mark.parametrize("value", ["middle", 1, True, "FIRST"])
def test_channels_are_first_or_last(value: object) -> None:
    pixels = np.zeros((40, 3, 16, 16), np.uint8)
    with pytest.raises(UsageError, match=r'channels must be "first" .* or "last" .*, got'):
        workload(train=(pixels, np.arange(40) % 2), model=net, batch_size=8, channels=value)  # type: ignore[arg-type]


@pytest.mark.parametrize(("mode", "channels"), [("L", 1), ("RGB", 3), ("RGBA", 4), ("CMYK", 4), ("LA", 2)])
def test_pil_images_have_one_order_whatever_their_size(mode: str, channels: int) -> None:
    for size in ((8, 6), (3, 3), (4, 4), (1, 3)):
        rng = np.random.default_rng(0)
        pictures = [
            Image.fromarray(rng.integers(0, 256, (size[1], size[0], 4), dtype=np.uint8), "RGBA").convert(mode)
            for _ in range(3)
        ]
        source = DatasetSource(Samples(list(pictures)), origin="x", channels="first")
        assert source.shape == (channels, size[1], size[0])
        expected = np.asarray(pictures[1]).reshape(size[1], size[0], channels).transpose(2, 0, 1)
        assert np.array_equal(source.fetch(torch.tensor([1]))[0].numpy(), expected)
        assert source.reading.endswith("read from PIL images")


def test_the_first_sample_decides_for_all() -> None:
    samples: list[object] = [np.zeros((16, 16, 3), np.uint8), np.zeros((3, 16, 16), np.uint8)]
    with pytest.raises(DataError, match=r"sample 1: the image is torch.uint8 \(16, 3, 16\), the first is"):
        DatasetSource(Samples(samples), origin="x")


def test_grey_is_grey_in_every_form() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 8, 8), dtype=np.uint8)
    labels = np.arange(40) % 2
    for given_as in ((pixels, labels), Samples(list(pixels)), Samples(list(torch.from_numpy(pixels)))):
        assert workload(train=given_as, model=net, batch_size=8).shape == (1, 8, 8)  # type: ignore[arg-type]


@pytest.mark.parametrize("names", [("x_train", "y_train", "x_test", "y_test"), ("images", "labels")])
@pytest.mark.parametrize("channels", COUNTS)
def test_archives_are_read_by_the_same_rule(tmp_path: Path, names: tuple[str, ...], channels: int) -> None:
    first = images(channels, (16, 16), "uint8")
    last = first.transpose(0, 2, 3, 1)
    for name, array in (("first", first), ("last", last)):
        arrays = {key: (np.arange(40) % 2 if key[0] in "yl" else array) for key in names}
        np.savez(tmp_path / f"{name}.npz", **arrays)
    one, other = read_npz(tmp_path / "first.npz"), read_npz(tmp_path / "last.npz")
    assert np.array_equal(one.train.images, other.train.images)
    assert np.array_equal(one.test.images, other.test.images)
    assert one.train.images.shape[1:] == (channels, 16, 16)
    assert other.notes[1].endswith("read as [N, H, W, C]")


def test_an_archive_may_say_where_its_channels_are(tmp_path: Path) -> None:
    pixels = images(8, (8, 8), "uint8")
    np.savez(tmp_path / "dumb.npz", images=pixels, labels=np.arange(40) % 2)
    with pytest.raises(DataError, match=re.escape("in the archive: numpy.savez(…, channels='last')")):
        read_npz(tmp_path / "dumb.npz")
    np.savez(tmp_path / "says.npz", images=pixels, labels=np.arange(40) % 2, channels="last")
    rows = read_npz(tmp_path / "says.npz").train.images
    kept = {image.transpose(2, 0, 1).tobytes() for image in pixels}
    assert all(row.tobytes() in kept for row in rows)
    np.savez(tmp_path / "wrong.npz", images=pixels, labels=np.arange(40) % 2, channels="middle")
    with pytest.raises(DataError, match="channels must be"):
        read_npz(tmp_path / "wrong.npz")
