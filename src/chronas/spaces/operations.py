"""Facts about operations that are known without building them: class, label, colour and number of kernels.

The topology of a space has a table of operations by option name. A user's own operation is one more entry. Its class, a
subclass of `nn.Module`, is called with a description of the operation's place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chronas.registry import imported

if TYPE_CHECKING:
    from torch import nn

NOTHING = "none"  # the option of an edge that passes nothing on
GREY = "#666c76"

# Fills that carry white text at a contrast of at least 4.5 : 1; hues near Okabe and Ito's colour-blind safe set.
BLUE, PURPLE, ORANGE, GREEN = "#0067a5", "#7a4a9c", "#a84800", "#00735a"


@dataclass(frozen=True)
class Operation:
    """One operation that decisions can choose.

    Attributes:
        module: the class, or its import string "package.module:Class". It is called with an `OpSpec` in a cell, with a
            `LayerPlan` in a chain of layers, and with another object in a user's own topology.
        label: the name for people; by default the option's name with spaces.
        colour: fill colour of its label in drawings; the text is white.
        kernels: number of kernels that a runtime launches for it, with batch norms folded and activations fused.
        identity: whether it returns its input unchanged if the shape allows it.
    """

    module: str | Callable[..., nn.Module]
    label: str = ""
    colour: str = GREY
    kernels: int = 1
    identity: bool = False

    @property
    def type(self) -> Callable[..., nn.Module]:
        """The class; it is imported at this moment."""
        return imported(self.module) if isinstance(self.module, str) else self.module

    def make(self, place: Any) -> nn.Module:
        """The module at a place of the network."""
        return self.type(place)


def label_of(name: str, operations: Mapping[str, Operation]) -> str:
    """The display name of an option: `sep conv 3x3` for `sep_conv_3x3`."""
    known = operations.get(name)
    return known.label if known is not None and known.label else name.replace("_", " ")


_OPERATIONS = "chronas.networks.operations"
CELL_OPERATIONS: Mapping[str, Operation] = {
    "none": Operation(f"{_OPERATIONS}:Zero", kernels=0),
    "skip_connect": Operation(f"{_OPERATIONS}:Skip", "skip", GREEN, kernels=0, identity=True),
    "max_pool_3x3": Operation(f"{_OPERATIONS}:MaxPool3x3", colour=ORANGE),
    "avg_pool_3x3": Operation(f"{_OPERATIONS}:AvgPool3x3", colour=ORANGE),
    "sep_conv_3x3": Operation(f"{_OPERATIONS}:SepConv3x3", colour=BLUE, kernels=6),
    "sep_conv_5x5": Operation(f"{_OPERATIONS}:SepConv5x5", colour=BLUE, kernels=6),
    "dil_conv_3x3": Operation(f"{_OPERATIONS}:DilConv3x3", colour=PURPLE, kernels=3),
    "dil_conv_5x5": Operation(f"{_OPERATIONS}:DilConv5x5", colour=PURPLE, kernels=3),
    "nor_conv_1x1": Operation(f"{_OPERATIONS}:NorConv1x1", "conv 1x1", BLUE, kernels=2),
    "nor_conv_3x3": Operation(f"{_OPERATIONS}:NorConv3x3", "conv 3x3", BLUE, kernels=2),
}

_LAYERS = "chronas.networks.layers"
_BLOCK = f"{_LAYERS}:InvertedResidual"
LAYER_OPERATIONS: Mapping[str, Operation] = {
    "k3_e1": Operation(_BLOCK, colour=BLUE, kernels=3),
    "k3_e1_g2": Operation(_BLOCK, colour=BLUE, kernels=6),
    "k3_e3": Operation(_BLOCK, colour=BLUE, kernels=3),
    "k3_e6": Operation(_BLOCK, colour=BLUE, kernels=3),
    "k5_e1": Operation(_BLOCK, colour=PURPLE, kernels=3),
    "k5_e1_g2": Operation(_BLOCK, colour=PURPLE, kernels=6),
    "k5_e3": Operation(_BLOCK, colour=PURPLE, kernels=3),
    "k5_e6": Operation(_BLOCK, colour=PURPLE, kernels=3),
    "conv_3x3": Operation(f"{_LAYERS}:ConvLayer", colour=ORANGE),
    "conv_5x5": Operation(f"{_LAYERS}:ConvLayer", colour=ORANGE),
    "sep_3x3": Operation(f"{_LAYERS}:SeparableLayer", colour=GREY, kernels=2),
    "sep_5x5": Operation(f"{_LAYERS}:SeparableLayer", colour=GREY, kernels=2),
    "skip": Operation(f"{_LAYERS}:SkipLayer", colour=GREEN, kernels=0, identity=True),
}
