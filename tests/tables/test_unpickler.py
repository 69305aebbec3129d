"""Pickles that want to run something are refused before they do; plain ones come back as they were."""

from __future__ import annotations

import copyreg
import os
import pickle
import pickletools
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chronas.errors import DataError
from chronas.tables.unpickler import read_pickle

PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.complex_numbers(allow_nan=False),
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(), inner)
        | st.sets(st.integers())
        | st.frozensets(st.text())
        | st.builds(bytearray, st.binary())
    ),
    max_leaves=12,
)
MARKER = "ran"


class Calls:
    """Pickles as a call of `function` with `arguments`, and a state if one is given."""

    def __init__(self, function: Callable[..., Any], *arguments: object, state: object = None) -> None:
        self.reduced = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self) -> tuple[Any, ...]:
        return self.reduced


def shell(folder: Path) -> Calls:
    return Calls(os.system, f"touch {folder / MARKER}")


def objects(folder: Path) -> np.ndarray[Any, Any]:
    array = np.empty(2, dtype=object)
    array[0] = shell(folder)
    return array


ATTACKS: dict[str, Callable[[Path], Any]] = {
    "os-system": shell,
    "eval": lambda folder: Calls(eval, f"open({str(folder / MARKER)!r}, 'w')"),
    "exec": lambda folder: Calls(exec, f"open({str(folder / MARKER)!r}, 'w')"),
    "getattr": lambda folder: Calls(getattr, "a", "upper"),
    "open": lambda folder: Calls(open, str(folder / MARKER), "w"),
    "nested": lambda folder: {"nasbench201": [{"cifar10": (1, {"edgegpu_latency": [1.0, shell(folder)]})}]},
    "as-key": lambda folder: {(1, shell(folder)): 1},
    "object-array": objects,
    "empty-object-array": lambda folder: np.empty(3, dtype=object),
    "object-dtype": lambda folder: np.dtype(object),
    "structured-array": lambda folder: np.zeros(2, dtype=[("a", "f8"), ("b", "f8")]),
    "text-array": lambda folder: np.array(["a", "b"]),
    "subclass-of-dict": lambda folder: copyreg.__newobj__,
    "state-of-an-allowed-name": lambda folder: Calls(np.dtype, "f8", state=(None, {"__code__": shell(folder)})),
    "allowed-name-other-arguments": lambda folder: Calls(np.ndarray, (10**15,)),
    "huge-array": lambda folder: Calls(np.zeros(1).__reduce__()[0], np.ndarray, (10**15,), b"b"),
    "allowed-set-of-a-call": lambda folder: Calls(set, [shell(folder)]),
    "path": lambda folder: folder,
}


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("name", ATTACKS)
def test_what_is_no_plain_value_is_refused_and_nothing_runs(name: str, protocol: int, tmp_path: Path) -> None:
    file = tmp_path / "attack.pickle"
    file.write_bytes(pickle.dumps(ATTACKS[name](tmp_path), protocol=protocol))
    with pytest.raises(DataError, match=r"attack.pickle .*(only numbers|not read|damaged)"):
        read_pickle(file)
    assert not (tmp_path / MARKER).exists()


def test_the_attacks_are_real_where_pickle_itself_reads_them(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(ATTACKS["nested"](tmp_path)))
    assert (tmp_path / MARKER).exists()


STREAMS = {
    "persistent-id-text": b"Pos.system\n.",
    "persistent-id": b"\x80\x04\x8c\x01aQ.",
    "inst": b"(S'touch x'\nios\nsystem\n.",
    "obj": b"(cos\nsystem\nS'touch x'\no.",
    "obj-of-an-allowed-name": b"(cnumpy\nndarray\n(I9\nI9\nI9\nto.",
    "newobj-of-an-allowed-name": b"\x80\x02cnumpy\nndarray\n(I9\nt\x81.",
    "newobj-ex": b"\x80\x04\x8c\x05numpy\x8c\x07ndarray\x93)}\x92.",
    "state-of-a-function": b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n}X\x05\x00\x00\x00stateK\x01sb.",
    "state-of-a-list": b"\x80\x02]}X\x05\x00\x00\x00stateK\x01sb.",
    "append-to-a-function": b"\x80\x02cnumpy\ndtype\nK\x01a.",
    "dotted-name": b"\x80\x04\x8c\x05numpy\x8c\x10ndarray.__init__\x93.",
    "extension": b"\x80\x02\x82\x01.",
    "array-of-no-bytes": (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85X\x01\x00\x00\x00b\x87R."
    ),
    "out-of-band-buffer": b"\x80\x05\x97.",
    "nothing": b"",
    "text": b"this is no pickle",
    "zip": b"PK\x03\x04" + bytes(60),
    "stack-underflow": b"R.",
    "no-stop": b"\x80\x02K\x01",
}


@pytest.mark.parametrize("name", STREAMS)
def test_handmade_streams_are_refused(name: str, tmp_path: Path) -> None:
    file = tmp_path / "stream.pickle"
    file.write_bytes(STREAMS[name])
    with pytest.raises(DataError, match=r"stream.pickle"):
        read_pickle(file)


@settings(deadline=None, max_examples=80)
@given(value=PLAIN, protocol=st.integers(0, pickle.HIGHEST_PROTOCOL))
def test_plain_values_come_back(value: object, protocol: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.mktemp("plain") / "plain.pickle"
    file.write_bytes(pickle.dumps(value, protocol=protocol))
    again = read_pickle(file)
    assert again == value and type(again) is type(value)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_arrays_and_their_numbers_come_back(protocol: int, tmp_path: Path) -> None:
    matrix = np.arange(12.0).reshape(3, 4)
    arrays = [np.float32([1.5, 2.5]), np.array([1, -1], ">i4"), np.array([True, False]), np.asfortranarray(matrix)]
    arrays += [matrix, matrix[:, ::2], np.zeros((0, 3)), np.array(7.25)]
    value = {"arrays": arrays, "numbers": [np.float64(0.1), np.int32(-3), np.bool_(True)], "map": OrderedDict(a=1)}
    content = pickle.dumps(value, protocol=protocol)
    for older in (content, content.replace(b"numpy._core", b"numpy.core") if protocol < 4 else content):
        (tmp_path / "arrays.pickle").write_bytes(older)
        again = read_pickle(tmp_path / "arrays.pickle")
        for read, written in zip(again["arrays"], arrays, strict=True):
            assert np.array_equal(read, written) and read.shape == written.shape
            assert read.dtype.newbyteorder("=") == written.dtype.newbyteorder("=")
        assert again["numbers"] == [0.1, -3, True] and again["map"] == {"a": 1}


@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_a_damaged_pickle_is_an_error_of_ours_or_plain(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    sound = bytearray(pickle.dumps({"a": [1.0, {"b": np.arange(3)}], "c": "text"}))
    place = data.draw(st.integers(0, len(sound) - 1))
    sound[place] = data.draw(st.sampled_from([ord(op.code) for op in pickletools.opcodes if op.name != "LONG_BINPUT"]))
    file = tmp_path_factory.mktemp("damaged") / "damaged.pickle"
    file.write_bytes(bytes(sound))
    try:
        read_pickle(file)
    except DataError as error:
        assert str(file) in str(error)


def doubling(step: bytes, count: int = 60) -> bytes:
    """Each of the values holds the one before it twice."""
    return b"\x80\x04]\x94" + b"".join(step.replace(b"?", bytes([number])) for number in range(count))


BOMBS = {
    "deep-key": b"\x80\x04}" + b")" + b"\x85" * 1_000_000 + b"Ns.",
    "deep-list": b"\x80\x04" + b"](" * 500_000 + b"e" * 500_000 + b".",
    "deep-dict": b"\x80\x04" + b"}K\x01" * 500_000 + b"s" * 500_000 + b".",
    "memo-text": b"Np500000000\n.",
    "memo-binary": b"\x80\x02Nr\xff\xff\xff\x7f.",
    "lists-that-double": doubling(b"]\x94(h?h?e") + b".",
    "tuples-that-double-as-key": doubling(b"h?h?\x86\x94") + b"}h\x3cNs.",
    "a-list-in-itself": b"\x80\x02]q\x00h\x00a.",
    "a-list-in-its-own-tuple": b"\x80\x02]q\x00h\x00\x85a.",
    "long-text": b"\x80\x04\x8e" + (2**62).to_bytes(8, "little") + b"a.",
    "long-number": b"\x80\x02\x8b" + (2**31 - 1).to_bytes(4, "little") + b"a.",
    "digits": b"L" + b"9" * 10_000 + b"L\n.",
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_pickle_that_would_take_memory_or_time_or_the_process_is_refused(name: str, tmp_path: Path) -> None:
    file = tmp_path / "bomb.pickle"
    file.write_bytes(BOMBS[name])
    with pytest.raises(DataError, match=r"bomb.pickle .*(not read|damaged)"):
        read_pickle(file)


def test_a_value_that_is_used_twice_is_read(tmp_path: Path) -> None:
    shared = [1.5, "a"]
    array = np.arange(3.0)
    content = {"one": shared, "two": shared, "arrays": [array, array, np.arange(2.0)]}
    (tmp_path / "a.pickle").write_bytes(pickle.dumps(content))
    found = read_pickle(tmp_path / "a.pickle")
    assert found["one"] == found["two"] == shared
    assert [one.tolist() for one in found["arrays"]] == [[0.0, 1.0, 2.0], [0.0, 1.0, 2.0], [0.0, 1.0]]
