"""The page of a device comparison: rank correlations, and the cost of each device's best network on the others."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from chronas.files import write_text
from chronas.reports.figures import Figure, Json, axis, layout
from chronas.reports.page import render
from chronas.tables import Comparison

ROW_HEIGHT, FRAME_HEIGHT = 34, 190  # pixels
TWICE = 2.0  # factor over a limit from which the colour is darkest


def write_comparison(path: Path, comparison: Comparison) -> None:
    """Write the page as one self-contained HTML file, by one atomic rename.

    Raises:
        DataError: the file cannot be written.
    """
    write_text(path, render("comparison.html", {"comparison": comparison, "figures": comparison_figures(comparison)}))


def comparison_figures(comparison: Comparison) -> list[Figure]:
    """Kendall and Spearman of all pairs and, if the best networks are known, their costs over each device's limit."""
    figures = [
        _heat_map(
            f"{statistic.capitalize()}'s rank correlation",
            "Of each pair, over the architectures that both have a value for.",
            comparison.names,
            comparison.names,
            comparison.matrix(statistic),
            {"colorscale": "Cividis", "zmin": 0, "zmax": 1},
        )
        for statistic in ("kendall", "spearman")
    ]
    if comparison.best:
        names = [one.cost for one in comparison.best]
        figures.append(
            _heat_map(
                "The best for one device on all others",
                "Rows: the most accurate architecture within that device's limit. Columns: its cost there, over the "
                "limit of that device. Above 1 it misses the limit.",
                names,
                names,
                comparison.shares(),
                {"colorscale": "RdBu", "zmid": 1, "zmin": 0, "zmax": TWICE},
            )
        )
    return figures


def _heat_map(
    title: str,
    description: str,
    columns: Sequence[str],
    rows: Sequence[str],
    values: Sequence[Sequence[float | None]],
    colours: dict[str, Any],
) -> Figure:
    texts = [["" if value is None else f"{value:.2f}" for value in row] for row in values]
    trace: Json = {
        "type": "heatmap",
        "x": list(columns),
        "y": list(rows),
        "z": [list(row) for row in values],
        "text": texts,
        "texttemplate": "%{text}",
        "hovertemplate": "%{y}, %{x}: %{z:.3f}<extra></extra>",
        "showscale": False,
        **colours,
    }
    across = axis("") | {"type": "category", "tickangle": -40}
    down = axis("") | {"type": "category", "autorange": "reversed"}
    height = FRAME_HEIGHT + ROW_HEIGHT * len(rows)
    return Figure(title, description, [trace], layout(across, down) | {"height": height})
