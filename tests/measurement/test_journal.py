"""Journals that are damaged, locked, foreign, or on a full disk."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chronas.devices import Model, Runner
from chronas.devices.simulated import Simulated, SimulatedConfig
from chronas.errors import DataError, UsageError
from chronas.measurement import Header, Journal, Plan, read_journal, run_campaign
from chronas.spaces import NetworkSize, make_space

SIZE = NetworkSize(input_shape=(3, 32, 32), outputs=10, width=16, depth=8)
SPACE = make_space("nasbench201")
PLAN = Plan()
DEVICE = Simulated(SimulatedConfig())


def measure(path: Path) -> None:
    run_campaign(DEVICE, SIZE, SPACE.sample(12, seed=0), PLAN, path)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sound") / "journal.sqlite"
    measure(path)
    return path


@pytest.fixture
def copy(sound: Path, tmp_path: Path) -> Path:
    shutil.copy(sound, tmp_path / "journal.sqlite")
    return tmp_path / "journal.sqlite"


def test_a_header_round_trips() -> None:
    header = Header.of(SPACE, SIZE, DEVICE, PLAN)
    assert Header.from_texts(header.texts()) == header
    assert header.differences(header) == []


@pytest.mark.parametrize("share", [0.0, 0.001, 0.1, 0.5, 0.9, 0.999])
def test_a_cut_journal_is_refused_and_left_as_it_was(share: float, copy: Path) -> None:
    left = copy.read_bytes()[: int(copy.stat().st_size * share)]
    copy.write_bytes(left)
    with pytest.raises(DataError, match=r"is damaged or no chronas journal.*another journal"):
        read_journal(copy)
    with pytest.raises(DataError, match="is damaged"):
        measure(copy)
    assert copy.read_bytes() == left


@pytest.mark.parametrize("page", range(0, 10, 3))
def test_an_overwritten_page_is_noticed(page: int, copy: Path) -> None:
    content = bytearray(copy.read_bytes())
    content[page * 4096 : (page + 1) * 4096] = b"\xa5" * 4096
    copy.write_bytes(bytes(content))
    with pytest.raises(DataError, match="is damaged"):
        read_journal(copy)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE measurement SET samples_ms = '[1.0, NaN]'",
        "UPDATE measurement SET samples_ms = '[0.1'",
        "UPDATE measurement SET samples_ms = '[-1.0, 1, 1, 1, 1, 1, 1, 1, 1, 1]'",
        "UPDATE reference SET samples_ms = '3'",
        "UPDATE header SET value = '{}' WHERE key = 'size'",
        "DELETE FROM header WHERE key = 'plan'",
        "UPDATE network SET block = 7",
    ],
)
def test_rows_that_make_no_sense_are_refused(statement: str, copy: Path) -> None:
    with sqlite3.connect(copy) as connection:
        connection.execute(statement)
    connection.close()
    with pytest.raises(DataError, match="is damaged"):
        read_journal(copy)


CHANGES = {
    "measurement": ("round", "start_s", "end_s", "samples_ms", "architecture"),
    "reference": ("block", "round", "place", "start_s", "end_s", "samples_ms", "background_cores", "priority"),
    "network": ("position", "block", "architecture"),
    "header": ("key", "value"),
    "meter": ("cost", "source"),
    "reading": ("cost", "architecture", "round", "start_s", "end_s", "value", "beside"),
}


@pytest.fixture(scope="module")
def with_energy(sound: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("energy") / "journal.sqlite"
    shutil.copy(sound, path)
    run_campaign(DEVICE, SIZE, SPACE.sample(2, seed=0), PLAN, path, costs=["energy_mj"])
    return path


@pytest.mark.parametrize(("table", "column"), [(table, column) for table in CHANGES for column in CHANGES[table]])
def test_a_changed_value_is_refused_by_the_name_of_its_row(
    table: str, column: str, with_energy: Path, tmp_path: Path
) -> None:
    path = tmp_path / "journal.sqlite"
    shutil.copy(with_energy, path)
    with sqlite3.connect(path) as connection:
        (value,) = connection.execute(f"SELECT {column} FROM {table} ORDER BY rowid DESC LIMIT 1").fetchone()
        changed = (
            value.replace("1", "7", 1) + ("" if "1" in value else " ") if isinstance(value, str) else (value or 0) + 64
        )
        newest = f"rowid = (SELECT max(rowid) FROM {table})"
        connection.execute(f"UPDATE {table} SET {column} = ? WHERE {newest}", (changed,))
    connection.close()
    with pytest.raises(DataError, match=f"the row of .* in {table} was changed"):
        read_journal(path)


@settings(max_examples=120, deadline=None)
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_is_refused_or_changes_nothing(
    sound: Path, tmp_path_factory: pytest.TempPathFactory, place: float, bit: int
) -> None:
    path = tmp_path_factory.mktemp("flipped") / "journal.sqlite"
    content = bytearray(sound.read_bytes())
    content[int(place * len(content))] ^= 1 << bit
    path.write_bytes(content)
    try:
        found = read_journal(path)
    except DataError:
        return
    wanted = read_journal(sound)
    assert found.header == wanted.header and found.blocks == wanted.blocks
    for text, rounds in found.samples_ms.items():
        assert rounds.items() <= wanted.samples_ms[text].items()
    assert found.references.items() <= wanted.references.items()


ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x AS key, x AS value FROM n"


@pytest.mark.parametrize(
    "statement",
    [
        f"CREATE VIEW header AS {ENDLESS}",
        "CREATE TRIGGER late AFTER INSERT ON network BEGIN DELETE FROM network; END",
    ],
)
def test_a_journal_that_would_run_something_is_refused(statement: str, copy: Path) -> None:
    with sqlite3.connect(copy) as connection:
        if "VIEW" in statement:
            connection.execute("DROP TABLE header")
        connection.execute(statement)
    connection.close()
    with pytest.raises(DataError, match="it has the (view header|trigger late)"):
        read_journal(copy)


@pytest.mark.parametrize("way", ["deleted", "moved", "replaced"])
def test_a_journal_that_vanishes_ends_the_campaign_at_once(way: str, tmp_path: Path) -> None:
    path, rounds = tmp_path / "runs" / "journal.sqlite", []

    class Vanishing(Simulated):
        def _prepare(self, model: Model) -> Runner:
            rounds.append(model)
            if len(rounds) == 4:
                shutil.move(path.parent, tmp_path / "elsewhere")
            if len(rounds) == 4 and way == "replaced":
                path.parent.mkdir()
                path.write_bytes(b"another")
            if len(rounds) == 4 and way == "deleted":
                shutil.rmtree(tmp_path / "elsewhere")
            return super()._prepare(model)

    with pytest.raises(DataError, match=r"was moved, deleted or replaced while it was written: nothing more"):
        run_campaign(Vanishing(SimulatedConfig()), SIZE, SPACE.sample(12, seed=0), PLAN, path)
    assert len(rounds) == 13, "only the reference and the first block were prepared"
    if way == "moved":
        shutil.move(tmp_path / "elsewhere", path.parent)
        measure(path)
        assert len(read_journal(path).latencies()) == 12


def test_other_files_are_no_journal(tmp_path: Path) -> None:
    (tmp_path / "text.sqlite").write_text("not a database " * 1000)
    with pytest.raises(DataError, match="is damaged or no chronas journal"):
        read_journal(tmp_path / "text.sqlite")
    with sqlite3.connect(tmp_path / "other.sqlite") as connection:
        connection.execute("CREATE TABLE other (x)")
    connection.close()
    with pytest.raises(DataError, match="no header"):
        read_journal(tmp_path / "other.sqlite")
    with pytest.raises(DataError, match="there is no journal"):
        read_journal(tmp_path / "none.sqlite")


def test_a_journal_of_another_schema_is_refused(copy: Path) -> None:
    with sqlite3.connect(copy) as connection:
        connection.execute("UPDATE header SET value = 'chronas.journal/99' WHERE key = 'schema'")
    connection.close()
    with pytest.raises(DataError, match=r"schema 'chronas.journal/4' but has 'chronas.journal/99'"):
        read_journal(copy)


def test_one_process_writes_and_others_read(copy: Path) -> None:
    header = Header.of(SPACE, SIZE, DEVICE, PLAN)
    with Journal(copy, header):
        with pytest.raises(UsageError, match="another process is writing"):
            Journal(copy, header)
        assert len(read_journal(copy).latencies()) == 12
    with Journal(copy, header):
        pass


def test_a_round_cannot_be_written_twice(copy: Path) -> None:
    with Journal(copy, Header.of(SPACE, SIZE, DEVICE, PLAN)) as journal, pytest.raises(DataError, match="UNIQUE"):
        journal.add(journal.state.networks[0], 0, 0.0, 1.0, [1.0] * 10)


def test_rows_of_a_journal_that_is_gone_are_not_mixed_into_a_new_one(tmp_path: Path) -> None:
    (tmp_path / "journal.sqlite-wal").write_bytes(b"rows")
    with pytest.raises(DataError, match="journal that is gone"):
        measure(tmp_path / "journal.sqlite")
    assert (tmp_path / "journal.sqlite-wal").read_bytes() == b"rows"


def test_what_a_kill_left_before_the_journal_was_there_does_not_matter(tmp_path: Path) -> None:
    (tmp_path / ".journal.sqlite.new").write_bytes(b"half a header")
    measure(tmp_path / "journal.sqlite")
    assert len(read_journal(tmp_path / "journal.sqlite").latencies()) == 12


def test_a_folder_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match="cannot write"):
        measure(tmp_path / "file" / "journal.sqlite")


FULL = """
import resource, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
import test_journal
resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))
try:
    test_journal.measure(Path(sys.argv[2]))
except test_journal.DataError as error:
    print(error)
"""


def test_a_full_disk_is_told_and_nothing_is_lost(sound: Path, tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    command = [sys.executable, "-c", FULL, str(Path(__file__).parent), str(path)]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    assert answer.stdout.startswith(f"cannot use {path}") and "free space" in answer.stdout
    assert len(answer.stdout.splitlines()) == 1
    kept = read_journal(path).samples_ms
    assert 0 < sum(map(len, kept.values())) < 36
    measure(path)
    assert read_journal(path).samples_ms == read_journal(sound).samples_ms


OLD_TABLES = """
CREATE TABLE header (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE network (position INTEGER PRIMARY KEY, block INTEGER NOT NULL, architecture TEXT NOT NULL UNIQUE);
CREATE TABLE measurement (architecture TEXT NOT NULL, round INTEGER NOT NULL, start_s REAL NOT NULL,
    end_s REAL NOT NULL, samples_ms TEXT NOT NULL, PRIMARY KEY (architecture, round));
CREATE TABLE reference (block INTEGER NOT NULL, round INTEGER NOT NULL, place INTEGER NOT NULL, start_s REAL NOT NULL,
    end_s REAL NOT NULL, samples_ms TEXT NOT NULL, PRIMARY KEY (block, round, place));
"""


def test_a_journal_from_before_the_division_by_drift_is_read_as_it_was_and_gone_on_with(tmp_path: Path) -> None:
    path, architectures = tmp_path / "old.sqlite", SPACE.sample(3, seed=0)
    plan = {"rounds": 3, "max_rounds": 3, "warmup": 3, "repeats": 2, "statistic": "minimum"}
    plan |= {"interval_percent": 5.0, "block": 200, "seed": 0}
    header = Header.of(SPACE, SIZE, DEVICE, PLAN).texts() | {
        "schema": "chronas.journal/1",
        "plan": json.dumps(plan),
    }
    with sqlite3.connect(path) as connection:
        connection.executescript(OLD_TABLES)
        connection.executemany("INSERT INTO header VALUES (?, ?)", header.items())
        for position, architecture in enumerate(architectures[:2]):
            connection.execute("INSERT INTO network VALUES (?, 0, ?)", (position, str(architecture)))
            for index, latency_ms in enumerate((2.0, 3.0, 7.0)):
                row = (str(architecture), index, 10.0 * index, 10.0 * index + 1, f"[{latency_ms}, 9.0]")
                connection.execute("INSERT INTO measurement VALUES (?, ?, ?, ?, ?)", row)
        for place, latency_ms in enumerate((1.0, 5.0, 9.0)):
            row = (0, 0, place, float(place), place + 0.5, f"[{latency_ms}, {latency_ms}]")
            connection.execute("INSERT INTO reference VALUES (?, ?, ?, ?, ?, ?)", row)
    connection.close()
    state = read_journal(path)
    assert [latency.value for latency in state.latencies().values()] == [3.0, 3.0]
    assert state.drift_percent() == pytest.approx(100 * 7.2 / 5)
    assert state.background_cores() is None and state.priority() == "normal"
    run_campaign(DEVICE, SIZE, architectures, state.header.plan, path)
    assert [latency.value for latency in read_journal(path).latencies().values()][:2] == [3.0, 3.0]
    assert len(read_journal(path).latencies()) == 3
    run_campaign(DEVICE, SIZE, architectures, state.header.plan, path, costs=["energy_mj"])
    assert len(read_journal(path).readings["energy_mj"].estimates()) == len(read_journal(path).latencies()) == 3


@pytest.mark.parametrize("schema", ["1", "2", "3"])
def test_a_changed_schema_does_not_turn_the_seals_off(schema: str, copy: Path) -> None:
    with sqlite3.connect(copy) as connection:
        connection.execute(f"UPDATE header SET value = 'chronas.journal/{schema}' WHERE key = 'schema'")
    with pytest.raises(DataError, match="is not that of its tables|should have schema"):
        read_journal(copy)
