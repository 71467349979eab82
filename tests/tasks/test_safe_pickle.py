"""A pickle is read without running anything that it names."""

import builtins
import collections
import os
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest

from calando.errors import DataError
from calando.tasks.data.safe_pickle import load_arrays


class Runs:
    """A pickle of it calls a function when it is loaded the usual way."""

    def __init__(self, function: object, *arguments: object) -> None:
        self.call = function, arguments

    def __reduce__(self) -> object:
        return self.call


def python2_batch(pixels: np.ndarray, labels: list[int]) -> bytes:
    """As Python 2 wrote the published files: byte strings, protocol 2, numpy.core."""

    def text(value: bytes) -> bytes:
        return b"U" + bytes([len(value)]) + value

    def number(value: int) -> bytes:
        return b"K" + bytes([value]) if value < 256 else b"M" + struct.pack("<H", value)

    shape = number(pixels.shape[0]) + number(pixels.shape[1]) + b"\x86"
    kind = b"cnumpy\ndtype\n" + text(b"u1") + number(0) + number(1) + b"\x87R"
    kind += b"(" + number(3) + text(b"|") + b"NNN" + b"J\xff\xff\xff\xff" * 2 + number(0) + b"tb"
    raw = pixels.tobytes()
    array = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n" + number(0) + b"\x85" + text(b"b") + b"\x87R"
    array += b"(" + number(1) + shape + kind + b"\x89" + b"T" + struct.pack("<i", len(raw)) + raw + b"tb"
    listed = b"](" + b"".join(map(number, labels)) + b"e"
    items = text(b"data") + array + text(b"labels") + listed + text(b"batch_label") + text(b"training batch 1 of 5")
    return b"\x80\x02}q\x01(" + items + b"u."


def test_the_published_form_is_read() -> None:
    pixels = np.arange(300, dtype=np.uint8).reshape(100, 3)
    data = load_arrays(python2_batch(pixels, [3, 1, 4]), origin="x")
    assert np.array_equal(data["data"], pixels)
    assert data["labels"] == [3, 1, 4]
    assert pickle.loads(python2_batch(pixels, [3]), encoding="latin1")["labels"] == [3]  # the form is a real pickle


@pytest.mark.parametrize("protocol", range(5))
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_of_todays_numpy_are_read(protocol: int, order: str) -> None:
    pixels = np.array(np.arange(24, dtype=np.uint8).reshape(4, 6), order=order)
    data = load_arrays(pickle.dumps({"data": pixels, b"n": [1, -5, 70_000, 2**40]}, protocol=protocol), origin="x")
    assert np.array_equal(data["data"], pixels)
    assert data["n"] == [1, -5, 70_000, 2**40]


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    "function",
    [os.system, eval, exec, builtins.open, getattr, pickle.loads, np.frombuffer, np.load, collections.OrderedDict],
)
def test_nothing_else_is_admitted(protocol: int, function: object, tmp_path: Path) -> None:
    trap = tmp_path / "ran"
    content = pickle.dumps({"labels": Runs(function, f"touch {trap}")}, protocol=protocol)
    with pytest.raises(DataError, match=r"x: names .* which such data do not need; it is damaged or not trustworthy"):
        load_arrays(content, origin="x")
    assert not trap.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b".",
        b"garbage",
        pickle.dumps([1, 2]),
        pickle.dumps({(1, 2): 3}),
        pickle.dumps({"data": np.zeros(3)}),  # floats
        pickle.dumps({"data": np.array([{}])}),  # objects
        pickle.dumps({"a": 1.5}),
        pickle.dumps({"a": {1, 2}}),
        pickle.dumps({"a": Runs(bytearray)}),
        b"\x80\x04}r\xff\xff\xff\xff.",  # numbers a part so that 32 GiB would be reserved
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n}U\x08__call__Nsb.",  # sets an attribute of a function
        b"\x80\x02cnumpy\nndarray\n}U\x05valueNsb.",
        b"\x80\x02}U\x01acnumpy\nndarray\n)R(NNNNNtbs.",
        b"\x80\x02}U\x01aX\x04\x00\x00\x00\xff\xff\xff\xffs.",  # not UTF-8
    ],
)
def test_anything_else_is_one_error(content: bytes) -> None:
    with pytest.raises(DataError, match="damaged or not trustworthy"):
        load_arrays(content, origin="x")
