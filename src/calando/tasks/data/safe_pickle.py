"""A reader of pickles that admits only dicts, lists, text, bytes, whole numbers and arrays of bytes.

A pickle is a program; `pickle.load` runs whatever it names. Here only instructions that such data need are let through,
and the names that an array is written with are answered by stand-ins: no function that the file names is looked up.
"""

from __future__ import annotations

import io
import math
import pickle
import warnings
from collections.abc import Callable

import numpy as np

from calando.errors import DataError, line_of
from calando.language import message
from calando.tasks.data.arrays import DAMAGED

__all__ = ["load_arrays"]

_ADMITTED = frozenset(
    (
        *("PROTO", "FRAME", "MARK", "STOP", "POP", "POP_MARK"),
        *("PUT", "BINPUT", "LONG_BINPUT", "GET", "BINGET", "LONG_BINGET", "MEMOIZE"),
        *("EMPTY_DICT", "DICT", "SETITEM", "SETITEMS", "EMPTY_LIST", "LIST", "APPEND", "APPENDS"),
        *("EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"),
        *("NONE", "NEWTRUE", "NEWFALSE", "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1"),
        *("BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
        *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
        *("GLOBAL", "STACK_GLOBAL", "REDUCE", "BUILD"),
    )
)
_MOST_INSTRUCTIONS, _MOST_NUMBER, _LONGEST_REASON = 200_000, 2**60, 160
_MEMO = frozenset(("PUT", "LONG_BINPUT"))


class _Type:
    """Stands in for numpy.dtype."""

    def __init__(self, code: object, *_: object) -> None:
        if code not in ("u1", b"u1"):
            raise pickle.UnpicklingError(message("holds an array whose type is not unsigned bytes"))

    def __setstate__(self, state: object) -> None:
        """Byte order and alignment mean nothing for single bytes."""


class _Array:
    """Stands in for numpy.ndarray: keeps its shape, memory order and bytes, as they came: text is made bytes once."""

    _state: tuple[tuple[int, ...], bool, bytes | str] | None = None

    def __setstate__(self, state: object) -> None:
        if not isinstance(state, tuple) or len(state) != 5:
            raise pickle.UnpicklingError(message("holds an array of unknown form"))
        _, shape, kind, fortran, content = state
        sizes = isinstance(shape, tuple) and all(type(size) is int and size >= 0 for size in shape)
        if (
            not sizes
            or not isinstance(kind, _Type)
            or not isinstance(content, bytes | str)
            or math.prod(shape) != len(content)
        ):
            raise pickle.UnpicklingError(message("holds an array whose bytes do not fit its shape"))
        self._state = shape, bool(fortran), content

    def pixels(self) -> np.ndarray | None:
        """The array; None where nothing was put into it."""
        if self._state is None:
            return None
        shape, fortran, content = self._state
        flat = np.frombuffer(content.encode("latin1") if isinstance(content, str) else content, dtype=np.uint8)
        return flat.reshape(shape, order="F" if fortran else "C")


class _Function:
    """Stands in for a function; has no attributes that a pickle could set."""

    __slots__ = ("_call",)

    def __init__(self, call: Callable[[tuple[object, ...]], object]) -> None:
        self._call = call

    def __call__(self, *arguments: object) -> object:
        return self._call(arguments)

    def __setstate__(self, state: object) -> None:
        raise pickle.UnpicklingError(message("tries to change a function"))


class _Reader(pickle.Unpickler):
    """Looks names up in our own list and nowhere else.

    Args:
        content: the pickle. It may name one long text again and again; no more is unpacked than it is long.
    """

    def __init__(self, content: bytes) -> None:
        super().__init__(io.BytesIO(content), encoding="latin1")
        self._left = len(content)
        reconstruct = _Function(lambda _: _Array())
        self._names: dict[tuple[str, str], object] = {
            ("numpy.core.multiarray", "_reconstruct"): reconstruct,
            ("numpy._core.multiarray", "_reconstruct"): reconstruct,
            ("numpy", "ndarray"): _Array,
            ("numpy", "dtype"): _Type,
            ("_codecs", "encode"): _Function(self._bytes),
        }

    def _bytes(self, arguments: tuple[object, ...]) -> bytes:
        if len(arguments) != 2 or not isinstance(arguments[0], str) or arguments[1] != "latin1":
            raise pickle.UnpicklingError(message("holds text in an unknown encoding"))
        self._left -= len(arguments[0])
        if self._left < 0:
            raise pickle.UnpicklingError(message("unpacks to more than it holds"))
        return arguments[0].encode("latin1")

    def find_class(self, module_name: str, global_name: str, /) -> object:
        """A stand-in; any other name is refused."""
        if (module_name, global_name) not in self._names:
            raise pickle.UnpicklingError(
                message(
                    "names {module_name}.{global_name}, which such data do not need",
                    module_name=module_name,
                    global_name=global_name,
                )
            )
        return self._names[module_name, global_name]


def load_arrays(content: bytes, *, origin: str) -> dict[str, object]:
    """The dict that the pickle holds, its keys as text and its arrays as uint8.

    >>> load_arrays(pickle.dumps({"labels": [1, 2], b"name": "x"}), origin="batch")
    {'labels': [1, 2], 'name': 'x'}
    >>> load_arrays(pickle.dumps({"run": print}), origin="batch")
    Traceback (most recent call last):
    ...
    calando.errors.DataError: batch: names builtins.print, which such data do not need; it is damaged or not trustworthy

    Raises:
        DataError: damaged, or anything else than the data above.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pickletools warns of odd escapes in what is refused anyway
            _check_instructions(content)
        data = _Reader(content).load()
        if not isinstance(data, dict):
            raise pickle.UnpicklingError(message("does not hold a dict"))
        return {_text(key): value.pixels() if isinstance(value, _Array) else value for key, value in data.items()}
    except (*DAMAGED, AttributeError, pickle.UnpicklingError) as error:
        reason = line_of(error)
        reason = reason if len(reason) <= _LONGEST_REASON else reason[:_LONGEST_REASON]
        raise DataError(
            message("{origin}: {reason}; it is damaged or not trustworthy", origin=origin, reason=reason)
        ) from error


def _text(key: object) -> str:
    if not isinstance(key, str | bytes):
        raise pickle.UnpicklingError(message("holds a dict whose keys are not text"))
    return key.decode("latin1") if isinstance(key, bytes) else key


def _check_instructions(content: bytes) -> None:
    import pickletools  # here: it takes milliseconds, and listing the formats reads no pickle

    for place, (opcode, argument, _) in enumerate(pickletools.genops(content)):
        if place >= _MOST_INSTRUCTIONS:
            raise pickle.UnpicklingError(
                message(
                    "has over {most:,} instructions, which such data do not need",
                    most=_MOST_INSTRUCTIONS,
                )
            )
        if isinstance(argument, int) and abs(argument) >= _MOST_NUMBER:
            raise pickle.UnpicklingError(message("holds a number that is no label"))  # keys like it would collide
        if opcode.name not in _ADMITTED:
            raise pickle.UnpicklingError(
                message("uses the instruction {name}, which such data do not need", name=opcode.name)
            )
        if opcode.name in _MEMO and isinstance(argument, int) and argument > len(content):
            # It would reserve memory for them.
            raise pickle.UnpicklingError(message("numbers its parts beyond its own length"))
