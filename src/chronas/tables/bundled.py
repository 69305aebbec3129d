"""Which files are tables of costs: those of a folder, and those that come with chronas (the folder `shipped` here).

A table that comes with chronas is called by its name, without a path: `nasbench201-cifar10-onnxruntime-cpu`.
"""

from __future__ import annotations

from pathlib import Path

from chronas.errors import UsageError, excerpt
from chronas.tables.table import is_table

FOLDER = Path(__file__).parent / "shipped"


def shipped_files() -> dict[str, Path]:
    """The tables that come with chronas, of networks and of blocks, by name; none where it was installed without."""
    return {file.stem: file for file in sorted(FOLDER.glob("*.parquet"))}


def shipped_tables() -> list[Path]:
    """The files of the tables of whole networks that come with chronas, by name."""
    return [file for file in shipped_files().values() if is_table(file)]


def table_path(path: Path) -> Path:
    """The file that is meant: the path itself or, where nothing has it, the table of that name that comes with chronas.

    Raises:
        UsageError: a plain word that is neither.
    """
    if path.exists() or path.parent != Path() or path.suffix:
        return path
    shipped = shipped_files()
    if path.name not in shipped:
        names = ", ".join(shipped) or "none"
        raise UsageError(f"no file {excerpt(str(path))}, nor a table that comes with chronas: these are {names}")
    return shipped[path.name]


def table_files(path: Path) -> list[Path]:
    """The tables in a folder, by name; any other path stands for itself or for a table that comes with chronas.

    Raises:
        UsageError: the folder has no table, or the path is a plain word that names no table.
    """
    if not path.is_dir():
        return [table_path(path)]
    files = [file for file in sorted(path.glob("*.parquet")) if is_table(file)]
    if not files:
        raise UsageError(f"{path} has no table of costs (*.parquet that chronas wrote): give a table or its folder")
    return files
