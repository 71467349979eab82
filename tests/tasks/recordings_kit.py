"""Recordings made for tests: PCM files, tones that all differ, folders and parquet files of them."""

import io
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

RATE = 1000


def wav(values: np.ndarray, *, rate: int = RATE, bits: int = 16, channels: int = 1) -> bytes:
    """Whole numbers of `bits` bits, signed (8: from -128 as well), as a file; frames one after the other."""
    file, width = io.BytesIO(), bits // 8
    wide = (values + 128).astype("<i8") if bits == 8 else values.astype("<i8")
    content = wide.reshape(-1, 1).view(np.uint8).reshape(len(wide), 8)[:, :width].tobytes()
    with wave.open(file, "wb") as out:
        out.setparams((channels, width, rate, 0, "NONE", ""))
        out.writeframes(content)
    return file.getvalue()


def tone(place: int, length: int = 200) -> np.ndarray:
    return np.rint(9000 * np.sin(np.arange(length) * (0.3 + 0.05 * place))).astype(np.int64)


def write(root: Path, *files: str, length: Callable[[int], int] = lambda i: 200, **how: Any) -> Path:
    """Recordings that all differ."""
    for i, name in enumerate(files):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(wav(tone(i, length(i)), **how))
    return root


def ten_of(*classes: str) -> list[str]:
    return [f"{name}/{i}.wav" for name in classes for i in range(10)]


def parquet(file: Path, clips: list[bytes], labels: list[Any], **columns: list[Any]) -> Path:
    pyarrow = pytest.importorskip("pyarrow")
    import pyarrow.parquet as storage

    audio = [{"bytes": clip, "path": f"{i}.wav"} for i, clip in enumerate(clips)]
    file.parent.mkdir(parents=True, exist_ok=True)
    storage.write_table(pyarrow.table({"audio": audio, "label": labels, **columns}), file)
    return file
