"""`chronas table`: what a table of costs holds and how well it repeats, and tables of what was measured."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import tyro
from pydantic import Field

from chronas.cli.answers import write, write_json, write_table
from chronas.cli.options import Options, read_options
from chronas.errors import UsageError, unknown_name
from chronas.measurement import Results
from chronas.tables import CostTable
from chronas.units import COST_UNITS

DESCRIPTION = (
    "Show what a table of costs holds: where it is from, its range, how well it repeats, its fastest networks."
)
IMPORT = (
    "Make a table of what the run.py of a bundle measured, and a journal of every sample beside it. "
    "Networks that lack rounds yet are left out."
)
SOURCE = "measured elsewhere, by the run.py of a bundle,"
USAGE = """usage: chronas table ACTION [FILE] [OPTIONS]

actions:
  show     what a table holds: where it is from, its range, how well it repeats, its fastest networks
  import   a table of what a bundle measured elsewhere (results.jsonl)
  build    measure all architectures of a space on a device

`chronas table ACTION --help` tells an action's options."""


class ShowOptions(Options):
    """Options of `chronas table show`."""

    table: Annotated[Path, tyro.conf.Positional] = Field(description="a Parquet file that chronas wrote")
    rows: int = Field(default=5, ge=0, description="how many of the fastest networks to list")


class ImportOptions(Options):
    """Options of `chronas table import`."""

    results: Annotated[Path, tyro.conf.Positional] = Field(description="results.jsonl of a bundle, or its folder")
    out: Path = Field(default=Path("costs.parquet"), description="table to write; the journal lies beside it (.sqlite)")


def main(words: list[str]) -> int:
    """Run `chronas table ACTION`."""
    if not words or words[0] in {"-h", "--help"}:
        write(USAGE)
        return 0
    if words[0] not in ACTIONS:
        raise unknown_name("table action", words[0], ACTIONS)
    return ACTIONS[words[0]](words[1:])


def _show(words: list[str]) -> int:
    options = read_options(ShowOptions, words, prog="chronas table show", description=DESCRIPTION)
    show_table(CostTable.load(options.table), options.table, as_json=options.json_answer, rows=options.rows)
    return 0


def _import(words: list[str]) -> int:
    options = read_options(ImportOptions, words, prog="chronas table import", description=IMPORT)
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


def _build(words: list[str]) -> int:
    from chronas.cli import build  # it shows its table by this module, and brings devices that reading needs not

    return build.main(words)


ACTIONS: dict[str, Callable[[list[str]], int]] = {"show": _show, "import": _import, "build": _build}


def journal_beside(table: Path) -> Path:
    """Where the journal of a table lies.

    Raises:
        UsageError: the table's own name is the journal's.
    """
    journal = table.with_suffix(".sqlite")
    if journal == table:
        raise UsageError(f"--out is the table, {journal} would be its journal: give a name that ends in .parquet")
    return journal


def show_table(table: CostTable, path: Path, *, as_json: bool, rows: int = 5) -> None:
    """Describe a table on stdout."""
    described = table.describe()
    if as_json:
        write_json({"path": str(path), **dict(described)})
        return
    write(str(path))
    write_table(("", ""), described)
    if rows:
        fastest = table.measured().frame.sort("latency_ms").head(rows)
        columns = {"latency_ms": "latency ms", "latency_low_ms": "at least", "latency_high_ms": "at most"}
        columns |= {cost: f"{cost.rpartition('_')[0].replace('_', ' ')} {COST_UNITS[cost]}" for cost in table.others()}
        columns["architecture"] = "architecture"
        write_table(
            tuple(columns.values()),
            list(fastest.select(columns.keys()).iter_rows()),
            title=f"\nthe fastest {len(fastest)}",
        )
