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
from chronas.predictors.curve import CurvePoint
from chronas.predictors.enough import Enough, Step, measure_until
from chronas.predictors.evaluation import PredictorReport, fit_and_report
from chronas.predictors.held_out import fit_on_samples
from chronas.predictors.lookup import Lookup
from chronas.predictors.macs import Macs
from chronas.predictors.predictor import Prediction, Predictor
from chronas.predictors.samples import Choose, relative_width
from chronas.predictors.scores import Scores
from chronas.predictors.transfer import Transfer, TransferConfig
from chronas.spaces import Skeleton, Space

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
    "macs": "chronas.predictors.macs:Macs",
    "lookup": "chronas.predictors.lookup:Lookup",
    "pairs": "chronas.predictors.pairs:PairTable",
    "lpm": "chronas.predictors.mlp:LatencyPredictionModule",
    "graph": "chronas.predictors.graph:GraphNetwork",
    "boosted": "chronas.predictors.boosted:BoostedTrees",
    "gp": "chronas.predictors.gaussian:GaussianProcess",
    "ensemble": "chronas.predictors.stacked:Stacked",
    "transfer": "chronas.predictors.transfer:Transfer",
}


def predictor_class(name: str) -> type[Predictor]:
    """The class of a name in `PREDICTORS`.

    Raises:
        UsageError: there is no such predictor.
    """
    found: type[Predictor] = named("predictor", name, PREDICTORS)
    return found


def make_predictor(name: str, space: Space, skeleton: Skeleton, config: BaseModel | None = None) -> Predictor:
    """An unfitted predictor of the costs of `space` in `skeleton`.

    Args:
        name: a key of `PREDICTORS`.
        space: whose encodings it reads.
        skeleton: that all networks share.
        config: of the predictor's own `Config` class; None means its defaults.

    Raises:
        UsageError: there is no such predictor, or the config is another's.
    """
    return predictor_class(name)(space, skeleton, config)


def load_predictor(path: Path) -> Predictor:
    """The predictor that `Predictor.save` wrote; its predictions are bit-identical.

    Raises:
        DataError: the file is missing, damaged or holds something else than a fitted predictor.
    """
    tensors, content = load_state(path)
    if content.get("predictor") not in PREDICTORS:
        raise DataError(f"{path} should hold one of the predictors {', '.join(PREDICTORS)}: fit and save one again")
    return predictor_class(content["predictor"]).restored(path, tensors, content)
