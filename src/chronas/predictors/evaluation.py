"""Evaluation of predictors: scores, learning curves, and cross-validated reports with two baselines and repeatability.

Isomorphic architectures and those with the same graph are in the same fold, so that no network is predicted from its
duplicate. Degenerate networks are listed and left out of the scores: a disconnected cell that runs in a thousandth of
the median would spoil all relative errors. Only measurements decide which networks are degenerate, so that a predictor
cannot choose its own test set. A learning curve shows whether more measurements are worth their time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from pydantic import BaseModel
from scipy import stats
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from chronas.errors import DataError, UsageError
from chronas.files import PREDICTOR_REPORT, upgraded
from chronas.predictors.complete import CompleteTable
from chronas.predictors.predictor import NORMAL_90, Prediction, Predictor, make_predictor
from chronas.spaces import Architecture
from chronas.tables import CostTable, Repeatability

if TYPE_CHECKING:
    from numpy.typing import NDArray


TIE = 1e-6  # predictions closer than this share of the median are tied, so that rounding errors are not ranked


@dataclass(frozen=True)
class Scores:
    """Scores of predicted against measured costs.

    Attributes:
        mape_percent: mean absolute error relative to the measured cost.
        rmse: root mean squared error, in the unit of the cost.
        within_5_percent: share of networks, in percent, whose error is at most 5 % of the measured cost.
        within_10_percent: the same for 10 %.
        kendall: tau-b; 0 if all predictions are tied.
        spearman: rho; 0 if all predictions are tied.
    """

    mape_percent: float
    rmse: float
    within_5_percent: float
    within_10_percent: float
    kendall: float
    spearman: float

    @classmethod
    def of(cls, measured: NDArray[np.float64], predicted: NDArray[np.float64]) -> Self:
        """Scores of predictions [N] against measurements [N]."""
        error = predicted - measured
        relative = np.abs(error) / measured
        ranked = np.round(predicted / (TIE * np.median(measured)))
        tied = ranked.min() == ranked.max()
        return cls(
            mape_percent=float(100 * relative.mean()),
            rmse=float(np.sqrt(np.mean(error**2))),
            within_5_percent=float(100 * np.mean(relative <= 0.05)),
            within_10_percent=float(100 * np.mean(relative <= 0.10)),
            kendall=0.0 if tied else float(stats.kendalltau(measured, ranked).statistic),
            spearman=0.0 if tied else float(stats.spearmanr(measured, ranked).statistic),
        )


HALVINGS = 4
Predict = Callable[["NDArray[np.int64]", "NDArray[np.int64]"], "NDArray[np.float64]"]


@dataclass(frozen=True)
class CurvePoint:
    """The score of a predictor that was fitted on fewer networks.

    Attributes:
        networks: number of networks of the fit.
        mape_percent: mean absolute error on unseen networks, relative to the measured cost.
        kendall: tau-b on unseen networks.
    """

    networks: int
    mape_percent: float
    kendall: float


def learning_curve(
    rows: NDArray[np.int64], judged: NDArray[np.int64], costs: NDArray[np.float64], predict: Predict, minimum: int
) -> tuple[CurvePoint, ...]:
    """Scores of fits on a half, a quarter and so on of the networks, from few to many.

    Args:
        rows: networks to fit on, in the order of use.
        judged: networks to score on.
        costs: costs of all networks.
        predict: function (rows of a fit, other rows) -> predicted costs of the other rows.
        minimum: smallest number of networks for a fit.
    """
    sizes = [len(rows) // 2**halvings for halvings in range(HALVINGS, 0, -1)]
    points = []
    for size in sizes:
        if size < minimum or np.ptp(costs[rows[:size]]) == 0:
            continue
        scores = Scores.of(costs[judged], predict(rows[:size], judged))
        points.append(CurvePoint(size, scores.mape_percent, scores.kendall))
    return tuple(points)


BASELINES = ("macs", "lookup")
MANY = 5000  # networks above which one fold is scored, not each: its score is certain, and a fit takes long
DEGENERATE_SHARE = 0.1  # of the table's median; on a Raspberry Pi 4, cheaper NAS-Bench-201 cells were folded away
FEWEST_JUDGED = 5  # smallest number of networks for scoring a learning curve
LATER = ("cost", "samples", "curve")  # fields that reports of chronas 0.1.0 lack


@dataclass(frozen=True, repr=False)
class PredictorReport:
    """The quality of a predictor on N networks, in the order of the table.

    Attributes:
        predictor: its name.
        architectures: text forms [N].
        measured: measured costs [N].
        predicted: predicted costs [N], each by a predictor that has not seen the network.
        predicted_std: standard deviations of the predictions [N].
        scores: scores of the predictions, without degenerate networks.
        baselines: scores of other predictors on the same folds.
        repeatability: agreement of the measurements with themselves; no predictor can rank better.
        coverage_90_percent: percent of networks whose measured cost is in the prediction's 90 % interval.
        degenerate: text forms of networks that cost less than a tenth of the median.
        folds: number of folds; 0 if the networks are those that remained after taking samples.
        cost: name of the predicted cost; it ends in the unit of all costs here.
        samples: number of other networks of the table in the fit; None with folds.
        curve: scores of fits on fewer networks, on a part of the networks here.
    """

    predictor: str
    architectures: tuple[str, ...]
    measured: tuple[float, ...]
    predicted: tuple[float, ...]
    predicted_std: tuple[float, ...]
    scores: Scores
    baselines: dict[str, Scores]
    repeatability: Repeatability
    coverage_90_percent: float
    degenerate: tuple[str, ...]
    folds: int
    cost: str = "latency_ms"
    samples: int | None = None
    curve: tuple[CurvePoint, ...] = ()

    def __repr__(self) -> str:
        found = self.scores
        return (
            f"PredictorReport({self.predictor}, {self.cost} of {len(self.measured)} networks: "
            f"{found.mape_percent:.1f} % error, Kendall {found.kendall:.3f}, "
            f"{self.coverage_90_percent:.0f} % within the 90 % interval)"
        )

    def to_json(self) -> dict[str, Any]:
        """The report as a JSON object; `from_json` reads it."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """The report from the object of `to_json`.

        Raises:
            DataError: fields are missing, unknown or of another form.
        """
        content = upgraded(content, PREDICTOR_REPORT)
        if {*content, *LATER} != {field.name for field in fields(cls)}:
            raise DataError("this is no predictor report of this version: fit the predictor again")
        try:
            values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in content.items()}
            values["curve"] = tuple(CurvePoint(**point) for point in content.get("curve", ()))
            values["scores"] = Scores(**content["scores"])
            values["baselines"] = {name: Scores(**scores) for name, scores in content["baselines"].items()}
            values["repeatability"] = Repeatability(**content["repeatability"])
            return cls(**values)
        except (TypeError, AttributeError) as error:
            raise DataError(f"this predictor report is damaged ({error}): fit the predictor again") from error


def fit_and_report(
    predictor: str | type[Predictor] | Predictor,
    table: CostTable,
    *,
    config: BaseModel | None = None,
    folds: int = 5,
    seed: int = 0,
) -> tuple[Predictor, PredictorReport]:
    """Fit a predictor on a whole table, and report its quality on unseen networks.

    Args:
        predictor: a name in `PREDICTORS`, a class, or a predictor, whose config is used.
        table: a table of one space, size and device.
        config: an instance of the predictor's own `Config` class; None means its defaults.
        folds: number of parts of the k-fold cross-validation; with over `MANY` networks one part is scored alone.
        seed: seed of the folds and the fits.

    Returns:
        The predictor fitted on all networks, and the report from the folds.

    Raises:
        UsageError: there is no such predictor, the config belongs to another one, or there are fewer than two folds.
        DataError: there are too few networks for these folds, or nothing can be learned from the costs.
    """
    if folds < 2:
        raise UsageError(f"cross-validation needs at least 2 folds, got {folds}")
    space, size = table.space, table.provenance.size
    learner = make_predictor(predictor, space, size, config)
    architectures, measured = table.architectures(), table.costs()
    _require_enough(learner, len(architectures), folds)
    codes = space.encode(architectures)
    learner.fit(codes, measured, seed=seed, cost=table.provenance.cost)
    texts = [str(architecture) for architecture in architectures]
    if isinstance(learner, CompleteTable):
        return learner, report_on(table, texts, measured, learner, learner.predict(codes), {})
    fold = assign_folds(architectures, folds, seed)
    scored = np.arange(len(fold)) if len(fold) <= MANY else np.flatnonzero(fold == 0)
    held_out = _out_of_fold(learner, codes, measured, fold, scored, seed)
    others = {}
    for baseline in BASELINES:
        other = make_predictor(baseline, space, size)
        if len(architectures) >= needed_for_folds(other.minimum, folds):
            others[baseline] = _out_of_fold(other, codes, measured, fold, scored, seed).mean
    report = report_on(
        table,
        [texts[row] for row in scored],
        measured[scored],
        learner,
        held_out,
        others,
        folds=folds if len(scored) == len(fold) else 0,
        samples=None if len(scored) == len(fold) else len(fold) - len(scored),
    )
    judged = np.flatnonzero((fold == 0) & ~_degenerate(table, measured))
    rows = np.random.default_rng(seed).permutation(np.flatnonzero(fold != 0))
    return learner, replace(report, curve=curve_of(learner, codes, measured, rows, judged, seed))


def curve_of(
    predictor: Predictor,
    codes: NDArray[np.float32],
    costs: NDArray[np.float64],
    rows: NDArray[np.int64],
    judged: NDArray[np.int64],
    seed: int,
) -> tuple[CurvePoint, ...]:
    """The learning curve of a predictor with these settings; empty if there are too few networks for scoring."""

    def predict(some: NDArray[np.int64], others: NDArray[np.int64]) -> NDArray[np.float64]:
        learner = predictor.clone()
        learner.fit(codes[some], costs[some], seed=seed)
        return learner.predict(codes[others]).mean

    if len(judged) < FEWEST_JUDGED or np.ptp(costs[judged]) == 0:
        return ()
    return learning_curve(rows, judged, costs, predict, predictor.minimum)


def report_on(
    table: CostTable,
    texts: Sequence[str],
    measured: NDArray[np.float64],
    predictor: Predictor,
    prediction: Prediction,
    others: Mapping[str, NDArray[np.float64]],
    *,
    folds: int = 0,
    samples: int | None = None,
) -> PredictorReport:
    """The report on unseen networks of a table [N].

    Args:
        table: table of the networks.
        texts: text forms [N].
        measured: their costs [N].
        predictor: the predictor of the predictions.
        prediction: predictions for these networks [N].
        others: baseline -> its predictions [N].
        folds: number of folds; 0 without cross-validation.
        samples: number of networks of the fit without cross-validation.
    """
    degenerate = _degenerate(table, measured)
    kept = ~degenerate
    inside = np.abs(measured - prediction.mean) <= NORMAL_90 * prediction.std
    return PredictorReport(
        predictor=predictor.name,
        architectures=tuple(texts),
        measured=tuple(measured.tolist()),
        predicted=tuple(prediction.mean.tolist()),
        predicted_std=tuple(prediction.std.tolist()),
        scores=Scores.of(measured[kept], prediction.mean[kept]),
        baselines={key: Scores.of(measured[kept], mean[kept]) for key, mean in others.items()},
        repeatability=table.repeatability(),
        coverage_90_percent=float(100 * inside[kept].mean()),
        degenerate=tuple(text for text, flag in zip(texts, degenerate, strict=True) if flag),
        folds=folds,
        cost=table.provenance.cost,
        samples=samples,
    )


def _degenerate(table: CostTable, measured: NDArray[np.float64]) -> NDArray[np.bool_]:
    return measured < DEGENERATE_SHARE * np.median(table.costs())


def assign_folds(architectures: Sequence[Architecture], folds: int, seed: int) -> NDArray[np.int64]:
    """The fold of each architecture: random, duplicates in the same fold, sizes as even as possible."""
    rows_of_class: dict[int, list[int]] = {}
    for row, label in enumerate(duplicate_groups(architectures)):
        rows_of_class.setdefault(int(label), []).append(row)
    fold = np.empty(len(architectures), dtype=np.int64)
    sizes = np.zeros(folds, dtype=np.int64)
    for number in np.random.default_rng(seed).permutation(len(rows_of_class)):
        fold[rows_of_class[number]] = smallest = int(sizes.argmin())
        sizes[smallest] += len(rows_of_class[number])
    return fold


def duplicate_groups(architectures: Sequence[Architecture]) -> NDArray[np.int64]:
    """A group number for each architecture [N], from 0; isomorphic ones and those with the same graph share a group."""
    numbers: dict[tuple[str, Architecture], int] = {}
    isomorphic = [numbers.setdefault(("isomorphic", a.canonical()), len(numbers)) for a in architectures]
    graphs = [numbers.setdefault(("graph", a.pruned()), len(numbers)) for a in architectures]
    links = coo_array((np.ones(len(graphs)), (isomorphic, graphs)), shape=(len(numbers), len(numbers)))
    _, labels = connected_components(links, directed=False)
    _, dense = np.unique(labels[isomorphic], return_inverse=True)
    return dense.astype(np.int64)


def _require_enough(predictor: Predictor, count: int, folds: int) -> None:
    needed = needed_for_folds(predictor.minimum, folds)
    if count < needed:
        raise DataError(
            f"{predictor.name} with {folds} folds needs {needed} networks, got {count}: measure {needed - count} more"
        )


def needed_for_folds(minimum: int, folds: int) -> int:
    """The number of networks with which each fold's fit has `minimum` networks, for any assignment of folds."""
    return math.ceil(minimum * folds / (folds - 1)) + folds


def _out_of_fold(
    predictor: Predictor,
    codes: NDArray[np.float32],
    measured: NDArray[np.float64],
    fold: NDArray[np.int64],
    scored: NDArray[np.int64],
    seed: int,
) -> Prediction:
    """Predictions for the scored rows, which are whole folds, each by a fit on the other folds."""
    mean, std = np.empty(len(codes)), np.empty(len(codes))
    for number in np.unique(fold[scored]):
        out = fold == number
        learner = predictor.clone()
        learner.fit(codes[~out], measured[~out], seed=seed)
        prediction = learner.predict(codes[out])
        mean[out], std[out] = prediction.mean, prediction.std
    return Prediction(mean[scored], std[scored])
