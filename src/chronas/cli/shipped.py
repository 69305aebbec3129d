"""`chronas table list`: the tables that come with chronas."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from chronas.cli.answers import write, write_json, write_table
from chronas.cli.options import Options, read_options
from chronas.tables import BlockTable, CostTable, is_block_table, shipped_files

DESCRIPTION = """List the tables that come with chronas, by name.

`chronas table query NAME` asks one, `chronas table show NAME` tells all about it."""
FACTS = ("hardware", "runtime", "version", "threads", "batch", "dtype")


def main(words: list[str]) -> int:
    """List them."""
    options = read_options(Options, words, prog="chronas table list", description=DESCRIPTION)
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
