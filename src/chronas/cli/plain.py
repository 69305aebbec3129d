"""`chronas table import FILE.csv` (or `.parquet`): columns of costs that others wrote become tables, one a device."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import tyro
from pydantic import Field

from chronas.cli.answers import write, write_json, write_table
from chronas.cli.options import Options, read_names, read_options, with_names
from chronas.errors import DataError, UsageError, unknown_name
from chronas.spaces import SPACES, make_space
from chronas.tables import PlainColumn, read_plain

DESCRIPTION = """Make tables of a CSV or Parquet file that has a row for each architecture, one table for each device.

Architectures are told by text (architecture, arch_str, arch) or official index (index, arch_idx), costs by columns that
end in their unit (raspi4_ms, eyeriss_energy_mj); --columns names others, of any unit."""


class PlainOptions(Options):
    """Options of `chronas table import` for plain files."""

    file: Annotated[Path, tyro.conf.Positional] = Field(description="a .csv or .parquet file")
    out: Path = Field(default=Path("tables"), description="folder to write: DEVICE.parquet for each device")
    skeleton: str = Field(default="", description="name of the size that was measured; by default the space's first")
    source: str = Field(default="", description="where the numbers come from and their licence, for the provenance")
    columns: tuple[str, ...] = Field(
        default=(), description="read these alone, COLUMN=DEVICE.COST: co2=raspi4.carbon_g is grams of raspi4"
    )


def main(words: list[str]) -> int:
    """Read the file, write the folder whole or not at all, tell what is in it."""
    valid = {"space": SPACES}
    names, words = read_names(words, valid, {"space": "nasbench201"})
    named = with_names(PlainOptions, valid, names)
    options = read_options(named, words, prog="chronas table import FILE", description=DESCRIPTION)
    if options.out.exists():
        raise UsageError(f"{options.out} exists; choose another --out, nothing is overwritten")
    space = make_space(names["space"])
    skeleton = options.skeleton or next(iter(space.skeletons))
    if skeleton not in space.skeletons:
        raise unknown_name("skeleton", skeleton, space.skeletons)
    plain = read_plain(options.file, space, [PlainColumn.parse(text) for text in options.columns])
    tables = plain.tables(space, space.skeletons[skeleton], options.source)
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
