"""How the decisions of a space become a network: one file for each kind of topology, which brings all its behaviour."""

from __future__ import annotations

from chronas.spaces.topologies.cells import CellTopology
from chronas.spaces.topologies.layers import LayerTopology
from chronas.spaces.topologies.topology import Cell, Topology

__all__ = ["Cell", "CellTopology", "LayerTopology", "Topology"]
