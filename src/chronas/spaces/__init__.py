"""What can be chosen: spaces, their architectures and sizes. Neither torch nor polars is imported here.

space = make_space("darts")
print(space.sample(1, seed=0)[0])
"""

from __future__ import annotations

import functools

from chronas.names import named
from chronas.spaces.features import live_codes
from chronas.spaces.operations import CELL_OPERATIONS, GREY, LAYER_OPERATIONS, NOTHING, Operation, label_of
from chronas.spaces.size import NetworkSize
from chronas.spaces.space import Architecture, Choice, Decision, Group, Space
from chronas.spaces.topologies import Cell, CellTopology, LayerTopology, Topology
from chronas.spaces.topologies.reachability import live_edges, needed_states, passes, reached_states

__all__ = [
    "CELL_OPERATIONS",
    "GREY",
    "LAYER_OPERATIONS",
    "NOTHING",
    "SPACES",
    "Architecture",
    "Cell",
    "CellTopology",
    "Choice",
    "Decision",
    "Group",
    "LayerTopology",
    "Operation",
    "NetworkSize",
    "Space",
    "Topology",
    "label_of",
    "live_codes",
    "live_edges",
    "make_space",
    "needed_states",
    "passes",
    "reached_states",
]

SPACES = {
    "darts": "chronas.spaces.darts:Darts",
    "fbnet": "chronas.spaces.fbnet:FBNet",
    "nasbench201": "chronas.spaces.nasbench201:NasBench201",
}


@functools.cache
def make_space(name: str) -> Space:
    """The space of a name in `SPACES`; the same object each time.

    Raises:
        UsageError: there is no such space.
    """
    space: Space = named("space", name, SPACES)()
    return space
