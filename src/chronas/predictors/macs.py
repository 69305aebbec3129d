"""Cost as a linear function of multiply-accumulates and parameters: the baseline that says what measuring is worth.

On 15,625 NAS-Bench-201 networks MACs rank a batch-256 GPU at Spearman 0.97 but the Eyeriss accelerator at 0.54.
"""

from __future__ import annotations

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from chronas.networks import closed_form
from chronas.predictors.linear import LinearPredictor


class MacsConfig(BaseModel):
    """Nothing can be set."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Macs(LinearPredictor):
    """base + slope x MACs + slope x parameters, in ms."""

    name = "macs"
    Config = MacsConfig
    minimum = 4

    def _design(self) -> Tensor:
        form = closed_form(self.space, self.skeleton)
        design = torch.from_numpy(np.stack([form.slot_macs, form.slot_parameters]))
        return design / design.amax(dim=1, keepdim=True)
