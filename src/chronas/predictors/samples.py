"""Which networks to measure on a new device, if only a few are: at random, spread out, or one after the other.

`spread` needs no cost at all, so that all samples can be measured at once: each is the one that takes most from the
variance over all candidates under the prior of `transfer.py` (the active learning of Cohn, Ghahramani and Jordan,
https://arxiv.org/abs/cs/9603104, for a linear model). `sequential` fits the predictor after each sample and takes the
network whose cost it is least sure of next.

Letters: N candidates, W slots of the encoding, D columns of a design.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor

from chronas import predictors
from chronas.predictors.predictor import Predictor
from chronas.predictors.sources import basis
from chronas.predictors.transfer import Transfer, with_level

if TYPE_CHECKING:
    from numpy.typing import NDArray

Choose = Literal["random", "spread", "sequential"]
CANDIDATES = 1000  # as many random rows of a large table are enough to choose ten among
BEGINNING = 0.3  # share of a sequence that is spread, before a fit knows what it is not sure of


def choose_samples(
    how: Choose, predictor: Predictor, codes: NDArray[np.float32], costs: NDArray[np.float64], count: int, seed: int
) -> NDArray[np.int64]:
    """The rows to fit on, in the order in which they are to be measured.

    Args:
        how: `random`, `spread` or `sequential`.
        predictor: of the space; one that has sources lets these tell what differs.
        codes: encodings [N, W].
        costs: of these [N]; `sequential` looks at those of the rows that it took before, the others at none.
        count: how many, at most N.
        seed: of the candidates and the fits.
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
        learner = predictors.make_predictor(predictor.name, predictor.space, predictor.skeleton, predictor.config)
        learner.fit(codes[chosen], costs[chosen], seed=len(chosen))
        left = np.setdiff1d(drawn[: max(CANDIDATES, count)], chosen)
        chosen.append(int(left[relative_width(learner, codes[left]).argmax()]))
    return np.array(chosen)


WAYS = {"random": _first, "spread": _spread, "sequential": _one_by_one}


def relative_width(predictor: Predictor, codes: NDArray[np.float32]) -> NDArray[np.float64]:
    """How unsure a fitted predictor is of networks [N], over what it thinks that they cost."""
    prediction = predictor.predict(codes)
    return prediction.std_ms / np.maximum(np.abs(prediction.mean_ms), np.finfo(np.float64).tiny)


def spread_out(design: Tensor, weights: Tensor, noise: Tensor, count: int) -> list[int]:
    """Rows that leave the least variance over all rows, found one by one.

    Args:
        design: of the candidates [N, D].
        weights: prior variances [D].
        noise: variance of a measurement [].
        count: how many rows, at most N.
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
    """Design [N, D], variances [D] and noise [] of the prior, each the geometric mean of what is tried."""
    space, skeleton = predictor.space, predictor.skeleton
    knowing = predictor if isinstance(predictor, Transfer) else Transfer(space, skeleton)
    prior = knowing.prior(torch.ones((), dtype=torch.float64))
    design = with_level(prior.features(basis(space, skeleton, torch.from_numpy(codes).double())))
    return design, prior.weights.mean(dim=0), prior.noises.log().mean().exp()
