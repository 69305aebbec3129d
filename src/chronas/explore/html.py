"""The page's answers as HTML: sentences on the best network within the limit, drawn cells, and costs of a network.

Text from files or users is escaped: a device's name can contain neither markup nor an address to fetch.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from xml.etree import ElementTree

import numpy as np

from chronas.explore.catalogue import Collection, Quantity, percent_text, share_text
from chronas.explore.tradeoff import Plane
from chronas.reports import draw, number_text
from chronas.spaces import Architecture

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
    return paragraph("answer", found) + paragraph("soft", f"{price(plane, best)} {counted(plane, limit)}")


def lower(label: str) -> str:
    """A label for the middle of a sentence."""
    return label[0].lower() + label[1:]


def price(plane: Plane, best: int) -> str:
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
