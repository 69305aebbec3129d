"""A new device from few samples: what tables of other devices know, corrected by what was measured on this one.

The log-cost is a sum of features whose prior comes from the other devices (`prior.py`). The posterior is that of
Bayesian linear regression, averaged over a grid of prior and noise variances by their evidence: with ten samples no
single choice is sure, and a cross-validation of ten is a lottery. HELP (arXiv 2106.08630) and NASFLAT (arXiv
2403.02446) meta-learn a network for the same task; ours has no training beyond ridge regressions. The prediction is the
exponential of a polynomial of the encoding, so a search can descend on it.

Without sources it is a predictor of its own: a prior on work, counts and places alone.

Letters: N networks, B batch, W slots of the encoding, P columns of the basis, R features.
"""

from __future__ import annotations

from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from chronas.predictors.posterior import averaged
from chronas.predictors.predictor import Predictor, Shape, State
from chronas.predictors.prior import Prior, make_prior, prior_size
from chronas.predictors.sources import basis, source_slopes


class TransferConfig(BaseModel):
    """What is known already."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sources: tuple[Path, ...] = Field(default=(), description="tables of other devices on the same space and skeleton")
    cost: str = Field(default="", description="what to read of the sources; empty: each one's own cost")


class Transfer(Predictor):
    """exp(level + features @ weights), from the log-costs of a few networks and of other devices."""

    name = "transfer"
    Config = TransferConfig
    minimum = 3
    config: TransferConfig

    def prior(self, spread: Tensor) -> Prior:
        """What is thought before any sample; without sources the log-cost is thought to vary by `spread` [].

        Raises:
            DataError: a source is missing or damaged, lacks the cost or has too few rows.
            MismatchError: a source of another space or skeleton.
        """
        slopes = source_slopes(self.space, self.skeleton, self.config.sources, self.config.cost or None)
        return make_prior(self.space, self.skeleton, slopes, spread)

    def _fit(self, codes: Tensor, costs_ms: Tensor, seed: int) -> dict[str, Tensor]:  # noqa: ARG002 - nothing is random here
        logs = costs_ms.log()
        prior = self.prior(logs.std())
        targets = logs / prior.spread
        level = targets.mean()
        design = with_level(prior.features(basis(self.space, self.skeleton, codes)))
        posterior = averaged(design, targets - level - design @ prior.mean, prior.weights, prior.noises)
        mean = prior.mean + posterior.mean
        mean[0] += level
        return {
            "centre": prior.centre,
            "projection": prior.projection,
            "mean": prior.spread * mean,
            "covariance": prior.spread**2 * posterior.covariance,
            "noise": prior.spread**2 * posterior.noise,
        }

    def _mean_ms(self, codes: Tensor, state: State) -> Tensor:
        return self._design(codes, state).matmul(state["mean"]).exp()

    def _std_ms(self, codes: Tensor, state: State) -> Tensor:
        design = self._design(codes, state)
        unsure = ((design @ state["covariance"]) * design).sum(dim=1).clamp_min(0)
        return (unsure + state["noise"]).sqrt() * design.matmul(state["mean"]).exp()

    def _design(self, codes: Tensor, state: State) -> Tensor:
        """One and the features [B, 1 + R]."""
        return with_level((basis(self.space, self.skeleton, codes) - state["centre"]) @ state["projection"])

    def _shapes(self) -> dict[str, Shape]:
        width, count = prior_size(self.space, self.skeleton, len(self.config.sources))
        return {
            "centre": (width,),
            "projection": (width, count),
            "mean": (1 + count,),
            "covariance": (1 + count, 1 + count),
            "noise": (),
        }


def with_level(features: Tensor) -> Tensor:
    """One and the features [B, 1 + R]."""
    return torch.cat([torch.ones_like(features[:, :1]), features], dim=1)
