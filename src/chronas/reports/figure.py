"""What every figure of a report shares: its plotly JSON, axes, layout, marks and colours.

Figures are plain dicts, drawn by plotly.js in the page. Backgrounds are transparent and text and grid take the page's
colours by CSS, so figures follow its light or dark theme. Colours are of Okabe and Ito's colour-blind safe set
(https://jfly.uni-koeln.de/color/), moved to middle lightness; no meaning rests on colour alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from chronas.reports.words import number_text

Json = dict[str, Any]


@dataclass(frozen=True)
class Figure:
    """One figure of the page.

    Attributes:
        title: short, above the figure.
        description: what it shows, for the caption and for those who cannot see it.
        data: plotly traces.
        layout: plotly layout.
    """

    title: str
    description: str
    data: list[Json]
    layout: Json


@dataclass(frozen=True)
class Mark:
    """How the networks of a role are shown."""

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
LIMIT_COLOUR = "#dc4a3d"


def axis(title: str) -> Json:
    """An axis with our look."""
    return {
        "title": {"text": title, "standoff": 8, "font": {"size": 13}},
        "automargin": True,
        "zeroline": False,
        "ticks": "outside",
    }


def layout(x: Json, y: Json) -> Json:
    """A layout with our look around two axes."""
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
    """Shapes and annotations of a line at the limit, to be merged into a layout."""
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
