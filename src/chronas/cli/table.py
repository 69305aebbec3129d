"""`chronas table show`: what a table of costs holds, and how well its measurements repeat."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import tyro
from pydantic import Field

from chronas.cli.answers import write, write_json, write_table
from chronas.cli.options import Options, read_options
from chronas.errors import unknown_name
from chronas.tables import CostTable

DESCRIPTION = (
    "Show what a table of costs holds: where it is from, its range, how well it repeats, its fastest networks."
)
USAGE = "usage: chronas table show TABLE [OPTIONS]"
ACTIONS = ("show",)


class ShowOptions(Options):
    """Options of `chronas table show`."""

    table: Annotated[Path, tyro.conf.Positional] = Field(description="a Parquet file that chronas wrote")
    rows: int = Field(default=5, ge=0, description="how many of the fastest networks to list")


def main(words: list[str]) -> int:
    """Run `chronas table ACTION`."""
    if not words or words[0] in {"-h", "--help"}:
        write(f"{USAGE}\n\n{DESCRIPTION}\n`chronas table show --help` tells its options.")
        return 0
    if words[0] not in ACTIONS:
        raise unknown_name("table action", words[0], ACTIONS)
    options = read_options(ShowOptions, words[1:], prog="chronas table show", description=DESCRIPTION)
    show_table(CostTable.load(options.table), options.table, as_json=options.json_answer, rows=options.rows)
    return 0


def show_table(table: CostTable, path: Path, *, as_json: bool, rows: int = 5) -> None:
    """Describe a table on stdout."""
    described = table.describe()
    if as_json:
        write_json({"path": str(path), **dict(described)})
        return
    write(str(path))
    write_table(("", ""), described)
    if rows:
        fastest = table.frame.sort("latency_ms").head(rows)
        write_table(
            ("latency ms", "at least", "at most", "architecture"),
            [
                (row["latency_ms"], row["latency_low_ms"], row["latency_high_ms"], row["architecture"])
                for row in fastest.iter_rows(named=True)
            ],
            title=f"\nthe fastest {len(fastest)}",
        )
