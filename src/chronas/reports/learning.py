"""The learning curve of a run's predictor."""

from __future__ import annotations

from chronas.predictors import PredictorReport
from chronas.reports.figure import Figure, axis, layout


def learning_figure(report: PredictorReport) -> Figure | None:
    """The error over how many networks it was fitted on, the last point with all; None where there is no curve."""
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
        "Mean absolute error on architectures not seen, by a fit on fewer of the networks. Where it is still falling, "
        "measuring more helps.",
        [trace],
        layout(axis("networks") | {"type": "log"}, axis("mean error (%)")) | {"showlegend": False},
    )
