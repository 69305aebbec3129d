"""The rows of a journal: their SQL tables and columns, and a seal on each row, so that a changed byte is noticed.

SQLite finds pages that are out of order, but not a digit that became another one. A seal is the CRC-32 of a row's
values. Journals of earlier versions have no seals; they are read and continued without.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from typing import Any

SCHEMA = "chronas.journal/4"
UNSEALED = "chronas.journal/3"  # has no seals; still accepted and continued, as are the two before it
BEFORE_RENAMING = "chronas.journal/2"  # has other names for some keys
BEFORE_DRIFT = "chronas.journal/1"  # has no division by the reference's drift
SCHEMAS = (SCHEMA, UNSEALED, BEFORE_RENAMING, BEFORE_DRIFT)

COLUMNS = {
    "header": ("key", "value"),
    "network": ("position", "block", "architecture"),
    "measurement": ("architecture", "round", "start_s", "end_s", "samples_ms"),
    "reference": ("block", "round", "place", "start_s", "end_s", "samples_ms", "background_cores", "priority"),
    "meter": ("cost", "source"),
    "reading": ("cost", "architecture", "round", "start_s", "end_s", "value", "beside"),
}
NAMED_BY = {"header": 1, "network": 3, "measurement": 2, "reference": 3, "meter": 1, "reading": 3}  # first columns
EARLIER_NAMES = {
    (BEFORE_RENAMING, "background_cores"): "foreign_cores",
    (BEFORE_DRIFT, "background_cores"): "NULL",
    (BEFORE_DRIFT, "priority"): "'normal'",
}
TABLES = """
CREATE TABLE header (key TEXT PRIMARY KEY, value TEXT NOT NULL, seal INTEGER NOT NULL);
CREATE TABLE network (
    position INTEGER PRIMARY KEY, block INTEGER NOT NULL, architecture TEXT NOT NULL UNIQUE, seal INTEGER NOT NULL
);
CREATE TABLE measurement (
    architecture TEXT NOT NULL, round INTEGER NOT NULL,
    start_s REAL NOT NULL, end_s REAL NOT NULL, samples_ms TEXT NOT NULL, seal INTEGER NOT NULL,
    PRIMARY KEY (architecture, round)
);
CREATE TABLE reference (
    block INTEGER NOT NULL, round INTEGER NOT NULL, place INTEGER NOT NULL,
    start_s REAL NOT NULL, end_s REAL NOT NULL, samples_ms TEXT NOT NULL, background_cores REAL, priority TEXT NOT NULL,
    seal INTEGER NOT NULL, PRIMARY KEY (block, round, place)
);
"""
READING_TABLES = """
CREATE TABLE IF NOT EXISTS meter (cost TEXT PRIMARY KEY, source TEXT NOT NULL{seal});
CREATE TABLE IF NOT EXISTS reading (
    cost TEXT NOT NULL, architecture TEXT NOT NULL, round INTEGER NOT NULL,
    start_s REAL NOT NULL, end_s REAL NOT NULL, value REAL NOT NULL, beside TEXT NOT NULL{seal},
    PRIMARY KEY (cost, architecture, round)
);
"""
SEAL = ", seal INTEGER NOT NULL"


def seal(table: str, values: Sequence[Any]) -> int:
    """The CRC-32 of a row's values and its table's name."""
    return zlib.crc32(json.dumps([table, *values]).encode())


def insert(connection: sqlite3.Connection, table: str, rows: Sequence[Sequence[Any]], *, sealed: bool) -> None:
    """Write rows of all columns of a table, in one transaction if the caller began one."""
    full = [(*values, seal(table, values)) if sealed else tuple(values) for values in rows]
    marks = ", ".join("?" for _ in range(len(COLUMNS[table]) + sealed))
    connection.executemany(f"INSERT INTO {table} VALUES ({marks})", full)  # noqa: S608 - our own names


def select(connection: sqlite3.Connection, table: str, schema: str, order: str = "") -> Iterator[tuple[Any, ...]]:
    """The rows of a table, in an order of columns if one is given.

    Raises:
        ValueError: a row's values do not match its seal; the message names the row.
    """
    names = [EARLIER_NAMES.get((schema, name), name) for name in COLUMNS[table]]
    sealed = schema == SCHEMA
    query = f"SELECT {', '.join([*names, *(['seal'] if sealed else [])])} FROM {table}"  # noqa: S608 - our own names
    for row in connection.execute(f"{query} ORDER BY {order}" if order else query):
        values = row[: len(names)]
        if sealed and row[-1] != seal(table, values):
            which = ", ".join(f"{name} {value}" for name, value in zip(names[: NAMED_BY[table]], values, strict=False))
            raise ValueError(f"the row of {which} in {table} was changed")
        yield values
