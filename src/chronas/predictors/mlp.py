"""The latency prediction module (LPM) of LA-DARTS (arXiv 2001.06392): a differentiable multi-layer regressor.

The paper's network and code are not public. We differ where measurements are few (hundreds, not its 80,000):
- The input is blocks of features (`features.py`): MACs and parameters, counts, terms, places.
- A ridge regression comes first, with a strength for each block by its evidence (`evidence.py`), and the networks learn
  what it leaves. Their share of the prediction is the one that is best on rows they have not seen, less its standard
  error, and may be zero: so they do not do worse than a linear model.
- There are five members, each blind to another fifth of the rows. These held-out rows choose the target's scale (ms or
  log), how much the networks listen to places, when training stops, and how wide the intervals are.

What was tried and what it gave is in docs/log.md (2026-11-22, "predictors from few measurements").
The first layer is stored for the basis of the features, as they are linear in it.

Letters: N rows, P columns of the basis, Q features, K members, H hidden units, B batch.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from chronas.predictors.calibration import interval_factor
from chronas.predictors.candidates import Candidate, Scale, Stage, best_stage, fit_ridges, ridge_error_ms
from chronas.predictors.ensemble import Layers, Schedule, outputs
from chronas.predictors.evidence import Slopes
from chronas.predictors.features import Features, basis, basis_width, standardised
from chronas.predictors.linear import RESOLUTION
from chronas.predictors.predictor import Predictor, State

NETWORK_SHARES = (0.3, 1.0)  # tried: weight of places in the networks' inputs, other features having 1
SCALES = {"auto": (False, True), "ms": (False,), "log": (True,)}  # whether the logarithm is taken
LONGER = 4  # times the steps, at most, where there are more rows than a batch holds


class LpmConfig(BaseModel):
    """Size and training of the latency prediction module."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    members: int = Field(default=5, ge=2, le=20, description="networks, each blind to another part of the table")
    hidden: int = Field(default=16, ge=1, le=1024, description="units of each of the two hidden layers")
    steps: int = Field(
        default=150, ge=20, le=100_000, description="training steps on few rows, up to four times as many on many"
    )
    batch_rows: int = Field(default=2048, ge=16, le=1_000_000, description="most rows of a training step")
    learning_rate: float = Field(default=0.01, gt=0.0, le=1.0, description="highest learning rate of AdamW")
    weight_decay: float = Field(default=3.0, ge=0.0, le=100.0, description="decoupled weight decay of AdamW")
    scale: Literal["auto", "ms", "log"] = Field(
        default="auto", description="what is predicted: ms, log of ms, or what is better on held-out networks"
    )

    def schedule(self, count: int) -> Schedule:
        """The training on `count` rows."""
        steps = self.steps * min(LONGER, -(-count // self.batch_rows))
        return Schedule(steps, self.batch_rows, self.learning_rate, self.weight_decay)


class LatencyPredictionModule(Predictor):
    """Ridge regression and an ensemble of small networks on top, in ms or log ms."""

    name = "lpm"
    Config = LpmConfig
    minimum = 16
    config: LpmConfig

    def _fit(self, codes: Tensor, costs_ms: Tensor, seed: int) -> dict[str, Tensor]:
        generator = torch.Generator().manual_seed(seed)
        columns = basis(self.space, self.skeleton, codes)
        features = standardised(self.space, self.skeleton, columns)
        design = features.of(columns)
        part = torch.randperm(len(codes), generator=generator) % self.config.members
        held_out = part == torch.arange(self.config.members)[:, None]
        candidates = self._candidates(features, design, costs_ms, held_out)
        stage = best_stage(candidates, design, costs_ms, held_out, self.config, generator)
        state = _from_stage(stage, features)
        calibration = _calibration(stage.candidate.scale, state, columns, costs_ms, held_out)
        return state | calibration | _moved(stage.candidate.ridges.whole, features, state)

    def _candidates(self, features: Features, design: Tensor, costs_ms: Tensor, held_out: Tensor) -> list[Candidate]:
        """Each weight of places, in the scale whose ridges are better on held-out rows of the design [N, Q]."""
        found = []
        for logarithmic in SCALES[self.config.scale]:
            scale = Scale.of(costs_ms, logarithmic=logarithmic)
            ridges = fit_ridges(design, scale.targets(costs_ms), features.blocks, held_out)
            found.append(Candidate(scale, ridges, torch.ones(len(features.places), dtype=torch.float64)))
        best = min(found, key=lambda candidate: ridge_error_ms(candidate, design, costs_ms, held_out))
        return [replace(best, inputs=features.network_inputs(share)) for share in NETWORK_SHARES]

    def _mean_ms(self, codes: Tensor, state: State) -> Tensor:
        return _costs_ms(self._members(codes, state).mean(dim=0), state)

    def _std_ms(self, codes: Tensor, state: State) -> Tensor:
        return self._mean_and_std_ms(codes, state)[1]

    def _mean_and_std_ms(self, codes: Tensor, state: State) -> tuple[Tensor, Tensor]:
        targets = self._members(codes, state)
        mean_ms = _costs_ms(targets.mean(dim=0), state)
        std = state["calibration"] * (state["noise"] + targets.var(dim=0)).sqrt() * state["scale"][2]
        return mean_ms, std * mean_ms if state["scale"][0] else std

    def _members(self, codes: Tensor, state: State) -> Tensor:
        """Standardised targets [K, B] that the members predict."""
        return _member_targets(basis(self.space, self.skeleton, codes), state)

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        members, hidden = self.config.members, self.config.hidden
        width = basis_width(self.space, self.skeleton)
        return {
            "slopes": (members, width),
            "bases": (members,),
            "first": (members, width, hidden),
            "first_bias": (members, 1, hidden),
            "second": (members, hidden, hidden),
            "second_bias": (members, 1, hidden),
            "last": (members, hidden, 1),
            "scale": (3,),
            "noise": (),
            "calibration": (),
        }


def _from_stage(stage: Stage, features: Features) -> dict[str, Tensor]:
    """The members in terms of the basis itself: no projection, no centre, and their share inside the last layer."""
    candidate, scale = stage.candidate, stage.candidate.scale
    layers = Layers(*(weights.double() for weights in stage.layers))
    slopes = candidate.ridges.slopes @ features.projection
    first = (features.projection * candidate.inputs[:, None]).T @ layers.first
    return {
        "slopes": slopes,
        "bases": candidate.ridges.bases - slopes @ features.centre,
        "first": first,
        "first_bias": layers.first_bias - features.centre @ first[:, None],
        "second": layers.second,
        "second_bias": layers.second_bias,
        "last": stage.share * layers.last,
        "scale": torch.tensor([scale.logarithmic, scale.centre, scale.spread], dtype=torch.float64),
    }


def _calibration(scale: Scale, state: State, columns: Tensor, costs_ms: Tensor, held_out: Tensor) -> dict[str, Tensor]:
    """Noise and width of the intervals, from what members get wrong on rows that they have not seen."""
    members = _member_targets(columns, state)
    left = scale.targets(costs_ms) - (members * held_out).sum(dim=0)
    noise = (left**2).mean()
    floor = RESOLUTION * (1.0 if scale.logarithmic else float(costs_ms.median())) / scale.spread
    noise = noise.clamp_min(floor**2)
    factor = interval_factor(left, (noise + members.var(dim=0)).sqrt(), RESOLUTION)
    return {"noise": noise, "calibration": torch.tensor(factor, dtype=torch.float64)}


def _moved(whole: Slopes, features: Features, state: State) -> dict[str, Tensor]:
    """The members' ridges, moved together so that their mean is the ridge on all rows: it has seen a fifth more."""
    slopes = whole.values @ features.projection
    base = whole.base - slopes @ features.centre
    return {
        "slopes": state["slopes"] + slopes - state["slopes"].mean(dim=0),
        "bases": state["bases"] + base - state["bases"].mean(),
    }


def _member_targets(codes: Tensor, state: State) -> Tensor:
    """Standardised targets [K, B] that the members predict."""
    layers = Layers(*(state[name] for name in Layers._fields))
    return state["bases"][:, None] + state["slopes"] @ codes.T + outputs(layers, codes)


def _costs_ms(targets: Tensor, state: State) -> Tensor:
    logarithmic, centre, spread = state["scale"]
    return Scale(bool(logarithmic), centre, spread).costs_ms(targets)
