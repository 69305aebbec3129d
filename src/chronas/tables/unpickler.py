"""A pickle reader that never runs code: only plain containers, numbers, strings and numpy arrays are read.

A pickle is a program: GLOBAL names any function and REDUCE calls it. Here a name outside of `ALLOWED` ends the reading
before anything is called. A name in `ALLOWED` becomes our own stand-in, which checks its arguments and creates the
value itself. So a pickle can never choose a function to call. Arrays of objects, structured types, persistent ids, and
states of anything but arrays and their types are refused.
https://docs.python.org/3/library/pickle.html#restricting-globals
"""

from __future__ import annotations

import io
import math
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from chronas.arguments import path_of
from chronas.errors import DataError
from chronas.reading import LARGEST, read_within, readable
from chronas.tables.pickle_bounds import require_bounded

NUMBERS = {kind + size for kind, sizes in (("f", "248"), ("i", "1248"), ("u", "1248")) for size in sizes} | {"b1"}
Maker = Callable[..., Any]


def read_pickle(path: Path) -> Any:
    """The content of a pickle.

    Raises:
        DataError: the file is missing, truncated or not a pickle, or has anything but plain values and arrays.
    """
    path = path_of(path)
    content = read_within(path, LARGEST["pickle"])
    try:
        with readable(path, "pickle of plain values", "get it again"):
            require_bounded(content)
            return _Unpickler(io.BytesIO(content)).load()
    except DataError as error:
        raise error if str(path) in str(error) else DataError(f"{path} {error}") from error


class _Standin:
    """A stand-in for a name in `ALLOWED`; it can only create a checked value."""

    __slots__ = ("_make", "_name")

    def __init__(self, name: str, make: Maker) -> None:
        self._name = name
        self._make = make

    def __call__(self, *arguments: object) -> object:
        return self._make(*arguments)

    def __setstate__(self, state: object) -> None:
        raise DataError(f"sets the state of {self._name}, which no data needs: it is not read")


class _Type:
    """The number type of an array; the state that follows it sets `order`."""

    __slots__ = ("code", "order")

    def __init__(self, code: str) -> None:
        self.code = code
        self.order = "|" if code.endswith("1") else "<"

    def __setstate__(self, state: object) -> None:
        if not (isinstance(state, tuple) and len(state) >= 2 and state[1] in ("<", ">", "|", "=")):
            raise DataError("has an array of an unknown byte order: it is not read")
        if any(part is not None for part in state[2:5]):
            raise DataError("has an array of structured values, expected plain numbers: it is not read")
        self.order = state[1]

    def numbers(self, content: object, shape: object) -> np.ndarray[Any, Any]:
        """The array with these bytes and this shape."""
        if not isinstance(content, bytes | bytearray):
            raise DataError(f"has an array of {type(content).__name__}, expected bytes of numbers: it is not read")
        if not (isinstance(shape, tuple) and all(isinstance(length, int) and length >= 0 for length in shape)):
            raise DataError(f"has an array of shape {shape}: it is not read")
        kind = np.dtype(self.order + self.code)
        if math.prod(shape) * kind.itemsize != len(content):
            raise DataError(f"has an array of shape {shape} in {len(content)} bytes: it is damaged")
        return np.frombuffer(content, kind).reshape(shape)


class _Array(np.ndarray[Any, Any]):
    """An array that is empty until its state follows; it accepts only numbers."""

    def __setstate__(self, state: object) -> None:
        if not (isinstance(state, tuple) and len(state) == 5 and isinstance(state[2], _Type)):
            raise DataError("has an array without a type of numbers: it is not read")
        _, shape, kind, fortran, content = state
        # in Fortran order the first index moves fastest, so the bytes are those of the transposed array
        numbers = kind.numbers(content, shape[::-1] if fortran and isinstance(shape, tuple) else shape)
        numbers = numbers.T if fortran else numbers
        checked = (1, numbers.shape, numbers.dtype, False, numbers.tobytes())
        super().__setstate__(checked)  # type: ignore[arg-type]  # the stubs want numpy.bool, numpy itself an int


def _array(kind: object, shape: object, code: object) -> np.ndarray[Any, Any]:
    if not (isinstance(kind, _Standin) and shape == (0,) and code == b"b"):
        raise DataError("makes an array in an unusual way: it is not read")
    return _Array((0,), np.int8)


def _array_of_buffer(content: object, kind: object, shape: object, order: object) -> np.ndarray[Any, Any]:
    if not isinstance(kind, _Type) or order not in ("C", "F"):
        raise DataError("makes an array in an unusual way: it is not read")
    if order == "F" and isinstance(shape, tuple):
        return kind.numbers(content, shape[::-1]).T
    return kind.numbers(content, shape)


def _type(code: object, *flags: object) -> _Type:
    if code not in NUMBERS or not all(isinstance(flag, bool | int) for flag in flags):
        raise DataError(f"has an array of type {code!r}, expected plain numbers: it is not read")
    return _Type(str(code))


def _scalar(kind: object, content: object) -> object:
    if not isinstance(kind, _Type):
        raise DataError("has a number without a type: it is not read")
    return kind.numbers(content, ()).item()


def _bytes(*arguments: object) -> bytes:
    """Bytes in the form of protocols 0 to 2: `_codecs.encode(text, "latin1")`, or `bytes()` for none."""
    if not arguments:
        return b""
    if len(arguments) != 2 or not isinstance(arguments[0], str) or arguments[1] != "latin1":
        raise DataError("encodes a text, which no data needs: it is not read")
    return arguments[0].encode("latin1")


def _bytearray(*arguments: object) -> bytearray:
    if any(not isinstance(argument, bytes) for argument in arguments) or len(arguments) > 1:
        raise DataError("makes bytes in an unusual way: it is not read")
    return bytearray(*(a for a in arguments if isinstance(a, bytes)))


def _listed(kind: Callable[[list[Any]], object]) -> Maker:
    """A function that makes a container from a list, or from nothing."""

    def make(*arguments: object) -> object:
        items = arguments[0] if arguments else []
        if len(arguments) > 1 or not isinstance(items, list):
            raise DataError("makes a container in an unusual way: it is not read")
        return kind(items)

    return make


def _complex(real: object, imaginary: object) -> complex:
    if not (isinstance(real, float) and isinstance(imaginary, float)):
        raise DataError("makes a complex number in an unusual way: it is not read")
    return complex(real, imaginary)


def _no_array(*_: object) -> object:
    raise DataError("makes an array in an unusual way: it is not read")


ALLOWED: dict[tuple[str, str], Maker] = {
    ("builtins", "set"): _listed(set),
    ("builtins", "frozenset"): _listed(frozenset),
    ("builtins", "complex"): _complex,
    ("builtins", "bytes"): _bytes,
    ("builtins", "bytearray"): _bytearray,
    ("_codecs", "encode"): _bytes,
    ("collections", "OrderedDict"): _listed(dict),
    ("numpy", "ndarray"): _no_array,
    ("numpy", "dtype"): _type,
    ("numpy.core.multiarray", "_reconstruct"): _array,
    ("numpy._core.multiarray", "_reconstruct"): _array,
    ("numpy.core.multiarray", "scalar"): _scalar,
    ("numpy._core.multiarray", "scalar"): _scalar,
    ("numpy.core.numeric", "_frombuffer"): _array_of_buffer,
    ("numpy._core.numeric", "_frombuffer"): _array_of_buffer,
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> _Standin:
        make = ALLOWED.get((module.replace("__builtin__", "builtins"), name))  # the name in protocols 0 to 2
        if make is None:
            raise DataError(f"asks for {module}.{name}: only numbers, texts, containers and numpy arrays are read")
        return _Standin(f"{module}.{name}", make)
