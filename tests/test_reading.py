"""Files are read within bounds, and whatever is wrong with one is told in one way."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chronas.errors import ChronasError, DataError, UsageError
from chronas.reading import DEEPEST, parse_json, read_csv, read_within, readable

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(content=JSON)
def test_json_comes_back(content: object) -> None:
    assert parse_json(json.dumps(content)) == content
    assert parse_json(json.dumps(content).encode()) == content


@pytest.mark.parametrize(
    "text",
    [
        *(
            "[" * 200_000,
            "[" * 200_000 + "]" * 200_000,
            '{"a":' * 5000 + "1" + "}" * 5000,
            "[" * (DEEPEST + 1) + "]" * (DEEPEST + 1),
        ),
        *("NaN", '{"a": [1, -Infinity]}', "[1e999]", "1" * 5000, "", "{", b"\xff\xfe", b'"\xff"'),
    ],
    ids=lambda text: repr(text[:12]),
)
def test_json_that_is_too_deep_or_not_finite_or_none_is_refused(text: str | bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - any message
        parse_json(text)


def test_a_file_is_read_only_if_it_is_plain_and_small_enough(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"12345")
    assert read_within(file, 5) == b"12345"
    with pytest.raises(DataError, match="has 0 MiB, and at most 0 are read"):
        read_within(file, 4)
    os.mkfifo(tmp_path / "pipe")
    places = {
        "pipe": "no plain",
        "/dev/zero": "no plain",
        "": "Is a directory",
        "b": "No such",
        "a\0b": "should be a path",
        "caf\udce9": "should be a path in UTF-8",
    }
    for name, message in places.items():
        with pytest.raises(ChronasError, match=message):
            read_within(tmp_path / name, 5)


CELL = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=6).map(str.strip)


class Panic(BaseException):
    """As polars raises it."""


@pytest.mark.parametrize(
    "error",
    [
        *(ValueError("no"), RecursionError(), MemoryError(), OverflowError("no"), KeyError("no"), IndexError("no")),
        *(
            UnicodeDecodeError("utf-8", b"", 0, 1, "no"),
            AttributeError("no"),
            AssertionError(),
            Panic("no"),
            OSError(5, "no"),
        ),
    ],
    ids=lambda error: type(error).__name__,
)
def test_every_error_of_a_parser_is_one_line_with_the_file(error: BaseException) -> None:
    with pytest.raises(DataError, match="mine.x") as caught, readable("mine.x", "file of x", "use a copy"):
        raise error
    assert "\n" not in str(caught.value) and "()" not in str(caught.value)


@pytest.mark.parametrize("error", [UsageError("ours"), KeyboardInterrupt()], ids=["ours", "interrupt"])
def test_our_errors_and_an_interrupt_pass(error: BaseException) -> None:
    with pytest.raises(type(error)), readable("mine.x", "file of x", "use a copy"):
        raise error


@settings(max_examples=60, deadline=None)
@given(
    cells=st.lists(st.lists(CELL, min_size=2, max_size=2), max_size=4),
    separator=st.sampled_from(",;\t"),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    ending=st.sampled_from(["\n", "\r\n"]),
)
def test_a_csv_file_comes_back_whatever_wrote_it(
    tmp_path_factory: pytest.TempPathFactory, cells: list[list[str]], separator: str, encoding: str, ending: str
) -> None:
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    quoted = [["a", "b"], *cells]
    rows = [separator.join('"' + cell.replace('"', '""') + '"' for cell in row) for row in quoted]
    path.write_bytes((ending.join(rows) + ending).encode(encoding))
    assert read_csv(path) == {"a": [one for one, _ in cells], "b": [two for _, two in cells]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "column names"),
        (b"\n\n", "column names"),
        (b"a,b\n1,2,3\n", "row 2 has 3 cells"),
        (b"a,b\n1\n", "row 2 has 1 cells"),
        (b"a,a\n1,2\n", "column a twice"),
        (b"a\0,b\n1,2\n", "NUL"),
        (b"caf\xe9,b\n1,2\n", "not UTF-8"),
        (b'a,b\n"1,2\n', "no CSV file"),
        (b"a,b\n" + b"1" * 200_000 + b",2\n", "no CSV file"),
    ],
)
def test_a_csv_file_that_cannot_be_meant_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_csv(tmp_path / "a.csv")
