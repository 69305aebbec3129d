"""What it costs without measuring: predictors learned from a table, with an uncertainty and an honest report.

predictor, report = fit_and_report("lpm", CostTable.load(Path("run/costs.parquet")))
print(report.scores.kendall, report.baselines["lookup"].kendall)
prediction = predictor.predict(space.encode(architectures))
"""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel

from chronas.errors import DataError
from chronas.names import named
from chronas.networks import load_state
from chronas.predictors.adaptive import Enough, Step, measure_until
from chronas.predictors.evaluation import CurvePoint, PredictorReport, Scores, fit_and_report
from chronas.predictors.few_samples import Choose, fit_on_samples, relative_width
from chronas.predictors.linear import Lookup, Macs
from chronas.predictors.predictor import Prediction, Predictor
from chronas.predictors.transfer import Transfer, TransferConfig
from chronas.spaces import NetworkSize, Space

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

PREDICTORS = {
    "macs": "chronas.predictors.linear:Macs",
    "lookup": "chronas.predictors.linear:Lookup",
    "pairs": "chronas.predictors.gaussian_process:PairTable",
    "lpm": "chronas.predictors.lpm:LatencyPredictionModule",
    "graph": "chronas.predictors.gnn:GraphNetwork",
    "boosted": "chronas.predictors.boosted:BoostedTrees",
    "gp": "chronas.predictors.gaussian_process:GaussianProcess",
    "ensemble": "chronas.predictors.stacking:Stacked",
    "transfer": "chronas.predictors.transfer:Transfer",
}


def predictor_class(name: str) -> type[Predictor]:
    """The class of a name in `PREDICTORS`.

    Raises:
        UsageError: there is no such predictor.
    """
    found: type[Predictor] = named("predictor", name, PREDICTORS)
    return found


def make_predictor(name: str, space: Space, size: NetworkSize, config: BaseModel | None = None) -> Predictor:
    """An unfitted predictor of the costs of `space` in `size`.

    Args:
        name: a key of `PREDICTORS`.
        space: whose encodings it reads.
        size: that all networks share.
        config: of the predictor's own `Config` class; None means its defaults.

    Raises:
        UsageError: there is no such predictor, or the config is another's.
    """
    return predictor_class(name)(space, size, config)


def load_predictor(path: Path) -> Predictor:
    """The predictor that `Predictor.save` wrote; its predictions are bit-identical.

    Raises:
        DataError: the file is missing, damaged or holds something else than a fitted predictor.
    """
    tensors, content = load_state(path)
    if content.get("predictor") not in PREDICTORS:
        raise DataError(f"{path} should hold one of the predictors {', '.join(PREDICTORS)}: fit and save one again")
    return predictor_class(content["predictor"]).restored(path, tensors, content)
