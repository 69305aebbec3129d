from __future__ import annotations

from pathlib import Path

import pytest

from chronas.tables import CostTable, shipped_tables
from chronas.tables import shipped as module


def test_every_shipped_table_can_be_read() -> None:
    for path in shipped_tables():
        assert len(CostTable.load(path)) > 0


def test_an_empty_or_missing_folder_ships_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FOLDER", tmp_path / "none")
    assert shipped_tables() == []
    monkeypatch.setattr(module, "FOLDER", tmp_path)
    for name in ("b.parquet", "a.parquet", "notes.txt"):
        (tmp_path / name).touch()
    assert [path.name for path in shipped_tables()] == ["a.parquet", "b.parquet"]
