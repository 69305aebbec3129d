"""The latency prediction module (LPM) of LA-DARTS (arXiv 2001.06392): a differentiable multi-layer regressor.

The paper's network and code are not public. We differ where measurements are few (hundreds, not its 80,000):
- The input is structure-aware features (how often an operation occurs where, and the terms of neighbouring operations
  in `terms.py`), MACs and parameters, and the encoding with less weight: on 526 DARTS networks ridge reached Kendall
  0.79 with 14 counts, 0.55 with the 196-wide encoding; on 800 others the terms raised it from 0.88 to 0.93.
- A ridge regression comes first and the networks learn what it leaves. Their share of the prediction is the one that
  is best on rows they have not seen, and may be zero: so they do not do worse than a linear model.
- There are five members, each blind to another fifth of the rows. These held-out rows choose the target's scale (ms or
  log), how much the networks listen to the encoding, when training stops, and how wide the intervals are.

The first layer is stored for the encoding and the terms, as all inputs are linear in them.

Letters: N rows, W slots of the encoding, T terms, F features, K members, H hidden units, B batch.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from chronas.networks import closed_form
from chronas.predictors.candidates import Candidate, Scale, Stage, best_stage, fit_ridges
from chronas.predictors.ensemble import Layers, outputs
from chronas.predictors.linear import RESOLUTION, noise_scale
from chronas.predictors.predictor import Predictor, State
from chronas.predictors.terms import terms

RIDGE_SHARES = (0.0, 0.1, 0.3, 1.0)  # tried: spread of the encoding's part of the input over that of the features
NETWORK_SHARES = (0.3, 1.0)  # tried: the same, for the networks
SCALES = {"auto": (False, True), "ms": (False,), "log": (True,)}  # whether the logarithm is taken


class LpmConfig(BaseModel):
    """Size and training of the latency prediction module."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    members: int = Field(default=5, ge=2, le=20, description="networks, each blind to another part of the table")
    hidden: int = Field(default=16, ge=1, le=1024, description="units of each of the two hidden layers")
    steps: int = Field(default=150, ge=20, le=100_000, description="full-batch training steps, unless stopped earlier")
    learning_rate: float = Field(default=0.01, gt=0.0, le=1.0, description="highest learning rate of AdamW")
    weight_decay: float = Field(default=3.0, ge=0.0, le=100.0, description="decoupled weight decay of AdamW")
    scale: Literal["auto", "ms", "log"] = Field(
        default="auto", description="what is predicted: ms, log of ms, or what is better on held-out networks"
    )


class LatencyPredictionModule(Predictor):
    """Ridge regression and an ensemble of small networks on top, in ms or log ms."""

    name = "lpm"
    Config = LpmConfig
    minimum = 16
    config: LpmConfig

    def _fit(self, codes: Tensor, costs_ms: Tensor, seed: int) -> dict[str, Tensor]:
        generator = torch.Generator().manual_seed(seed)
        codes = self._with_terms(codes)
        part = torch.randperm(len(codes), generator=generator) % self.config.members
        held_out = part == torch.arange(self.config.members)[:, None]
        centre = codes.mean(dim=0)
        candidates = self._candidates(codes - centre, costs_ms, held_out)
        stage = best_stage(candidates, codes - centre, costs_ms, held_out, self.config, generator)
        state = _from_stage(stage, centre)
        return state | _calibration(stage.candidate.scale, state, codes, costs_ms, held_out)

    def _candidates(self, codes: Tensor, costs_ms: Tensor, held_out: Tensor) -> list[Candidate]:
        """Each scale with each share of the encoding; `codes` [N, W] are centred."""
        features, encoding = self._blocks(codes)
        found = []
        for logarithmic in SCALES[self.config.scale]:
            scale = Scale.of(costs_ms, logarithmic=logarithmic)
            designs = [torch.cat([features, share * encoding]) for share in RIDGE_SHARES]
            ridges = fit_ridges(codes, scale.targets(costs_ms), designs, held_out)
            for share in NETWORK_SHARES:
                found.append(Candidate(scale, torch.cat([features, share * encoding]), *ridges))
        return found

    def _with_terms(self, codes: Tensor) -> Tensor:
        """Encodings [B, W] with their terms beside them [B, W + T]."""
        return torch.cat([codes, terms(self.space, self.skeleton, codes)], dim=1)

    def _blocks(self, codes: Tensor) -> tuple[Tensor, Tensor]:
        """Features [F, W + T] with variance 1 each on these codes, and the encoding [W, W + T] with F in total."""
        form, width = closed_form(self.space, self.skeleton), self.space.width
        sums = torch.from_numpy(np.vstack([self.space.feature_map(), form.slot_macs, form.slot_parameters]))
        own = torch.eye(codes.shape[1] - width, dtype=torch.float64)
        rows = torch.cat([nn.functional.pad(sums, (0, len(own))), nn.functional.pad(own, (width, 0))])
        spread = (codes @ rows.T).std(dim=0)
        varying = spread > RESOLUTION * rows.abs().amax(dim=1)
        features = rows[varying] / spread[varying, None]
        scale = (len(features) / codes[:, :width].var(dim=0).sum()).sqrt()
        return features, scale * torch.eye(width, codes.shape[1], dtype=torch.float64)

    def _mean_ms(self, codes: Tensor, state: State) -> Tensor:
        mean = _member_targets(self._with_terms(codes), state).mean(dim=0)
        return _costs_ms(mean, state)

    def _std_ms(self, codes: Tensor, state: State) -> Tensor:
        targets = _member_targets(self._with_terms(codes), state)
        std = state["calibration"] * (state["noise"] + targets.var(dim=0)).sqrt() * state["scale"][2]
        return std * _costs_ms(targets.mean(dim=0), state) if state["scale"][0] else std

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        members, hidden = self.config.members, self.config.hidden
        width = self._with_terms(torch.zeros(1, self.space.width, dtype=torch.float64)).shape[1]
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


def _from_stage(stage: Stage, centre: Tensor) -> dict[str, Tensor]:
    """The members in terms of the encoding itself: no projection, no centre, and their share inside the last layer."""
    candidate, scale = stage.candidate, stage.candidate.scale
    layers = Layers(*(weights.double() for weights in stage.layers))
    first = candidate.projection.T @ layers.first
    return {
        "slopes": candidate.slopes,
        "bases": candidate.bases - candidate.slopes @ centre,
        "first": first,
        "first_bias": layers.first_bias - centre @ first[:, None],
        "second": layers.second,
        "second_bias": layers.second_bias,
        "last": stage.share * layers.last,
        "scale": torch.tensor([scale.logarithmic, scale.centre, scale.spread], dtype=torch.float64),
    }


def _calibration(scale: Scale, state: State, codes: Tensor, costs_ms: Tensor, held_out: Tensor) -> dict[str, Tensor]:
    """Noise and width of the intervals, from what members get wrong on rows that they have not seen."""
    members = _member_targets(codes, state)
    left = scale.targets(costs_ms) - (members * held_out).sum(dim=0)
    noise = (left**2).mean()
    floor = RESOLUTION * (1.0 if scale.logarithmic else float(costs_ms.median())) / scale.spread
    noise = noise.clamp_min(floor**2)
    factor = noise_scale(left, (noise + members.var(dim=0)).sqrt(), RESOLUTION)
    return {"noise": noise, "calibration": torch.tensor(factor, dtype=torch.float64)}


def _member_targets(codes: Tensor, state: State) -> Tensor:
    """Standardised targets [K, B] that the members predict."""
    layers = Layers(*(state[name] for name in Layers._fields))
    return state["bases"][:, None] + state["slopes"] @ codes.T + outputs(layers, codes)


def _costs_ms(targets: Tensor, state: State) -> Tensor:
    logarithmic, centre, spread = state["scale"]
    return Scale(bool(logarithmic), centre, spread).costs_ms(targets)
