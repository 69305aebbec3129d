"""A ridge regression, and something that learns what it leaves: members, each blind to another part of the table.

The ridge has a strength for each block of features by its evidence, so it does with few rows what MACs do and with more
what a look-up table does. What is added on top has a share in the prediction that is the best one on rows it has not
seen, less its standard error, and may be zero. The same rows choose the target's scale (ms or log), when training
stops, and how wide the intervals are.

Letters: N rows, B batch, W slots, P columns of the basis, Q features, K members.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from chronas.predictors.calibration import RESOLUTION, interval_factor
from chronas.predictors.features import Basis, Features, basis_parts, basis_width, standardised
from chronas.predictors.learner import Learned, Learner
from chronas.predictors.predictor import Shape, State
from chronas.predictors.ridges import Ridges, best_ridges
from chronas.predictors.scale import SCALES, Scale, ScaleName

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
        costs_ms: [N].
        scale: of the targets.
        left: targets minus what each member's ridge predicts [K, N].
        held_out: which rows each member does not see [K, N].
    """

    codes: Tensor
    design: Tensor
    features: Features
    costs_ms: Tensor
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
        predicted_ms = self.scale.costs_ms(self.scale.targets(self.costs_ms) - left + share * unseen)
        return share, float((predicted_ms - self.costs_ms).square().mean().sqrt())


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

    def learn(self, codes: Tensor, costs_ms: Tensor, seed: int) -> Learned:
        """The fit on checked float64 encodings [N, W] and costs [N]."""
        generator = torch.Generator().manual_seed(seed)
        inputs = basis_parts(self.space, self.skeleton, codes)
        columns = inputs.columns()
        features = standardised(self.space, self.skeleton, columns)
        design = features.of(columns)
        part = torch.randperm(len(codes), generator=generator) % self.config.members
        held_out = part == torch.arange(self.config.members)[:, None]
        ridges = best_ridges(design, costs_ms, features.blocks, held_out, SCALES[self.config.scale])
        left = ridges.scale.targets(costs_ms) - ridges.predicted(design)
        rest = Rest(codes, design, features, costs_ms, ridges.scale, left, held_out)
        state = self._learn_rest(rest, generator)
        added = self._rest(codes, inputs, state)
        unseen_ms = ridges.scale.costs_ms(ridges.scale.targets(costs_ms) - rest.unseen(left - added))
        calibration = _calibration(rest, ridges.predicted(design) + added, rest.unseen(left - added))
        return Learned(state | calibration | _ridge_state(ridges, features), unseen_ms)

    def _mean_ms(self, codes: Tensor, state: State) -> Tensor:
        return Scale.from_state(state["scale"]).costs_ms(self._targets(codes, state).mean(dim=0))

    def _std_ms(self, codes: Tensor, state: State) -> Tensor:
        return self._mean_and_std_ms(codes, state)[1]

    def _mean_and_std_ms(self, codes: Tensor, state: State) -> tuple[Tensor, Tensor]:
        targets, scale = self._targets(codes, state), Scale.from_state(state["scale"])
        mean = targets.mean(dim=0)
        variance = (targets - mean).square().sum(dim=0) / (len(targets) - 1)  # var(dim=0) takes thirty times as long
        mean_ms = scale.costs_ms(mean)
        std = state["calibration"] * (state["noise"] + variance).sqrt() * scale.spread
        return mean_ms, std * mean_ms if scale.logarithmic else std

    def _targets(self, codes: Tensor, state: State) -> Tensor:
        """Standardised targets [K, B] that the members predict."""
        inputs = basis_parts(self.space, self.skeleton, codes)
        return inputs.affine(state["slopes"], state["bases"]) + self._rest(codes, inputs, state)

    def _shapes(self) -> dict[str, Shape]:
        members = self.config.members
        ridges: dict[str, Shape] = {"slopes": (members, basis_width(self.space, self.skeleton)), "bases": (members,)}
        return {**ridges, "scale": (3,), "noise": (), "calibration": (), **self._rest_shapes()}


def _calibration(rest: Rest, members: Tensor, left: Tensor) -> dict[str, Tensor]:
    """Noise and width of the intervals, from members' targets [K, N] and what they leave of unseen rows [N]."""
    scale = rest.scale
    floor = RESOLUTION * (1.0 if scale.logarithmic else float(rest.costs_ms.median())) / scale.spread
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
