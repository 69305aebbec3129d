"""The journal of a campaign: an SQLite file on a local disk with one row for each round, written as it is measured.

It uses write-ahead logging (WAL) and one transaction for each row, so a process killed at any moment leaves whole rows.
A new journal is created by one rename and already has its header. Commits do not wait for the disk (synchronous =
NORMAL): a power cut can lose the last rows, never the file. A lock next to the file admits one writer; others may read.
https://www.sqlite.org/wal.html
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from types import TracebackType

from filelock import FileLock, Timeout

from chronas.errors import DataError, MismatchError, UsageError, reason
from chronas.measurement.meter import Reading
from chronas.measurement.state import (
    BEFORE_DRIFT,
    BEFORE_RENAMING,
    READING_ROWS,
    READING_TABLES,
    SCHEMA,
    CampaignState,
    Header,
    Readings,
    ReferenceRound,
    readings_of,
)

UNDECODABLE = "Could not decode to UTF-8"  # sqlite3 calls it an operational error
TABLES = """
CREATE TABLE header (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE network (position INTEGER PRIMARY KEY, block INTEGER NOT NULL, architecture TEXT NOT NULL UNIQUE);
CREATE TABLE measurement (
    architecture TEXT NOT NULL, round INTEGER NOT NULL,
    start_s REAL NOT NULL, end_s REAL NOT NULL, samples_ms TEXT NOT NULL,
    PRIMARY KEY (architecture, round)
);
CREATE TABLE reference (
    block INTEGER NOT NULL, round INTEGER NOT NULL, place INTEGER NOT NULL,
    start_s REAL NOT NULL, end_s REAL NOT NULL, samples_ms TEXT NOT NULL, background_cores REAL, priority TEXT NOT NULL,
    PRIMARY KEY (block, round, place)
);
"""
COLUMNS = "SELECT block, round, place, start_s, end_s, samples_ms"
REFERENCES = {
    SCHEMA: f"{COLUMNS}, background_cores, priority FROM reference ORDER BY start_s",
    BEFORE_RENAMING: f"{COLUMNS}, foreign_cores, priority FROM reference ORDER BY start_s",
    BEFORE_DRIFT: f"{COLUMNS}, NULL, 'normal' FROM reference ORDER BY start_s",
}


class Journal:
    """A journal that is open for writing; a context manager. `state` holds its content, kept up to date.

    Attributes:
        path: the SQLite file.
        state: header, networks and all rounds so far.
    """

    def __init__(self, path: Path, header: Header) -> None:
        """Open the journal at `path`, or create it with `header` if it does not exist.

        Raises:
            MismatchError: it belongs to another space, size, device or plan; the message says which.
            DataError: it is damaged, is not a journal, or cannot be written.
            UsageError: another process is writing it.
        """
        self.path = path
        with ExitStack() as held:
            held.enter_context(_locked(path))
            if not path.exists():
                _create(path, header)
            self.state = read_journal(path)
            differences = self.state.header.differences(header)
            if differences:
                advice = "use the same settings, or another journal"
                raise MismatchError(f"{path} is the journal of another campaign: {'; '.join(differences)}; {advice}")
            with _clear_errors(path):
                self._connection = held.enter_context(closing(_connect(path)))
                self._connection.execute("PRAGMA journal_mode = WAL")
                self._connection.execute("PRAGMA synchronous = NORMAL")
            self._held = held.pop_all()

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._held.close()

    def ask(self, architectures: Sequence[str]) -> None:
        """Add the networks that the journal does not have yet, in new blocks.

        Args:
            architectures: distinct text forms.
        """
        known = set(self.state.networks)
        new = [text for text in architectures if text not in known]
        size, first = self.state.header.plan.block, len(self.state.blocks)
        blocks = [new[start : start + size] for start in range(0, len(new), size)]
        rows = [(first + number, text) for number, block in enumerate(blocks) for text in block]
        with _clear_errors(self.path):
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany("INSERT INTO network (block, architecture) VALUES (?, ?)", rows)
            self._connection.execute("COMMIT")
        self.state.blocks.extend(blocks)

    def add(self, architecture: str, index: int, start_s: float, end_s: float, samples_ms: Sequence[float]) -> None:
        """Write one round of a network.

        Args:
            architecture: its text form, added with `ask` before.
            index: the index of the round, from 0.
            start_s: the device's clock at its start.
            end_s: the device's clock at its end.
            samples_ms: milliseconds of each timed run.
        """
        row = (architecture, index, start_s, end_s, json.dumps(list(samples_ms)))
        with _clear_errors(self.path):
            self._connection.execute("INSERT INTO measurement VALUES (?, ?, ?, ?, ?)", row)
        self.state.add_round(architecture, index, start_s, list(samples_ms))

    def add_reference(self, reference: ReferenceRound) -> None:
        """Write one round of the reference network."""
        times = (reference.start_s, reference.end_s, json.dumps(list(reference.samples_ms)))
        row = (*reference.key, *times, reference.background_cores, reference.priority)
        with _clear_errors(self.path):
            self._connection.execute("INSERT INTO reference VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
        self.state.add_reference(reference)

    def measure_by(self, cost: str, source: str) -> None:
        """Prepare for readings of another cost by `source`; the tables are created if necessary.

        Raises:
            MismatchError: the journal's readings of the cost come from another source.
        """
        known = self.state.readings.setdefault(cost, Readings(cost, source)).source
        if known != source:
            advice = "measure where that is, or into another journal"
            raise MismatchError(f"{cost} of {self.path} was measured by {known}, here is {source}: {advice}")
        with _clear_errors(self.path):
            self._connection.executescript(f"BEGIN IMMEDIATE;{READING_TABLES}COMMIT;")
            self._connection.execute("INSERT OR IGNORE INTO meter VALUES (?, ?)", (cost, source))

    def add_reading(
        self, cost: str, architecture: str, index: int, start_s: float, end_s: float, reading: Reading
    ) -> None:
        """Write one reading of a cost, after `measure_by`.

        Args:
            cost: its name.
            architecture: the network's text form, added with `ask` before.
            index: the index of the round, from 0.
            start_s: the device's clock at its start.
            end_s: the device's clock at its end.
            reading: the measurement.
        """
        row = (cost, architecture, index, start_s, end_s, reading.value, json.dumps(dict(reading.beside)))
        with _clear_errors(self.path):
            self._connection.execute("INSERT INTO reading VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        self.state.readings[cost].add(architecture, index, reading)


def read_journal(path: Path) -> CampaignState:
    """The content of a journal, also while a campaign is writing it.

    Raises:
        DataError: it is missing, damaged, or not a journal.
    """
    if not path.is_file():
        raise DataError(f"there is no journal {path}: measure first, or name another")
    with _clear_errors(path), closing(_connect(path)) as connection:
        verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if verdict == "ok" and path.stat().st_size % connection.execute("PRAGMA page_size").fetchone()[0]:
            verdict = "it ends within a page"  # SQLite reads zeros there
        if verdict != "ok":
            raise _damaged(path, verdict)
        names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if "header" not in names:
            raise _damaged(path, "it has no header")
        return _contents(path, connection, others="reading" in names)


def _contents(path: Path, connection: sqlite3.Connection, *, others: bool) -> CampaignState:
    """The content of the tables; `others`: whether there are tables of other costs than latency."""
    header = dict(connection.execute("SELECT key, value FROM header"))
    if header.get("schema") not in REFERENCES:
        raise DataError(f"{path} should have schema {SCHEMA!r} but has {header.get('schema')!r}: use another journal")
    ends = [f"SELECT end_s FROM {table}" for table in ("measurement", "reference", *(["reading"] if others else []))]
    clock_s = f"SELECT max(end_s) FROM ({' UNION ALL '.join(ends)})"
    try:
        state = CampaignState(Header.from_texts(header), clock_s=connection.execute(clock_s).fetchone()[0] or 0.0)
        for block, text in connection.execute("SELECT block, architecture FROM network ORDER BY position"):
            state.add_network(block, text)
        rounds = "SELECT architecture, round, start_s, samples_ms FROM measurement"
        for text, index, start_s, samples_ms in connection.execute(rounds):
            state.add_round(text, index, start_s, json.loads(samples_ms))
        references = REFERENCES[header["schema"]]
        for block, index, place, start_s, end_s, samples_ms, *conditions in connection.execute(references):
            samples = tuple(json.loads(samples_ms))
            state.add_reference(ReferenceRound(block, index, place, start_s, end_s, samples, *conditions))
        if others:
            meters = connection.execute("SELECT cost, source FROM meter")
            state.readings = readings_of(meters, connection.execute(READING_ROWS))
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(path, reason(error)) from error
    return state


def _create(path: Path, header: Header) -> None:
    """Write an empty journal next to `path` and rename it, so that no journal ever lacks its header."""
    leftover = path.with_name(path.name + "-wal")
    if leftover.exists():
        raise DataError(f"{leftover} holds rows of a journal that is gone: move it away, or bring {path} back")
    unfinished = path.with_name(f".{path.name}.new")
    unfinished.unlink(missing_ok=True)
    with _clear_errors(path), closing(sqlite3.connect(unfinished, isolation_level=None)) as connection:
        connection.executescript("BEGIN;" + TABLES)
        connection.executemany("INSERT INTO header VALUES (?, ?)", header.texts().items())
        connection.execute("COMMIT")
    unfinished.replace(path)


def _connect(path: Path) -> sqlite3.Connection:
    """A connection to an existing file; every statement is its own transaction."""
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None, timeout=30)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Lock the journal for writing by this process."""
    lock = FileLock(path.with_name(path.name + ".lock"))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout as error:
        raise UsageError(f"another process is writing {path}: let it finish, or use another journal") from error
    except OSError as error:
        raise DataError(f"cannot write {path}: {error.strerror}; choose another folder") from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _clear_errors(path: Path) -> Iterator[None]:
    """Turn SQLite's errors about the file into ours; errors in our own statements pass through."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if UNDECODABLE in str(error):
            raise _damaged(path, "a text in it is not UTF-8") from error
        advice = "free space or make the folder writable, and run the same again: finished rounds are kept"
        raise DataError(f"cannot use {path}: {error}; {advice}") from error
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.IntegrityError | sqlite3.ProgrammingError | sqlite3.NotSupportedError):
            raise
        raise _damaged(path, str(error)) from error


def _damaged(path: Path, why: str) -> DataError:
    advice = f"nothing was changed; measure into another journal, or try `sqlite3 {path.name} .recover` on a copy"
    return DataError(f"{path} is damaged or no chronas journal ({why}): {advice}")
