"""What a file that the user brings knows of architectures, such as accuracies: columns to stand beside costs.

NAS-Bench-201's accuracies (Dong and Yang, https://arxiv.org/abs/2001.00326) come so. They are percent; validation and
test are different columns, and which one to search by is the user's choice.
"""

from __future__ import annotations

import io
from pathlib import Path

import polars as pl
from polars.exceptions import PanicException, PolarsError

from chronas.errors import ChronasError, DataError
from chronas.spaces import Space

TEXTS = ("architecture", "arch_str")  # the names of these columns here, and in the files of the field
INDICES = ("index", "arch_idx")


def read_accuracies(path: Path, space: Space) -> pl.DataFrame:
    """A frame of `architecture` and every other column of numbers, as Float64 with null where there is none.

    Architectures are told by their text (`architecture` or `arch_str`) or by official index (`index` or `arch_idx`).
    A column with "acc" in its name is an accuracy in percent.

    Args:
        path: a Parquet file.
        space: of the architectures.

    Raises:
        DataError: the file is missing or damaged, tells no architectures, has one twice, has one that the space does
            not have, has no numbers, or an accuracy outside 0..100.
    """
    try:
        frame = pl.read_parquet(io.BytesIO(path.read_bytes()))
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    except (PolarsError, PanicException) as error:
        why = str(error).splitlines()[0]
        raise DataError(f"{path} is cut off or no Parquet file ({why}): use a copy") from error
    names = [name for name, kind in frame.schema.items() if kind.is_numeric() and name not in INDICES]
    texts = _texts(frame, path, space)
    numbers = frame.select(pl.col(names).cast(pl.Float64).fill_nan(None))
    if not names or texts.is_duplicated().any() or texts.null_count():
        raise DataError(
            f"{path} should have each architecture once, and numbers beside it, got {', '.join(frame.columns)}"
        )
    for name in (name for name in names if "acc" in name):
        wrong = numbers.filter(~pl.col(name).is_between(0, 100))
        if len(wrong):
            raise DataError(f"{path}: {name} should be percent from 0 to 100, got {wrong[name][0]} ({len(wrong)} such)")
    return numbers.select(texts, *names)


def _texts(frame: pl.DataFrame, path: Path, space: Space) -> pl.Series:
    """The text of each row's architecture, as the space writes it."""
    text = next((name for name in TEXTS if frame.schema.get(name) == pl.String()), None)
    index = next((name for name in INDICES if name in frame.columns and frame.schema[name].is_integer()), None)
    try:
        if text is not None:
            if len(frame):
                space.parse(frame[text][0] or "")  # the rest is matched by text
            return frame[text].alias("architecture")
        if index is not None:
            return pl.Series(
                "architecture", [str(space.from_index(number)) for number in frame[index]], dtype=pl.String
            )
    except (ChronasError, TypeError) as error:
        raise DataError(f"{path} is not of {space.name}: {error}") from error
    raise DataError(
        f"{path} should tell architectures by {' or '.join((*TEXTS, *INDICES))}, got {', '.join(frame.columns)}"
    )
