"""Cost predictors learned from a table, with uncertainties and reports on unseen networks.

predictor, report = fit_and_report("lpm", CostTable.load(Path("run/costs.parquet")))
print(report.scores.kendall, report.baselines["lookup"].kendall)
prediction = predictor.predict(space.encode(architectures))
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chronas.registry import Registry, lazily

if TYPE_CHECKING:
    from chronas.predictors.adaptive import AdaptiveMeasurement, Step, measure_until
    from chronas.predictors.complete import CompleteTable
    from chronas.predictors.evaluation import CurvePoint, PredictorReport, Scores, fit_and_report, needed_for_folds
    from chronas.predictors.few_samples import Choose, fit_on_samples, relative_width
    from chronas.predictors.linear import Lookup, Macs
    from chronas.predictors.predictor import Prediction, Predictor, load_predictor, make_predictor, predictor_class
    from chronas.predictors.transfer import Transfer, TransferConfig

__all__ = [
    "PREDICTORS",
    "Choose",
    "CompleteTable",
    "CurvePoint",
    "AdaptiveMeasurement",
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
    "needed_for_folds",
    "predictor_class",
    "relative_width",
]

__getattr__ = lazily(
    __name__,
    {
        "adaptive": "AdaptiveMeasurement Step measure_until",
        "complete": "CompleteTable",
        "evaluation": "CurvePoint PredictorReport Scores fit_and_report needed_for_folds",
        "few_samples": "Choose fit_on_samples relative_width",
        "linear": "Lookup Macs",
        "predictor": "Prediction Predictor load_predictor make_predictor predictor_class",
        "transfer": "Transfer TransferConfig",
    },
)

PREDICTORS = Registry(
    "predictor",
    {
        "macs": "chronas.predictors.linear:Macs",
        "lookup": "chronas.predictors.linear:Lookup",
        "pairs": "chronas.predictors.gaussian_process:PairTable",
        "lpm": "chronas.predictors.lpm:LatencyPredictionModule",
        "graph": "chronas.predictors.gnn:GraphNetwork",
        "boosted": "chronas.predictors.boosted:BoostedTrees",
        "gp": "chronas.predictors.gaussian_process:GaussianProcess",
        "ensemble": "chronas.predictors.stacking:Stacked",
        "transfer": "chronas.predictors.transfer:Transfer",
    },
)
