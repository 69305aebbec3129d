"""Gaussian processes: a prior over costs by how alike networks are, and the posterior given those that were measured.

Rasmussen and Williams, Gaussian processes for machine learning, 2006, http://gaussianprocess.org/gpml. The covariance
is a sum of parts; the variances of the parts and of the noise maximise the evidence, on a few hundred networks.
Leave-one-out predictions are exact and cost nothing (5.12 there): they choose the scale and calibrate the intervals.
The level of all costs is one more unknown: were it taken off before, the others would give each network away.

Letters: N rows of a fit, M of them that are kept, B batch, W slots, G parts.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import NamedTuple

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from chronas.predictors.calibration import RESOLUTION, interval_factor
from chronas.predictors.evidence import LEVEL_VARIANCE, PRIOR_MEAN, highest_evidence, kernel_loss
from chronas.predictors.learner import Learned, Learner
from chronas.predictors.predictor import Shape, State
from chronas.predictors.scale import SCALES, Scale, ScaleName

JUDGED = 400  # rows whose evidence chooses the variances: a few numbers need no more, and time goes with their cube


class KernelConfig(BaseModel):
    """What a Gaussian process keeps and predicts."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    rows: int = Field(
        default=2000, ge=16, le=20_000, description="most networks that it learns from, a random part of larger tables"
    )
    scale: ScaleName = Field(
        default="auto", description="what is predicted: ms, log of ms, or what is better on held-out networks"
    )


class _Posterior(NamedTuple):
    """A scale's fit: its squared leave-one-out error in ms, the unseen targets [M], and the state."""

    error: float
    unseen_ms: Tensor
    state: dict[str, Tensor]


class KernelPredictor(Learner):
    """The posterior mean and deviation of a Gaussian process, in ms or log ms."""

    minimum = 8
    config: KernelConfig

    @abstractmethod
    def _setup(self, codes: Tensor) -> dict[str, Tensor]:
        """What the parts need to know of the encodings [M, W] of a fit, beside these."""

    @abstractmethod
    def _setup_shapes(self) -> dict[str, Shape]:
        """Shapes of what `_setup` returns."""

    @abstractmethod
    def _parts(self, one: Tensor, other: Tensor, state: State) -> list[Tensor]:
        """The G parts of the covariance [B, M], for encodings [B, W] and [M, W]; smooth in both."""

    @abstractmethod
    def _own(self, codes: Tensor, state: State) -> list[Tensor]:
        """The G parts of each network's covariance with itself [B]."""

    def learn(self, codes: Tensor, costs_ms: Tensor, seed: int) -> Learned:
        """The fit on checked float64 encodings [N, W] and costs [N]."""
        order = torch.randperm(len(codes), generator=torch.Generator().manual_seed(seed))
        kept, others = order[: self.config.rows], order[self.config.rows :]
        setup = {"codes": codes[kept], **self._setup(codes[kept])}
        found = [self._posterior(setup, costs_ms[kept], logarithmic=each) for each in SCALES[self.config.scale]]
        best = min(found, key=lambda posterior: posterior.error)
        unseen_ms = torch.empty_like(costs_ms)
        unseen_ms[kept] = best.unseen_ms
        parts = [self._mean_ms(part, best.state) for part in torch.split(codes[others], JUDGED)]
        unseen_ms[others] = torch.cat([unseen_ms[:0], *parts])
        return Learned(best.state, unseen_ms)

    def _posterior(self, setup: dict[str, Tensor], costs_ms: Tensor, *, logarithmic: bool) -> _Posterior:
        scale, codes = Scale.of(costs_ms, logarithmic=logarithmic), setup["codes"]
        targets = scale.targets(costs_ms)
        judged = torch.stack(self._parts(codes[:JUDGED], codes[:JUDGED], setup))
        loss = kernel_loss(judged, targets[:JUDGED])
        start = torch.full((len(judged) + 1,), PRIOR_MEAN, dtype=torch.float64)
        variances = highest_evidence(loss, start).exp()
        covariance = self._covariance(codes, codes, {**setup, "variances": variances})
        covariance = covariance + LEVEL_VARIANCE
        covariance.diagonal().add_(variances[-1])
        inverse = torch.cholesky_inverse(torch.linalg.cholesky(covariance))
        alphas = inverse @ targets
        left, spreads = alphas / inverse.diagonal(), inverse.diagonal().rsqrt()
        unseen_ms = scale.costs_ms(targets - left)
        floor = RESOLUTION * (1.0 if logarithmic else float(costs_ms.median())) / scale.spread
        factor = interval_factor(left, spreads, floor / float(spreads.max()), len(variances))
        state = {
            "variances": variances,
            "alphas": alphas,
            "level": LEVEL_VARIANCE * alphas.sum(),  # apart, since float32 could not tell the rest beside it
            "inverse": inverse,
            "scale": scale.state,
            "calibration": torch.tensor(factor, dtype=torch.float64),
        }
        return _Posterior(float((unseen_ms - costs_ms).square().mean()), unseen_ms, {**setup, **state})

    def _covariance(self, one: Tensor, other: Tensor, state: State) -> Tensor:
        """[B, M] of encodings [B, W] and [M, W], without noise and level."""
        parts = self._parts(one, other, state)
        total = torch.zeros_like(parts[0])
        for variance, part in zip(state["variances"], parts, strict=False):
            total = total + variance * part
        return total

    def _mean_ms(self, codes: Tensor, state: State) -> Tensor:
        targets = state["level"] + self._covariance(codes, state["codes"], state) @ state["alphas"]
        return Scale.from_state(state["scale"]).costs_ms(targets)

    def _std_ms(self, codes: Tensor, state: State) -> Tensor:
        return self._mean_and_std_ms(codes, state)[1]

    def _mean_and_std_ms(self, codes: Tensor, state: State) -> tuple[Tensor, Tensor]:
        scale, across = Scale.from_state(state["scale"]), self._covariance(codes, state["codes"], state)
        mean_ms = scale.costs_ms(state["level"] + across @ state["alphas"])
        across = across + LEVEL_VARIANCE
        parts = self._own(codes, state)
        own = LEVEL_VARIANCE + torch.stack([v * p for v, p in zip(state["variances"], parts, strict=False)]).sum(dim=0)
        known = ((across @ state["inverse"]) * across).sum(dim=1)
        std = state["calibration"] * (state["variances"][-1] + (own - known).clamp_min(0)).sqrt() * scale.spread
        return mean_ms, std * mean_ms if scale.logarithmic else std

    def _shapes(self) -> dict[str, Shape]:
        kept: dict[str, Shape] = {"codes": ("M", self.space.width), "alphas": ("M",), "inverse": ("M", "M")}
        return {**kept, "variances": ("G",), "level": (), "scale": (3,), "calibration": (), **self._setup_shapes()}
