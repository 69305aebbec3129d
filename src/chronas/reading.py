"""Reading of files within bounds: how large and how deep a file may be, and one meaning of "damaged".

content = parse_json(read_within(path, LARGEST["json"]))
with readable(path, "Parquet file", "make it again"):
    frame = polars.read_parquet(path)
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import math
import stat
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from chronas.arguments import path_of
from chronas.errors import ChronasError, DataError, reason

MIB = 1024 * 1024
LARGEST = {  # bytes of a file
    "json": 64 * MIB,
    "table": 2048 * MIB,
    "pickle": 256 * MIB,  # HW-NAS-Bench's has about 20 MiB
    "weights": 8192 * MIB,
    "onnx": 2048 * MIB,  # the largest message of protobuf
    "image": 256 * MIB,
    "csv": 256 * MIB,
    "journal": 16384 * MIB,
}
ENCODINGS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
SEPARATORS = ",;\t"
MOST_CELLS = 5_000_000  # of a CSV file: about a gigabyte as texts
DEEPEST = 64  # lists and objects inside each other
OURS_TO_RAISE = (KeyboardInterrupt, SystemExit, GeneratorExit)


def require_file(path: Path, largest: int) -> None:
    """Check that a file can be read at once.

    Raises:
        DataError: it is missing, not a plain file (a pipe could wait forever), or has over `largest` bytes.
    """
    path = path_of(path)
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode) and not stat.S_ISDIR(found.st_mode):
            raise DataError(f"cannot read {path}: it is no plain file; copy its content into one")
        if stat.S_ISREG(found.st_mode) and found.st_size > largest:
            raise DataError(
                f"{path} has {found.st_size / MIB:,.0f} MiB, and at most {largest / MIB:,.0f} are read: "
                f"it is another file, or should be divided"
            )
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error


def read_within(path: Path, largest: int) -> bytes:
    """The content of a plain file of at most `largest` bytes; raises as `require_file`."""
    require_file(path, largest)
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error


def parse_json(text: str | bytes) -> Any:
    """JSON with finite numbers, at most `DEEPEST` levels deep.

    Raises:
        ValueError: the text is not UTF-8, not JSON, has NaN or an infinite number, or is too deep.
    """
    try:
        content = json.loads(text, parse_constant=_refused)
    except RecursionError:
        raise ValueError(f"it is over {DEEPEST} levels deep") from None
    level: list[Any] = [content]
    for _ in range(DEEPEST):
        if any(isinstance(each, float) and not math.isfinite(each) for each in level):
            raise ValueError("it has a number that is not finite")
        level = [inner for each in level for inner in _inside(each)]
        if not level:
            return content
    raise ValueError(f"it is over {DEEPEST} levels deep")


def _refused(constant: str) -> float:
    raise ValueError(f"it has the number {constant}")


def _inside(content: Any) -> Any:
    if isinstance(content, dict):
        return content.values()
    return content if isinstance(content, list) else ()


@contextmanager
def readable(path: object, kind: str, advice: str) -> Iterator[None]:
    """Turn every error of a parser inside the block into one `DataError`; our own errors pass through.

    Args:
        path: the file, or a name for it.
        kind: the kind of file that is expected, such as "Parquet file".
        advice: the next step for the user.
    """
    try:
        yield
    except (ChronasError, *OURS_TO_RAISE):
        raise
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    except BaseException as error:  # polars' panics are no `Exception`
        text = "it needs more memory than there is" if isinstance(error, MemoryError) else reason(error)
        what = "damaged" if hasattr(error, "errors") else f"damaged, cut off or no {kind}"  # pydantic read it whole
        raise DataError(f"{path} is {what} ({text or type(error).__name__}): {advice}") from error


def read_csv(path: Path) -> dict[str, list[str]]:
    """The columns of a CSV file by name, as texts without blanks at their ends.

    The first line has the names. The separator is the comma, semicolon or tab that it has most of. The text is UTF-8,
    or what a byte order mark says. Columns without a name are left out.

    Raises:
        DataError: the file is missing, too large or of another encoding, a name occurs twice, or a row has another
            number of cells than the first line.
    """
    path = path_of(path)
    text = _text(path, read_within(path, LARGEST["csv"]))
    first = text.partition("\n")[0]
    separator = max(SEPARATORS, key=first.count)
    cells = text.count(separator) + text.count("\n")
    if cells > MOST_CELLS:
        raise DataError(f"{path} has over {MOST_CELLS:,} cells: divide it, or write it as Parquet")
    with readable(path, "CSV file", "write it again or use a copy"):
        rows = [row for row in csv.reader(io.StringIO(text), delimiter=separator, strict=True) if row]
    names = [name.strip() for name in rows[0]] if rows else []
    if not any(names):
        raise DataError(f"{path} should begin with a line of column names, got nothing: write it again")
    twice = [name for name, count in Counter(names).items() if name and count > 1]
    if twice:
        raise DataError(f"{path} has the column {twice[0]} twice: rename or remove one")
    for number, row in enumerate(rows, 1):
        if len(row) != len(names):
            raise DataError(f"{path}: row {number} has {len(row)} cells, but the first has {len(names)}: mend the file")
    return {name: [row[place].strip() for row in rows[1:]] for place, name in enumerate(names) if name}


def _text(path: Path, content: bytes) -> str:
    encoding = next((name for mark, name in ENCODINGS.items() if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeError as error:
        raise DataError(f"{path} is not {encoding.upper()} text ({reason(error)}): save it as UTF-8") from error
    if "\0" in text:
        raise DataError(f"{path} has NUL characters, so it is no text: save it as CSV in UTF-8")
    return text.replace("\r\n", "\n").replace("\r", "\n")
