"""One measurement for all architectures with the same graph, on devices that drop unneeded parts of a network.

A table of all 15,625 cells of NAS-Bench-201 then needs 8,747 measurements. The column `measured_as` has the
architecture that was measured for a row, and `index` has the official number if the space has one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import polars as pl

from chronas.spaces import Architecture
from chronas.tables.table import MEASURED_AS, CostTable

if TYPE_CHECKING:
    from chronas.devices import Device

INDEX = "index"


def representatives(architectures: Sequence[Architecture], device: Device) -> list[Architecture]:
    """The architectures to measure, in their order: one for each graph if the device drops unneeded steps."""
    return list(dict.fromkeys(_graph(architecture, device) for architecture in architectures))


def expanded(table: CostTable, device: Device) -> CostTable:
    """A table of all architectures of the space that the measurements of `table` cover, by official index.

    Args:
        table: a table of a listable space, with every row measured.
        device: the device of the table.

    Raises:
        MismatchError: the table was measured on another device.
        UsageError: the space is too large to list.
    """
    table.require(device=device)
    measured: dict[Architecture, str] = {}
    for architecture in table.architectures():
        measured.setdefault(_graph(architecture, device), str(architecture))
    rows = [
        (str(architecture), measured[graph], architecture.space.index(architecture))
        for architecture in table.space.every()
        if (graph := _graph(architecture, device)) in measured
    ]
    schema = {"architecture": pl.String(), MEASURED_AS: pl.String(), INDEX: pl.Int64()}
    frame = pl.DataFrame(rows, schema=schema, orient="row").sort(INDEX, maintain_order=True)
    costs = table.frame.rename({"architecture": MEASURED_AS})
    joined = frame.join(costs, on=MEASURED_AS, how="left", maintain_order="left")
    return table.like(joined.select(*table.frame.columns, MEASURED_AS, INDEX))


def _graph(architecture: Architecture, device: Device) -> Architecture:
    return architecture.pruned() if device.prunes_dead_nodes else architecture
