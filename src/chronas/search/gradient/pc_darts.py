"""PC-DARTS: partial channels, edge normalisation and a warm-up (Xu et al., arXiv 1907.05737).

The loop is DARTS's; the settings differ. As in the published code, the first C / K channels go through the operations
and the others bypass them. Unlike there, the derived cell is that of the final alphas. If every edge of a node is kept
(NAS-Bench-201), there is nothing to normalise and edge weights are one. The method is for cells: blocks in a chain of
layers change the number of channels, so no channel can bypass them.
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
