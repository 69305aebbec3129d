"""The checksum of a table's numbers: a Parquet file can stay readable after a bit has flipped."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

import polars as pl

from chronas.tables.provenance import COLUMNS, ROUNDS, cost_columns


def checksum(frame: pl.DataFrame, provenance: str, columns: Sequence[str], cost: str, others: Sequence[str]) -> str:
    """SHA-256 of the provenance, of the columns in `COLUMNS` and of other costs, with the columns' names.

    Args:
        frame: the table's frame.
        provenance: its provenance as in the file.
        columns: the names of the frame's columns in the file.
        cost: the table's own cost.
        others: its other costs.
    """
    in_file = dict(zip(frame.columns, columns, strict=True))
    digest = hashlib.sha256("\n".join([provenance, *frame["architecture"]]).encode())
    for name, dtype in COLUMNS.items():
        if dtype == pl.Float64() and name in frame.columns:
            digest.update(frame[name].to_numpy().tobytes())
    if ROUNDS in frame.columns:
        digest.update(frame[ROUNDS].list.len().to_numpy().tobytes())
        digest.update(frame[ROUNDS].explode().to_numpy().tobytes())
    known = cost_columns(frame)
    for name in (*known, *(other for other in others if other not in known)):
        values: list[float | None] | list[list[float] | None] = frame[name].to_list()
        digest.update(json.dumps([in_file[name], values]).encode())
    if not {cost} & {*COLUMNS, *known}:
        digest.update(frame[cost].to_numpy().tobytes())
    return digest.hexdigest()
