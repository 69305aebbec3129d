"""The figure and the table of a Pareto front: networks from fast to accurate, predicted and measured."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chronas.records import Front, FrontNetwork, Role
from chronas.reports.data import SearchSummary
from chronas.reports.draw import cell_title
from chronas.reports.figures import MARKS, Figure, Json, Mark, axis, layout, limit_line
from chronas.reports.sentences import number_text
from chronas.spaces import Cell, Space, label_of, make_space
from chronas.units import COST_UNITS, cost_word

PREDICTED, KEPT, BEATEN = MARKS["random"], MARKS["limit"], MARKS["weight-0"]


def front_figure(front: Front) -> Figure:
    """Accuracy over latency: predicted points, measured ones with intervals, and dominated ones."""
    kept = [network for network in front.networks if not network.dominated and not network.missed]
    beaten = [network for network in front.networks if network.dominated]
    outside = [network for network in front.networks if network.missed]
    found = [_found("on the front", KEPT.colour, KEPT.symbol, kept)]
    found += [_found("beaten by another", BEATEN.colour, "circle-open", beaten)] if beaten else []
    found += [_found("over a limit", BEATEN.colour, "x-open", outside)] if outside else []
    return Figure(
        "The front",
        "Accuracy on the search's validation images, with the search's own weights, over each latency, predicted "
        "and measured. Up and to the left is better.",
        [_predicted(front.networks), *found],
        layout(axis("latency (ms)"), axis("validation accuracy (%)")),
    )


def front_words(front: Front) -> str:
    """The hypervolume in a sentence, with its reference point."""
    return (
        f"Hypervolume {number_text(front.hypervolume)} ms x %, {100 * front.share:.1f} % of the maximum; reference "
        f"point {number_text(front.reference_ms)} ms (the slowest network of the table) and "
        f"{number_text(front.reference_percent)} % (guessing)."
    )


def front_table(front: Front) -> tuple[tuple[str, ...], list[list[str]]]:
    """Headings and rows: number, accuracies, predicted and measured latency, its upper end, status, architecture.

    The test accuracy stands there if the networks have weights of the search.
    """
    tested = any(network.test_percent is not None for network in front.networks)
    rows = [
        [
            str(number),
            f"{network.accuracy_percent:.2f} %",
            *([] if not tested else ["none" if network.test_percent is None else f"{network.test_percent:.2f} %"]),
            f"{number_text(network.latency.predicted)} ms" if network.latency.predicted is not None else "none",
            f"{number_text(network.latency.value)} ms",
            f"{number_text(network.latency.high)} ms",
            _mark(network),
            network.architecture,
        ]
        for number, network in enumerate(front.networks, 1)
    ]
    accuracies = ("accuracy", "test accuracy") if tested else ("accuracy",)
    return ("network", *accuracies, "predicted", "latency", "at most", "", "architecture"), rows


def _mark(network: FrontNetwork) -> str:
    if network.missed:
        return f"over the {' and '.join(map(cost_word, network.missed))} limit"
    return "beaten" if network.dominated else "kept"


def _predicted(networks: Sequence[FrontNetwork]) -> Json:
    predicted = [network for network in networks if network.latency.predicted is not None]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "predicted",
        "x": [network.latency.predicted for network in predicted],
        "y": [network.accuracy_percent for network in predicted],
        "marker": {"size": 9, "color": PREDICTED.colour, "symbol": "x-thin-open"},
        "hovertemplate": "%{y:.2f} % at %{x:.3f} ms<extra>predicted</extra>",
    }


def _found(name: str, colour: str, symbol: str, networks: Sequence[FrontNetwork]) -> Json:
    found = [network.latency for network in networks]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": [latency.value for latency in found],
        "y": [network.accuracy_percent for network in networks],
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [latency.high - latency.value for latency in found],
            "arrayminus": [latency.value - latency.low for latency in found],
            "color": colour,
            "thickness": 1.5,
        },
        "marker": {"size": 12, "color": colour, "symbol": symbol},
        "hovertemplate": "%{y:.2f} % at %{x:.3f} ms<extra>" + name + "</extra>",
    }


# ----
# Figures of searches: curves by epoch, and the weights of operations by epoch.

CURVES = (
    ("train_loss", "Training loss", "cross-entropy", "On the images that train the weights."),
    ("validation_loss", "Validation loss", "cross-entropy", "On the images that train the choice of operations."),
    (
        "validation_accuracy",
        "Validation accuracy",
        "accuracy (%)",
        "Of the search's network, on its validation images.",
    ),
    ("entropy", "Entropy", "nats", "Of the choice of operations; falls as the search decides."),
    ("skip_connections", "Skip connections", "count", "In the derived cells; many are a sign of collapse."),
)


def search_curves(
    searches: Sequence[SearchSummary], roles: Mapping[str, Role], limits: Mapping[str, float]
) -> list[Figure]:
    """A figure for each recorded quantity that is not always zero: `CURVES` and those of each cost.

    Args:
        searches: the searches; each has one line.
        roles: name of a network -> role; a search with the name of a network has its colour.
        limits: cost -> limit, drawn in the figures of that cost.
    """
    others = itertools.cycle(MARKS.values())
    marks = [MARKS[roles[search.name]] if search.name in roles else next(others) for search in searches]
    figures = []
    for key, title, unit, description, limited in [*((*each, "") for each in CURVES), *cost_curves()]:
        traces = [curve(search, key, mark) for search, mark in zip(searches, marks, strict=True)]
        drawn = [trace for trace in traces if trace["x"]]
        if any(value != 0 for trace in drawn for value in trace["y"]):
            frame = layout(axis("epoch" if all(map(descends, searches)) else "epoch, or number of trial"), axis(unit))
            if limited in limits:
                frame |= limit_line(limits[limited], COST_UNITS[limited], vertical=False)
            figures.append(Figure(title, description, drawn, frame))
    return figures


def cost_curves() -> list[tuple[str, str, str, str, str]]:
    """The recorded quantities of each cost: key, title, unit, description, and the cost whose limit is drawn."""
    found = []
    for cost, unit in COST_UNITS.items():
        word = cost_word(cost)
        of_samples = "The predictor's mean over the search's samples."
        of_mode = "Predicted, for what an epoch would derive."
        grows = f"Grows while the derived network's {word} is above the limit."
        found += [
            (f"expected_{cost}", f"Expected {word}", f"{word} ({unit})", of_samples, cost),
            (f"mode_{cost}", f"{word.capitalize()} of the derived network", f"{word} ({unit})", of_mode, cost),
            (f"multiplier.{cost}", f"Multiplier of the {word} limit", "multiplier", grows, ""),
        ]
    return found


def descends(search: SearchSummary) -> bool:
    """Whether a search is gradient-based; otherwise it has separate trials, which no line joins."""
    return any(row.get("alphas") is not None for row in search.history)


def curve(search: SearchSummary, key: str, mark: Mark) -> Json:
    """One key of a search's history, as a line or as points; epochs without a value are left out."""
    rows = [(row.get("epoch", n), row[key]) for n, row in enumerate(search.history) if row.get(key) is not None]
    return {
        "type": "scatter",
        "mode": "markers" if not descends(search) else "lines" if len(rows) > 2 else "lines+markers",
        "name": escape(search.name),
        "showlegend": True,
        "x": [epoch for epoch, _ in rows],
        "y": [float(value) for _, value in rows],
        "line": {"color": mark.colour, "dash": mark.dash, "width": 2.2},
        "marker": {"color": mark.colour, "symbol": mark.symbol, "size": 8},
    }


def operation_weights(search: SearchSummary, space: Space | None = None) -> list[Figure]:
    """A heat map for each cell: the mean softmax weight of each operation by epoch.

    Colours have the same scale in all cells of the search: zero is dark, the largest weight is light.
    """
    space = make_space(space or search.space)
    rows = [row for row in search.history if row.get("alphas") is not None]
    if not rows or not space.topology.cells:
        return []
    epochs = [row.get("epoch", number) for number, row in enumerate(rows)]
    weights = [softmax(row["alphas"]) for row in rows]
    means = {
        cell.name: {label_of(name, space.topology.operations): row for name, row in each.items()}
        for cell in space.topology.cells
        if (each := mean_weights(space, cell, weights))
    }
    highest = max(value for cell in means.values() for row in cell.values() for value in row)
    return [heat_map(f"{search.name}: {cell_title(name)}", epochs, cell, highest) for name, cell in means.items()]


def softmax(alphas: Sequence[Sequence[float]]) -> list[NDArray[np.float64]]:
    """The softmax of each decision's alphas [D][O]."""
    rows = [np.asarray(row, dtype=np.float64) for row in alphas]
    return [np.exp(row - row.max()) / np.exp(row - row.max()).sum() for row in rows]


def mean_weights(space: Space, cell: Cell, weights: Sequence[list[NDArray[np.float64]]]) -> dict[str, list[float]]:
    """Operation -> its softmax weight at each epoch, averaged over the cell's edges."""
    decisions = [cell.decision(edge) for edge in range(len(cell.edges))]
    operations = dict.fromkeys(name for d in decisions for name in space.decisions[d].relaxed)
    means = {}
    for operation in operations:
        places = [
            (d, space.decisions[d].relaxed.index(operation))
            for d in decisions
            if operation in space.decisions[d].relaxed
        ]
        means[operation] = [float(sum(epoch[d][o] for d, o in places)) / len(decisions) for epoch in weights]
    return means


def heat_map(title: str, epochs: list[Any], means: dict[str, list[float]], highest: float) -> Figure:
    """Operations in rows, epochs in columns; the operation with the largest final weight is on top."""
    operations = sorted(means, key=lambda operation: means[operation][-1])
    trace = {
        "type": "heatmap",
        "x": epochs,
        "y": operations,
        "z": [means[operation] for operation in operations],
        "colorscale": "Cividis",
        "zmin": 0,
        "zmax": highest,
        "colorbar": {"thickness": 10, "outlinewidth": 0, "tickformat": ".0%", "nticks": 5},
        "hovertemplate": "epoch %{x}: %{y} %{z:.1%}<extra></extra>",
    }
    description = "Mean softmax weight of each operation over the cell's edges, by epoch."
    return Figure(title, description, [trace], layout(axis("epoch"), axis("") | {"ticks": ""}))
