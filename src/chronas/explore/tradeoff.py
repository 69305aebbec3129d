"""The page's plane: a cost against an accuracy or a second cost, its Pareto front, and the best network in a limit.

A network is within a limit if the upper end of its interval is, as everywhere in chronas. The plane is a plotly figure:
all networks as a cloud (drawn by WebGL), the front, the limit, and two marks. Points carry no text, which keeps 15,625
of them small; `clicked` converts a click to a network.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chronas.explore.catalogue import Quantity
from chronas.pareto import non_dominated

STEPS = 200  # of the slider, from the smallest limit to the largest
FINEST = 1e-3  # finest step, relative to the cost


@dataclass(frozen=True)
class Plane:
    """M useful networks of a collection for which both quantities are known.

    Attributes:
        cost: the limited quantity.
        goal: the quantity to optimise within the limit.
        rows: indices of the networks in the collection [M].
        front: rows on the Pareto front, by rising cost.
        unknown: number of useful networks without one of the two.
    """

    cost: Quantity
    goal: Quantity
    rows: NDArray[np.int64]
    front: NDArray[np.int64]
    unknown: int

    @classmethod
    def of(cls, cost: Quantity, goal: Quantity, useful: NDArray[np.bool_]) -> Plane:
        """The plane of two quantities of one collection, for its useful networks [N]."""
        rows = np.flatnonzero(cost.known() & goal.known() & useful)
        badness = -goal.values if goal.maximise else goal.values
        front = rows[non_dominated(np.column_stack([cost.values, badness])[rows])]
        return cls(
            cost, goal, rows, front[np.argsort(cost.values[front], kind="stable")], int(useful.sum()) - len(rows)
        )

    def within(self, limit: float) -> NDArray[np.int64]:
        """The rows whose whole interval of the cost is within the limit."""
        return self.rows[self.cost.high[self.rows] <= limit]

    def best(self, limit: float) -> int | None:
        """The row with the best goal within the limit, and of equals the cheapest; None if no row is within."""
        within = self.within(limit)
        if not len(within):
            return None
        goal = self.goal.values[within] * (-1 if self.goal.maximise else 1)
        return int(within[np.lexsort([self.cost.values[within], goal])[0]])

    def overall(self) -> int:
        """The row with the best goal at any cost."""
        best = self.best(np.inf)
        assert best is not None
        return best

    def limits(self) -> tuple[float, float, float, float]:
        """Start, end, initial value and step of a slider for the limit.

        It starts where one network is within the limit, and ends where the best network of all is, because higher
        limits change nothing. The initial value is the middle of the front, where the choice is hardest.
        """
        lowest, highest = float(self.cost.high[self.rows].min()), float(self.cost.high[self.overall()])
        step = float(f"{max((highest - lowest) / STEPS, abs(highest) * FINEST):.0e}")
        digits = max(0, -math.floor(math.log10(step)))
        first, last = math.floor(lowest / step), max(math.ceil(highest / step), math.floor(lowest / step) + 1)
        middle = min(last, math.ceil(float(np.median(self.cost.high[self.front])) / step))
        low, high, stands = (round(number * step, digits) for number in (first, last, middle))
        return low, high, stands, step


CLOUD, FRONT, BEST, PICKED, LIMIT = "#8d99a6", "#2a8ccb", "#0f9d74", "#d55e00", "#dc4a3d"
SHOWN_FROM = 5.0  # percentile of the goal at which the picture starts, so that a few useless networks do not flatten it
MARGIN = 0.05


def figure(plane: Plane, limit: float, best: int | None, picked: int | None) -> dict[str, Any]:
    """The figure: plotly's `data` and `layout`.

    Args:
        plane: the plane to draw.
        limit: limit on the plane's cost.
        best: row of the best network, None if no network is within the limit.
        picked: row of the picked network, None if it is not in the plane.
    """
    traces = [points(plane, rows, look) for rows, look in zip(traced(plane, best, picked), LOOKS, strict=True)]
    low, high = np.percentile(plane.goal.values[plane.rows], [SHOWN_FROM if plane.goal.maximise else 0, 100])
    margin = MARGIN * (high - low) or 1.0
    line = {"type": "line", "x0": limit, "x1": limit, "y0": 0, "y1": 1, "yref": "paper"}
    return {
        "data": traces,
        "layout": {
            "height": 460,
            "margin": {"l": 10, "r": 10, "t": 10, "b": 10},
            "xaxis": {"title": {"text": axis_title(plane.cost)}, "rangemode": "tozero", "zeroline": False},
            "yaxis": {"title": {"text": axis_title(plane.goal)}, "range": [low - margin, high + margin]},
            "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
            "shapes": [{**line, "line": {"color": LIMIT, "dash": "dash", "width": 2}}],
            "annotations": [
                {"x": limit, "y": 1, "yref": "paper", "text": "limit", "showarrow": False, "xanchor": "left"}
                | {"yanchor": "top", "font": {"color": LIMIT}}
            ],
            "dragmode": "zoom",
            "clickmode": "event+select",
            "uirevision": axis_title(plane.cost) + axis_title(plane.goal),
        },
    }


def traced(plane: Plane, best: int | None, picked: int | None) -> list[NDArray[np.int64]]:
    """The rows of each trace of the figure, in its order."""
    marked = [np.array([] if row is None else [row], dtype=np.int64) for row in (best, picked)]
    return [plane.rows, plane.front, *marked]


def clicked(rows: Sequence[NDArray[np.int64]], points: Sequence[Mapping[str, Any]]) -> int | None:
    """The row for a click on the figure; None if it hit nothing.

    Args:
        rows: rows of each trace of the clicked figure, from `traced`.
        points: plotly's clicked points, with `curve_number` and `point_index`.
    """
    for point in points:
        row: int = rows[point["curve_number"]][point["point_index"]]
        return int(row)
    return None


def axis_title(quantity: Quantity) -> str:
    """Label and unit, escaped because plotly interprets some HTML."""
    return escape(f"{quantity.label} ({quantity.unit})" if quantity.unit else quantity.label)


LOOKS: list[dict[str, Any]] = [
    {
        "type": "scattergl",
        "mode": "markers",
        "name": "every network",
        "marker": {"color": CLOUD, "size": 4, "opacity": 0.35},
    },
    {
        "type": "scatter",
        "mode": "lines+markers",
        "name": "best trade-offs",
        "line": {"color": FRONT, "width": 1.5, "shape": "hv"},
        "marker": {"color": FRONT, "size": 7},
    },
    {
        "type": "scatter",
        "mode": "markers",
        "name": "best within the limit",
        "marker": {"color": BEST, "size": 18, "symbol": "star", "line": {"color": "#ffffff", "width": 1}},
    },
    {
        "type": "scatter",
        "mode": "markers",
        "name": "the network shown",
        "marker": {"color": PICKED, "size": 17, "symbol": "circle-open", "line": {"color": PICKED, "width": 3}},
    },
]


def points(plane: Plane, rows: NDArray[np.int64], look: Mapping[str, Any]) -> dict[str, Any]:
    """One trace: the rows at their positions, in 32 bits, which is finer than any screen."""
    same = {"marker": {"opacity": look["marker"].get("opacity", 1.0)}}  # otherwise plotly dims unselected points
    return {
        **look,
        "x": plane.cost.values[rows].astype(np.float32),
        "y": plane.goal.values[rows].astype(np.float32),
        "hovertemplate": f"%{{y:.4g}} {escape(plane.goal.unit)}, %{{x:.4g}} {escape(plane.cost.unit)}<extra></extra>",
        "selected": same,
        "unselected": same,
    }
