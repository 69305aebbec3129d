"""`chronas table import`: a table of what a bundle measured, or of a benchmark that others published."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import tyro
from pydantic import Field

from chronas.cli import plain
from chronas.cli.options import Options, read_options
from chronas.cli.table import journal_beside, show_table
from chronas.errors import UsageError
from chronas.measurement import Results
from chronas.names import named
from chronas.tables import CostTable

DESCRIPTION = """Make a table of what the run.py of a bundle measured, and a journal of every sample beside it.

Networks that lack rounds yet are left out. `chronas table import FILE.csv` (or .parquet) reads tables that others
wrote, `chronas table import hw-nas-bench FILE` HW-NAS-Bench's pickle."""
SOURCE = "measured elsewhere, by the run.py of a bundle,"
PLAIN = (".csv", ".parquet")
PUBLISHED = {"hw-nas-bench": "chronas.cli.hw_nas_bench:main"}  # a file of such a name is given as ./NAME


class ImportOptions(Options):
    """Options of `chronas table import`."""

    results: Annotated[Path, tyro.conf.Positional] = Field(description="results.jsonl of a bundle, or its folder")
    out: Path = Field(default=Path("costs.parquet"), description="table to write; the journal lies beside it (.sqlite)")


def main(words: list[str]) -> int:
    """Import what the first word names, a plain file, or else the results of a bundle."""
    if words and words[0] in PUBLISHED:
        exit_code: int = named("benchmark", words[0], PUBLISHED)(words[1:])
        return exit_code
    if _file(words).lower().endswith(PLAIN):
        return plain.main(words)
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
