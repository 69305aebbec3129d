"""Figures of networks: the accuracy-latency plane, predicted against measured, the same supernet's scores."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from chronas.predictors import PredictorReport
from chronas.reports.figure import MARKS, Figure, Json, axis, layout, limit_line, padded
from chronas.reports.report import SearchSummary, TrainedNetwork
from chronas.reports.words import number_text

LABEL_WIDTH, LABEL_HEIGHT = 0.026, 0.06  # of a letter and a line, as shares of a figure at its smallest (300 x 260 pixels)
SIDES = {"top center": (-0.5, 0.25), "bottom center": (-0.5, -1.25), "middle right": (0.08, -0.5), "middle left": (-1.08, -0.5)}


def plane(networks: Sequence[TrainedNetwork], limit_ms: float | None) -> Figure:
    """Accuracy over measured latency of every trained network, with intervals and the limit."""
    xs = [x for n in networks for x in (n.measured.low_ms, n.measured.high_ms)]
    x_range = padded([*xs, *([] if limit_ms is None else [limit_ms])], 0.08)
    y_range = padded([n.accuracy_percent for n in networks], 0.18)
    sides = label_sides(
        [
            ((n.measured.value_ms - x_range[0]) / (x_range[1] - x_range[0]),
             (n.accuracy_percent - y_range[0]) / (y_range[1] - y_range[0]))
            for n in networks
        ],
        [n.name for n in networks],
    )
    data = [
        role_trace(role, [(n, side) for n, side in zip(networks, sides, strict=True) if n.role == role])
        for role in MARKS
        if any(n.role == role for n in networks)
    ]
    marks = {} if limit_ms is None else limit_line(limit_ms, vertical=True)
    return Figure(
        "Accuracy against latency",
        "Test accuracy and measured latency of every trained network; horizontal bars are 95 % intervals of the latency. "
        "Up and to the left is better.",
        data,
        layout(axis("measured latency (ms)") | {"range": x_range}, axis("test accuracy (%)") | {"range": y_range}) | marks,
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
        "customdata": [[escape(n.name), number_text(n.measured.low_ms), number_text(n.measured.high_ms)] for n in found],
        "hovertemplate": "%{customdata[0]}<br>%{y:.2f} % at %{x:.3f} ms (%{customdata[1]} to %{customdata[2]})<extra></extra>",
    }


def label_sides(points: Sequence[tuple[float, float]], names: Sequence[str]) -> list[str]:
    """For each point in the unit square, the first side on which its name overlaps no point and no other name.

    "" where there is none: the name is then in the legend and on hover only.
    """
    taken = [(x - 0.03, y - 0.03, x + 0.03, y + 0.03) for x, y in points]
    sides: list[str] = []
    for own, ((x, y), name) in enumerate(zip(points, names, strict=True)):
        chosen = ""
        for side, (right, up) in SIDES.items():
            width, left, bottom = LABEL_WIDTH * len(name), 0.0, y + up * LABEL_HEIGHT * 1.6
            left = x + right * width + (0.02 if right > 0 else -0.02 if right < -1 else 0)
            box = (left, bottom, left + width, bottom + LABEL_HEIGHT)
            others = [other for number, other in enumerate(taken) if number != own]
            if box[0] >= 0 and box[2] <= 1 and not any(overlap(box, other) for other in others):
                chosen = side
                taken.append(box)
                break
        sides.append(chosen)
    return sides


def overlap(a: Sequence[float], b: Sequence[float]) -> bool:
    """Whether two boxes (left, bottom, right, top) overlap."""
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


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
        "Validation accuracy with the supernet's shared weights over latency: the found architecture beside random ones.",
        data,
        layout(axis("latency (ms)"), axis("accuracy (%)")),
    )
