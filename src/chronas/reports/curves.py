"""Figures of searches: curves by epoch, and how the weights of operations move."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chronas.reports.draw import human_name
from chronas.reports.figure import LINES, Figure, Json, axis, layout, limit_line
from chronas.reports.report import SearchSummary
from chronas.spaces import Cell, CellTopology, Space, make_space

CURVES = (
    ("train_loss", "Training loss", "cross-entropy"),
    ("validation_loss", "Validation loss", "cross-entropy"),
    ("validation_accuracy", "Validation accuracy of the supernet", "accuracy (%)"),
    ("expected_latency_ms", "Expected latency", "latency (ms)"),
    ("multiplier", "Multiplier of the limit", "multiplier"),
    ("skip_connections", "Skip connections in the derived cells", "count"),
)


def search_curves(searches: Sequence[SearchSummary], limit_ms: float | None) -> list[Figure]:
    """A figure for each key of `CURVES` that was recorded and is not zero throughout."""
    figures = []
    for key, title, unit in CURVES:
        traces = [curve(search, key, number) for number, search in enumerate(searches)]
        drawn = [trace for trace in traces if trace["x"]]
        if any(value != 0 for trace in drawn for value in trace["y"]):
            frame = layout(axis("epoch"), axis(unit))
            if limit_ms is not None and key.endswith("_ms"):
                frame |= limit_line(limit_ms, vertical=False)
            figures.append(Figure(title, f"{title} by epoch of the search.", drawn, frame))
    return figures


def curve(search: SearchSummary, key: str, number: int) -> Json:
    """The line of one key of a search's history; epochs without a value are left out."""
    rows = [(row.get("epoch", n), row[key]) for n, row in enumerate(search.history) if row.get(key) is not None]
    colour, dash = LINES[number % len(LINES)]
    return {
        "type": "scatter",
        "mode": "lines+markers" if len(rows) < 3 else "lines",
        "name": escape(search.name),
        "showlegend": True,
        "x": [epoch for epoch, _ in rows],
        "y": [float(value) for _, value in rows],
        "line": {"color": colour, "dash": dash, "width": 2.2},
    }


def operation_weights(search: SearchSummary) -> list[Figure]:
    """A heat map for each cell: how the mean softmax weight of each operation moves over epochs."""
    space = make_space(search.space)
    rows = [row for row in search.history if row.get("logits") is not None]
    if not rows or not isinstance(space.topology, CellTopology):
        return []
    epochs = [row.get("epoch", number) for number, row in enumerate(rows)]
    weights = [softmax(row["logits"]) for row in rows]
    return [heat_map(search.name, cell, epochs, mean_weights(space, cell, weights)) for cell in space.topology.cells]


def softmax(logits: Sequence[Sequence[float]]) -> list[NDArray[np.float64]]:
    """The softmax of each decision's logits [D][O]."""
    rows = [np.asarray(row, dtype=np.float64) for row in logits]
    return [np.exp(row - row.max()) / np.exp(row - row.max()).sum() for row in rows]


def mean_weights(space: Space, cell: Cell, weights: Sequence[list[NDArray[np.float64]]]) -> dict[str, list[float]]:
    """Operation -> its softmax weight, averaged over the cell's edges, at each epoch."""
    decisions = [cell.decision(edge) for edge in range(len(cell.edges))]
    operations = dict.fromkeys(name for d in decisions for name in space.decisions[d].relaxed)
    means = {}
    for operation in operations:
        places = [
            (d, space.decisions[d].relaxed.index(operation)) for d in decisions if operation in space.decisions[d].relaxed
        ]
        means[operation] = [float(sum(epoch[d][o] for d, o in places)) / len(decisions) for epoch in weights]
    return means


def heat_map(name: str, cell: Cell, epochs: list[Any], means: dict[str, list[float]]) -> Figure:
    """Operations by rows, epochs by columns; the operation that ends heaviest stands on top."""
    operations = sorted(means, key=lambda operation: means[operation][-1])
    trace = {
        "type": "heatmap",
        "x": epochs,
        "y": [human_name(operation) for operation in operations],
        "z": [means[operation] for operation in operations],
        "colorscale": "Cividis",
        "colorbar": {"thickness": 10, "outlinewidth": 0, "tickformat": ".0%", "nticks": 5},
        "hovertemplate": "epoch %{x}: %{y} %{z:.1%}<extra></extra>",
    }
    description = f"Mean softmax weight of each operation over the edges of the {cell.name} cell, by epoch."
    return Figure(f"{escape(name)}: {cell.name} cell", description, [trace], layout(axis("epoch"), axis("") | {"ticks": ""}))
