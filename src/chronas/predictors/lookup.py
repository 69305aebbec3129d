"""A look-up table: one cost for each slot of the encoding, added up.

The table is fitted by ridge regression to whole networks, not measured operation by operation as in FBNet (arXiv
1812.03443): so it holds what runtimes fuse or add between operations. Exact where costs are additive (Eyeriss, FPGA).
`Lookup.of_blocks` is the other one, from `chronas measure --lookup`.
"""

from __future__ import annotations

from typing import Self

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from chronas.predictors.calibration import interval_factor
from chronas.predictors.linear import RESOLUTION, LinearPredictor
from chronas.tables import BlockNetworks, CostTable, added_up


class LookupConfig(BaseModel):
    """Nothing can be set."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Lookup(LinearPredictor):
    """base + sum of the costs of the chosen slots, in ms."""

    name = "lookup"
    Config = LookupConfig
    minimum = 8

    @classmethod
    def of_blocks(cls, table: CostTable) -> Self:
        """The look-up of a table of single blocks: a sum, as uncertain as it was for the table's whole networks.

        One factor is fitted to these, so that sums are right for the median of them.

        Raises:
            DataError: a network of single blocks is missing, or there are fewer than two others.
            UsageError: the table's space has no layers.
        """
        skeleton = table.provenance.skeleton
        networks = BlockNetworks.of(table.space, skeleton)
        blocks, judged = added_up(table, networks)
        assert judged.provenance.additivity is not None
        blocks = blocks.levelled(judged.provenance.additivity)
        single = set(networks.architectures)
        whole = np.array([architecture not in single for architecture in table.architectures()])
        measured = torch.tensor(table.costs()[whole])
        sums = torch.tensor(blocks.costs(table.space.encode(table.architectures())[whole]))
        median, width = measured.median(), table.space.width
        scale = interval_factor(measured - sums, torch.ones_like(sums), RESOLUTION * float(median))
        lookup = cls(table.space, skeleton)
        lookup.learned = table.provenance.cost
        lookup._state = {
            "base_ms": torch.tensor(blocks.base, dtype=torch.float64),
            "slopes_ms": torch.tensor(blocks.slots),
            "centre": torch.zeros(width, dtype=torch.float64),
            "variance_ms2": torch.tensor(scale**2, dtype=torch.float64),
            "covariance_ms2": torch.zeros(width, width, dtype=torch.float64),
            "median_ms": median,
        }
        return lookup

    def _design(self) -> Tensor:
        return torch.eye(self.space.width, dtype=torch.float64)
