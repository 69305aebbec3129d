"""Small networks for small data: ten layers, each a convolution over all channels, a separable one, or left out.

Blocks that keep their shape have a residual connection (He et al.,
https://arxiv.org/abs/1512.03385); separable blocks are MobileNet's (https://arxiv.org/abs/1704.04861), and `k3_e3` is
MobileNetV2's inverted residual (https://arxiv.org/abs/1801.04381). Stages, channels and strides are our choice.

A text names the blocks, stage by stage: `conv_3x3 skip | conv_3x3 sep_5x5 skip | ... `.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np

from chronas.arguments import require_kind
from chronas.errors import ParseError, excerpt
from chronas.spaces.space import Architecture, Decision, Group, NetworkSize, Space
from chronas.spaces.topologies import LayerTopology
from chronas.spaces.topologies.reachability import operation_counts

if TYPE_CHECKING:
    from numpy.typing import NDArray

BLOCKS = ("conv_3x3", "conv_5x5", "sep_3x3", "sep_5x5", "k3_e3", "skip")
STAGES = ((2, 24), (3, 48), (3, 96), (2, 128))  # layers, channels
STRIDES = {"cifar": (1, 1, 2, 2, 2), "small": (2, 1, 2, 2, 2), "imagenet": (2, 2, 2, 2, 2)}  # of stem and stages
STAGE_OF_LAYER = tuple(stage for stage, (layers, _) in enumerate(STAGES) for _ in range(layers))
FIRST_LAYERS = tuple(itertools.accumulate((layers for layers, _ in STAGES), initial=0))
EXAMPLE = "conv_3x3 skip | conv_3x3 sep_5x5 skip | ..."
LONGEST_TEXT = 512


def _strides(stem: str) -> tuple[int, ...]:
    """Strides of the stem and of all layers."""
    own, *stages = STRIDES[stem]
    return (own, *(stages[STAGE_OF_LAYER[k]] if k in FIRST_LAYERS else 1 for k in range(len(STAGE_OF_LAYER))))


class ConvNet(Space):
    """Ten decisions "layer.<number>" of the same 6 blocks, 6e7 networks."""

    name = "convnet"
    topology = LayerTopology(
        width=24,
        widths=tuple(STAGES[stage][1] for stage in STAGE_OF_LAYER),
        heads=dict.fromkeys(STRIDES, 192),
        strides={stem: _strides(stem) for stem in STRIDES},
    )
    decisions = tuple(Decision(f"layer.{layer}", BLOCKS) for layer in range(len(STAGE_OF_LAYER)))
    groups = tuple(Group((layer,), 1) for layer in range(len(STAGE_OF_LAYER)))
    sizes = {
        "cifar10": NetworkSize(input_shape=(3, 32, 32), outputs=10, width=24, depth=1),
        "imagenet": NetworkSize(input_shape=(3, 224, 224), outputs=1000, width=24, depth=1, stem="imagenet"),
    }

    def parse(self, text: str) -> Architecture:
        """The architecture of a text such as `conv_3x3 skip | conv_3x3 sep_5x5 skip | ...`.

        Raises:
            ParseError: the text has other stages or blocks.
        """
        require_kind(text, "an architecture's text", str)
        stages = [] if len(text) > LONGEST_TEXT else [stage.split() for stage in text.split("|")]
        if [len(stage) for stage in stages] != [layers for layers, _ in STAGES]:
            wanted = ", ".join(str(layers) for layers, _ in STAGES)
            raise ParseError(f"expected stages of {wanted} blocks like {EXAMPLE}, got {excerpt(text)}")
        names = [name for stage in stages for name in stage]
        unknown = next((name for name in names if name not in BLOCKS), None)
        if unknown is not None:
            raise ParseError(f"expected blocks of {', '.join(BLOCKS)}, got {excerpt(unknown)}")
        return Architecture(self, tuple(BLOCKS.index(name) for name in names))

    def text(self, architecture: Architecture) -> str:
        """The names of the blocks, stage by stage."""
        names = [architecture.operation(d) or "" for d in range(len(self.decisions))]
        return " | ".join(" ".join(names[a:b]) for a, b in itertools.pairwise(FIRST_LAYERS))

    def feature_map(self) -> NDArray[np.float64]:
        """Counts of the 6 blocks in each stage, then the encoding itself [24 + 60, 60]."""
        return np.concatenate([operation_counts(self, STAGE_OF_LAYER), np.eye(self.encoding_length)])
