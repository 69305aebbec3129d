"""Cost as a linear function of multiply-accumulates: the baseline that says what measuring is worth.

On 15,625 NAS-Bench-201 networks MACs rank a batch-256 GPU at Spearman 0.97 but the Eyeriss accelerator at 0.54.
"""

from __future__ import annotations

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from chronas.networks import closed_form
from chronas.predictors.linear import LinearPredictor


class MacsConfig(BaseModel):
    """Nothing can be set."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Macs(LinearPredictor):
    """base + slope x MACs, in ms."""

    name = "macs"
    Config = MacsConfig
    minimum = 4

    def _design(self) -> Tensor:
        return torch.from_numpy(closed_form(self.space, self.skeleton).slot_macs)[None]
