"""Search spaces, their architectures and network sizes. This package imports neither torch nor polars.

space = make_space("darts")
print(space.sample(1, seed=0)[0])
"""

from __future__ import annotations

from chronas.errors import MismatchError, NotRegisteredError, UsageError
from chronas.registry import Registry, import_path
from chronas.spaces.operations import CELL_OPERATIONS, GREY, LAYER_OPERATIONS, NOTHING, Operation, label_of
from chronas.spaces.space import Architecture, Choice, Decision, Group, NetworkScale, NetworkSize, Space
from chronas.spaces.topologies import Cell, CellTopology, ElasticTopology, LayerTopology, Stage, Topology
from chronas.spaces.topologies.reachability import live_codes, live_edges, needed_states, passes, reached_states

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
    "ElasticTopology",
    "Group",
    "LayerTopology",
    "Operation",
    "NetworkScale",
    "NetworkSize",
    "Space",
    "Stage",
    "Topology",
    "label_of",
    "live_codes",
    "live_edges",
    "make_space",
    "space_of_file",
    "space_source",
    "needed_states",
    "passes",
    "reached_states",
]

SPACES = Registry(
    "space",
    {
        "darts": "chronas.spaces.darts:Darts",
        "efficientnet-lite": "chronas.spaces.mobilenetv3:EfficientNetLite",
        "convnet": "chronas.spaces.convnet:ConvNet",
        "fbnet": "chronas.spaces.fbnet:FBNet",
        "mobilenetv3": "chronas.spaces.mobilenetv3:MobileNetV3",
        "mobilenetv3-plain": "chronas.spaces.mobilenetv3:PlainMobileNetV3",
        "nasbench201": "chronas.spaces.nasbench201:NasBench201",
    },
)
_made: dict[object, Space] = {}  # class or function -> the space that it made


def make_space(space: str | Space) -> Space:
    """The space of a name in `SPACES`, always the same object; a `Space` is returned unchanged.

    Raises:
        UsageError: there is no such space, or the name stands for something else.
    """
    if isinstance(space, Space):
        return space
    entry = SPACES[space]
    if isinstance(entry, Space):
        return entry
    if entry not in _made:
        made = entry()
        if not isinstance(made, Space) or made.name != space:
            raise UsageError(f"space {space} should be a Space whose name is {space!r}, got {made!r}: register another")
        _made[entry] = made
    return _made[entry]


def space_of_file(what: str, name: str, source: str = "", space: Space | None = None) -> Space:
    """The space that a file belongs to.

    Args:
        what: the file, for messages.
        name: name of the space in the file.
        source: import path of the space's class in the file.
        space: the caller's space; None: the one of that name in `SPACES`.

    Raises:
        MismatchError: the file belongs to another space than the given one.
        NotRegisteredError: no space is given, and this program has none of that name.
    """
    if space is not None and space.name != name:
        raise MismatchError(f"{what} is of space {name}, got space {space.name}: give the space that it is of")
    if space is None and name not in SPACES:
        made_by = f" (class {source})" if source else ""
        raise NotRegisteredError(
            f"{what} is of space {name!r}{made_by}, which is not registered here: give it as `space=`, call "
            f"`chronas.register(space)` first, or install the package with its entry point in {SPACES.group}"
        )
    return make_space(name) if space is None else space


def space_source(space: Space) -> str:
    """The import path of a user's own space class, to be stored in files; empty for built-in spaces."""
    return "" if space.name in SPACES.built_in else import_path(space)
