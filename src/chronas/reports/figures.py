"""Figures of a report as plotly JSON: networks, predictions, supernet scores and learning curves, in one common look.

Figures are plain dicts, drawn by plotly.js in the page. Backgrounds are transparent, and text and grid get the page's
colours by CSS, so figures follow its light or dark theme. Colours are of Okabe and Ito's colour-blind safe set
(https://jfly.uni-koeln.de/color/), moved to medium lightness; no meaning depends on colour alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import Any

from chronas.predictors import PredictorReport
from chronas.records import Estimate, GivenResult, TrainedNetwork
from chronas.reports.data import SearchSummary
from chronas.reports.sentences import interval_text, number_text

Json = dict[str, Any]


@dataclass(frozen=True)
class Figure:
    """One figure of the page.

    Attributes:
        title: short, above the figure.
        description: text for the caption and for readers who cannot see the figure.
        data: plotly traces.
        layout: plotly layout.
    """

    title: str
    description: str
    data: list[Json]
    layout: Json


@dataclass(frozen=True)
class Mark:
    """The look of the networks with one role."""

    label: str
    colour: str
    symbol: str
    dash: str


MARKS = {
    "limit": Mark("search within the limit", "#0f9d74", "star", "solid"),
    "latency-term": Mark("search with a weight on costs", "#2a8ccb", "square", "longdash"),
    "weight-0": Mark("search for accuracy alone", "#d55e00", "circle", "dash"),
    "random-search": Mark("random search", "#c2649a", "diamond", "dot"),
    "random": Mark("random", "#858b94", "x", "dashdot"),
}
OWN = "own"  # of a user's networks beside those of a run
PLANE_MARKS = {**MARKS, OWN: Mark("not searched", "#7a4a9c", "triangle-up", "solid")}
LONGEST_NAME = 28  # of a network on a plane, in characters
LIMIT_COLOUR = "#dc4a3d"


def axis(title: str) -> Json:
    """An axis in the common look."""
    return {
        "title": {"text": title, "standoff": 8, "font": {"size": 13}},
        "automargin": True,
        "zeroline": False,
        "ticks": "outside",
    }


def layout(x: Json, y: Json) -> Json:
    """A layout in the common look, with two axes."""
    return {
        "autosize": True,
        "margin": {"l": 48, "r": 16, "t": 16, "b": 44},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": "system-ui, -apple-system, Segoe UI, Roboto, sans-serif", "size": 13},
        "hoverlabel": {"bgcolor": "#20262e", "bordercolor": "#20262e", "font": {"color": "#ffffff"}},
        "legend": {"orientation": "h", "yanchor": "bottom", "y": 1.02, "x": 0, "xanchor": "left"},
        "dragmode": False,
        "xaxis": x,
        "yaxis": y,
    }


def limit_line(limit: float, unit: str, *, vertical: bool) -> Json:
    """Shapes and annotations of a line at the limit, to merge into a layout."""
    across, along = ("x", "y") if vertical else ("y", "x")
    ends = {f"{across}0": limit, f"{across}1": limit, f"{along}0": 0, f"{along}1": 1}
    where = {"x": limit, "y": 0.02, "yref": "paper", "xanchor": "left", "yanchor": "bottom"}
    flat = {"y": limit, "x": 0.99, "xref": "paper", "xanchor": "right", "yanchor": "bottom"}
    text = {
        "text": f"limit {number_text(limit)} {unit}",
        "showarrow": False,
        "font": {"color": LIMIT_COLOUR, "size": 12},
    }
    line = {"color": LIMIT_COLOUR, "dash": "dash", "width": 1.5}
    return {
        "shapes": [{"type": "line", f"{along}ref": "paper", "line": line, **ends}],
        "annotations": [{**text, **(where if vertical else flat)}],
    }


def padded(values: Sequence[float], share: float) -> tuple[float, float]:
    """The range of `values` with a margin of `share` of its length on both sides; never empty."""
    low, high = min(values), max(values)
    margin = share * (high - low) or 0.02 * abs(high) or 1.0
    return low - margin, high + margin


Box = tuple[float, float, float, float]  # left, bottom, right, top
LABEL_WIDTH, LABEL_HEIGHT = (
    0.026,
    0.06,
)  # of a letter and a line, as shares of the smallest figure (300 x 260 pixels)
SIDES = {  # offset of a name from its point, in widths to the right and heights up; the first free one is used
    "top center": (-0.5, 0.6),
    "bottom center": (-0.5, -1.6),
    "top right": (0.0, 0.6),
    "top left": (-1.0, 0.6),
    "bottom right": (0.0, -1.6),
    "bottom left": (-1.0, -1.6),
}
POINT = 0.022  # half of a mark's size, as a share of the figure


@dataclass(frozen=True)
class Point:
    """A network on the plane of accuracy and latency; `role` is a key of `PLANE_MARKS`."""

    name: str
    role: str
    accuracy_percent: float
    latency: Estimate


def points_of(networks: Sequence[TrainedNetwork], beside: Sequence[GivenResult]) -> list[Point]:
    """The networks of a run, and others beside the found one; the end of a long name is kept.

    The others were measured in another campaign, where the machine may have been faster or slower. So they stand where
    their ratio to the found network puts them, which was measured in the same rounds.
    """
    points = [Point(n.name, n.role, n.accuracy_percent, n.latency) for n in networks]
    if not beside:
        return points
    ratio = networks[0].latency.value / beside[0].latency.value
    for each in beside[1:]:
        name = each.name if len(each.name) <= LONGEST_NAME else f"…{each.name[1 - LONGEST_NAME :]}"
        ms = each.latency
        moved = replace(ms, value=ratio * ms.value, low=ratio * ms.low, high=ratio * ms.high)
        points.append(Point(name, OWN, each.accuracy_percent, moved))
    return points


def plane(networks: Sequence[TrainedNetwork], limit_ms: float | None, beside: Sequence[GivenResult] = ()) -> Figure:
    """Accuracy over measured latency of every trained network, with intervals and the limit.

    Args:
        networks: the networks of a run, the found one first.
        limit_ms: limit on the latency, if there is one.
        beside: the found network and others, measured in the same rounds; empty if there are none.
    """
    points = points_of(networks, beside)
    xs = [x for n in points for x in (n.latency.low, n.latency.high)]
    x_range = padded([*xs, *([] if limit_ms is None else [limit_ms])], 0.08)
    y_range = padded([n.accuracy_percent for n in points], 0.2)
    sides = label_sides(points, x_range, y_range)
    data = [
        role_trace(role, [(n, side) for n, side in zip(points, sides, strict=True) if n.role == role])
        for role in PLANE_MARKS
        if any(n.role == role for n in points)
    ]
    marks = {} if limit_ms is None else limit_line(limit_ms, "ms", vertical=True)
    frame = layout(axis("measured latency (ms)") | {"range": x_range}, axis("test accuracy (%)") | {"range": y_range})
    own = (
        " Networks that were not searched are placed by their ratio to the found one in the same rounds."
        if beside
        else ""
    )
    return Figure(
        "Every trained network",
        "Test accuracy and measured latency of every trained network; horizontal bars are 95 % intervals of the "
        f"latency. Up and to the left is better.{own}",
        data,
        frame | marks,
    )


def role_trace(role: str, networks: Sequence[tuple[Point, str]]) -> Json:
    """The trace of the networks with one role, each with the side of its label ("" for none)."""
    mark = PLANE_MARKS[role]
    found = [n for n, _ in networks]
    return {
        "type": "scatter",
        "mode": "markers+text",
        "name": mark.label,
        "x": [n.latency.value for n in found],
        "y": [n.accuracy_percent for n in found],
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [n.latency.high - n.latency.value for n in found],
            "arrayminus": [n.latency.value - n.latency.low for n in found],
            "color": mark.colour,
            "thickness": 1.5,
        },
        "marker": {"size": 14 if mark.symbol == "star" else 11, "color": mark.colour, "symbol": mark.symbol},
        "text": [escape(n.name) if side else "" for n, side in networks],
        "textposition": [side or "top center" for _, side in networks],
        "textfont": {"size": 12},
        "cliponaxis": False,
        "customdata": [[escape(n.name), interval_text(n.latency)] for n in found],
        "hovertemplate": "%{customdata[0]}<br>%{y:.2f} % at %{x:.3f} ms (%{customdata[1]})<extra></extra>",
    }


def label_sides(networks: Sequence[Point], x_range: tuple[float, float], y_range: tuple[float, float]) -> list[str]:
    """For each network, the first side of its point on which its name overlaps no interval and no other name.

    "" if there is none; then the name is only in the table and on hover.
    """

    def across(latency_ms: float) -> float:
        return (latency_ms - x_range[0]) / (x_range[1] - x_range[0])

    heights = [(n.accuracy_percent - y_range[0]) / (y_range[1] - y_range[0]) for n in networks]
    taken = [
        (across(n.latency.low) - POINT, y - POINT, across(n.latency.high) + POINT, y + POINT)
        for n, y in zip(networks, heights, strict=True)
    ]
    sides: list[str] = []
    for network, y in zip(networks, heights, strict=True):
        boxes = {side: label_box(network, across(network.latency.value), y, side) for side in SIDES}
        free = (side for side, box in boxes.items() if is_free(box, taken))
        sides.append(next(free, ""))
        if sides[-1]:
            taken.append(boxes[sides[-1]])
    return sides


def label_box(network: Point, x: float, y: float, side: str) -> Box:
    """The box of a network's name on this side of the point (x, y), as shares of a small figure."""
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
    measured, predicted = [float(v) for v in report.measured], [float(v) for v in report.predicted]
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
    """Found and random architectures by the same supernet: accuracy over latency; None without scores."""
    if not search.scored:
        return None
    found, *others = search.scored
    data = [
        {
            "type": "scatter",
            "mode": "markers",
            "name": name,
            "x": [row.costs["latency_ms"] for row in rows],
            "y": [row.score for row in rows],
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


def learning_figure(report: PredictorReport) -> Figure | None:
    """The error over the number of networks of the fit, with all at the end; None without a curve."""
    if not report.curve:
        return None
    fitted = report.samples or round(len(report.architectures) * (1 - 1 / report.folds))
    networks = [point.networks for point in report.curve] + [fitted]
    errors = [point.mape_percent for point in report.curve] + [report.scores.mape_percent]
    trace = {
        "type": "scatter",
        "mode": "lines+markers",
        "name": report.predictor,
        "x": networks,
        "y": errors,
        "line": {"color": "#2a8ccb", "width": 2},
        "hovertemplate": "%{y:.1f} % with %{x} networks<extra></extra>",
    }
    return Figure(
        "Error over networks measured",
        "Mean absolute error on architectures not seen, by fits on fewer networks. If it is still falling, "
        "measuring more helps.",
        [trace],
        layout(axis("networks") | {"type": "log"}, axis("mean error (%)")) | {"showlegend": False},
    )
