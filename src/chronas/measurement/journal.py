"""The journal of a campaign: an SQLite file on a local disk with one row for each round, written as it is measured.

It uses write-ahead logging (WAL) and one transaction for each row, so a process killed at any moment leaves whole rows.
A new journal is created by one rename and already has its header. Each row is sealed, see `rows`. Commits do not wait
for the disk (synchronous = NORMAL): a power cut can lose the last rows, never the file. A lock next to the file admits
one writer; others may read.
https://www.sqlite.org/wal.html
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from filelock import FileLock, Timeout

from chronas.arguments import path_of
from chronas.errors import DataError, MismatchError, UsageError, reason
from chronas.measurement.meter import Reading
from chronas.measurement.rows import READING_TABLES, SCHEMA, SCHEMAS, SEAL, TABLES, insert, select
from chronas.measurement.state import CampaignState, Header, Readings, ReferenceRound, readings_of
from chronas.reading import LARGEST, require_file

UNDECODABLE = "Could not decode to UTF-8"  # sqlite3 calls it an operational error
ABOUT_CONTENT = ("no such table", "no such column", "malformed", UNDECODABLE)  # other operational errors: the disk's


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
            self.state, self._schema = _read(path)
            differences = self.state.header.differences(header)
            if differences:
                advice = "use the same settings, or another journal"
                raise MismatchError(f"{path} is the journal of another campaign: {'; '.join(differences)}; {advice}")
            with _clear_errors(path):
                self._connection = held.enter_context(closing(_connect(path)))
                self._connection.execute("PRAGMA journal_mode = WAL")
                self._connection.execute("PRAGMA synchronous = NORMAL")
            self._file = path.stat().st_ino
            self._held = held.pop_all()

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._held.close()

    def _insert(self, table: str, rows: Sequence[Sequence[Any]]) -> None:
        """Write rows in one transaction.

        Raises:
            DataError: the file is gone or another one has its name; SQLite would go on writing where nobody finds it.
        """
        if _inode(self.path) != self._file:
            raise DataError(
                f"{self.path} was moved, deleted or replaced while it was written: nothing more is measured; bring it "
                f"back and run the same again, or run it again as it is to begin anew"
            )
        with _clear_errors(self.path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                insert(self._connection, table, rows, sealed=self._schema == SCHEMA)
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def ask(self, architectures: Sequence[str]) -> None:
        """Add the networks that the journal does not have yet, in new blocks.

        Args:
            architectures: distinct text forms.
        """
        known = set(self.state.networks)
        new = [text for text in architectures if text not in known]
        size, first = self.state.header.plan.block, len(self.state.blocks)
        blocks = [new[start : start + size] for start in range(0, len(new), size)]
        texts = [(first + number, text) for number, block in enumerate(blocks) for text in block]
        self._insert("network", [(place, *row) for place, row in enumerate(texts, len(known) + 1)])
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
        times = (float(start_s), float(end_s))
        self._insert("measurement", [(architecture, index, *times, json.dumps(list(samples_ms)))])
        self.state.add_round(architecture, index, start_s, list(samples_ms))

    def add_reference(self, reference: ReferenceRound) -> None:
        """Write one round of the reference network."""
        times = (float(reference.start_s), float(reference.end_s), json.dumps(list(reference.samples_ms)))
        cores = None if reference.background_cores is None else float(reference.background_cores)
        self._insert("reference", [(*reference.key, *times, cores, reference.priority)])
        self.state.add_reference(reference)

    def measure_by(self, cost: str, source: str) -> None:
        """Prepare for readings of another cost by `source`; the tables are created if necessary.

        Raises:
            MismatchError: the journal's readings of the cost come from another source.
        """
        new = cost not in self.state.readings
        known = self.state.readings.setdefault(cost, Readings(cost, source)).source
        if known != source:
            advice = "measure where that is, or into another journal"
            raise MismatchError(f"{cost} of {self.path} was measured by {known}, here is {source}: {advice}")
        tables = READING_TABLES.format(seal=SEAL if self._schema == SCHEMA else "")
        with _clear_errors(self.path):
            self._connection.executescript(f"BEGIN IMMEDIATE;{tables}COMMIT;")
        if new:
            self._insert("meter", [(cost, source)])

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
        times, beside = (float(start_s), float(end_s)), json.dumps(dict(reading.beside))
        self._insert("reading", [(cost, architecture, index, *times, float(reading.value), beside)])
        self.state.readings[cost].add(architecture, index, reading)


def read_journal(path: Path) -> CampaignState:
    """The content of a journal, also while a campaign is writing it.

    Raises:
        DataError: it is missing, damaged, or not a journal; a changed row is named.
    """
    path = path_of(path)
    return _read(path)[0]


def _read(path: Path) -> tuple[CampaignState, str]:
    """The content of a journal, and its schema."""
    if not path.is_file():
        raise DataError(f"there is no journal {path}: measure first, or name another")
    require_file(path, LARGEST["journal"])
    with _clear_errors(path), closing(_connect(path)) as connection:
        connection.execute("BEGIN")  # all that is read is of one moment
        connection.text_factory = lambda content: content.decode(errors="surrogateescape")
        kinds = connection.execute("SELECT type, name FROM sqlite_master").fetchall()
        odd = [f"{kind} {name}" for kind, name in kinds if kind not in ("table", "index")]
        if odd:  # reading from a view could run without end
            raise _damaged(path, f"it has the {odd[0]}")
        verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if verdict == "ok" and path.stat().st_size % connection.execute("PRAGMA page_size").fetchone()[0]:
            verdict = "it ends within a page"  # SQLite reads zeros there
        if verdict != "ok":
            raise _damaged(path, verdict)
        names = {name for kind, name in kinds if kind == "table"}
        if "header" not in names:
            raise _damaged(path, "it has no header")
        schema = connection.execute("SELECT value FROM header WHERE key = 'schema'").fetchone()
        if schema is None or schema[0] not in SCHEMAS:
            got = None if schema is None else schema[0]
            raise DataError(f"{path} should have schema {SCHEMA!r} but has {got!r}: use another journal")
        sealed = any(column[1] == "seal" for column in connection.execute("PRAGMA table_info(header)"))
        if sealed != (schema[0] == SCHEMA):
            raise _damaged(path, f"its schema {schema[0]} is not that of its tables")
        try:
            return _contents(connection, schema[0], others="reading" in names), schema[0]
        except (sqlite3.Error, DataError):
            raise
        except Exception as error:
            raise _damaged(path, reason(error) or type(error).__name__) from error


def _contents(connection: sqlite3.Connection, schema: str, *, others: bool) -> CampaignState:
    """The content of the tables; `others`: whether there are tables of other costs than latency."""
    state = CampaignState(Header.from_texts(dict(select(connection, "header", schema))))
    for _, block, text in select(connection, "network", schema, "position"):
        state.add_network(block, text)
    known, ends_s = set(state.networks), [0.0]
    for text, index, start_s, end_s, samples_ms in select(connection, "measurement", schema):
        if text not in known:
            raise ValueError(f"it has a round of {text}, but not this network")
        state.add_round(text, index, start_s, json.loads(samples_ms))
        ends_s.append(end_s)
    for block, index, place, start_s, end_s, samples_ms, *conditions in select(
        connection, "reference", schema, "start_s"
    ):
        samples = tuple(json.loads(samples_ms))
        state.add_reference(ReferenceRound(block, index, place, start_s, end_s, samples, *conditions))
        ends_s.append(end_s)
    if others:
        state.readings = readings_of(select(connection, "meter", schema), select(connection, "reading", schema))
        ends_s += [end_s for _, _, _, _, end_s, *_ in select(connection, "reading", schema)]
    state.clock_s = max(ends_s)
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
        insert(connection, "header", [*header.texts().items()], sealed=True)
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
        if any(text in str(error) for text in ABOUT_CONTENT):
            raise _damaged(path, str(error)) from error
        advice = "free space or make the folder writable, and run the same again: finished rounds are kept"
        raise DataError(f"cannot use {path}: {error}; {advice}") from error
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.ProgrammingError | sqlite3.NotSupportedError):
            raise
        raise _damaged(path, str(error)) from error


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except OSError:
        return None


def _damaged(path: Path, why: str) -> DataError:
    advice = f"nothing was changed; measure into another journal, or try `sqlite3 {path.name} .recover` on a copy"
    return DataError(f"{path} is damaged or no chronas journal ({' '.join(why.split())}): {advice}")
