"""Where named data are looked for, and in which order."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from calando.errors import DataError, UsageError
from calando.tasks import fetch
from calando.tasks.fetch import find_data

Samples = Callable[..., tuple[np.ndarray, np.ndarray]]
Write = Callable[..., Path]


def test_the_first_place_that_holds_it_is_taken(
    tmp_path: Path, own_cache: Path, samples: Samples, write_idx: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "_DEBIAN", tmp_path / "debian")
    monkeypatch.setenv("CALANDO_DATA", str(tmp_path / "variable"))
    given = tmp_path / "given"
    given.mkdir()
    places = [
        tmp_path / "debian" / "fashion-mnist",
        own_cache / "fashion-mnist",
        tmp_path / "variable",
        tmp_path / "variable" / "fashion-mnist",
        given,
        given / "fashion-mnist",
    ]
    for place in places:  # each beats those before it
        write_idx(place, *samples(4))
        folder, _ = find_data("fashion-mnist", data_dir=given)
        assert folder.resolve() == place.resolve()


def test_nowhere_lists_the_places_and_the_command(tmp_path: Path, own_cache: Path) -> None:
    with pytest.raises(DataError) as caught:
        find_data("fashion-mnist", data_dir=tmp_path)
    message = str(caught.value)
    for place in (tmp_path / "fashion-mnist", own_cache / "fashion-mnist", "/usr/share/datasets/fashion-mnist"):
        assert str(place) in message
    assert "`calando data get fashion-mnist`" in message
    assert "--data" in message


def test_a_folder_that_is_not_there_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no such folder"):
        find_data("cifar10", data_dir=tmp_path / "absent")


@pytest.mark.parametrize(
    ("below", "layout"),
    [
        (".", "binary"),
        ("cifar-10-batches-bin", "binary"),
        (".", "pickled"),
        ("cifar-10-batches-py", "pickled"),
        (".", "parquet"),
        ("plain_text", "parquet"),
    ],
)
def test_the_layout_of_cifar10_is_detected(
    tmp_path: Path,
    samples: Samples,
    write_cifar_binary: Write,
    write_cifar_pickled: Write,
    write_parquet: Write,
    below: str,
    layout: str,
) -> None:
    images, labels = samples(20, channels=3, size=32, classes=10)
    place = tmp_path / "cifar10" / below
    if layout == "parquet":
        write_parquet(place / "train-00000-of-00001.parquet", images, labels.tolist())
        write_parquet(place / "test-00000-of-00001.parquet", images, labels.tolist())
    else:
        (write_cifar_binary if layout == "binary" else write_cifar_pickled)(place, images, labels)
    folder, found = find_data("cifar10", data_dir=tmp_path)
    data = found.read(folder)
    assert np.array_equal(data.test.images, images)
    assert np.array_equal(data.test.labels, labels)


def test_torchvisions_folder_of_fashion_mnist(tmp_path: Path, samples: Samples, write_idx: Write) -> None:
    write_idx(tmp_path / "FashionMNIST" / "raw", *samples(4), compress=False)
    folder, found = find_data("fashion-mnist", data_dir=tmp_path)
    assert found.read(folder).class_names[9] == "Ankle boot"


def test_another_data_sets_parquet_is_not_taken_for_cifar10(
    tmp_path: Path, samples: Samples, write_parquet: Write
) -> None:
    images, labels = samples(4)
    write_parquet(tmp_path / "flowers" / "train.parquet", images, labels.tolist())
    with pytest.raises(DataError, match="cifar10 was not found"):
        find_data("cifar10", data_dir=tmp_path)
