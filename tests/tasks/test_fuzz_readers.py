"""A damaged file of any format is read, or refused with our own error; nothing else ever comes out."""

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from calando.errors import DataError
from calando.tasks.data.folder import read_folder
from calando.tasks.data.named_datasets import read_binary, read_idx_folder, read_pickled
from calando.tasks.data.npz import read_npz
from calando.tasks.data.parquet import read_parquet

Maker = Callable[[Path], tuple[Path, Callable[[], object]]]


@pytest.fixture
def makers(
    samples: Callable[..., tuple[np.ndarray, np.ndarray]],
    write_idx: Callable[..., Path],
    write_parquet: Callable[..., Path],
    write_cifar_binary: Callable[..., Path],
    write_cifar_pickled: Callable[..., Path],
    write_folder: Callable[..., Path],
    png: Callable[..., bytes],
) -> dict[str, Maker]:
    """Name of a format -> (folder -> the file to damage, and how to read what holds it)."""
    images, labels = samples(10)
    colour, many = samples(10, channels=3, size=32, classes=10)

    def idx(folder: Path, *, compress: bool) -> tuple[Path, Callable[[], object]]:
        write_idx(folder, images, labels, compress=compress)
        return folder / f"train-images-idx3-ubyte{'.gz' if compress else ''}", lambda: read_idx_folder(folder)

    def npz(folder: Path, *, compress: bool) -> tuple[Path, Callable[[], object]]:
        folder.mkdir()
        (np.savez_compressed if compress else np.savez)(folder / "x.npz", images=images, labels=labels)
        return folder / "x.npz", lambda: read_npz(folder / "x.npz")

    def parquet(folder: Path, *, struct_column: bool) -> tuple[Path, Callable[[], object]]:
        path = write_parquet(
            folder / "x.parquet", images, labels.tolist(), struct_column=struct_column, names=["a", "b"]
        )
        return path, lambda: read_parquet(path)

    def binary(folder: Path) -> tuple[Path, Callable[[], object]]:
        return write_cifar_binary(folder, colour, many) / "data_batch_2.bin", lambda: read_binary(folder)

    def pickled(folder: Path, *, protocol: int) -> tuple[Path, Callable[[], object]]:
        write_cifar_pickled(folder, colour[:2], many[:2], protocol=protocol)
        return folder / "data_batch_2", lambda: read_pickled(folder)

    def picture(folder: Path, *, kind: str) -> tuple[Path, Callable[[], object]]:
        write_folder(folder, images, labels)
        damaged = folder / "dog" / "0001.png"
        damaged.write_bytes(png(colour[0], kind))
        return damaged, lambda: read_folder(folder)

    kinds = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM")
    return {
        "idx.gz": lambda folder: idx(folder, compress=True),
        "idx": lambda folder: idx(folder, compress=False),
        "npz": lambda folder: npz(folder, compress=False),
        "npz compressed": lambda folder: npz(folder, compress=True),
        "parquet struct": lambda folder: parquet(folder, struct_column=True),
        "parquet bytes": lambda folder: parquet(folder, struct_column=False),
        "cifar binary": binary,
        "cifar pickled 0": lambda folder: pickled(folder, protocol=0),
        "cifar pickled 2": lambda folder: pickled(folder, protocol=2),
        "cifar pickled 4": lambda folder: pickled(folder, protocol=4),
        **{kind: (lambda folder, kind=kind: picture(folder, kind=kind)) for kind in kinds},
    }


def damaged(content: bytes, rng: random.Random) -> bytes:
    """Cut off, or with some bytes changed, left out or put in; more often near the ends, where headers are."""
    if rng.random() < 0.25:
        return content[: rng.randrange(len(content))]
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 8))):
        at = rng.choice(
            (rng.randrange(len(data)), rng.randrange(min(len(data), 80)), -rng.randrange(1, min(len(data), 400)))
        )
        change = rng.randrange(4)
        if change == 0:
            data[at] = rng.choice((0, 0x7F, 0x80, 0xFF))
        elif change == 1:
            data[at] ^= 1 << rng.randrange(8)
        elif change == 2 and len(data) > 1:
            del data[at]
        else:
            data.insert(at % len(data), rng.randrange(256))
    return bytes(data)


def fuzz(makers: dict[str, Maker], folder: Path, *, rounds: int, seed: int) -> None:
    """Every format, so many times."""
    for name, make in makers.items():
        place = folder / name
        path, read = make(place)
        whole, rng = path.read_bytes(), random.Random(f"{name} {seed}")
        read()
        refused = []
        for _ in range(rounds):
            path.write_bytes(damaged(whole, rng))
            try:
                read()
            except DataError as error:
                refused.append(str(error))
        assert all(str(folder) in message and "\n" not in message for message in refused)
        assert len(refused) >= rounds / 10, f"{name}: damage is hardly ever noticed"
        shutil.rmtree(place)


def test_damage_is_our_own_error(makers: dict[str, Maker], tmp_path: Path) -> None:
    fuzz(makers, tmp_path, rounds=40, seed=0)


@pytest.mark.torture
@pytest.mark.parametrize("seed", range(1, 11))
def test_damage_is_our_own_error_at_length(makers: dict[str, Maker], tmp_path: Path, seed: int) -> None:
    fuzz(makers, tmp_path, rounds=400, seed=seed)
