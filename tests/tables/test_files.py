from __future__ import annotations

from pathlib import Path

import pytest

from chronas.errors import UsageError
from chronas.tables import CostTable, shipped_tables, table_files
from chronas.tables import files as module
from explored import latencies, write_table


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.parquet", "a.parquet"):
        write_table(tmp_path / name, latencies(3))
    (tmp_path / "c.parquet").write_bytes(b"PAR1")
    (tmp_path / "notes.txt").touch()
    return tmp_path


def test_every_shipped_table_can_be_read() -> None:
    for path in shipped_tables():
        assert len(CostTable.load(path)) > 0


def test_only_tables_are_shipped_and_a_missing_folder_ships_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FOLDER", folder / "none")
    assert shipped_tables() == []
    monkeypatch.setattr(module, "FOLDER", folder)
    assert [path.name for path in shipped_tables()] == ["a.parquet", "b.parquet"]


def test_a_folder_stands_for_its_tables_and_a_file_for_itself(folder: Path) -> None:
    assert table_files(folder) == [folder / "a.parquet", folder / "b.parquet"]
    assert table_files(folder / "c.parquet") == [folder / "c.parquet"]
    assert table_files(folder / "none.parquet") == [folder / "none.parquet"]


def test_a_folder_without_tables_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has no table of costs"):
        table_files(tmp_path)
