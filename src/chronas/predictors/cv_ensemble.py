"""Predictors that tell what they predicted for each network of a fit without having seen it.

That is what intervals are calibrated on, and what `stacked.py` weighs several predictors by: nothing is fitted twice.

Ridge regressions that are each blind to some rows, in the scale that predicts those rows best.

Letters: N rows, Q features, K members.

A ridge regression, and something that learns what it leaves: members, each blind to another part of the table.

The ridge has a strength for each block of features by its evidence, so it does with few rows what MACs do and with more
what a look-up table does. What is added on top has a share in the prediction that is the best one on rows it has not
seen, less its standard error, and may be zero. The same rows choose the target's scale (ms or log), when training
stops, and how wide the intervals are.

Letters: N rows, B batch, W slots, P columns of the basis, Q features, K members.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from chronas.predictors.bayesian_linear import Slopes, fit_slopes, fit_variances
from chronas.predictors.calibration import RESOLUTION, SCALES, Scale, ScaleName, interval_factor
from chronas.predictors.features import Basis, Features, basis_parts, basis_width, standardised
from chronas.predictors.predictor import Predictor, Shape, State


class Learned(NamedTuple):
    """A fit.

    Attributes:
        state: as `Predictor._fit` returns it.
        out_of_fold: predictions for the N networks of the fit, each by a model that has not seen it [N].
    """

    state: dict[str, Tensor]
    out_of_fold: Tensor


class Learner(Predictor):
    """A predictor with predictions for unseen rows of its own fit."""

    @abstractmethod
    def learn(self, codes: Tensor, costs: Tensor, seed: int) -> Learned:
        """The fit on checked float64 encodings [N, W] and costs [N]."""

    def _fit(self, codes: Tensor, costs: Tensor, seed: int) -> dict[str, Tensor]:
        return self.learn(codes, costs, seed).state


@dataclass(frozen=True)
class Ridges:
    """A ridge regression for each member on the rows that it may see, and one on all rows.

    Attributes:
        scale: of the targets.
        slopes: of the members, by feature [K, Q].
        bases: of the members [K].
        whole: the one on all rows.
    """

    scale: Scale
    slopes: Tensor
    bases: Tensor
    whole: Slopes

    def predicted(self, design: Tensor) -> Tensor:
        """Targets [K, N] that the members predict for features [N, Q]."""
        return self.bases[:, None] + self.slopes @ design.T


def best_ridges(design: Tensor, costs: Tensor, blocks: Tensor, held_out: Tensor, logarithmic: Sequence[bool]) -> Ridges:
    """Ridge regressions in the scale with the least squared error, in ms, on rows that members have not seen.

    Args:
        design: [N, Q].
        costs: [N].
        blocks: the number of the block of each feature [Q].
        held_out: which rows each member does not see [K, N].
        logarithmic: for each scale that is tried, whether the logarithm is taken.
    """
    found = [fit_ridges(design, costs, blocks, held_out, logarithmic=each) for each in logarithmic]

    def error(ridges: Ridges) -> float:
        unseen = (ridges.predicted(design) * held_out).sum(dim=0)
        return float((ridges.scale.costs(unseen) - costs).square().mean())

    return min(found, key=error)


def fit_ridges(design: Tensor, costs: Tensor, blocks: Tensor, held_out: Tensor, *, logarithmic: bool) -> Ridges:
    """Ridge regressions in one scale, each with the strengths that are most probable on its own rows."""
    scale = Scale.of(costs, logarithmic=logarithmic)
    targets = scale.targets(costs)
    everything = torch.zeros_like(held_out[0])
    *members, whole = (_fit_ridge(design[~hidden], targets[~hidden], blocks) for hidden in (*held_out, everything))
    slopes, bases = torch.stack([ridge.values for ridge in members]), torch.stack([ridge.base for ridge in members])
    return Ridges(scale, slopes, bases, whole)


def _fit_ridge(design: Tensor, targets: Tensor, blocks: Tensor) -> Slopes:
    return fit_slopes(design, targets, fit_variances(design, targets, blocks))


TINY = torch.finfo(torch.float64).tiny


class MembersConfig(BaseModel):
    """How many members there are, and what they predict."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    members: int = Field(default=5, ge=2, le=20, description="models, each blind to another part of the table")
    scale: ScaleName = Field(
        default="auto", description="what is predicted: ms, log of ms, or what is better on held-out networks"
    )


@dataclass(frozen=True)
class Rest:
    """What the ridges of a fit leave to be learned.

    Attributes:
        codes: encodings [N, W].
        design: features [N, Q].
        features: how they are made.
        costs: [N].
        scale: of the targets.
        left: targets minus what each member's ridge predicts [K, N].
        held_out: which rows each member does not see [K, N].
    """

    codes: Tensor
    design: Tensor
    features: Features
    costs: Tensor
    scale: Scale
    left: Tensor
    held_out: Tensor

    def unseen(self, outputs: Tensor) -> Tensor:
        """Of outputs [K, N] those for rows that the member has not seen [N]."""
        return (outputs * self.held_out).sum(dim=0)

    def judged(self, outputs: Tensor) -> tuple[float, float]:
        """The share of outputs [K, N] to add, and the root mean squared error in ms that is left on unseen rows."""
        left, unseen = self.unseen(self.left), self.unseen(outputs)
        share = safe_share(unseen, left)
        predicted = self.scale.costs(self.scale.targets(self.costs) - left + share * unseen)
        return share, float((predicted - self.costs).square().mean().sqrt())


def safe_share(outputs: Tensor, left: Tensor) -> float:
    """How much of these outputs [N] to add, 0..1: the best share for what is left [N], less one standard error.

    With few rows the best share is mostly luck, and the standard error takes it to zero.
    """
    power = (outputs @ outputs).clamp_min(TINY)
    share = (outputs @ left) / power
    error = ((left - share * outputs) * outputs).square().sum().sqrt() / power
    return float((share - error).clamp(0, 1))


class MemberPredictor(Learner):
    """The mean of K members, in ms or log ms."""

    minimum = 16
    config: MembersConfig

    @abstractmethod
    def _learn_rest(self, rest: Rest, generator: torch.Generator) -> dict[str, Tensor]:
        """The state of what is added to the ridges, its share included."""

    @abstractmethod
    def _rest(self, codes: Tensor, inputs: Basis, state: State) -> Tensor:
        """What is added to the members' targets [K, B], from encodings [B, W] and their basis [B, P]."""

    @abstractmethod
    def _rest_shapes(self) -> dict[str, Shape]:
        """Shapes of what `_learn_rest` returns."""

    def learn(self, codes: Tensor, costs: Tensor, seed: int) -> Learned:
        """The fit on checked float64 encodings [N, W] and costs [N]."""
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
        return inputs.affine(state["slopes"], state["bases"]) + self._rest(codes, inputs, state)

    def _shapes(self) -> dict[str, Shape]:
        members = self.config.members
        ridges: dict[str, Shape] = {"slopes": (members, basis_width(self.space, self.size)), "bases": (members,)}
        return {**ridges, "scale": (3,), "noise": (), "calibration": (), **self._rest_shapes()}


def _calibration(rest: Rest, members: Tensor, left: Tensor) -> dict[str, Tensor]:
    """Noise and width of the intervals, from members' targets [K, N] and what they leave of unseen rows [N]."""
    scale = rest.scale
    floor = RESOLUTION * (1.0 if scale.logarithmic else float(rest.costs.median())) / scale.spread
    noise = (left**2).mean().clamp_min(floor**2)
    spreads = (noise + members.var(dim=0)).sqrt()
    chosen = len(rest.features.sizes) + 3  # a variance for each block, the noise, the scale, the share of the rest
    factor = interval_factor(left, spreads, floor / float(noise.sqrt()), chosen)
    return {"noise": noise, "calibration": torch.tensor(factor, dtype=torch.float64)}


def _ridge_state(ridges: Ridges, features: Features) -> dict[str, Tensor]:
    """The ridges over the basis, moved together so that their mean is the ridge on all rows: it has seen more."""
    slopes, whole = ridges.slopes @ features.projection, ridges.whole.values @ features.projection
    bases, base = ridges.bases - slopes @ features.centre, ridges.whole.base - whole @ features.centre
    return {
        "slopes": slopes + whole - slopes.mean(dim=0),
        "bases": bases + base - bases.mean(),
        "scale": ridges.scale.state,
    }
