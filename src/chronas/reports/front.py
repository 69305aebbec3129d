"""The figure and the table of a Pareto front: networks from fast to accurate, predicted and measured."""

from __future__ import annotations

from collections.abc import Sequence

from chronas.records import Front, FrontNetwork
from chronas.reports.figures import MARKS, Figure, Json, axis, layout
from chronas.reports.sentences import number_text
from chronas.units import cost_word

FRONT_COLUMNS = ("network", "accuracy", "predicted", "latency", "at most", "", "architecture")
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


def front_rows(front: Front) -> list[list[str]]:
    """Number, accuracy, predicted and measured latency, its upper end, status, and architecture of each network."""
    return [
        [
            str(number),
            f"{network.accuracy_percent:.2f} %",
            f"{number_text(network.latency.predicted)} ms" if network.latency.predicted is not None else "none",
            f"{number_text(network.latency.value)} ms",
            f"{number_text(network.latency.high)} ms",
            _mark(network),
            network.architecture,
        ]
        for number, network in enumerate(front.networks, 1)
    ]


def _mark(network: FrontNetwork) -> str:
    if network.missed:
        return f"over the {' and '.join(map(cost_word, network.missed))} limit"
    return "beaten" if network.dominated else "kept"


def _predicted(networks: Sequence[FrontNetwork]) -> Json:
    told = [network for network in networks if network.latency.predicted is not None]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "predicted",
        "x": [network.latency.predicted for network in told],
        "y": [network.accuracy_percent for network in told],
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
