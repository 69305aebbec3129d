"""The latency prediction module (LPM) of LA-DARTS (arXiv 2001.06392): a differentiable multi-layer regressor.

The paper's network and code are not public. Ours is meant for few measurements (hundreds, not the paper's 80,000): the
input is blocks of features (`features.py`), and small networks learn the residuals of a ridge regression
(`cv_ensemble.py`). Experiments are in docs/log.md (2026-11-22, "predictors from few measurements").

The first layer is stored in terms of the basis of the features, because features are linear in it.

Letters: P columns of the basis, K members, G networks, N rows, H hidden units, B batch.
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import silu

from chronas.predictors.batched_training import Schedule, Weights, best_stage
from chronas.predictors.cv_ensemble import MemberPredictor, MembersConfig, Rest
from chronas.predictors.features import Basis, basis_parts, basis_width
from chronas.predictors.predictor import Shape, State

NETWORK_SHARES = (0.3, 1.0)  # weights of positions in the networks' inputs to try; other features have 1
NAMES = ("first", "first_bias", "second", "second_bias", "last")  # names of the weights; the last layer has no bias


class LpmConfig(MembersConfig):
    """Size and training of the latency prediction module."""

    hidden: int = Field(default=16, ge=1, le=1024, description="units of each of the two hidden layers")
    steps: int = Field(
        default=150, ge=20, le=100_000, description="training steps on few rows, up to four times as many on many"
    )
    batch_rows: int = Field(default=2048, ge=16, le=1_000_000, description="most rows of a training step")
    learning_rate: float = Field(default=0.01, gt=0.0, le=1.0, description="highest learning rate of AdamW")
    weight_decay: float = Field(default=3.0, ge=0.0, le=100.0, description="decoupled weight decay of AdamW")


class LatencyPredictionModule(MemberPredictor):
    """Ridge regression plus an ensemble of small multi-layer networks, on costs or their logarithms."""

    name = "lpm"
    Config = LpmConfig
    precision = torch.float32  # a million architectures per second; half as many in float64
    config: LpmConfig

    def _learn_rest(self, rest: Rest, generator: torch.Generator) -> dict[str, Tensor]:
        config, weights = self.config, [rest.features.network_inputs(share) for share in NETWORK_SHARES]
        inputs = torch.stack([rest.design * each for each in weights])
        initial = initial_layers(len(inputs) * config.members, inputs.shape[-1], config.hidden, generator)
        schedule = Schedule(config.steps, config.batch_rows, config.learning_rate, config.weight_decay)
        stage = best_stage(initial, outputs, inputs, rest, schedule, generator)
        first, first_bias, second, second_bias, last = (each.double() for each in stage.weights)
        first = (rest.features.projection * weights[stage.inputs][:, None]).T @ first
        first_bias = first_bias - rest.features.centre @ first[:, None]
        return dict(zip(NAMES, (first, first_bias, second, second_bias, stage.share * last), strict=True))

    def _targets(self, codes: Tensor, state: State) -> Tensor:
        """As in the base class, with one product for the ridges and the networks' first layers."""
        weights, bias = _first_layers(state)
        rows = basis_parts(self.space, self.size, codes).affine(
            torch.cat([state["coefficients"], weights]), torch.cat([state["bases"], bias])
        )
        ridges, entered = torch.split(rows, [len(state["coefficients"]), len(weights)])
        return ridges + _later_layers(entered, state)

    def _rest(self, codes: Tensor, inputs: Basis, state: State) -> Tensor:  # noqa: ARG002 - the basis holds the codes
        return _later_layers(inputs.affine(*_first_layers(state)), state)

    def _rest_shapes(self) -> dict[str, Shape]:
        members, hidden, width = self.config.members, self.config.hidden, basis_width(self.space, self.size)
        return {
            "first": (members, width, hidden),
            "first_bias": (members, 1, hidden),
            "second": (members, hidden, hidden),
            "second_bias": (members, 1, hidden),
            "last": (members, hidden, 1),
        }


def _first_layers(state: State) -> tuple[Tensor, Tensor]:
    """Weights [K * H, P] and bias [K * H] of the first layers of all members."""
    return state["first"].transpose(1, 2).flatten(0, 1), state["first_bias"].flatten()


def _later_layers(entered: Tensor, state: State) -> Tensor:
    """Inputs of the hidden units of all members [K * H, B] -> their outputs [K, B]."""
    second, second_bias, last = state["second"], state["second_bias"], state["last"]
    hidden = silu(entered).reshape(len(second), second.shape[1], -1)
    hidden = silu(torch.baddbmm(second_bias.transpose(1, 2), second.transpose(1, 2), hidden))
    return (last.transpose(1, 2) @ hidden).squeeze(1)


def outputs(weights: Weights, inputs: Tensor) -> Tensor:
    """Outputs [G, N] of all networks for inputs [G, N, P]; smooth in the inputs."""
    first, first_bias, second, second_bias, last = weights
    hidden = silu(inputs @ first + first_bias)
    hidden = silu(hidden @ second + second_bias)
    return (hidden @ last).squeeze(-1)


def initial_layers(count: int, width: int, hidden: int, generator: torch.Generator) -> Weights:
    """Weights of `count` random networks with `width` inputs whose output is zero."""
    first = torch.randn(count, width, hidden, generator=generator) / width**0.5
    second = torch.randn(count, hidden, hidden, generator=generator) / hidden**0.5
    zeros = torch.zeros(count, 1, hidden)
    return first, zeros, second, zeros.clone(), torch.zeros(count, hidden, 1)
