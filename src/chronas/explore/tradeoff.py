"""The page's plane: a cost against an accuracy or a second cost, its Pareto front, and the best network in a limit.

A network is within a limit if the upper end of its interval is, as everywhere in chronas. The plane is a plotly figure:
all networks as a cloud (drawn by WebGL), the front, the limit, and two marks. Points carry no text, which keeps 15,625
of them small; `clicked` converts a click to a network.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from chronas.explore.catalogue import Collection, Quantity, percent_text, share_text
from chronas.pareto import non_dominated
from chronas.reports import draw, number_text
from chronas.spaces import Architecture

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


# ----
# The page's answers as HTML: sentences on the best network within the limit, drawn cells, and costs of a network.
#
# Text from files or users is escaped: a device's name can contain neither markup nor an address to fetch.

PERCENT = "%"  # the unit of accuracies
HEADINGS = (
    "",
    "value",
    "95 % interval",
    "better than",
    "images at once",
    "threads",
    "numbers",
    "runtime",
    "date",
    "source",
)


def amount(quantity: Quantity, value: float) -> str:
    """A number with its unit: `4.71 ms`, `93.27 %`."""
    if quantity.unit == PERCENT:
        return percent_text(value)
    return f"{number_text(value)} {quantity.unit}".strip()


def answer(plane: Plane, limit: float, best: int | None) -> str:
    """The best network within the limit, and the price of the limit."""
    cost, goal = plane.cost, plane.goal
    asked = f"{amount(cost, limit)} ({escape(lower(cost.label))})"
    if best is None:
        cheapest = amount(cost, float(cost.high[plane.rows].min()))
        return paragraph("answer", f"<strong>No network stays within {asked}.</strong> The first does at {cheapest}.")
    good = f"<strong>{amount(goal, goal.values[best])}</strong>"
    what = f"{'has' if goal.maximise else 'takes'} {good} ({escape(lower(goal.label))})"
    what = f"names {good} of images rightly" if goal.unit == PERCENT else what
    found = (
        f"Within {asked}, the best network {what} and takes <strong>{amount(cost, cost.values[best])}</strong>"
        f"{interval(cost, best)}."
    )
    return paragraph("answer", found) + paragraph("soft", f"{best_at_any_cost(plane, best)} {counted(plane, limit)}")


def unknown_quality(plane: Plane, limit: float) -> str:
    """The number of networks within the limit, where no accuracies are known."""
    within = len(plane.within(limit))
    asked = f"{amount(plane.cost, limit)} ({escape(lower(plane.cost.label))})"
    found = (
        f"<strong>{within:,} networks</strong> stay within {asked}." if within else f"No network stays within {asked}."
    )
    advice = "No accuracies are known of these networks, so none can be called best: give a file by --accuracies."
    return paragraph("answer", found) + paragraph("soft", f"{advice} {counted(plane, limit)}")


def lower(label: str) -> str:
    """A label for the middle of a sentence."""
    return label[0].lower() + label[1:]


def best_at_any_cost(plane: Plane, best: int) -> str:
    """The best network at any cost, compared with the best within the limit."""
    overall = plane.overall()
    if overall == best:
        return "No network is better, at any cost."
    more = plane.cost.values[overall] / plane.cost.values[best]
    values = plane.goal.values
    overall_text, cost_text = amount(plane.goal, values[overall]), amount(plane.cost, plane.cost.values[overall])
    return (
        f"The best of all has {overall_text}, {difference(plane.goal, values[overall], values[best])}, and takes "
        f"{number_text(more)} times as much ({cost_text})."
    )


def difference(goal: Quantity, best: float, other: float) -> str:
    """The difference of two values: points of accuracy, or percent."""
    if goal.unit == PERCENT:
        return f"{best - other:.2f} points more"
    if goal.maximise:
        return f"{number_text(100 * (best / other - 1))} % more"
    return f"{number_text(100 * (1 - best / other))} % less"


def counted(plane: Plane, limit: float) -> str:
    """The number of networks within the limit, and of networks without a known cost."""
    unknown = f" Of {plane.unknown:,} more it is not known." if plane.unknown else ""
    return f"{share_text(len(plane.within(limit)), len(plane.rows))} networks are within the limit.{unknown}"


def interval(quantity: Quantity, row: int) -> str:
    """The 95 % interval in brackets, or "" if there is none."""
    text = interval_text(quantity, row)
    return f" (95 % interval {text})" if text else ""


def interval_text(quantity: Quantity, row: int) -> str:
    """The 95 % interval: `4.65 to 4.78 ms`; "" if the number has only one round or is not measured."""
    low, high = quantity.low[row], quantity.high[row]
    if quantity.rounds[row] < 2 or np.isnan(low) or np.isnan(high):
        return ""
    return f"{number_text(low)} to {number_text(high)} {quantity.unit}"


def drawing(architecture: Architecture, ink: str) -> str:
    """The drawings of an architecture as images.

    Args:
        architecture: an architecture of any space.
        ink: colour of lines and text, visible on the page's background.
    """
    drawn = draw(architecture)
    titles = {title: f"<figcaption>{escape(title)}</figcaption>" if len(drawn) > 1 else "" for title in drawn}
    figures = "".join(f"<figure>{titles[title]}{image(svg, ink)}</figure>" for title, svg in drawn.items())
    return f'<div class="cells">{figures}</div>'


def image(svg: str, ink: str) -> str:
    """A drawing as an image with its description, because streamlit allows no SVG in the page itself."""
    root = ElementTree.fromstring(svg)
    root.set("style", f"color: {ink}")
    content = base64.b64encode(ElementTree.tostring(root)).decode()
    return f'<img class="cell" alt="{escape(root.attrib["aria-label"])}" src="data:image/svg+xml;base64,{content}">'


def useless(collection: Collection) -> str:
    """The number of networks that the plane leaves out, and the reason; "" if there are none."""
    count = int((~collection.useful).sum())
    if not count:
        return ""
    return f"Left out, because nothing of the image reaches their answer: {count:,}."


def known(collection: Collection, row: int | None, limited: Quantity) -> str:
    """A table of everything known about a network: costs, then accuracies; unknown values say so."""
    quantities = [*collection.costs.values(), *collection.accuracies.values()]
    numeric = {"value", "better than"}
    head = "".join(f"<th{' class=number' if name in numeric else ''}>{name}</th>" for name in HEADINGS)
    body = "".join(known_row(quantity, row, limited=quantity is limited) for quantity in quantities)
    return f'<div class="known"><table><tr>{head}</tr>{body}</table></div>{stands_for(quantities, row)}'


def stands_for(quantities: Sequence[Quantity], row: int | None) -> str:
    """The costs of a network that were measured on another network, and its text; "" without such costs."""
    by_text: dict[str, list[str]] = {}
    for quantity in quantities:
        if row is not None and row in quantity.measured_as:
            by_text.setdefault(quantity.measured_as[row], []).append(quantity.label)
    return "".join(
        paragraph(
            "soft",
            f"{escape('; '.join(labels))}: measured on <span class=same>{escape(text)}</span>, which is the same "
            "network once what does not reach the answer is left out, as this device's runtime does.",
        )
        for text, labels in by_text.items()
    )


def known_row(quantity: Quantity, row: int | None, *, limited: bool) -> str:
    """One row of `known`."""
    is_known = row is not None and not np.isnan(quantity.values[row])
    if row is not None and is_known:
        value, ends = amount(quantity, quantity.values[row]), interval_text(quantity, row) or "not known"
        ends += f", {quantity.rounds[row]} rounds" if quantity.rounds[row] > 1 else ""
        rank = f"{rank_percent(quantity, row):.0f} %"
    else:
        value, ends, rank = quantity.facts.get("missing", "not known"), "", ""
    if not quantity.facts:
        ends = ""
    facts = [quantity.facts.get(name, "") for name in HEADINGS[4:]]
    cells = [escape(text) for text in (ends, rank, *facts)]
    rest = f"<td>{cells[0]}</td><td class=number>{cells[1]}</td>" + "".join(f"<td>{text}</td>" for text in cells[2:])
    title = f' title="{escape(quantity.facts["hardware"])}"' if "hardware" in quantity.facts else ""
    start = f"<tr{' class=limited' if limited else ''}><td{title}>{escape(quantity.label)}</td>"
    return f"{start}<td class=number>{escape(value)}</td>{rest}</tr>"


def rank_percent(quantity: Quantity, row: int) -> float:
    """The share of the other known networks that are worse, in percent."""
    others = quantity.values[quantity.known()]
    value = quantity.values[row]
    worse = others < value if quantity.maximise else others > value
    return 100 * float(worse.sum()) / max(1, len(others) - 1)


def paragraph(name: str, html: str) -> str:
    """A paragraph in a style of page.css."""
    return f'<p class="{name}">{html}</p>'
