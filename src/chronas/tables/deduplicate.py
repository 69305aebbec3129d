"""One measurement for all architectures that are the same graph, on devices that drop what a network does not need.

A table of all of NAS-Bench-201 then takes 8,747 measurements for its 15,625 cells. The column `measured_as` tells which
architecture was measured for a row, and `index` has the official number where the space has one.
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
    """What has to be measured of these, in their order: one for each graph where the device drops dead steps."""
    return list(dict.fromkeys(_graph(architecture, device) for architecture in architectures))


def expanded(table: CostTable, device: Device) -> CostTable:
    """A table of all architectures of the space that the measurements of `table` stand for, by official index.

    Args:
        table: of a space that can be listed, each row measured.
        device: where they were measured.

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
