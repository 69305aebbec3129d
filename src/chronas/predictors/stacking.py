"""Stacking: a weighted mean of several predictors, with weights that are best on unseen networks.

Stacked regressions (Breiman, 1996): weights are not negative and add up to one. Each predictor gives out-of-fold
predictions (`Learner` in `cv_ensemble.py`), so stacking needs no further fits.

Letters: N rows, B batch, J predictors.
"""

from __future__ import annotations

import torch
from pydantic import BaseModel, ConfigDict, Field
from scipy.optimize import nnls
from torch import Tensor

from chronas.errors import UsageError
from chronas.predictors.calibration import RESOLUTION, interval_factor
from chronas.predictors.cv_ensemble import Learned, Learner
from chronas.predictors.predictor import Shape, State, make_predictor

SUM_WEIGHT = 1e3  # weight of the equation that shares add up to one, relative to the others


class StackedConfig(BaseModel):
    """The predictors to combine."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    predictors: tuple[str, ...] = Field(
        default=("lpm", "gp", "graph"), min_length=2, description="names of differentiable predictors, with defaults"
    )


class Stacked(Learner):
    """The weighted mean of several predictors."""

    name = "ensemble"
    Config = StackedConfig
    minimum = 16
    config: StackedConfig

    def learn(self, codes: Tensor, costs: Tensor, seed: int) -> Learned:
        """Fit on checked float64 encodings [N, W] and costs [N].

        Raises:
            UsageError: a predictor gives no out-of-fold predictions, is not differentiable or is named twice.
        """
        members = self._members()
        learned = {name: member.learn(codes, costs, seed) for name, member in members.items()}
        out_of_fold = torch.stack([each.out_of_fold for each in learned.values()])
        shares = _shares(out_of_fold, costs)
        state = {f"{name}.{key}": value for name, each in learned.items() for key, value in each.state.items()}
        state |= {"shares": shares, "calibration": torch.ones((), dtype=torch.float64)}
        mean = shares @ out_of_fold
        spreads = self._std(codes, state)
        floor = RESOLUTION * float(costs.median()) / float(spreads.max())
        factor = interval_factor(costs - mean, spreads, floor)
        return Learned(state | {"calibration": torch.tensor(factor, dtype=torch.float64)}, mean)

    def _mean(self, codes: Tensor, state: State) -> Tensor:
        means = [member._mean(codes, _own(state, name)) for name, member in self._members().items()]
        return state["shares"] @ torch.stack(means)

    def _std(self, codes: Tensor, state: State) -> Tensor:
        return self._mean_and_std(codes, state)[1]

    def _mean_and_std(self, codes: Tensor, state: State) -> tuple[Tensor, Tensor]:
        both = [member._mean_and_std(codes, _own(state, name)) for name, member in self._members().items()]
        means, stds = (torch.stack(each) for each in zip(*both, strict=True))
        mean = state["shares"] @ means
        variance = state["shares"] @ (stds.square() + (means - mean).square())
        return mean, state["calibration"] * variance.sqrt()

    def _shapes(self) -> dict[str, Shape]:
        shapes: dict[str, Shape] = {"shares": (len(self.config.predictors),), "calibration": ()}
        for name, member in self._members().items():
            for key, shape in member._shapes().items():
                shapes[f"{name}.{key}"] = tuple(f"{name}.{s}" if isinstance(s, str) else s for s in shape)
        return shapes

    def _members(self) -> dict[str, Learner]:
        found: dict[str, Learner] = {}
        for name in self.config.predictors:
            member = make_predictor(name, self.space, self.size)
            if not isinstance(member, Learner) or isinstance(member, Stacked) or not member.differentiable:
                known = "lpm, gp, graph and pairs"
                raise UsageError(f"predictor {name} cannot be part of a differentiable ensemble: take {known}")
            found[name] = member
        if len(found) < len(self.config.predictors):
            raise UsageError(f"an ensemble takes each predictor once, got {', '.join(self.config.predictors)}")
        return found


def _own(state: State, name: str) -> dict[str, Tensor]:
    """The part of the state that belongs to one predictor."""
    prefix = f"{name}."
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}


def _shares(out_of_fold: Tensor, costs: Tensor) -> Tensor:
    """Weights [J] of predictions [J, N] with the least squared error, not negative, adding up to one."""
    level = costs.median()
    strong = SUM_WEIGHT * len(costs) ** 0.5
    left = torch.cat([(out_of_fold - costs).T / level, torch.full((1, len(out_of_fold)), strong, dtype=torch.float64)])
    right = torch.zeros(len(left), dtype=torch.float64)
    right[-1] = strong
    weights = torch.from_numpy(nnls(left.numpy(), right.numpy())[0])
    return weights / weights.sum()
