"""Tiny data sets of every format, written into a temporary folder; and the real ones next to the project."""

import gzip
import io
import json
import pickle
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

REAL_DATA = Path(__file__).parents[3] / "shared" / "data"


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test reads or writes the user's cache or data."""
    home = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(home))
    monkeypatch.delenv("CALANDO_DATA", raising=False)
    return home / "calando"


@pytest.fixture
def real_data() -> Path:
    """The folder of real data sets; the test is skipped where it is absent."""
    if not REAL_DATA.is_dir():
        pytest.skip(f"no real data sets at {REAL_DATA}")
    return REAL_DATA


@pytest.fixture
def samples() -> Callable[..., tuple[np.ndarray, np.ndarray]]:
    """Make n random uint8 images with labels 0, 1, …, classes-1, 0, 1, …"""

    def make(n: int = 40, *, channels: int = 1, size: int = 8, classes: int = 2) -> tuple[np.ndarray, np.ndarray]:
        images = np.random.default_rng(n).integers(0, 256, (n, channels, size, size), dtype=np.uint8)
        return images, np.arange(n) % classes

    return make


@pytest.fixture
def png() -> Callable[[np.ndarray], bytes]:
    """Encode one image [C, H, W] without loss."""
    from PIL import Image

    def encode(image: np.ndarray, kind: str = "PNG") -> bytes:
        file = io.BytesIO()
        Image.fromarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0)).save(file, kind)
        return file.getvalue()

    return encode


@pytest.fixture
def write_idx() -> Callable[..., Path]:
    """Write the four IDX files into a folder."""

    def write(folder: Path, images: np.ndarray, labels: np.ndarray, *, compress: bool = True) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        for prefix in ("train", "t10k"):
            for kind, array in (("images-idx3", images[:, 0]), ("labels-idx1", labels.astype(np.uint8))):
                content = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()
                name = f"{prefix}-{kind}-ubyte"
                if compress:
                    (folder / f"{name}.gz").write_bytes(gzip.compress(content))
                else:
                    (folder / name).write_bytes(content)
        return folder

    return write


@pytest.fixture
def write_parquet(png: Callable[[np.ndarray], bytes]) -> Callable[..., Path]:
    """Write one parquet file as the hub does."""
    import pyarrow
    import pyarrow.parquet

    def write(
        path: Path,
        images: np.ndarray,
        labels: list[object],
        *,
        struct_column: bool = True,
        image_name: str = "image",
        label_name: str = "label",
        names: list[str] | None = None,
    ) -> Path:
        encoded = [png(image) for image in images]
        column = [{"bytes": content, "path": f"{i}.png"} for i, content in enumerate(encoded)]
        table = pyarrow.table({image_name: column if struct_column else encoded, label_name: labels})
        if names:
            features = {label_name: {"names": names, "_type": "ClassLabel"}}
            table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
        path.parent.mkdir(parents=True, exist_ok=True)
        pyarrow.parquet.write_table(table, path)
        return path

    return write


@pytest.fixture
def write_cifar_binary() -> Callable[..., Path]:
    """Write the binary layout of CIFAR-10; the same images in every file."""

    def write(folder: Path, images: np.ndarray, labels: np.ndarray) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        records = np.concatenate([labels.astype(np.uint8)[:, None], images.reshape(len(images), -1)], axis=1)
        for name in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"):
            (folder / f"{name}.bin").write_bytes(records.tobytes())
        return folder

    return write


@pytest.fixture
def write_cifar_pickled() -> Callable[..., Path]:
    """Write the pickled layout of CIFAR-10 with today's NumPy."""

    def write(folder: Path, images: np.ndarray, labels: np.ndarray, *, protocol: int = 4) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        batch = {
            b"batch_label": b"batch",
            b"labels": labels.tolist(),
            b"data": images.reshape(len(images), -1),
            b"filenames": [f"{i}.png".encode() for i in range(len(images))],
        }
        for name in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"):
            (folder / name).write_bytes(pickle.dumps(batch, protocol=protocol))
        return folder

    return write


@pytest.fixture
def write_folder(png: Callable[[np.ndarray], bytes]) -> Callable[..., Path]:
    """Write images into one folder a class."""

    def write(folder: Path, images: np.ndarray, labels: np.ndarray, *, names: tuple[str, ...] = ("cat", "dog")) -> Path:
        for i, (image, label) in enumerate(zip(images, labels, strict=True)):
            path = folder / names[label] / f"{i:04}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(png(image))
        return folder

    return write
