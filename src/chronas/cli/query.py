"""`chronas table query`: queries over tables of several devices by architecture, index, filter or Pareto front."""

from __future__ import annotations

import io
from dataclasses import asdict
from pathlib import Path
from typing import Any

import polars as pl

from chronas.cli.options import Call
from chronas.cli.output import write, write_json, write_table
from chronas.cli.table_flags import QueryOptions
from chronas.errors import MismatchError, UsageError
from chronas.files import write_bytes
from chronas.names import spreadsheet_cell
from chronas.spaces import Architecture, NetworkSize
from chronas.tables import (
    BlockTable,
    CostRecord,
    CostTable,
    Query,
    accuracies_path,
    block_records,
    is_block_table,
    parse_condition,
    read_accuracies,
    table_files,
)

SHOWN = ("device", "cost", "value", "unit", "low", "high", "rounds", "runs", "batch", "threads", "dtype", "runtime")
BESIDE = ("version", "hardware", "date", "missing", "measured_as")


def query(call: Call[QueryOptions]) -> int:
    """Choose rows, then show them."""
    options = call.options
    if options.out is not None and options.out.exists():
        raise UsageError(f"{options.out} exists; choose another --out, nothing is overwritten")
    if options.isomorphic and not (options.index or options.architecture):
        raise UsageError("--isomorphic is about an architecture: give one by --index or --architecture")
    files = [file for path in options.tables for file in table_files(path)]
    if files and all(map(is_block_table, files)):
        return _ask_blocks(options, files)
    tables, _ = load_query(options.tables, options.accuracies, maximise=options.maximise, minimise=options.minimise)
    asked = _asked(tables, options)
    frame = tables.where(options.where, tables.of(asked) if asked else None)
    if options.pareto:
        frame = tables.pareto(options.pareto, frame)
    if options.sort is not None:
        column = tables.column(options.sort)
        frame = frame.sort(column, descending=tables.more_is_better(column), nulls_last=True)
    if options.out is not None:
        _save(tables.everything(frame), options.out)
    _show(tables, frame, options, one_by_one=bool(asked))
    return 0


def load_query(
    paths: tuple[Path, ...], accuracies: Path | None, **directions: tuple[str, ...]
) -> tuple[Query, NetworkSize]:
    """The query of tables and folders of tables, and their size; `directions` are those of `Query`.

    Raises:
        UsageError: there is no path, a folder has no table, or a table is one of blocks.
        DataError: a file is missing or damaged.
        MismatchError: the tables have several spaces or sizes.
    """
    files = [file for path in paths for file in table_files(path)]
    for file in filter(is_block_table, files):
        raise UsageError(f"{file} has costs of blocks, others are of whole networks: ask it by itself")
    tables = [CostTable.load(file) for file in files]
    if not tables:
        raise UsageError("there is no table to ask: give at least one")
    joined = None if accuracies is None else read_accuracies(accuracies_path(accuracies), tables[0].space)
    return Query(tables, joined, **directions), tables[0].provenance.size


def _asked(query: Query, options: QueryOptions) -> list[Architecture]:
    """The named architectures, once each."""
    named = [query.at(index) for index in options.index] + [query.space.parse(text) for text in options.architecture]
    if options.isomorphic:
        named = [one for architecture in named for one in (architecture, *query.isomorphic(architecture))]
    return list(dict.fromkeys(named))


def _show(query: Query, frame: pl.DataFrame, options: QueryOptions, *, one_by_one: bool) -> None:
    head = frame.head(options.rows)
    if options.json_answer:
        write_json({"found": len(frame), "architectures": [_content(query, row) for row in head.iter_rows(named=True)]})
        return
    write(f"{len(frame)} of {len(query.frame)} architectures{_shown(frame, head)}")
    if not one_by_one:
        named = [parse_condition(text)[0] for text in options.where] + [*options.pareto, *filter(None, [options.sort])]
        columns = dict.fromkeys(map(query.column, named)) or [*query.costs, *query.joined]
        shown = head.select("^index$", *columns, "architecture")
        write_table(shown.columns, shown.rows())
        return
    for row in head.iter_rows(named=True):
        write(f"\n{row['architecture']}" + (f", index {row['index']}" if "index" in row else ""))
        _show_answers(query.records(row["architecture"]))
        if query.joined:
            write_table(query.joined, [[row[name] for name in query.joined]])


def _shown(frame: pl.DataFrame, head: pl.DataFrame) -> str:
    return "" if len(head) == len(frame) else f", the first {len(head)} shown (--rows)"


def _show_answers(answers: list[CostRecord]) -> None:
    contents = [asdict(answer) for answer in answers]
    columns = [name for name in (*SHOWN, *BESIDE) if any(content[name] is not None for content in contents)]
    write_table(columns, [[content[name] for name in columns] for content in contents])
    write("\n".join(dict.fromkeys(f"{answer.device}: {answer.source}" for answer in answers)))


def _content(query: Query, row: dict[str, Any]) -> dict[str, Any]:
    known = {name: value for name, value in row.items() if name not in query.costs}
    return {**known, "costs": [asdict(answer) for answer in query.records(row["architecture"])]}


def _ask_blocks(options: QueryOptions, files: list[Path]) -> int:
    """Answer for given architectures from tables of blocks, which have no rows to choose from."""
    idle = [
        name
        for name in ("index", "isomorphic", "where", "accuracies", "pareto", "maximise", "minimise", "sort", "out")
        if getattr(options, name)
    ]
    if idle or not options.architecture:
        wrong = f"not --{idle[0]}" if idle else "none is given"
        raise UsageError(f'{files[0]} has costs of blocks: ask by --architecture "[0, 8, ...]", {wrong}')
    tables = [BlockTable.load(file) for file in files]
    kinds = {f"{table.origin.space} on {table.origin.dataset}" for table in tables}
    if len(kinds) > 1:
        raise MismatchError(f"the tables of blocks are of {' and '.join(sorted(kinds))}: ask each by itself")
    answers = {
        text: [answer for table in tables for answer in block_records(table, table.parse(text))]
        for text in options.architecture[: options.rows]
    }
    if options.json_answer:
        found = [{"architecture": text, "costs": [asdict(a) for a in costs]} for text, costs in answers.items()]
        write_json({"found": len(options.architecture), "architectures": found})
        return 0
    for text, costs in answers.items():
        write(f"\n{text}")
        _show_answers(costs)
    return 0


def _save(frame: pl.DataFrame, path: Path) -> None:
    buffer = io.BytesIO()
    if path.suffix == ".parquet":
        frame.write_parquet(buffer)
    elif path.suffix == ".csv":
        frame.with_columns(pl.col(pl.String).map_elements(spreadsheet_cell, pl.String)).write_csv(buffer)
    else:
        raise UsageError(f"--out ends in .parquet or .csv, got {path}")
    write_bytes(path, buffer.getvalue())
