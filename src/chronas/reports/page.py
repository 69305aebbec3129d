"""HTML pages from templates: one file that opens anywhere, with style, script, plotly.js, drawings and data inside.

A page loads nothing: its content security policy forbids every connection. Text of users is escaped, and an unknown
name in a template is an error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from chronas.files import write_text
from chronas.records import Confusion, Front, TrainedNetwork, TwoDevices
from chronas.reports import sentences
from chronas.reports.data import Report, SearchSummary
from chronas.reports.draw import draw
from chronas.reports.figures import MARKS, learning_figure, plane, predicted_against_measured, supernet_scores
from chronas.reports.front import front_figure, front_table, front_words, operation_weights, search_curves
from chronas.reports.sentences import TWO_COLUMNS, two_rows, two_words
from chronas.spaces import Space, make_space
from chronas.units import cost_word, duration_text

FOLDER = Path(__file__).parent


def render(name: str, content: dict[str, Any]) -> str:
    """A template in this folder as text, with `style` and `plotly` added to its content."""
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False}
    style = Markup((FOLDER / "page.css").read_text(encoding="utf-8"))  # noqa: S704 - our own file
    plotly = Markup(get_plotlyjs())  # noqa: S704 - the plotly package's file
    return environment.get_template(name).render(content, style=style, plotly=plotly)


SHOWN = 8  # candidates of a choice
MATRIX = 20  # classes of a confusion matrix that is shown


@dataclass(frozen=True)
class Tile:
    """One key number at the top of the page."""

    label: str
    value: str
    note: str


@dataclass(frozen=True)
class Table:
    """A table of texts; the first column has the headings of rows."""

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


def write_page(path: Path, report: Report, space: Space | None = None) -> None:
    """Write the report as one self-contained HTML file, by one atomic rename.

    Args:
        path: the file.
        report: the report.
        space: space of its networks; None: the one of that name in `SPACES`.

    Raises:
        DataError: the file cannot be written, or the report's found network is not among its networks.
        UsageError: the space of a network does not exist.
    """
    write_text(path, render("page.html", _content(report, space)))


def _content(report: Report, space: Space | None) -> dict[str, Any]:
    """The content of the template, section by section."""
    answer = report.answer()
    roles = {network.name: network.role for network in report.networks}
    return {
        "report": report,
        "answer": answer,
        "origin": "" if answer is None else MARKS[answer.role].label,
        "tiles": [] if answer is None else tiles(report, answer),
        "cells": {network.name: drawings(space or network.space, network.architecture) for network in report.networks},
        "classes": None if answer is None or answer.confusion is None else classes_content(answer.confusion),
        "two": None if report.two is None else two_content(report.two, space),
        "facts": {} if answer is None else facts(answer),
        "plane": plane(report.networks, report.limits.get("latency_ms"), report.beside) if report.networks else None,
        "front": None if report.front is None else front_content(report.front),
        "networks": networks_table(report.networks),
        "costs": costs_table(report),
        "beside": Table(sentences.BESIDE, sentences.BESIDE_COLUMNS, sentences.beside_rows(report.beside)),
        "compared": [table for search in report.searches if (table := compared_table(search)) is not None],
        "predictor": predictor_content(report),
        "curves": search_curves(report.searches, roles, report.limits),
        "supernet": [figure for search in report.searches if (figure := supernet_scores(search)) is not None],
        "weights": [figure for search in report.searches for figure in operation_weights(search, space)],
        "timings": timing_rows(report.timings),
        "total": duration_text(sum(report.timings.values())),
    }


def drawings(space: str | Space, architecture: str) -> dict[str, Markup]:
    """The SVGs of an architecture, by title."""
    found = draw(make_space(space).parse(architecture))
    return {title: Markup(svg) for title, svg in found.items()}  # noqa: S704 - `draw` escapes its text


def two_content(two: TwoDevices, space: Space | None) -> dict[str, Any]:
    """Sentences, table and drawings of a comparison of two devices."""
    return {
        "words": two_words(two),
        "table": Table("Both networks on both devices", TWO_COLUMNS, two_rows(two)),
        "networks": [
            (device.name, drawings(space or two.space, network.architecture), network.architecture)
            for device, network in zip(two.devices, two.networks, strict=True)
        ],
    }


def classes_content(confusion: Confusion) -> dict[str, Any]:
    """The accuracy on each class and, for few classes, the confusion matrix."""
    names, accuracies = confusion.class_names, confusion.class_accuracies_percent
    rows = [
        [name, str(images), "no test images" if accuracy is None else f"{accuracy:.1f} %", _mistaken(confusion, number)]
        for number, (name, images, accuracy) in enumerate(zip(names, confusion.images, accuracies, strict=True))
    ]
    worst = sorted(range(len(names)), key=lambda k: (accuracies[k] is None, accuracies[k] or 0.0))
    few = len(names) <= MATRIX
    shown = rows if few else [rows[k] for k in worst[:MATRIX]]
    caption = "Accuracy on each class" if few else f"The {MATRIX} classes of lowest accuracy"
    counts = [[name, *map(str, row)] for name, row in zip(names, confusion.counts, strict=True)]
    return {
        "words": f"The mean accuracy over classes (balanced accuracy) is {confusion.balanced_accuracy_percent:.2f} %. "
        f"Always naming the largest class would be right in {confusion.largest_class_percent:.2f} %.",
        "accuracies": Table(caption, ("class", "test images", "accuracy", "most often taken for"), shown),
        "matrix": Table("Test images of each class, by what they were named", ("class", *names), counts)
        if few
        else None,
    }


def _mistaken(confusion: Confusion, number: int) -> str:
    """The class that a class is most often taken for."""
    row = [count if other != number else 0 for other, count in enumerate(confusion.counts[number])]
    most = max(row)
    return f"{confusion.class_names[row.index(most)]} ({most})" if most else "none"


def tiles(report: Report, answer: TrainedNetwork) -> list[Tile]:
    """Accuracy and costs of the found network, and its comparison with every other network."""
    notes = [] if report.test_images is None else [f"on {report.test_images:,} images not seen before"]
    if answer.float32_accuracy_percent is not None:
        notes.append(f"{answer.float32_accuracy_percent:.2f} % in float32")
    if answer.confusion is not None:
        notes.append(f"balanced {answer.confusion.balanced_accuracy_percent:.2f} %")
        notes.append(f"largest class {answer.confusion.largest_class_percent:.1f} %")
    found = [
        Tile(
            f"Test accuracy{'' if answer.int8_loss is None else ' in int8'}",
            f"{answer.accuracy_percent:.2f} %",
            ", ".join(notes),
        ),
        *(cost_tile(answer, cost, report.limits.get(cost)) for cost in answer.costs),
    ]
    others = [
        Tile(
            f"Against {sentences.ROLE_WORDS[other.role]}",
            sentences.compare_latency(answer, other).removesuffix(" than").replace("as fast as", "equally fast"),
            f"{sentences.compare_accuracy(answer, other, report.test_images)}: it has {other.accuracy_percent:.2f} % "
            f"at {sentences.number_text(other.latency.value)} ms",
        )
        for other in report.networks
        if other is not answer
    ]
    return found + others


def cost_tile(network: TrainedNetwork, cost: str, limit: float | None) -> Tile:
    """One cost of a network, with its interval and its limit."""
    found = network.costs[cost]
    inside = "" if limit is None else f", limit {sentences.cost_text(cost, limit)}"
    label = {"measured": "Measured", "table": "The table's", "predicted": "Predicted"}[network.source]
    interval = sentences.cost_interval_text(cost, found)
    if found.median is not None and found.p95 is not None:
        single = (sentences.number_text(value) for value in (found.median, found.p95))
        inside += "; single runs {}, p95 {}".format(*single)
    return Tile(f"{label} {cost_word(cost)}", sentences.cost_text(cost, found.value), f"{interval}{inside}")


def facts(network: TrainedNetwork) -> dict[str, str]:
    """Size and training of a network, label -> value."""
    validation = network.validation_accuracy_percent
    return {
        "Parameters": sentences.count_text(network.parameters),
        "MACs per image": sentences.count_text(network.macs),
        "Validation accuracy": "not recorded" if validation is None else f"{validation:.2f} %",
        "Training": duration_text(network.training_s),
        "Latency, median and p95 of single runs": (
            "not known"
            if network.latency.median is None or network.latency.p95 is None
            else f"{sentences.number_text(network.latency.median)} ms, {sentences.number_text(network.latency.p95)} ms"
        ),
    }


def front_content(front: Front) -> dict[str, Any]:
    """Sentence, figure and table of a front."""
    return {
        "words": front_words(front),
        "figure": front_figure(front),
        "table": Table("Every network of the front", *front_table(front)),
    }


def networks_table(networks: Sequence[TrainedNetwork]) -> Table:
    """Every trained network: accuracy, predicted and measured latency with the error, size."""
    latencies = ("predicted", "measured", "95 % interval", "prediction error")
    int8 = any(network.int8_loss is not None for network in networks)
    columns = ("network", *(["int8 accuracy", "in float32"] if int8 else ["test accuracy"]), *latencies)
    rows = [network_row(network, int8=int8) for network in networks]
    return Table("Every trained network", (*columns, "MACs", "parameters"), rows)


def costs_table(report: Report) -> Table | None:
    """Each cost of each network with its limit; None if there is only latency and no limit."""
    if not report.limits and not any(len(network.costs) > 1 for network in report.networks):
        return None
    columns = ("network", "cost", "predicted", "found", "95 % interval", "limit", "kept")
    rows = [cost_row(network, cost, report.limits.get(cost)) for network in report.networks for cost in network.costs]
    return Table("Each cost of each network", columns, rows)


def cost_row(network: TrainedNetwork, cost: str, limit: float | None) -> list[str]:
    """A row of `costs_table`."""
    found = network.costs[cost]
    return [
        network.name,
        cost_word(cost),
        "none" if found.predicted is None else sentences.cost_text(cost, found.predicted),
        sentences.cost_text(cost, found.value),
        sentences.cost_interval_text(cost, found),
        "none" if limit is None else sentences.cost_text(cost, limit),
        "" if limit is None else "yes" if found.high <= limit else "no",
    ]


def compared_table(search: SearchSummary) -> Table | None:
    """The best candidates of a search's choice; None if there was nothing to choose."""
    if len(search.compared) < 2:
        return None
    shown = search.compared[:SHOWN]
    costs = list(shown[0].costs)
    scored = any(each.score is not None for each in shown)  # without a supernet, none has an accuracy
    columns = ("candidate", "place in the search", *(["accuracy by the supernet"] if scored else []), "mean rank")
    rows = [
        [
            "chosen" if number == 0 else str(number + 1),
            str(each.place),
            *(["none" if each.score is None else f"{each.score:.2f} %"] if scored else []),
            f"{each.rank:.1f}",
            *(sentences.cost_text(cost, each.costs[cost]) for cost in costs),
            each.architecture,  # last, as it is long
        ]
        for number, each in enumerate(shown)
    ]
    caption = f"{search.name}: the best {len(rows)} of {len(search.compared)} candidates, before any was measured"
    return Table(caption, (*columns, *(f"predicted {cost_word(cost)}" for cost in costs), "architecture"), rows)


def network_row(network: TrainedNetwork, *, int8: bool) -> list[str]:
    """A network's row of `networks_table`; with `int8`, its accuracy in float32 too."""
    predicted, measured, before = network.latency.predicted, network.latency, network.float32_accuracy_percent
    return [
        network.name,
        f"{network.accuracy_percent:.2f} %",
        *(["not known" if before is None else f"{before:.2f} %"] if int8 else []),
        "none" if predicted is None else f"{sentences.number_text(predicted)} ms",
        f"{sentences.number_text(measured.value)} ms",
        sentences.interval_text(measured),
        "none" if predicted is None else f"{100 * (predicted / measured.value - 1):+.1f} %",
        sentences.count_text(network.macs),
        sentences.count_text(network.parameters),
    ]


def predictor_content(report: Report) -> dict[str, Any] | None:
    """Sentences, figure and scores of the predictor, or None without a predictor."""
    if report.predictor is None:
        return None
    predictor, again = report.predictor, report.predictor.repeatability
    columns = ("", "Kendall", "Spearman", "mean error", "RMSE", "within 5 %", "within 10 %")
    named = {f"{predictor.predictor} (used)": predictor.scores, **predictor.baselines}
    rows = [
        [
            name,
            f"{scores.kendall:.3f}",
            f"{scores.spearman:.3f}",
            f"{scores.mape_percent:.1f} %",
            f"{sentences.number_text(scores.rmse)} ms",
            f"{scores.within_5_percent:.0f} %",
            f"{scores.within_10_percent:.0f} %",
        ]
        for name, scores in named.items()
    ]
    ranks = ["" if value is None else f"{value:.3f}" for value in (again.kendall, again.spearman)]
    difference = again.median_difference_percent
    repeated = [*ranks, "" if difference is None else f"{difference:.1f} % (median)"]
    rows.append(["measuring again", *repeated, "", "", ""])
    return {
        "words": sentences.predictor_words(predictor),
        "figures": [f for f in (predicted_against_measured(predictor), learning_figure(predictor)) if f is not None],
        "table": Table("Scores against measured latencies, on architectures not seen", columns, rows),
    }


def timing_rows(timings: dict[str, float]) -> list[tuple[str, str, float]]:
    """Step, duration in words, and share of the longest step in percent."""
    longest = max(timings.values(), default=0.0) or 1.0
    return [(step, duration_text(seconds), 100 * seconds / longest) for step, seconds in timings.items()]
