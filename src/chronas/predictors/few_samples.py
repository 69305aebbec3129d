"""Predictors for a new device from few measurements: choice of the networks to measure, and scores on all others.

`random` takes random networks. `spread` needs no costs, so all samples can be measured at once: each sample is the one
that most reduces the variance over all candidates under the prior of `transfer.py` (the active learning of Cohn,
Ghahramani and Jordan, https://arxiv.org/abs/cs/9603104, for a linear model). `sequential` fits the predictor after each
sample and next takes the network with the most uncertain cost.

Letters: `N` candidates, `W` slots of the encoding, `D` columns of a design.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from pydantic import BaseModel
from torch import Tensor

from chronas.errors import DataError
from chronas.predictors.evaluation import (
    BASELINES,
    DEGENERATE_SHARE,
    PredictorReport,
    curve_of,
    duplicate_groups,
    report_on,
)
from chronas.predictors.predictor import Predictor, make_predictor
from chronas.predictors.transfer import Transfer, basis, with_level
from chronas.tables import CostTable

if TYPE_CHECKING:
    from numpy.typing import NDArray


Choose = Literal["random", "spread", "sequential"]
CANDIDATES = 1000  # enough random rows of a large table to choose ten from
BEGINNING = 0.3  # share of a sequence that is spread, before the uncertainties of a fit are useful


def choose_samples(
    how: Choose, predictor: Predictor, codes: NDArray[np.float32], costs: NDArray[np.float64], count: int, seed: int
) -> NDArray[np.int64]:
    """The rows to fit on, in the order of measurement.

    Args:
        how: `random`, `spread` or `sequential`.
        predictor: a predictor of the space; its sources, if any, shape the prior.
        codes: encodings [N, W].
        costs: costs of these [N]; `sequential` uses the costs of rows that it has already taken, the others use none.
        count: number of rows, at most N.
        seed: seed of the candidates and the fits.
    """
    drawn = np.random.default_rng(seed).permutation(len(codes))
    return WAYS[how](predictor, codes, costs, drawn, count)


def _first(
    predictor: Predictor,  # noqa: ARG001 - all ways are called alike
    codes: NDArray[np.float32],  # noqa: ARG001
    costs: NDArray[np.float64],  # noqa: ARG001
    drawn: NDArray[np.int64],
    count: int,
) -> NDArray[np.int64]:
    return drawn[:count]


def _spread(
    predictor: Predictor,
    codes: NDArray[np.float32],
    costs: NDArray[np.float64],  # noqa: ARG001 - all ways are called alike
    drawn: NDArray[np.int64],
    count: int,
) -> NDArray[np.int64]:
    candidates = drawn[: max(CANDIDATES, count)]
    return candidates[spread_out(*_design(predictor, codes[candidates]), count)]


def _one_by_one(
    predictor: Predictor,
    codes: NDArray[np.float32],
    costs: NDArray[np.float64],
    drawn: NDArray[np.int64],
    count: int,
) -> NDArray[np.int64]:
    first = min(count, max(predictor.minimum, round(BEGINNING * count)))
    chosen = _spread(predictor, codes, costs, drawn, first).tolist()
    while len(chosen) < count:
        learner = predictor.clone()
        learner.fit(codes[chosen], costs[chosen], seed=len(chosen))
        left = np.setdiff1d(drawn[: max(CANDIDATES, count)], chosen)
        chosen.append(int(left[relative_width(learner, codes[left]).argmax()]))
    return np.array(chosen)


WAYS = {"random": _first, "spread": _spread, "sequential": _one_by_one}


def relative_width(predictor: Predictor, codes: NDArray[np.float32]) -> NDArray[np.float64]:
    """The relative uncertainty of a fitted predictor for networks [N]: standard deviation over predicted cost."""
    prediction = predictor.predict(codes)
    return prediction.std / np.maximum(np.abs(prediction.mean), np.finfo(np.float64).tiny)


def spread_out(design: Tensor, weights: Tensor, noise: Tensor, count: int) -> list[int]:
    """Rows that leave the least variance over all rows, found greedily.

    Args:
        design: features of the candidates [N, D].
        weights: prior variances [D].
        noise: variance of a measurement [].
        count: number of rows, at most N.
    """
    covariance, every = weights.diag(), design.T @ design
    taken = torch.zeros(len(design), dtype=torch.bool)
    rows: list[int] = []
    for _ in range(count):
        reach = design @ covariance
        spoken = noise + (reach * design).sum(dim=1)
        gain = ((reach @ every) * reach).sum(dim=1) / spoken
        row = int(gain.masked_fill(taken, -1.0).argmax())
        covariance = covariance - torch.outer(reach[row], reach[row]) / spoken[row]
        taken[row] = True
        rows.append(row)
    return rows


def _design(predictor: Predictor, codes: NDArray[np.float32]) -> tuple[Tensor, Tensor, Tensor]:
    """Design [N, D], variances [D] and noise [] of the prior; each variance is a mean over the prior's grid."""
    space, size = predictor.space, predictor.size
    knowing = predictor if isinstance(predictor, Transfer) else Transfer(space, size)
    prior = knowing.prior(torch.ones((), dtype=torch.float64))
    design = with_level(prior.features(basis(space, size, torch.from_numpy(codes).double())))
    return design, prior.weights.mean(dim=0), prior.noises.log().mean().exp()


FEWEST_LEFT = 5  # smallest number of networks for scoring


def fit_on_samples(
    predictor: str | type[Predictor] | Predictor,
    table: CostTable,
    *,
    samples: int,
    choose: Choose = "spread",
    config: BaseModel | None = None,
    seed: int = 0,
) -> tuple[Predictor, PredictorReport]:
    """Fit a predictor on some networks of a table, and report its quality on the others.

    Duplicates of the samples (isomorphic, or with the same graph) are left out of the scores.

    Args:
        predictor: a name in `PREDICTORS`, a class, or a predictor, whose config is used.
        table: a table of one space, size and device.
        samples: number of networks to fit on.
        choose: the way to choose them; see `choose_samples`.
        config: an instance of the predictor's own `Config` class; None means its defaults.
        seed: seed of the choice and the fits.

    Returns:
        The predictor fitted on the samples, and the report on the others.

    Raises:
        UsageError: there is no such predictor, or the config belongs to another one.
        DataError: there are fewer samples than the predictor needs, the table has too few other networks, or nothing
            can be learned from the costs.
    """
    learner = make_predictor(predictor, table.space, table.provenance.size, config)
    if samples < learner.minimum:
        raise DataError(f"{learner.name} needs at least {learner.minimum} samples, asked for {samples}: ask for more")
    if samples + FEWEST_LEFT > len(table):
        raise DataError(
            f"{samples} samples and {FEWEST_LEFT} networks for scoring need a table of {samples + FEWEST_LEFT}, "
            f"got {len(table)}: ask for fewer, or fit on all of them"
        )
    architectures, measured = table.architectures(), table.costs()
    codes = table.space.encode(architectures)
    rows = choose_samples(choose, learner, codes, measured, samples, seed)
    cost = table.provenance.cost
    learner.fit(codes[rows], measured[rows], seed=seed, cost=cost)
    alike = duplicate_groups(architectures)
    left = np.flatnonzero(~np.isin(alike, alike[rows]))
    if len(left) < FEWEST_LEFT:
        raise DataError(
            f"all but {len(left)} networks are duplicates of the samples: ask for fewer samples than {samples}"
        )
    others = {}
    for baseline in BASELINES:
        other = make_predictor(baseline, learner.space, learner.size)
        if samples >= other.minimum:
            other.fit(codes[rows], measured[rows], seed=seed, cost=cost)
            others[baseline] = other.predict(codes[left]).mean
    texts = [str(architectures[row]) for row in left]
    report = report_on(table, texts, measured[left], learner, learner.predict(codes[left]), others, samples=samples)
    judged = left[measured[left] >= DEGENERATE_SHARE * np.median(measured)]
    return learner, replace(report, curve=curve_of(learner, codes, measured, rows, judged, seed))
