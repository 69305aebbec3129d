"""Figures of networks: the accuracy-latency plane, predicted against measured, the same supernet's scores."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from chronas.predictors import PredictorReport
from chronas.reports.figure import MARKS, Figure, Json, axis, layout, limit_line, padded
from chronas.reports.report import SearchSummary, TrainedNetwork
from chronas.reports.words import interval_text

Box = tuple[float, float, float, float]  # left, bottom, right, top
LABEL_WIDTH, LABEL_HEIGHT = (
    0.026,
    0.06,
)  # of a letter and a line, as shares of a figure at its smallest (300 x 260 pixels)
SIDES = {  # where a name starts from its point, in widths to the right and heights up; the first that is free is taken
    "top center": (-0.5, 0.6),
    "bottom center": (-0.5, -1.6),
    "top right": (0.0, 0.6),
    "top left": (-1.0, 0.6),
    "bottom right": (0.0, -1.6),
    "bottom left": (-1.0, -1.6),
}
POINT = 0.022  # half of a mark's size, as a share of the figure


def plane(networks: Sequence[TrainedNetwork], limit_ms: float | None) -> Figure:
    """Accuracy over measured latency of every trained network, with intervals and the limit."""
    xs = [x for n in networks for x in (n.measured.low_ms, n.measured.high_ms)]
    x_range = padded([*xs, *([] if limit_ms is None else [limit_ms])], 0.08)
    y_range = padded([n.accuracy_percent for n in networks], 0.2)
    sides = label_sides(networks, x_range, y_range)
    data = [
        role_trace(role, [(n, side) for n, side in zip(networks, sides, strict=True) if n.role == role])
        for role in MARKS
        if any(n.role == role for n in networks)
    ]
    marks = {} if limit_ms is None else limit_line(limit_ms, "ms", vertical=True)
    frame = layout(axis("measured latency (ms)") | {"range": x_range}, axis("test accuracy (%)") | {"range": y_range})
    return Figure(
        "Every trained network",
        "Test accuracy and measured latency of every trained network; horizontal bars are 95 % intervals of the "
        "latency. Up and to the left is better.",
        data,
        frame | marks,
    )


def role_trace(role: str, networks: Sequence[tuple[TrainedNetwork, str]]) -> Json:
    """The trace of the networks of one role, each with the side that its label is on ("" for none)."""
    mark = MARKS[role]
    found = [n for n, _ in networks]
    return {
        "type": "scatter",
        "mode": "markers+text",
        "name": mark.label,
        "x": [n.measured.value_ms for n in found],
        "y": [n.accuracy_percent for n in found],
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [n.measured.high_ms - n.measured.value_ms for n in found],
            "arrayminus": [n.measured.value_ms - n.measured.low_ms for n in found],
            "color": mark.colour,
            "thickness": 1.5,
        },
        "marker": {"size": 14 if mark.symbol == "star" else 11, "color": mark.colour, "symbol": mark.symbol},
        "text": [escape(n.name) if side else "" for n, side in networks],
        "textposition": [side or "top center" for _, side in networks],
        "textfont": {"size": 12},
        "cliponaxis": False,
        "customdata": [[escape(n.name), interval_text(n.measured)] for n in found],
        "hovertemplate": "%{customdata[0]}<br>%{y:.2f} % at %{x:.3f} ms (%{customdata[1]})<extra></extra>",
    }


def label_sides(
    networks: Sequence[TrainedNetwork], x_range: tuple[float, float], y_range: tuple[float, float]
) -> list[str]:
    """For each network the first side of its point on which its name overlaps no interval and no other name.

    "" where there is none: the name is then in the table and on hover only.
    """

    def across(latency_ms: float) -> float:
        return (latency_ms - x_range[0]) / (x_range[1] - x_range[0])

    heights = [(n.accuracy_percent - y_range[0]) / (y_range[1] - y_range[0]) for n in networks]
    taken = [
        (across(n.measured.low_ms) - POINT, y - POINT, across(n.measured.high_ms) + POINT, y + POINT)
        for n, y in zip(networks, heights, strict=True)
    ]
    sides: list[str] = []
    for network, y in zip(networks, heights, strict=True):
        boxes = {side: label_box(network, across(network.measured.value_ms), y, side) for side in SIDES}
        free = (side for side, box in boxes.items() if is_free(box, taken))
        sides.append(next(free, ""))
        if sides[-1]:
            taken.append(boxes[sides[-1]])
    return sides


def label_box(network: TrainedNetwork, x: float, y: float, side: str) -> Box:
    """Where a network's name stands, as shares of a small figure, if it is on this side of the point (x, y)."""
    width = LABEL_WIDTH * len(network.name)
    left, bottom = x + SIDES[side][0] * width, y + SIDES[side][1] * LABEL_HEIGHT
    return left, bottom, left + width, bottom + LABEL_HEIGHT


def is_free(box: Box, taken: Sequence[Box]) -> bool:
    """Whether a box (left, bottom, right, top) is inside the unit square and overlaps none of the others."""
    inside = box[0] >= 0 and box[1] >= 0 and box[2] <= 1 and box[3] <= 1
    return inside and not any(
        box[0] < other[2] and other[0] < box[2] and box[1] < other[3] and other[1] < box[3] for other in taken
    )


def predicted_against_measured(report: PredictorReport) -> Figure:
    """Out-of-fold predictions over measured latencies, with the diagonal."""
    measured, predicted = [float(v) for v in report.measured_ms], [float(v) for v in report.predicted_ms]
    low, high = padded([*measured, *predicted], 0.04)
    same = {"range": [low, high]}
    diagonal = {"type": "scatter", "mode": "lines", "x": [low, high], "y": [low, high], "name": "predicted = measured"}
    points = {
        "type": "scatter",
        "mode": "markers",
        "name": "architecture",
        "x": measured,
        "y": predicted,
        "marker": {"size": 6, "color": "#2a8ccb", "opacity": 0.65},
        "hovertemplate": "measured %{x:.3f} ms, predicted %{y:.3f} ms<extra></extra>",
    }
    return Figure(
        "Predicted against measured latency",
        "Each point is an architecture that the predictor had not seen when it predicted it (out of fold). "
        "On the line, prediction and measurement agree.",
        [{**diagonal, "line": {"color": "#858b94", "width": 1.5, "dash": "dash"}, "hoverinfo": "skip"}, points],
        layout(axis("measured latency (ms)") | same, axis("predicted latency (ms)") | same) | {"showlegend": False},
    )


def supernet_scores(search: SearchSummary) -> Figure | None:
    """Found and random architectures by the same supernet: accuracy over latency; None where nothing was scored."""
    if not search.scored:
        return None
    found, *others = search.scored
    data = [
        {
            "type": "scatter",
            "mode": "markers",
            "name": name,
            "x": [row.latency_ms for row in rows],
            "y": [row.accuracy_percent for row in rows],
            "marker": {"size": 11, "color": mark.colour, "symbol": mark.symbol},
            "hovertemplate": "%{y:.2f} % at %{x:.3f} ms<extra>" + name + "</extra>",
        }
        for name, rows, mark in (("random", others, MARKS["random"]), ("found", [found], MARKS["limit"]))
    ]
    return Figure(
        f"{search.name}: found and random, same supernet",
        "Validation accuracy with the supernet's shared weights over latency: found beside random architectures.",
        data,
        layout(axis("latency (ms)"), axis("accuracy (%)")),
    )
