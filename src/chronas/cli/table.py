"""`chronas table show` and `list`: the content of cost tables, and their repeatability."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from chronas.cli.options import Call, Options
from chronas.cli.output import write, write_json, write_table
from chronas.cli.table_flags import ShowOptions
from chronas.tables import BlockTable, CostTable, is_block_table, shipped_files, table_path
from chronas.units import LATENCY, unit_of

FACTS = ("hardware", "runtime", "version", "threads", "batch", "dtype")


def show(call: Call[ShowOptions]) -> int:
    """Describe a table."""
    options = call.options
    path = table_path(options.table)
    if is_block_table(path):
        show_described(BlockTable.load(path).describe(), path, as_json=options.json_answer)
    else:
        show_table(CostTable.load(path), path, as_json=options.json_answer, rows=options.rows)
    return 0


def show_described(described: list[tuple[str, str]], path: Path, *, as_json: bool) -> None:
    """Show a description of a table on stdout."""
    if as_json:
        write_json({"path": str(path), **dict(described)})
        return
    write(str(path))
    write_table(("", ""), described)


def show_table(table: CostTable, path: Path, *, as_json: bool, rows: int = 5) -> None:
    """Show a table's description and its cheapest networks on stdout."""
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
    """The heading of a cost: `peak memory MiB`."""
    return f"{cost.rpartition('_')[0].replace('_', ' ')} {unit_of(cost)}"


def list_tables(call: Call[Options]) -> int:
    """List the bundled tables."""
    found = [{"name": name, **_facts(path)} for name, path in shipped_files().items()]
    if call.options.json_answer:
        write_json(found)
    elif found:
        write_table(tuple(found[0]), [tuple(row.values()) for row in found])
    else:
        write("this chronas was installed without tables")
    return 0


def _facts(path: Path) -> dict[str, str | int | float | None]:
    """The space of a table, its number of networks, and facts about its measurement."""
    if is_block_table(path):
        blocks = BlockTable.load(path)
        (device,), origin = blocks.origin.devices.values(), blocks.origin
        return {"space": origin.space, "networks": "any, by blocks", **_device(device), "date": origin.created[:10]}
    table = CostTable.load(path)
    known = table.provenance
    return {"space": known.space, "networks": len(table), **_device(known.device), "date": known.created[:10]}


def _device(fingerprint: Mapping[str, str | int | float]) -> dict[str, str | int | float | None]:
    return {name: fingerprint.get(name) for name in FACTS}
