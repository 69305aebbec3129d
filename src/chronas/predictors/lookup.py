"""A look-up table: one cost for each slot of the encoding, added up.

The table is fitted by ridge regression to whole networks, not measured operation by operation as in FBNet (arXiv
1812.03443): so it holds what runtimes fuse or add between operations. Exact where costs are additive (Eyeriss, FPGA).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict

from chronas.predictors.linear import LinearPredictor

if TYPE_CHECKING:
    from numpy.typing import NDArray


class LookupConfig(BaseModel):
    """Nothing can be set."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Lookup(LinearPredictor):
    """base + sum of the costs of the chosen slots, in ms."""

    name = "lookup"
    Config = LookupConfig
    minimum = 8

    def _design(self) -> NDArray[np.float64]:
        return np.eye(self.space.width)
