"""`chronas table import`: tables from the results of a bundle, from other files, and from HW-NAS-Bench."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from chronas.cli.options import Call
from chronas.cli.output import note, write, write_json, write_table
from chronas.cli.query import load_query
from chronas.cli.steps import check_new, published_size
from chronas.cli.table import show_table
from chronas.cli.table_flags import CompareOptions, ImportBundleOptions, ImportFileOptions, ImportHwNasBenchOptions
from chronas.errors import UsageError
from chronas.files import Commit, finish_commit, whole_folder
from chronas.measurement import Results
from chronas.reports import write_comparison
from chronas.spaces import make_space
from chronas.tables import Comparison, CostTable, ForeignColumn, HwNasBench, compare, journal_beside, read_foreign

SOURCE = "measured elsewhere, by the run.py of a bundle,"
CELLS = {
    "cifar10": "nasbench201-cifar10",
    "cifar100": "nasbench201-cifar100",
    "ImageNet16-120": "nasbench201-imagenet16-120",
}
BLOCKS = {"cifar100": "fbnet-cifar100.parquet", "ImageNet": "fbnet-imagenet.parquet"}
PRODUCT = "metric_product"


def import_file(call: Call[ImportFileOptions]) -> int:
    """Read the file, write the folder completely or not at all, and show its content."""
    options = call.options
    check_new(options.out)
    space = make_space(options.space)
    size = published_size(space, options.dataset)
    plain = read_foreign(options.file, space, [ForeignColumn.parse(text) for text in options.columns])
    tables = plain.tables(space, size, options.source)
    with whole_folder(options.out) as unfinished:
        for device, table in tables.items():
            table.save(unfinished / f"{device}.parquet")
    if plain.left_out:
        note(f"not read, because their unit is unknown (--columns): {', '.join(plain.left_out)}")
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


def import_hw_nas_bench(call: Call[ImportHwNasBenchOptions]) -> int:
    """Read the pickle, write the folder completely or not at all, and show its content."""
    options = call.options
    check_new(options.out)
    bench = HwNasBench.read(options.pickle)
    with whole_folder(options.out) as unfinished:
        rows = write_folder(bench, unfinished)
    if options.json_answer:
        write_json(
            [{"file": f"{options.out / name}", "rows": count, "missing": missing} for name, count, missing in rows]
        )
    else:
        write_table(("file", "rows", "missing"), rows, title=str(options.out))
        write("\nAsk with `chronas table query`, learn one with `chronas fit --table`.")
    return 0


def write_folder(bench: HwNasBench, folder: Path) -> list[tuple[str, int, str | None]]:
    """Write all tables; for each, returns its name in the folder, its rows, and the missing parts."""
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


def import_bundle(call: Call[ImportBundleOptions]) -> int:
    """Create a table and a journal from the results of a bundle."""
    options = call.options
    finished = finish_commit(options.out)
    if not finished:
        check_new(options.out)
    path = options.results / "results.jsonl" if options.results.is_dir() else options.results
    journal = journal_beside(options.out)
    results = Results(path)
    if finished:
        table = CostTable.load(options.out)
    else:
        check_new(journal)
        with Commit(options.out) as commit:
            results.write_journal(commit.staged(journal))
            table = CostTable.from_journal(commit.staged(journal)).from_source(SOURCE)
            table.save(commit.staged(options.out))
    left_out = len(results.manifest.networks) - len(table)
    if left_out:
        note(f"{left_out} of {len(table) + left_out} networks lack rounds yet and are left out")
    show_table(table, options.out, as_json=options.json_answer)
    return 0


def _file(words: list[str]) -> str:
    """The first word that is neither a flag nor the value of a flag."""
    for before, word in zip(["", *words], words, strict=False):
        if not word.startswith("-") and (before in {"", "--json"} or not before.startswith("--") or "=" in before):
            return word
    return ""


# ----
# `chronas table compare`: rank correlations of devices, and the cost of each device's best network on the others.


def compare_tables(call: Call[CompareOptions]) -> int:
    """Compare, then show the result."""
    options = call.options
    if options.page is not None and options.page.exists():
        raise UsageError(f"{options.page} exists; choose another --page, nothing is overwritten")
    query, size = load_query(options.tables, options.accuracies)
    if (options.accuracies is None) != (options.accuracy is None):
        known = ", ".join(query.accuracies())
        missing = "--accuracies FILE" if options.accuracies is None else f"--accuracy COLUMN, one of {known}"
        raise UsageError(f"the best is chosen by --accuracies FILE and --accuracy COLUMN together: give {missing}")
    if len(query.costs) < 2:
        raise UsageError("a comparison is of at least two costs: give tables of several devices, or one with energies")
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
