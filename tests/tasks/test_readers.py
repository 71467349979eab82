"""What is written in a format is read back, pixel by pixel."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.tasks.same_samples import assert_same, assert_whole

from calando.errors import DataError
from calando.tasks.data.folder import read_folder
from calando.tasks.data.named_datasets import CIFAR10_CLASSES, read_binary, read_digits, read_idx_folder, read_pickled
from calando.tasks.data.npz import read_npz
from calando.tasks.data.parquet import read_parquet

Samples = Callable[..., tuple[np.ndarray, np.ndarray]]
Write = Callable[..., Path]
Encode = Callable[..., bytes]


def test_digits_are_scikit_learns() -> None:
    from sklearn.datasets import load_digits

    original = load_digits()
    data = read_digits()
    assert_whole(data, np.rint(original.images * 255 / 16).astype(np.uint8)[:, None], original.target)
    assert data.train.images.max() == 255


@pytest.mark.parametrize("compress", [True, False])
def test_idx(tmp_path: Path, samples: Samples, write_idx: Write, compress: bool) -> None:
    images, labels = samples(12)
    data = read_idx_folder(write_idx(tmp_path, images, labels, compress=compress))
    assert_same(data.train.images, data.train.labels, images, labels)
    assert_same(data.test.images, data.test.labels, images, labels)


def test_idx_partner_missing_or_unfit(tmp_path: Path, samples: Samples, write_idx: Write) -> None:
    images, labels = samples(12)
    write_idx(tmp_path / "a", images, labels)
    (tmp_path / "a" / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(DataError, match=r"t10k-labels-idx1-ubyte.gz: is missing; fetch it"):
        read_idx_folder(tmp_path / "a")
    write_idx(tmp_path / "b", images, labels[:-1])
    with pytest.raises(DataError, match="do not fit"):
        read_idx_folder(tmp_path / "b")


@pytest.mark.parametrize("channels_last", [True, False])
def test_npz_with_parts(tmp_path: Path, samples: Samples, channels_last: bool) -> None:
    images, labels = samples(20, channels=3)
    written = images.transpose(0, 2, 3, 1) if channels_last else images
    np.savez_compressed(
        tmp_path / "x.npz", x_train=written, y_train=labels[:, None], x_test=written[:4], y_test=labels[:4]
    )
    data = read_npz(tmp_path / "x.npz")
    assert_same(data.train.images, data.train.labels, images, labels)
    assert_same(data.test.images, data.test.labels, images[:4], labels[:4])


def test_npz_whole_grey(tmp_path: Path, samples: Samples) -> None:
    images, labels = samples(40)
    np.savez(tmp_path / "x.npz", images=images[:, 0], labels=labels.astype(np.uint8), notes=np.array("hello"))
    assert_whole(read_npz(tmp_path / "x.npz"), images, labels)


def test_npz_floats_become_float32(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", images=np.linspace(0, 1, 640).reshape(10, 8, 8), labels=np.arange(10) % 2)
    data = read_npz(tmp_path / "x.npz")
    assert data.train.images.dtype == np.float32


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"a": np.zeros(3)}, "it holds a"),
        ({"images": np.zeros((4, 8, 8), np.int32), "labels": np.zeros(4)}, "uint8 or floating point, got int32"),
        ({"images": np.zeros((4, 8), np.uint8), "labels": np.zeros(4)}, r"got \(4, 8\)"),
        ({"images": np.zeros((4, 0, 8), np.uint8), "labels": np.zeros(4)}, r"got \(4, 1, 0, 8\)"),
        ({"images": np.zeros((4, 8, 8), np.uint8), "labels": np.array([0, 1, 0.5, 1])}, "whole numbers"),
        ({"images": np.zeros((4, 8, 8), np.uint8), "labels": np.eye(4)}, r"shape \(4, 4\)"),
        ({"images": np.array([{}]), "labels": np.zeros(1)}, "allow_pickle"),
    ],
)
def test_npz_of_another_kind_is_refused(tmp_path: Path, arrays: dict[str, np.ndarray], message: str) -> None:
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(DataError, match=message):
        read_npz(tmp_path / "x.npz")


@pytest.mark.parametrize("words", [True, False])
def test_npz_as_medmnist_has_it(tmp_path: Path, samples: Samples, words: bool) -> None:
    images, labels = samples(20, channels=3, size=28)
    written = np.array(["zebra", "ant"])[labels] if words else labels
    parts = {f"{part}_images": images.transpose(0, 2, 3, 1) for part in ("train", "val", "test")}
    parts |= {f"{part}_labels": written[:, None] for part in ("train", "val", "test")}
    np.savez(tmp_path / "x.npz", **parts, info=np.array("hello"))
    data = read_npz(tmp_path / "x.npz")
    assert_same(data.train.images, data.train.labels, images, 1 - labels if words else labels)
    assert data.class_names == (("ant", "zebra") if words else None)
    called = "ant, zebra" if words else "0, 1"
    assert data.notes[0] == (
        f"{tmp_path}/x.npz: 2 classes ({called}); train 20 (10 of each), test 20 (10 of each); images of 28x28 pixels "
        "in 3 channels; passed over: val_images, val_labels (there is a test part; validation is cut from the training "
        "part); info (no part of a data set by the name)"
    )
    del parts["test_images"], parts["test_labels"]
    np.savez(tmp_path / "y.npz", **parts)
    assert "val 20 (10 of each)" in read_npz(tmp_path / "y.npz").notes[0]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"y_test": np.array(["a", "c"] * 10)}, "x_test.: label 'c' is not among the training part's: a, b"),
        ({"y_test": np.arange(20) % 2}, "words in one part and numbers in the other"),
        ({"y_train": np.array([["a", "b"]] * 20)}, "one word a sample, got an array of shape .20, 2."),
        ({"images": np.zeros((4, 8, 8), np.uint8), "labels": np.arange(4) % 2}, "holds images, labels and x_train"),
    ],
)
def test_npz_words_that_do_not_fit(
    tmp_path: Path, samples: Samples, arrays: dict[str, np.ndarray], message: str
) -> None:
    images, labels = samples(20)
    words = np.array(["a", "b"])[labels]
    parts = {"x_train": images, "y_train": words, "x_test": images, "y_test": words} | arrays
    np.savez(tmp_path / "x.npz", **parts)
    with pytest.raises(DataError, match=message):
        read_npz(tmp_path / "x.npz")


def test_every_data_set_reports_parts_classes_and_sizes(tmp_path: Path, samples: Samples, write_idx: Write) -> None:
    images, labels = samples(12)
    assert read_digits().notes[0].startswith("digits: 10 classes (0, 1, 2, 3, 4, 5, 6, 7, 8, 9); train 1438 (")
    note = read_idx_folder(write_idx(tmp_path, images, labels)).notes[0]
    assert note.startswith(f"{tmp_path}: 10 classes (T-shirt/top, Trouser,")
    assert note.endswith("images of 8x8 pixels in 1 channel")
    np.savez(tmp_path / "x.npz", images=images.astype(np.float64) + 0.1, labels=labels)
    assert "float64 is rounded to float32" in read_npz(tmp_path / "x.npz").notes[1]


def test_npy_is_not_npz(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros(3))
    with pytest.raises(DataError, match="single array"):
        read_npz(tmp_path / "x.npy")


def test_cifar_binary(tmp_path: Path, samples: Samples, write_cifar_binary: Write) -> None:
    images, labels = samples(10, channels=3, size=32, classes=10)
    data = read_binary(write_cifar_binary(tmp_path, images, labels))
    assert_same(data.train.images, data.train.labels, np.tile(images, (5, 1, 1, 1)), np.tile(labels, 5))
    assert_same(data.test.images, data.test.labels, images, labels)
    assert data.class_names == CIFAR10_CLASSES


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("order", ["C", "F"])
def test_cifar_pickled(tmp_path: Path, samples: Samples, write_cifar_pickled: Write, protocol: int, order: str) -> None:
    images, labels = samples(10, channels=3, size=32, classes=10)
    laid_out = np.array(images, order=order)
    data = read_pickled(write_cifar_pickled(tmp_path, laid_out, labels, protocol=protocol))
    assert_same(data.train.images, data.train.labels, np.tile(images, (5, 1, 1, 1)), np.tile(labels, 5))
    assert_same(data.test.images, data.test.labels, images, labels)


def test_cifar_faults(tmp_path: Path, samples: Samples, write_cifar_binary: Write, write_cifar_pickled: Write) -> None:
    images, labels = samples(10, channels=3, size=32, classes=10)
    folder = write_cifar_binary(tmp_path / "bin", images, labels)
    (folder / "data_batch_3.bin").unlink()
    with pytest.raises(DataError, match=r"data_batch_3.bin: cannot be read \(No such file.*calando data get cifar10"):
        read_binary(folder)
    (folder / "data_batch_3.bin").write_bytes(b"\x00" * 5000)
    with pytest.raises(DataError, match="5000 bytes are not a whole number of records of 3073"):
        read_binary(folder)
    with pytest.raises(DataError, match="labels must be 0 … 9, got 0 … 12"):
        read_pickled(write_cifar_pickled(tmp_path / "labels", images, np.array([*range(9), 12])))
    with pytest.raises(DataError, match="no list 'labels' of 10"):
        read_pickled(write_cifar_pickled(tmp_path / "short", images, labels[:9]))
    with pytest.raises(DataError, match="no array 'data'"):
        read_pickled(write_cifar_pickled(tmp_path / "narrow", images[:, :1], labels))


def test_folder_whole_and_with_parts(tmp_path: Path, samples: Samples, write_folder: Write) -> None:
    images, labels = samples(40, channels=3)
    data = read_folder(write_folder(tmp_path / "whole", images, labels))
    assert_whole(data, images, labels)
    assert data.class_names == ("cat", "dog")
    for test_name in ("test", "val"):
        root = tmp_path / test_name
        write_folder(root / "train", images[:30], labels[:30])
        write_folder(root / test_name, images[30:], labels[30:])
        data = read_folder(root)
        order = np.argsort(labels[:30], kind="stable")
        assert_same(data.train.images, data.train.labels, images[:30][order], labels[:30][order])
        assert (len(data.train.labels), len(data.test.labels)) == (30, 10)


def test_folder_makes_colour_and_size_common(tmp_path: Path, png: Encode) -> None:
    rng = np.random.default_rng(0)
    (tmp_path / "cat").mkdir()
    (tmp_path / "dog").mkdir()
    grey = rng.integers(0, 256, (1, 8, 8), dtype=np.uint8)
    flat = np.full((3, 20, 16), 200, np.uint8)
    for i in range(5):
        (tmp_path / "cat" / f"{i}.png").write_bytes(png(grey))
        (tmp_path / "dog" / f"{i}.png").write_bytes(png(flat if i == 0 else np.repeat(grey, 3, axis=0)))
    (tmp_path / "dog" / "notes.txt").write_text("not an image")
    (tmp_path / "dog" / ".hidden.png").write_text("not an image")
    data = read_folder(tmp_path)
    images = np.concatenate([data.train.images, data.test.images])
    assert images.shape == (10, 3, 8, 8)
    assert (images == 200).all((1, 2, 3)).sum() == 1  # the larger one, made as small as the nine
    assert (images == grey).all((1, 2, 3)).sum() == 9


def test_more_pixels_than_memory_is_said_before_decoding(
    tmp_path: Path, samples: Samples, write_folder: Write, png: Encode, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, labels = samples(8)
    folder = write_folder(tmp_path, images, labels)
    (folder / "cat" / "0000.png").write_bytes(png(np.zeros((1, 64, 64), np.uint8)))  # the first is an outlier
    monkeypatch.setattr("calando.tasks.data.images._LIMIT_BYTES", 8 * 64)
    assert read_folder(folder).train.images.shape[1:] == (1, 8, 8)
    monkeypatch.setattr("calando.tasks.data.images._LIMIT_BYTES", 8 * 64 - 1)
    with pytest.raises(DataError, match="8 images of 8x8 take more than .* torch.utils.data.Dataset"):
        read_folder(folder)


def test_sixteen_bits_keep_their_upper_half(tmp_path: Path) -> None:
    from PIL import Image

    deep = np.arange(64, dtype=np.uint16).reshape(8, 8) * 1000
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        for i in range(2):
            Image.fromarray(deep).save(tmp_path / name / f"{i}.png")
    assert np.array_equal(read_folder(tmp_path).train.images[0, 0], (deep >> 8).astype(np.uint8))


def test_folder_faults(tmp_path: Path, samples: Samples, write_folder: Write) -> None:
    images, labels = samples(8)
    with pytest.raises(DataError, match="there is no such folder"):
        read_folder(tmp_path / "absent")
    with pytest.raises(DataError, match="has no class folders"):
        read_folder(tmp_path)
    (tmp_path / "empty" / "cat").mkdir(parents=True)
    with pytest.raises(DataError, match="holds no images"):
        read_folder(tmp_path / "empty")
    write_folder(tmp_path / "half" / "train", images, labels)
    with pytest.raises(DataError, match="has train/ but no test/"):
        read_folder(tmp_path / "half")
    write_folder(tmp_path / "half" / "test", images, labels, names=("cat", "cow"))
    with pytest.raises(DataError, match="class 'cow' is not among the training part's: cat, dog"):
        read_folder(tmp_path / "half")
    folder = write_folder(tmp_path / "torn", images, labels)
    torn = folder / "dog" / "0003.png"
    torn.write_bytes(torn.read_bytes()[:40])
    with pytest.raises(DataError, match=r"0003.png: not an image that can be decoded .*; replace or remove it"):
        read_folder(folder)


def test_real_cifar10_parquet(real_data: Path) -> None:
    """Only the test file: a second, not twenty."""
    data = read_parquet(real_data / "cifar10" / "test.parquet")
    assert data.class_names == CIFAR10_CLASSES
    assert data.train.images.shape == (8000, 3, 32, 32)
    assert np.bincount(data.train.labels).tolist() == [800] * 10
    assert 110 < data.train.images.mean() < 130


def test_real_fashion_mnist(real_data: Path) -> None:
    data = read_idx_folder(real_data / "fashion-mnist")
    assert data.train.images.shape == (60_000, 1, 28, 28)
    assert np.bincount(data.test.labels).tolist() == [1000] * 10


def test_real_sound_is_refused(real_data: Path) -> None:
    with pytest.raises(DataError, match="has no image column .* its columns are audio, label, speaker"):
        read_parquet(real_data / "fsdd")
