"""A look-up table: one cost for each slot of the encoding, added up.

The table is fitted by ridge regression to whole networks, not measured operation by operation as in FBNet (arXiv
1812.03443): so it holds what runtimes fuse or add between operations. Exact where costs are additive (Eyeriss, FPGA).
"""

from __future__ import annotations

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from chronas.predictors.linear import LinearPredictor


class LookupConfig(BaseModel):
    """Nothing can be set."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Lookup(LinearPredictor):
    """base + sum of the costs of the chosen slots, in ms."""

    name = "lookup"
    Config = LookupConfig
    minimum = 8

    def _design(self) -> Tensor:
        return torch.eye(self.space.width, dtype=torch.float64)
