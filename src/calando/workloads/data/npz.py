"""NumPy archives: x_train, y_train, x_test, y_test; or images, labels (then one fifth becomes the test part).

Pickled objects are refused. Images are [N, H, W], [N, C, H, W] or [N, H, W, C]; uint8 or floating point.
"""

from __future__ import annotations

import struct
import tokenize
import warnings
import zipfile
import zlib
from pathlib import Path

import numpy as np

from calando.errors import DataError
from calando.workloads.data.arrays import ArrayData, Part, as_images, as_labels, with_test

__all__ = ["read_npz"]

_SPLIT_NAMES = ("x_train", "y_train", "x_test", "y_test")
_WHOLE_NAMES = ("images", "labels")


def read_npz(path: Path) -> ArrayData:
    """Read an archive.

    Raises:
        DataError: missing, damaged, without the arrays named above, or holding pickled objects.
    """
    arrays = _arrays(path)
    if all(name in arrays for name in _SPLIT_NAMES):
        parts = [_part(arrays[x], arrays[y], f"{path} ({x})") for x, y in (_SPLIT_NAMES[:2], _SPLIT_NAMES[2:])]
        return ArrayData(parts[0], parts[1])
    if all(name in arrays for name in _WHOLE_NAMES):
        return with_test(_part(arrays["images"], arrays["labels"], str(path)))
    raise DataError(
        f"{path}: must hold x_train, y_train, x_test, y_test, or images, labels; "
        f"it holds {', '.join(arrays) or 'nothing'}"
    )


def _part(images: np.ndarray, labels: np.ndarray, origin: str) -> Part:
    return Part(as_images(images, origin=origin), as_labels(labels, origin=origin), origin)


def _arrays(path: Path) -> dict[str, np.ndarray]:
    try:
        with warnings.catch_warnings(), path.open("rb") as file:  # opened here: np.load leaves it open when it fails
            warnings.simplefilter("ignore")  # a damaged header makes NumPy warn before it fails
            archive = np.load(file, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise DataError(f"{path}: is a single array, not an archive; write it with numpy.savez")
            with archive:
                wanted = [name for name in archive.files if name in {*_SPLIT_NAMES, *_WHOLE_NAMES}]
                return {name: archive[name] for name in wanted or archive.files}
    except FileNotFoundError as error:
        raise DataError(f"{path}: there is no such file") from error
    except DataError:
        raise
    except (
        EOFError,
        KeyError,
        MemoryError,
        NotImplementedError,
        OSError,
        OverflowError,
        RuntimeError,
        SyntaxError,
        TypeError,
        ValueError,
        struct.error,
        tokenize.TokenError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        raise DataError(
            f"{path}: not an archive that can be read ({' '.join(str(error).split())}); write it again"
        ) from error
