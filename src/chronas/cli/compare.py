"""`chronas table compare`: rank correlations of devices, and the cost of each device's best network on the others."""

from __future__ import annotations

from dataclasses import asdict

from chronas.cli.flags import CompareOptions
from chronas.cli.options import Call
from chronas.cli.output import write, write_json, write_table
from chronas.cli.query import load_query
from chronas.errors import UsageError
from chronas.reports import write_comparison
from chronas.tables import Comparison, compare


def compare_tables(call: Call[CompareOptions]) -> int:
    """Compare, then show the result."""
    options = call.options
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
    """Show the comparison as tables on stdout."""
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
