"""PC-DARTS: partial channels, edge normalisation and a warm-up (Xu et al., arXiv 1907.05737).

The loop is DARTS's; the settings differ. As in the published code the first C / K channels go through the operations
and the others around them. Unlike it, the derived cell is that of the final logits. Where every edge of a node is kept
(NAS-Bench-201) there is nothing to normalise: edge weights are one. It is for cells: the blocks of a chain of layers
change the number of channels, so none can go around them.
"""

from __future__ import annotations

from typing import ClassVar

from chronas.search.bilevel import Darts
from chronas.search.config import BilevelConfig, PCDartsConfig
from chronas.spaces import CellTopology


class PCDarts(Darts):
    """DARTS with the settings of PC-DARTS."""

    name: ClassVar[str] = "pc-darts"
    Config: ClassVar[type[BilevelConfig]] = PCDartsConfig
    topologies = (CellTopology,)
