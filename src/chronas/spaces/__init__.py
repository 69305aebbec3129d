"""What can be chosen: spaces, their architectures and skeletons. Neither torch nor polars is imported here.

space = make_space("darts")
print(space.sample(1, seed=0)[0])
"""

from __future__ import annotations

import functools

from chronas.names import named
from chronas.spaces.skeleton import Skeleton
from chronas.spaces.space import NOTHING, Architecture, Choice, Decision, Group, Space
from chronas.spaces.topology import Cell, CellTopology, LayerTopology, Topology

__all__ = [
    "NOTHING",
    "SPACES",
    "Architecture",
    "Cell",
    "CellTopology",
    "Choice",
    "Decision",
    "Group",
    "LayerTopology",
    "Skeleton",
    "Space",
    "Topology",
    "make_space",
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
