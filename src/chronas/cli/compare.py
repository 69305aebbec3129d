"""`chronas table compare`: whether devices rank architectures alike, and what the best for one costs on the others."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import tyro
from pydantic import Field

from chronas.cli.options import Options, read_options
from chronas.cli.output import write, write_json, write_table
from chronas.cli.query import load_query
from chronas.errors import UsageError
from chronas.reports import write_comparison
from chronas.tables import Comparison, compare

DESCRIPTION = """Compare devices: Kendall and Spearman of each pair, and with multiplications (MACs) and parameters.

With accuracies: the most accurate architecture within each device's limit, and what it costs on every other device,
over that device's limit."""


class CompareOptions(Options):
    """Options of `chronas table compare`."""

    tables: Annotated[tuple[Path, ...], tyro.conf.Positional] = Field(
        description="tables of one space and network size; a folder stands for all tables in it"
    )
    accuracies: Path | None = Field(default=None, description="Parquet file of accuracies of the architectures")
    accuracy: str | None = Field(default=None, description="its column to choose the best by; needed with --accuracies")
    share: float = Field(
        default=0.25, gt=0, le=1, description="each device's limit is what this share of architectures keeps"
    )
    limit_ms: float | None = Field(default=None, gt=0, description="one limit for all latencies in place of --share")
    page: Path | None = Field(default=None, description="HTML page with plots to write")


def main(words: list[str]) -> int:
    """Compare, then tell."""
    options = read_options(CompareOptions, words, prog="chronas table compare", description=DESCRIPTION)
    if options.page is not None and options.page.exists():
        raise UsageError(f"{options.page} exists; choose another --page, nothing is overwritten")
    query, size = load_query(options.tables, options.accuracies)
    if (options.accuracies is None) != (options.accuracy is None):
        known = ", ".join(filter(query.more_is_better, query.joined))
        missing = "--accuracies FILE" if options.accuracies is None else f"--accuracy COLUMN, one of {known}"
        raise UsageError(f"the best is chosen by --accuracies FILE and --accuracy COLUMN together: give {missing}")
    comparison = compare(query, size, accuracy=options.accuracy, share=options.share, limit_ms=options.limit_ms)
    if options.page is not None:
        write_comparison(options.page, comparison)
    if options.json_answer:
        write_json(asdict(comparison))
    else:
        show_comparison(comparison)
    return 0


def show_comparison(comparison: Comparison) -> None:
    """Tables on stdout."""
    write(f"{comparison.architectures} architectures")
    for statistic in ("kendall", "spearman"):
        rows = zip(comparison.names, comparison.matrix(statistic), strict=True)
        write_table((statistic, *comparison.names), [[name, *map(_rounded, row)] for name, row in rows], title="")
    if not comparison.best:
        return
    best = [(one.cost, one.limit, one.accuracy_percent, one.architecture) for one in comparison.best]
    write_table(("best for", "limit", comparison.accuracy or "", "architecture"), best, title="")
    write_table(
        ("chosen for", *(one.cost for one in comparison.best)),
        [[one.cost, *map(_rounded, row)] for one, row in zip(comparison.best, comparison.shares(), strict=True)],
        title="\nits cost on each device over that device's limit: above 1 the limit is missed",
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
