"""`chronas table import FILE.csv` (or `.parquet`): columns of costs that others wrote become tables, one a device.

`chronas table import hw-nas-bench`: the official pickle becomes a folder of ordinary tables, one for each device.

`chronas table import`: a table of what a bundle measured, or of a benchmark that others published.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import tyro
from pydantic import Field

from chronas.cli.options import Options, read_names, read_options, with_names
from chronas.cli.output import write, write_json, write_table
from chronas.cli.table import journal_beside, show_table
from chronas.errors import DataError, UsageError, unknown_name
from chronas.measurement import Results
from chronas.registry import Registry
from chronas.spaces import SPACES, make_space
from chronas.tables import CostTable, ForeignColumn, HwNasBench, read_foreign

PLAIN_DESCRIPTION = """\
Make tables of a CSV or Parquet file that has a row for each architecture, one table for each device.

Architectures are told by text (architecture, arch_str, arch) or official index (index, arch_idx), costs by columns that
end in their unit (raspi4_ms, eyeriss_energy_mj); --columns names others, of any unit."""


class PlainOptions(Options):
    """Options of `chronas table import` for plain files."""

    file: Annotated[Path, tyro.conf.Positional] = Field(description="a .csv or .parquet file")
    out: Path = Field(default=Path("tables"), description="folder to write: DEVICE.parquet for each device")
    size: str = Field(default="", description="name of the size that was measured; by default the space's first")
    source: str = Field(default="", description="where the numbers come from and their licence, for the provenance")
    columns: tuple[str, ...] = Field(
        default=(), description="read these alone, COLUMN=DEVICE.COST: co2=raspi4.carbon_g is grams of raspi4"
    )


def import_plain(words: list[str]) -> int:
    """Read the file, write the folder whole or not at all, tell what is in it."""
    valid = {"space": SPACES}
    names, words = read_names(words, valid, {"space": "nasbench201"})
    named = with_names(PlainOptions, valid, names)
    options = read_options(named, words, prog="chronas table import FILE", description=PLAIN_DESCRIPTION)
    if options.out.exists():
        raise UsageError(f"{options.out} exists; choose another --out, nothing is overwritten")
    space = make_space(names["space"])
    size = options.size or next(iter(space.sizes))
    if size not in space.sizes:
        raise unknown_name("size", size, space.sizes)
    plain = read_foreign(options.file, space, [ForeignColumn.parse(text) for text in options.columns])
    tables = plain.tables(space, space.sizes[size], options.source)
    try:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=options.out.parent, prefix=f".{options.out.name}.") as temporary:
            for device, table in tables.items():
                table.save(Path(temporary) / "tables" / f"{device}.parquet")
            shutil.move(Path(temporary) / "tables", options.out)
    except OSError as error:
        raise DataError(f"cannot write {options.out}: {error.strerror}; choose another folder") from error
    if plain.left_out:
        sys.stderr.write(f"not read, as no unit is told (--columns): {', '.join(plain.left_out)}\n")
    rows = [
        (str(options.out / f"{device}.parquet"), len(table), ", ".join([table.provenance.cost, *table.others()]))
        for device, table in tables.items()
    ]
    if options.json_answer:
        write_json([{"file": file, "rows": count, "costs": costs.split(", ")} for file, count, costs in rows])
    else:
        write_table(("file", "rows", "costs"), rows)
        write("\nAsk with `chronas table query`, learn one with `chronas fit --table`.")
    return 0


HW_NAS_BENCH_DESCRIPTION = """\
Read HW-NAS-Bench v1.0 (HW-NAS-Bench-v1_0.pickle, which you bring) and write its costs as Parquet.

NAS-Bench-201: one table for each data set and device, and the products that its API calls average_hw_metric. FBNet: one
table of blocks for each data set. Nothing that the file brings is run."""
CELLS = {
    "cifar10": "nasbench201-cifar10",
    "cifar100": "nasbench201-cifar100",
    "ImageNet16-120": "nasbench201-imagenet16-120",
}
BLOCKS = {"cifar100": "fbnet-cifar100.parquet", "ImageNet": "fbnet-imagenet.parquet"}
PRODUCT = "metric_product"


class HwNasBenchOptions(Options):
    """Options of `chronas table import hw-nas-bench`."""

    pickle: Annotated[Path, tyro.conf.Positional] = Field(description="HW-NAS-Bench-v1_0.pickle")
    out: Path = Field(default=Path("hw-nas-bench"), description="folder to write")


def import_hw_nas_bench(words: list[str]) -> int:
    """Read the pickle, write the folder whole or not at all, tell what is in it."""
    options = read_options(
        HwNasBenchOptions, words, prog="chronas table import hw-nas-bench", description=HW_NAS_BENCH_DESCRIPTION
    )
    if options.out.exists():
        raise UsageError(f"{options.out} exists; choose another --out, nothing is overwritten")
    bench = HwNasBench.read(options.pickle)
    try:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=options.out.parent, prefix=f".{options.out.name}.") as temporary:
            rows = write_folder(bench, Path(temporary) / "tables")
            shutil.move(Path(temporary) / "tables", options.out)
    except OSError as error:
        raise DataError(f"cannot write {options.out}: {error.strerror}; choose another folder") from error
    if options.json_answer:
        write_json(
            [{"file": f"{options.out / name}", "rows": count, "missing": missing} for name, count, missing in rows]
        )
    else:
        write_table(("file", "rows", "missing"), rows, title=str(options.out))
        write("\nAsk with `chronas table query`, learn one with `chronas fit --table`.")
    return 0


def write_folder(bench: HwNasBench, folder: Path) -> list[tuple[str, int, str | None]]:
    """Write all tables; for each its name in the folder, its rows, and what is missing in it."""
    rows: list[tuple[str, int, str | None]] = []
    for dataset, name in CELLS.items():
        frame = bench.frame(dataset)
        for device, table in bench.tables(dataset).items():
            file = f"{name}/{device}.parquet"
            table.save(folder / file)
            absent = len(frame) - len(table)
            rows.append((file, len(table), f"{absent}: {table.provenance.missing}" if absent else None))
        file = f"{name}/{PRODUCT}.parquet"
        frame.select("index", "architecture", PRODUCT).write_parquet(folder / file)
        rows.append((file, len(frame), None))
    for dataset, file in BLOCKS.items():
        table_of_blocks = bench.block_table(dataset)
        table_of_blocks.save(folder / file)
        rows.append((file, len(table_of_blocks.frame), None))
    return rows


DESCRIPTION = """Make a table of what the run.py of a bundle measured, and a journal of every sample beside it.

Networks that lack rounds yet are left out. `chronas table import FILE.csv` (or .parquet) reads tables that others
wrote, `chronas table import hw-nas-bench FILE` HW-NAS-Bench's pickle."""
SOURCE = "measured elsewhere, by the run.py of a bundle,"
PLAIN = (".csv", ".parquet")
PUBLISHED = {"hw-nas-bench": "chronas.cli.table_import:import_hw_nas_bench"}  # a file of such a name is given as ./NAME


class ImportOptions(Options):
    """Options of `chronas table import`."""

    results: Annotated[Path, tyro.conf.Positional] = Field(description="results.jsonl of a bundle, or its folder")
    out: Path = Field(default=Path("costs.parquet"), description="table to write; the journal lies beside it (.sqlite)")


def main(words: list[str]) -> int:
    """Import what the first word names, a plain file, or else the results of a bundle."""
    if words and words[0] in PUBLISHED:
        exit_code: int = Registry("benchmark", PUBLISHED)[words[0]](words[1:])
        return exit_code
    if _file(words).lower().endswith(PLAIN):
        return import_plain(words)
    options = read_options(ImportOptions, words, prog="chronas table import", description=DESCRIPTION)
    if options.out.exists():
        raise UsageError(f"{options.out} exists; choose another --out, nothing is overwritten")
    path = options.results / "results.jsonl" if options.results.is_dir() else options.results
    journal = journal_beside(options.out)
    results = Results(path)
    results.write_journal(journal)
    table = CostTable.from_journal(journal).from_source(SOURCE)
    table.save(options.out)
    left_out = len(results.manifest.networks) - len(table)
    if left_out:
        sys.stderr.write(f"{left_out} of {len(table) + left_out} networks lack rounds yet and are left out\n")
    show_table(table, options.out, as_json=options.json_answer)
    return 0


def _file(words: list[str]) -> str:
    """The first word that is no flag and no flag's value."""
    for before, word in zip(["", *words], words, strict=False):
        if not word.startswith("-") and (before in {"", "--json"} or not before.startswith("--") or "=" in before):
            return word
    return ""
