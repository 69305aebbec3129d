"""Predictors that tell what they predicted for each network of a fit without having seen it.

That is what intervals are calibrated on, and what `stacked.py` weighs several predictors by: nothing is fitted twice.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import NamedTuple

from torch import Tensor

from chronas.predictors.predictor import Predictor


class Learned(NamedTuple):
    """A fit.

    Attributes:
        state: as `Predictor._fit` returns it.
        unseen_ms: predictions for the N networks of the fit, each by a model that has not seen it [N].
    """

    state: dict[str, Tensor]
    unseen_ms: Tensor


class Learner(Predictor):
    """A predictor with predictions for unseen rows of its own fit."""

    @abstractmethod
    def learn(self, codes: Tensor, costs_ms: Tensor, seed: int) -> Learned:
        """The fit on checked float64 encodings [N, W] and costs [N]."""

    def _fit(self, codes: Tensor, costs_ms: Tensor, seed: int) -> dict[str, Tensor]:
        return self.learn(codes, costs_ms, seed).state
