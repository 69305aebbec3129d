"""Topologies turn the decisions of a space into a network. Each kind is one file with all its behaviour."""

from __future__ import annotations

from chronas.spaces.topologies.cells import CellTopology
from chronas.spaces.topologies.elastic import ElasticTopology, Stage
from chronas.spaces.topologies.layers import LayerTopology
from chronas.spaces.topologies.topology import Cell, Topology

__all__ = ["Cell", "CellTopology", "ElasticTopology", "LayerTopology", "Stage", "Topology"]
