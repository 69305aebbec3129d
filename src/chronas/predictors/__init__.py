"""What it costs without measuring: predictors learned from a table, with an uncertainty and an honest report.

predictor, report = fit_and_report("lpm", CostTable.load(Path("run/costs.parquet")))
print(report.scores.kendall, report.baselines["lookup"].kendall)
prediction = predictor.predict(space.encode(architectures))
"""

from __future__ import annotations

from chronas.predictors.adaptive import Enough, Step, measure_until
from chronas.predictors.evaluation import CurvePoint, PredictorReport, Scores, fit_and_report
from chronas.predictors.few_samples import Choose, fit_on_samples, relative_width
from chronas.predictors.linear import Lookup, Macs
from chronas.predictors.predictor import Prediction, Predictor
from chronas.predictors.registry import PREDICTORS, load_predictor, make_predictor, predictor_class
from chronas.predictors.transfer import Transfer, TransferConfig

__all__ = [
    "PREDICTORS",
    "Choose",
    "CurvePoint",
    "Enough",
    "Lookup",
    "Macs",
    "Prediction",
    "Predictor",
    "PredictorReport",
    "Scores",
    "Step",
    "Transfer",
    "TransferConfig",
    "fit_and_report",
    "fit_on_samples",
    "load_predictor",
    "make_predictor",
    "measure_until",
    "predictor_class",
    "relative_width",
]
