"""Predictors whose cost is linear in the encoding, and the ridge regression behind them.

The strength of the ridge is the one with the smallest leave-one-out error, which linear models have in closed form
(Golub, Heath and Wahba 1979, doi 10.2307/1268518; we use leave-one-out itself, not its rotation-invariant form).
Standard deviations are those of Bayesian linear regression with the same strength, scaled so that 90 % intervals hold
on the leave-one-out residuals.

Letters: N networks, P columns of a design, W slots of the encoding, B batch.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy import linalg
from torch import Tensor

from chronas.predictors.predictor import NORMAL_90, Predictor, State

if TYPE_CHECKING:
    from numpy.typing import NDArray

STRENGTHS = np.logspace(-8, 4, 49)  # of the ridge, over the mean of the design's nonzero squared singular values
FULL_RANK = 1e-12  # squared singular values below this share of the largest are zero: one-hot columns are collinear
RESOLUTION = 1e-6  # relative; no cost is known better than this, however exact the fit


@dataclass(frozen=True)
class Ridge:
    """A fitted ridge regression: target = base + design @ slopes.

    Attributes:
        base: intercept.
        slopes: [P].
        covariance: of the slopes, over the squared noise [P, P].
        residuals: leave-one-out errors [N].
        leverages: how much each target pulls its own prediction [N], in 0..1.
        strength: of the ridge.
    """

    base: float
    slopes: NDArray[np.float64]
    covariance: NDArray[np.float64]
    residuals: NDArray[np.float64]
    leverages: NDArray[np.float64]
    strength: float

    @property
    def error(self) -> float:
        """Mean squared leave-one-out error."""
        return float(np.mean(self.residuals**2))


def fit_ridge(design: NDArray[np.float64], targets: NDArray[np.float64]) -> Ridge:
    """Ridge regression of targets [N] on a design [N, P]; the strength in `STRENGTHS` is chosen by leave-one-out.

    It goes by the eigenvectors of the Gram matrix: numpy 2.4.6 (OpenBLAS 0.3.31, gesdd on AVX-512) was seen
    not to find the singular values of finite encodings, and is slower.
    """
    centre, base = design.mean(axis=0), targets.mean()
    powers, right = linalg.eigh((design - centre).T @ (design - centre))
    kept = powers > FULL_RANK * powers[-1]
    powers, right = powers[kept], right[:, kept]
    scores = (design - centre) @ right
    projected = scores.T @ (targets - base)
    penalised = powers + STRENGTHS[:, None] * (powers.mean() if kept.any() else 1.0)
    leverages = (1 / penalised) @ (scores.T**2) + 1 / len(targets)
    residuals = (targets - base - (projected / penalised) @ scores.T) / np.maximum(1 - leverages, FULL_RANK)
    best = int(np.argmin(np.mean(residuals**2, axis=1)))
    slopes = right @ (projected / penalised[best])
    covariance = (right / penalised[best]) @ right.T
    strength = float(STRENGTHS[best])
    return Ridge(float(base - centre @ slopes), slopes, covariance, residuals[best], leverages[best], strength)


def noise_scale(residuals: NDArray[np.float64], spreads: NDArray[np.float64], floor: float) -> float:
    """The factor s for which mean +- 1.645 s x spread holds 90 % of the residuals [N]; at least `floor`."""
    return max(float(np.quantile(np.abs(residuals) / spreads, 0.9)) / NORMAL_90, floor)


class LinearPredictor(Predictor):
    """base + codes @ slopes, in ms; the slopes are a combination of the rows of a design in the encoding's slots."""

    @abstractmethod
    def _design(self) -> NDArray[np.float64]:
        """Design [P, W]: each column of the regression as a sum over slots."""

    def _fit(self, codes: NDArray[np.float64], costs_ms: NDArray[np.float64], seed: int) -> dict[str, Tensor]:  # noqa: ARG002 - nothing is random here
        design = self._design()
        design = design / max(np.abs(design).max(), np.finfo(np.float64).tiny)
        ridge = fit_ridge(codes @ design.T, costs_ms)
        floor = RESOLUTION * float(np.median(costs_ms))
        scale = noise_scale(ridge.residuals, 1 / np.sqrt(np.maximum(1 - ridge.leverages, FULL_RANK)), floor)
        arrays = {
            "base_ms": np.float64(ridge.base),
            "slopes_ms": ridge.slopes @ design,
            "centre": codes.mean(axis=0),
            "variance_ms2": np.float64(scale**2 * (1 + 1 / len(codes))),
            "covariance_ms2": scale**2 * design.T @ ridge.covariance @ design,
        }
        return {name: torch.as_tensor(array, dtype=torch.float64) for name, array in arrays.items()}

    def _mean_ms(self, codes: Tensor, state: State) -> Tensor:
        return state["base_ms"] + codes @ state["slopes_ms"]

    def _std_ms(self, codes: Tensor, state: State) -> Tensor:
        offset = codes - state["centre"]
        from_slopes = ((offset @ state["covariance_ms2"]) * offset).sum(dim=1).clamp_min(0)
        return (state["variance_ms2"] + from_slopes).sqrt()

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        width = self.space.width
        return {
            "base_ms": (),
            "slopes_ms": (width,),
            "centre": (width,),
            "variance_ms2": (),
            "covariance_ms2": (width, width),
        }
