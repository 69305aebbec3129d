"""PC-DARTS: partial channels, edge normalisation and a warm-up (Xu et al., arXiv 1907.05737).

The loop is DARTS's; the settings differ. As in the published code the first C / K channels go through the operations
and the others around them. Unlike it, the derived cell is that of the final alphas. Where every edge of a node is kept
(NAS-Bench-201) there is nothing to normalise: edge weights are one. It is for cells: the blocks of a chain of layers
change the number of channels, so none can go around them.
"""

from __future__ import annotations

from typing import ClassVar

from chronas.search.gradient.config import BilevelConfig, PCDartsConfig
from chronas.search.gradient.darts import Darts


class PCDarts(Darts):
    """DARTS with the settings of PC-DARTS."""

    name: ClassVar[str] = "pc-darts"
    Config: ClassVar[type[BilevelConfig]] = PCDartsConfig
    needs_partial_channels: ClassVar[bool] = True
