from __future__ import annotations

from pathlib import Path

import pytest

from chronas.errors import UsageError
from chronas.tables import bundled as module
from chronas.tables import shipped_files, shipped_tables, table_files, table_path
from explored import latencies, write_table


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.parquet", "a.parquet"):
        write_table(tmp_path / name, latencies(3))
    (tmp_path / "c.parquet").write_bytes(b"PAR1")
    (tmp_path / "notes.txt").touch()
    return tmp_path


def test_only_tables_are_shipped_and_a_missing_folder_ships_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FOLDER", folder / "none")
    assert shipped_tables() == []
    monkeypatch.setattr(module, "FOLDER", folder)
    assert [path.name for path in shipped_tables()] == ["a.parquet", "b.parquet"]
    assert list(shipped_files()) == ["a", "b", "c"]


def test_a_plain_word_is_a_table_that_is_shipped_unless_a_file_is_called_so(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.setattr(module, "FOLDER", folder)
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert table_path(Path("a")) == folder / "a.parquet" and table_files(Path("b")) == [folder / "b.parquet"]
    for path in (Path("a.parquet"), Path("x/a"), folder / "none"):
        assert table_path(path) == path
    with pytest.raises(UsageError, match="no file 'none', nor a table that comes with chronas: these are a, b, c"):
        table_path(Path("none"))
    Path("a").touch()
    assert table_path(Path("a")) == Path("a")


def test_a_folder_stands_for_its_tables_and_a_file_for_itself(folder: Path) -> None:
    assert table_files(folder) == [folder / "a.parquet", folder / "b.parquet"]
    assert table_files(folder / "c.parquet") == [folder / "c.parquet"]
    assert table_files(folder / "none.parquet") == [folder / "none.parquet"]


def test_a_folder_without_tables_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has no table of costs"):
        table_files(tmp_path)
