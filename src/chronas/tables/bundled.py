"""Files of cost tables: those in a folder, and those bundled with chronas (the folder `shipped` here).

A bundled table is called by its name, without a path: `nasbench201-cifar10-onnxruntime-cpu`.
"""

from __future__ import annotations

from pathlib import Path

from chronas.arguments import path_of
from chronas.errors import UsageError, excerpt
from chronas.tables.parquet import has_metadata
from chronas.tables.published import devices_in, is_published
from chronas.tables.table import EARLIER_KEY, PROVENANCE_KEY

FOLDER = Path(__file__).parent / "shipped"
PUBLISHED = "-published"  # ending of the names of files of published costs


def shipped_files() -> dict[str, Path]:
    """The bundled tables of networks and of blocks, by name; empty if chronas was installed without them.

    The path of a table of published costs is the file's, followed by the device: see `published`.
    """
    found: dict[str, Path] = {}
    for file in sorted(FOLDER.glob("*.parquet")):
        if file.stem.endswith(PUBLISHED):
            name = file.stem.removesuffix(PUBLISHED)
            found |= {f"{name}-{device}": file / device for device in devices_in(file)}
        else:
            found[file.stem] = file
    return found


def accuracies_path(path: Path) -> Path:
    """The file for a path: the path itself or, if it does not exist, the bundled accuracies of that space.

    Raises:
        UsageError: the path is a plain word that is neither.
    """
    return _file_or_shipped(path, shipped_accuracies(), "accuracies that come with chronas: these are of")


def shipped_accuracies() -> dict[str, Path]:
    """The bundled accuracies, by the name of the space."""
    return {file.stem: file for file in sorted((FOLDER / "accuracies").glob("*.parquet"))}


def shipped_tables() -> list[Path]:
    """The files of the bundled tables of whole networks, by name."""
    return [file for file in shipped_files().values() if is_table(file)]


def table_path(path: Path) -> Path:
    """The file for a path: the path itself or, if it does not exist, the bundled table of that name.

    Raises:
        UsageError: the path is a plain word that is neither.
    """
    return _file_or_shipped(path, shipped_files(), "a table that comes with chronas: these are")


def _file_or_shipped(path: Path, shipped: dict[str, Path], what: str) -> Path:
    path = path_of(path)
    if path.exists() or path.parent != Path() or path.suffix:
        return path
    if path.name not in shipped:
        names = ", ".join(shipped) or "none"
        raise UsageError(f"no file {excerpt(str(path))}, nor {what} {names}")
    return shipped[path.name]


def table_files(path: Path) -> list[Path]:
    """The tables in a folder, by name; another path gives itself or the bundled table of that name.

    Raises:
        UsageError: the folder has no table, or the path is a plain word that names no table.
    """
    path = path_of(path)
    if not path.is_dir():
        return [table_path(path)]
    files = [file for file in sorted(path.glob("*.parquet")) if is_table(file)]
    if not files:
        raise UsageError(f"{path} has no table of costs (*.parquet that chronas wrote): give a table or its folder")
    return files


def journal_beside(table: Path) -> Path:
    """The path of the journal of a table that is to be written.

    Raises:
        UsageError: the table would overwrite its journal.
    """
    table = path_of(table)
    journal = table.with_suffix(".sqlite")
    if journal == table:
        raise UsageError(f"the table {table} would overwrite its journal: give a name that ends in .parquet")
    return journal


def is_table(path: Path) -> bool:
    """Whether a file is a Parquet file with the provenance of a table; `CostTable.load` finds errors in it."""
    return has_metadata(path, PROVENANCE_KEY) or has_metadata(path, EARLIER_KEY) or is_published(path.parent)
