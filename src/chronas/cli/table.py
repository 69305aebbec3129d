"""`chronas table`: what a table of costs holds and how well it repeats; `ACTIONS` has the modules of the others.

`chronas table list`: the tables that come with chronas.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import tyro
from pydantic import Field

from chronas.cli.options import Options, read_options
from chronas.cli.output import write, write_json, write_table
from chronas.errors import UsageError
from chronas.registry import Registry
from chronas.tables import BlockTable, CostTable, is_block_table, shipped_files, table_path
from chronas.units import LATENCY, unit_of

DESCRIPTION = (
    "Show what a table of costs holds: where it is from, its range, how well it repeats, its fastest networks."
)
USAGE = """usage: chronas table ACTION [FILE] [OPTIONS]

actions:
  list     the tables that come with chronas: their names are taken wherever a table is asked for
  show     what a table holds: where it is from, its range, how well it repeats, its fastest networks
  import   a table of what a bundle measured elsewhere (results.jsonl), of a CSV or Parquet file, or HW-NAS-Bench's
           tables (hw-nas-bench FILE)
  query    what architectures cost on every device: by index, text, filter or Pareto front
  compare  whether devices rank architectures alike, and what the best for one costs on the others
  build    measure all architectures of a space on a device

`chronas table ACTION --help` tells an action's options."""
ACTIONS = {
    "list": "chronas.cli.table:list_tables",
    "show": "chronas.cli.table:show",
    "import": "chronas.cli.table_import:main",
    "query": "chronas.cli.query:main",
    "compare": "chronas.cli.compare:main",
    "build": "chronas.cli.build:main",
}


class ShowOptions(Options):
    """Options of `chronas table show`."""

    table: Annotated[Path, tyro.conf.Positional] = Field(
        description="a Parquet file that chronas wrote, or a name of `chronas table list`"
    )
    rows: int = Field(default=5, ge=0, description="how many of the fastest networks to list")


def main(words: list[str]) -> int:
    """Run `chronas table ACTION`."""
    if not words or words[0] in {"-h", "--help"}:
        write(USAGE)
        return 0
    exit_code: int = Registry("table action", ACTIONS)[words[0]](words[1:])
    return exit_code


def show(words: list[str]) -> int:
    """Run `chronas table show`."""
    options = read_options(ShowOptions, words, prog="chronas table show", description=DESCRIPTION)
    path = table_path(options.table)
    if is_block_table(path):
        show_described(BlockTable.load(path).describe(), path, as_json=options.json_answer)
    else:
        show_table(CostTable.load(path), path, as_json=options.json_answer, rows=options.rows)
    return 0


def journal_beside(table: Path) -> Path:
    """Where the journal of a table lies.

    Raises:
        UsageError: the table's own name is the journal's.
    """
    journal = table.with_suffix(".sqlite")
    if journal == table:
        raise UsageError(f"--out is the table, {journal} would be its journal: give a name that ends in .parquet")
    return journal


def show_described(described: list[tuple[str, str]], path: Path, *, as_json: bool) -> None:
    """What a table tells about itself, on stdout."""
    if as_json:
        write_json({"path": str(path), **dict(described)})
        return
    write(str(path))
    write_table(("", ""), described)


def show_table(table: CostTable, path: Path, *, as_json: bool, rows: int = 5) -> None:
    """Describe a table on stdout."""
    show_described(table.describe(), path, as_json=as_json)
    if rows and not as_json:
        cost = table.provenance.cost if LATENCY not in table.frame.columns else LATENCY
        fastest = table.measured().frame.sort(cost).head(rows)
        columns = {cost: _heading(cost)}
        if cost == LATENCY:
            columns |= {"latency_low_ms": "at least", "latency_high_ms": "at most"}
        columns |= {other: _heading(other) for other in table.others()}
        columns["architecture"] = "architecture"
        write_table(
            tuple(columns.values()),
            list(fastest.select(columns.keys()).iter_rows()),
            title=f"\nthe {'fastest' if cost == LATENCY else 'cheapest'} {len(fastest)}",
        )


def _heading(cost: str) -> str:
    """`peak memory MiB`."""
    return f"{cost.rpartition('_')[0].replace('_', ' ')} {unit_of(cost)}"


LIST_DESCRIPTION = """List the tables that come with chronas, by name.

`chronas table query NAME` asks one, `chronas table show NAME` tells all about it."""
FACTS = ("hardware", "runtime", "version", "threads", "batch", "dtype")


def list_tables(words: list[str]) -> int:
    """List them."""
    options = read_options(Options, words, prog="chronas table list", description=LIST_DESCRIPTION)
    found = [{"name": name, **_facts(path)} for name, path in shipped_files().items()]
    if options.json_answer:
        write_json(found)
    elif found:
        write_table(tuple(found[0]), [tuple(row.values()) for row in found])
    else:
        write("this chronas was installed without tables")
    return 0


def _facts(path: Path) -> dict[str, str | int | float | None]:
    """What a table is of, how many networks it has, and how it came about."""
    if is_block_table(path):
        blocks = BlockTable.load(path)
        (device,), origin = blocks.origin.devices.values(), blocks.origin
        return {"space": origin.space, "networks": "any, by blocks", **_device(device), "date": origin.created[:10]}
    table = CostTable.load(path)
    known = table.provenance
    return {"space": known.space, "networks": len(table), **_device(known.device), "date": known.created[:10]}


def _device(fingerprint: Mapping[str, str | int | float]) -> dict[str, str | int | float | None]:
    return {name: fingerprint.get(name) for name in FACTS}
