"""HTML of tables, predictors, architectures, searches and runs for notebooks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from chronas.reports.draw import draw
from chronas.reports.sentences import cost_text, predictor_words

if TYPE_CHECKING:
    from chronas.predictors import Predictor
    from chronas.records import Estimate, Trial
    from chronas.spaces import Architecture
    from chronas.tables import CostTable

SHOWN = 8  # rows of a table


def architecture_html(architecture: Architecture) -> str:
    """The drawings side by side, and the text."""
    figures = "".join(
        f"<figure style='display:inline-block;margin:0 1em'>{svg}<figcaption>{escape(title)}</figcaption></figure>"
        for title, svg in draw(architecture).items()
    )
    return f"<div>{figures}<p><code>{escape(str(architecture))}</code></p></div>"


def estimate_html(estimate: Estimate) -> str:
    """The value with its interval and source."""
    return f"<b>{estimate.value:.4g} {escape(estimate.unit)}</b> ({estimate.low:.4g} to {estimate.high:.4g}, " + (
        f"95 % interval, {estimate.source})"
    )


def trial_html(trial: Trial) -> str:
    """Score and predicted costs, and the drawn architecture."""
    score = "" if trial.score != trial.score else f"<b>score {trial.score:.2f}</b> "
    costs = ", ".join(cost_text(name, value) for name, value in trial.costs.items())
    return f"<div><p>{score}{escape(costs)}</p>{architecture_html(trial.architecture)}</div>"


def table_html(table: CostTable) -> str:
    """Facts about the table, and its cheapest networks."""
    cost = table.provenance.cost
    rows = table.frame.sort(cost).head(SHOWN).select("architecture", cost).rows()
    return _pairs(table.describe()) + _rows(("architecture", cost), rows)


def predictor_html(predictor: Predictor) -> str:
    """The predicted cost, and the quality of predictions."""
    words = [] if predictor.report is None else predictor_words(predictor.report)
    return f"<p><b>{escape(repr(predictor))}</b></p>" + "".join(f"<p>{escape(text)}</p>" for text in words)


def found_html(found: Any) -> str:
    """The best architecture, drawn, with the next ones as a table."""
    best = found.best
    others = [each for _, each in zip(range(SHOWN), found.candidates(), strict=False)]
    names = list(best.costs)
    rows = [
        (
            "" if each.score != each.score else f"{each.score:.2f}",
            *(each.costs[name] for name in names),
            each.architecture,
        )
        for each in others
    ]
    title = f"Found by {found.searcher.name} in {found.task.space.name}"
    return f"<p><b>{escape(title)}</b></p>{trial_html(best)}{_rows(('score', *names, 'architecture'), rows)}"


def trained_html(trained: Any) -> str:
    """Test accuracy, and the drawn architecture if there is one."""
    drawn = "" if trained.architecture is None else architecture_html(trained.architecture)
    return f"<p><b>{escape(repr(trained))}</b></p>{drawn}"


def run_html(finished: Any) -> str:
    """The verdict, every trained network, and the path of the report."""
    costs = list(finished.networks[0].costs) if finished.networks else []
    rows = [
        (each.name, f"{each.accuracy_percent:.2f} %", *(str(each.costs[cost]) for cost in costs))
        for each in finished.networks
    ]
    report = escape(str(finished.folder / "report.html"))
    return f"<p><b>{escape(finished.verdict)}</b></p>{_rows(('network', 'accuracy', *costs), rows)}<p>{report}</p>"


def comparison_html(comparison: Any) -> str:
    """A row for each network on each device."""
    columns, rows = comparison.columns()
    return _rows(columns, [["-" if cell is None else cell for cell in row] for row in rows])


def _pairs(pairs: Iterable[tuple[str, str]]) -> str:
    rows = "".join(f"<tr><th>{escape(name)}</th><td>{escape(text)}</td></tr>" for name, text in pairs)
    return f"<table>{rows}</table>"


def _rows(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    body = "".join(f"<tr>{''.join(f'<td>{escape(_text(cell))}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"


def _text(cell: object) -> str:
    return f"{cell:.4g}" if isinstance(cell, float) else str(cell)
