"""Ridge regression plus a residual model, as a K-fold cross-validation ensemble.

Each of the K members does not see one part of the rows, so a fit also gives out-of-fold predictions. Intervals are
calibrated on these, and `stacking.py` weighs predictors by them, without further fits.

The ridge has a strength for each block of features, chosen by the evidence. So with few rows it behaves like a model on
MACs, and with more rows like a look-up table. The residual model gets the share that is best on unseen rows, minus its
standard error; the share may be zero. Unseen rows also choose the target's scale (costs or their logarithms), the end
of training, and the width of the intervals.

Letters: `N` rows, `B` batch, `W` slots, `P` columns of the basis, `Q` features, `K` members.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from chronas.predictors.calibration import RESOLUTION, SCALES, Scale, ScaleName, interval_factor
from chronas.predictors.features import Basis, Features, basis_parts, basis_width, standardised
from chronas.predictors.linear import Coefficients, fit_coefficients, fit_variances
from chronas.predictors.predictor import Predictor, Shape, State


class Learned(NamedTuple):
    """The result of a fit.

    Attributes:
        state: state for `Predictor._fit` to return.
        out_of_fold: predictions for the N networks of the fit, each by a model that has not seen the network [N].
    """

    state: dict[str, Tensor]
    out_of_fold: Tensor


class Learner(Predictor):
    """A predictor that also gives predictions for unseen rows of its own fit."""

    @abstractmethod
    def learn(self, codes: Tensor, costs: Tensor, seed: int) -> Learned:
        """Fit on checked float64 encodings [N, W] and costs [N]."""

    def _fit(self, codes: Tensor, costs: Tensor, seed: int) -> dict[str, Tensor]:
        return self.learn(codes, costs, seed).state


@dataclass(frozen=True)
class Ridges:
    """A ridge regression for each member on its training rows, and one on all rows.

    Attributes:
        scale: scale of the targets.
        coefficients: coefficients of the members [K, Q].
        bases: intercepts of the members [K].
        whole: the regression on all rows.
    """

    scale: Scale
    coefficients: Tensor
    bases: Tensor
    whole: Coefficients

    def predicted(self, design: Tensor) -> Tensor:
        """Targets [K, N] that the members predict for features [N, Q]."""
        return self.bases[:, None] + self.coefficients @ design.T


def best_ridges(design: Tensor, costs: Tensor, blocks: Tensor, held_out: Tensor, logarithmic: Sequence[bool]) -> Ridges:
    """Ridge regressions in the scale with the smallest squared error of costs on held-out rows.

    Args:
        design: features [N, Q].
        costs: costs [N].
        blocks: index of the block of each feature [Q].
        held_out: mask of the rows that each member does not see [K, N].
        logarithmic: for each scale to try, whether it takes the logarithm.
    """
    found = [fit_ridges(design, costs, blocks, held_out, logarithmic=each) for each in logarithmic]

    def error(ridges: Ridges) -> float:
        unseen = (ridges.predicted(design) * held_out).sum(dim=0)
        return float((ridges.scale.costs(unseen) - costs).square().mean())

    return min(found, key=error)


def fit_ridges(design: Tensor, costs: Tensor, blocks: Tensor, held_out: Tensor, *, logarithmic: bool) -> Ridges:
    """Ridge regressions in one scale, each with the most probable strengths on its own rows."""
    scale = Scale.of(costs, logarithmic=logarithmic)
    targets = scale.targets(costs)
    everything = torch.zeros_like(held_out[0])
    *members, whole = (_fit_ridge(design[~hidden], targets[~hidden], blocks) for hidden in (*held_out, everything))
    coefficients = torch.stack([ridge.values for ridge in members])
    return Ridges(scale, coefficients, torch.stack([ridge.base for ridge in members]), whole)


def _fit_ridge(design: Tensor, targets: Tensor, blocks: Tensor) -> Coefficients:
    return fit_coefficients(design, targets, fit_variances(design, targets, blocks))


TINY = torch.finfo(torch.float64).tiny


class MembersConfig(BaseModel):
    """Number of members, and the scale of their targets."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    members: int = Field(
        default=5, ge=2, le=20, description="models in the ensemble, each without another part of the table"
    )
    scale: ScaleName = Field(
        default="auto",
        description="predict costs (linear), their logarithms (log), or the better one on held-out networks (auto)",
    )


@dataclass(frozen=True)
class Rest:
    """Residuals of the ridges of a fit, for the residual model.

    Attributes:
        codes: encodings [N, W].
        design: features [N, Q].
        features: the transformation that gives `design`.
        costs: costs [N].
        scale: scale of the targets.
        left: targets minus the prediction of each member's ridge [K, N].
        held_out: mask of the rows that each member does not see [K, N].
    """

    codes: Tensor
    design: Tensor
    features: Features
    costs: Tensor
    scale: Scale
    left: Tensor
    held_out: Tensor

    def unseen(self, outputs: Tensor) -> Tensor:
        """Of outputs [K, N], those for rows that the member has not seen [N]."""
        return (outputs * self.held_out).sum(dim=0)

    def share_and_error(self, outputs: Tensor) -> tuple[float, float]:
        """The share of outputs [K, N] to add, and the remaining root mean squared error of costs on unseen rows."""
        left, unseen = self.unseen(self.left), self.unseen(outputs)
        share = safe_share(unseen, left)
        predicted = self.scale.costs(self.scale.targets(self.costs) - left + share * unseen)
        return share, float((predicted - self.costs).square().mean().sqrt())


def safe_share(outputs: Tensor, left: Tensor) -> float:
    """The share of outputs [N] to add, 0..1: the best share for the residuals `left` [N], minus one standard error.

    With few rows the best share is mostly luck, and the standard error takes it to zero.
    """
    power = (outputs @ outputs).clamp_min(TINY)
    share = (outputs @ left) / power
    error = ((left - share * outputs) * outputs).square().sum().sqrt() / power
    return float((share - error).clamp(0, 1))


class MemberPredictor(Learner):
    """The mean of K members, on costs or their logarithms."""

    minimum = 16
    config: MembersConfig

    @abstractmethod
    def _learn_rest(self, rest: Rest, generator: torch.Generator) -> dict[str, Tensor]:
        """The state of the residual model, including its share."""

    @abstractmethod
    def _rest(self, codes: Tensor, inputs: Basis, state: State) -> Tensor:
        """The residual model's part of the members' targets [K, B], from encodings [B, W] and their basis [B, P]."""

    @abstractmethod
    def _rest_shapes(self) -> dict[str, Shape]:
        """Shapes of the tensors from `_learn_rest`."""

    def learn(self, codes: Tensor, costs: Tensor, seed: int) -> Learned:
        """Fit on checked float64 encodings [N, W] and costs [N]."""
        generator = torch.Generator().manual_seed(seed)
        inputs = basis_parts(self.space, self.size, codes)
        columns = inputs.columns()
        features = standardised(self.space, self.size, columns)
        design = features.of(columns)
        part = torch.randperm(len(codes), generator=generator) % self.config.members
        held_out = part == torch.arange(self.config.members)[:, None]
        ridges = best_ridges(design, costs, features.blocks, held_out, SCALES[self.config.scale])
        left = ridges.scale.targets(costs) - ridges.predicted(design)
        rest = Rest(codes, design, features, costs, ridges.scale, left, held_out)
        state = self._learn_rest(rest, generator)
        added = self._rest(codes, inputs, state)
        out_of_fold = ridges.scale.costs(ridges.scale.targets(costs) - rest.unseen(left - added))
        calibration = _calibration(rest, ridges.predicted(design) + added, rest.unseen(left - added))
        return Learned(state | calibration | _ridge_state(ridges, features), out_of_fold)

    def _mean(self, codes: Tensor, state: State) -> Tensor:
        return Scale.from_state(state["scale"]).costs(self._targets(codes, state).mean(dim=0))

    def _std(self, codes: Tensor, state: State) -> Tensor:
        return self._mean_and_std(codes, state)[1]

    def _mean_and_std(self, codes: Tensor, state: State) -> tuple[Tensor, Tensor]:
        targets, scale = self._targets(codes, state), Scale.from_state(state["scale"])
        centre = targets.mean(dim=0)
        variance = (targets - centre).square().sum(dim=0) / (len(targets) - 1)  # var(dim=0) takes thirty times as long
        mean = scale.costs(centre)
        std = state["calibration"] * (state["noise"] + variance).sqrt() * scale.spread
        return mean, std * mean if scale.logarithmic else std

    def _targets(self, codes: Tensor, state: State) -> Tensor:
        """Standardised targets [K, B] that the members predict."""
        inputs = basis_parts(self.space, self.size, codes)
        return inputs.affine(state["coefficients"], state["bases"]) + self._rest(codes, inputs, state)

    def _shapes(self) -> dict[str, Shape]:
        members = self.config.members
        ridges: dict[str, Shape] = {"coefficients": (members, basis_width(self.space, self.size)), "bases": (members,)}
        return {**ridges, "scale": (3,), "noise": (), "calibration": (), **self._rest_shapes()}


def _calibration(rest: Rest, members: Tensor, left: Tensor) -> dict[str, Tensor]:
    """Noise and width of the intervals, from members' targets [K, N] and residuals on unseen rows [N]."""
    scale = rest.scale
    floor = RESOLUTION * (1.0 if scale.logarithmic else float(rest.costs.median())) / scale.spread
    noise = (left**2).mean().clamp_min(floor**2)
    spreads = (noise + members.var(dim=0)).sqrt()
    chosen = len(rest.features.sizes) + 3  # a variance for each block, the noise, the scale, the share of the rest
    factor = interval_factor(left, spreads, floor / float(noise.sqrt()), chosen)
    return {"noise": noise, "calibration": torch.tensor(factor, dtype=torch.float64)}


def _ridge_state(ridges: Ridges, features: Features) -> dict[str, Tensor]:
    """The ridges in terms of the basis, shifted together so that their mean is the ridge on all rows."""
    coefficients, whole = ridges.coefficients @ features.projection, ridges.whole.values @ features.projection
    bases, base = ridges.bases - coefficients @ features.centre, ridges.whole.base - whole @ features.centre
    return {
        "coefficients": coefficients + whole - coefficients.mean(dim=0),
        "bases": bases + base - bases.mean(),
        "scale": ridges.scale.state,
    }
