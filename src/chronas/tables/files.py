"""Which files are tables of costs: those of a folder, and those that come with chronas (the folder `shipped` here)."""

from __future__ import annotations

from pathlib import Path

from chronas.errors import UsageError
from chronas.tables.table import is_table

FOLDER = Path(__file__).parent / "shipped"


def shipped_tables() -> list[Path]:
    """The files of the tables that come with chronas, by name; none where it was installed without them."""
    return _tables(FOLDER)


def table_files(path: Path) -> list[Path]:
    """The tables in a folder, by name; a path that is no folder stands for itself.

    Raises:
        UsageError: the folder has no table.
    """
    if not path.is_dir():
        return [path]
    files = _tables(path)
    if not files:
        raise UsageError(f"{path} has no table of costs (*.parquet that chronas wrote): give a table or its folder")
    return files


def _tables(folder: Path) -> list[Path]:
    return [file for file in sorted(folder.glob("*.parquet")) if is_table(file)]
