"""`chronas table import hw-nas-bench`: the official pickle becomes a folder of ordinary tables, one for each device."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Annotated

import tyro
from pydantic import Field

from chronas.cli.answers import write, write_json, write_table
from chronas.cli.options import Options, read_options
from chronas.errors import DataError, UsageError
from chronas.tables import HwNasBench

DESCRIPTION = """Read HW-NAS-Bench v1.0 (HW-NAS-Bench-v1_0.pickle, which you bring) and write its costs as Parquet.

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


def main(words: list[str]) -> int:
    """Read the pickle, write the folder whole or not at all, tell what is in it."""
    options = read_options(HwNasBenchOptions, words, prog="chronas table import hw-nas-bench", description=DESCRIPTION)
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
