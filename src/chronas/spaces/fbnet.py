"""The FBNet space: 22 layers of 9 blocks each, 9.8e20 networks.

Wu et al., FBNet, https://arxiv.org/abs/1812.03443, in the version of HW-NAS-Bench (https://arxiv.org/abs/2103.10584,
https://github.com/GATECH-EIC/HW-NAS-Bench, `FBNet_Infer`): its order of blocks, its strides and heads for CIFAR and
ImageNet, 16 channels in the first stage. As there, `skip` is allowed in every layer; where channels or size change it
is a 1x1 convolution, batch norm and ReLU.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from chronas.arguments import require_kind
from chronas.errors import ParseError, excerpt
from chronas.spaces.space import Architecture, Decision, Group, NetworkSize, Space
from chronas.spaces.topologies import LayerTopology
from chronas.spaces.topologies.reachability import operation_counts

if TYPE_CHECKING:
    from numpy.typing import NDArray

BLOCKS = ("k3_e1", "k3_e1_g2", "k3_e3", "k3_e6", "k5_e1", "k5_e1_g2", "k5_e3", "k5_e6", "skip")
STAGES = ((1, 16), (4, 24), (4, 32), (4, 64), (4, 112), (4, 184), (1, 352))  # layers, channels
STAGE_STRIDES = {"cifar": (1, 1, 2, 2, 1, 2, 1), "imagenet": (1, 2, 2, 2, 1, 2, 1)}  # of their first layers
STEM_STRIDES = {"cifar": 1, "imagenet": 2}
STAGE_OF_LAYER = tuple(stage for stage, (layers, _) in enumerate(STAGES) for _ in range(layers))
LAYERS = len(STAGE_OF_LAYER)
NUMBERS = re.compile(r"\s*[0-8](?:\s*,\s*[0-8]){" + str(LAYERS - 1) + r"}\s*", re.ASCII)
LONGEST_TEXT = 1024


def _strides(stem: str) -> tuple[int, ...]:
    """Strides of the stem and of all layers."""
    first = {STAGE_OF_LAYER.index(stage): stride for stage, stride in enumerate(STAGE_STRIDES[stem])}
    return (STEM_STRIDES[stem], *(first.get(layer, 1) for layer in range(LAYERS)))


class FBNet(Space):
    """22 decisions "layer.<number>" of the same 9 blocks; the text form is the list of their numbers."""

    name = "fbnet"
    topology = LayerTopology(
        width=16,
        widths=tuple(STAGES[stage][1] for stage in STAGE_OF_LAYER),
        heads={"cifar": 1504, "imagenet": 1984},
        strides={stem: _strides(stem) for stem in STAGE_STRIDES},
    )
    decisions = tuple(Decision(f"layer.{layer}", BLOCKS) for layer in range(LAYERS))
    groups = tuple(Group((layer,), 1) for layer in range(LAYERS))
    sizes = {
        "cifar100": NetworkSize(input_shape=(3, 32, 32), outputs=100, width=16, depth=1),
        "imagenet": NetworkSize(input_shape=(3, 224, 224), outputs=1000, width=16, depth=1, stem="imagenet"),
    }

    def parse(self, text: str) -> Architecture:
        """The architecture of HW-NAS-Bench's `op_idx_list`; HELP (arXiv 2106.08630) writes it without brackets.

        Raises:
            ParseError: the text is not a list of 22 numbers 0..8.
        """
        require_kind(text, "an architecture's text", str)
        numbers = text.strip()
        if numbers.startswith("[") and numbers.endswith("]"):
            numbers = numbers[1:-1]
        if len(text) > LONGEST_TEXT or not NUMBERS.fullmatch(numbers):
            raise ParseError(f"expected a list of {LAYERS} numbers 0..8 like [0, 3, ..., 8], got {excerpt(text)}")
        return Architecture(self, tuple(int(number) for number in numbers.split(",")))

    def text(self, architecture: Architecture) -> str:
        """HW-NAS-Bench's `op_idx_list`."""
        return str(list(architecture.choices))

    def feature_map(self) -> NDArray[np.float64]:
        """Counts of the 9 blocks in each stage, then the encoding itself [63 + 198, 198]."""
        return np.concatenate([operation_counts(self, STAGE_OF_LAYER), np.eye(self.encoding_length)])
