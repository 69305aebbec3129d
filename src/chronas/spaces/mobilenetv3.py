"""Spaces of inverted residual blocks whose depth, kernels, expansions, width and resolution are decisions.

Once-for-All's space over MobileNetV3-Large (Cai et al., https://arxiv.org/abs/1908.09791, and Howard et al.,
https://arxiv.org/abs/1905.02244), with two more decisions: the share of the image's size and the share of all channels.
`mobilenetv3` has squeeze-and-excitation and h-swish where the paper has them; `mobilenetv3-plain` has neither, for int8
and for accelerators without them. `efficientnet-lite` has the parts of EfficientNet-Lite0. Stems and shares are our
choice. Samples have uniform depths, as in OFA's code, because few of all networks are shallow.

A text is `r100 w100 | k3_e3 k5_e6 | ... `: resolution and width in percent, then the blocks of each stage.
"""

from __future__ import annotations

import functools
import itertools
import json
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from chronas.arguments import require_kind
from chronas.errors import ParseError, excerpt
from chronas.spaces.operations import BLUE, GREEN, GREY, ORANGE, PURPLE, Operation
from chronas.spaces.space import Architecture, Choice, Decision, Group, NetworkSize, Space
from chronas.spaces.topologies import ElasticTopology, Stage
from chronas.spaces.topologies.elastic import FIRST_LAYER, SKIP
from chronas.spaces.topologies.reachability import operation_counts

if TYPE_CHECKING:
    from numpy.typing import NDArray

RESOLUTIONS = {"r50": 0.5, "r67": 2 / 3, "r83": 5 / 6, "r100": 1.0}
WIDTHS = {"w50": 0.5, "w75": 0.75, "w100": 1.0}
BLOCKS = {f"k{kernel}_e{expansion}": (kernel, expansion) for kernel in (3, 5, 7) for expansion in (3, 4, 6)}
SQUEEZED = {24: False, 40: True, 80: False, 112: True, 160: True}  # channels of a stage -> squeeze-and-excitation
STRIDES = {  # of the stem and of each stage
    "cifar": (1, 1, 2, 2, 1, 2),
    "small": (2, 2, 2, 2, 1, 1),
    "imagenet": (2, 2, 2, 2, 1, 2),
}
TEXT = re.compile(r"\s*(r\d+) (w\d+)((?: \| k\d_e\d(?: k\d_e\d)*)+)\s*", re.ASCII)
LONGEST_TEXT = 512
EXAMPLE = "r100 w75 | k3_e3 k5_e4 | k3_e6 k3_e3 k7_e4 | ..."
OPERATIONS = {
    **{name: Operation("", colour=GREY, kernels=0) for name in (*RESOLUTIONS, *WIDTHS)},
    **{
        name: Operation("", colour={3: BLUE, 5: PURPLE, 7: ORANGE}[kernel], kernels=3)
        for name, (kernel, _) in BLOCKS.items()
    },
    SKIP: Operation("", "none", GREEN, kernels=0, identity=True),
}


def _mobilenetv3(*, plain: bool) -> ElasticTopology:
    def stage(channels: int, squeeze: bool) -> Stage:  # noqa: FBT001
        return Stage(channels, squeeze and not plain, "relu" if plain or channels < 80 else "hardswish")

    return ElasticTopology(
        width=16,
        first=16,
        stages=tuple(stage(*each) for each in SQUEEZED.items()),
        resolutions=tuple(RESOLUTIONS.values()),
        widths=tuple(WIDTHS.values()),
        blocks=BLOCKS,
        strides=STRIDES,
        head=960,
        features=1280,
        activation="relu" if plain else "hardswish",
        operations=OPERATIONS,
    )


class ElasticSpace(Space):
    """A space of an elastic topology: decisions "resolution", "width" and "stage<number>.<layer>".

    The layers of a stage are one group. A subclass has a name, a topology and sizes.
    """

    topology: ElasticTopology

    def __init__(self) -> None:
        """Make the decisions and groups of the topology."""
        stages = self.topology.stages
        self.decisions = (
            Decision("resolution", tuple(RESOLUTIONS)),
            Decision("width", tuple(WIDTHS)),
            *(
                Decision(f"stage{number}.{layer}", self.topology.options(stage, layer))
                for number, stage in enumerate(stages)
                for layer in range(stage.layers)
            ),
        )
        firsts = itertools.accumulate([stage.layers for stage in stages], initial=FIRST_LAYER)
        layers = [tuple(range(first, first + stage.layers)) for first, stage in zip(firsts, stages, strict=False)]
        self.groups = (Group((0,), 1), Group((1,), 1), *(Group(each, len(each)) for each in layers))

    def allows(self, group: Group, choices: Sequence[Choice]) -> bool:
        """Only the last layers of a stage can be left out."""
        there = [self.decisions[d].options[c or 0] != SKIP for d, c in zip(group.decisions, choices, strict=True)]
        return there == sorted(there, reverse=True)

    @functools.cache  # noqa: B019 - spaces are singletons and live as long as the process
    def shares(self, group: Group) -> NDArray[np.float64] | None:
        """Uniform depths for a stage, and uniform blocks within a depth."""
        if group.decisions[0] < FIRST_LAYER:
            return None
        depths = np.array([self._depth(group, choices) for choices in self.assignments(group)])
        counts = np.bincount(depths)
        shares: NDArray[np.float64] = 1.0 / np.count_nonzero(counts) / counts[depths]
        return shares

    def _depth(self, group: Group, choices: Sequence[Choice]) -> int:
        return sum(self.decisions[d].options[c or 0] != SKIP for d, c in zip(group.decisions, choices, strict=True))

    def parse(self, text: str) -> Architecture:
        """The architecture of a text such as `r100 w75 | k3_e3 k5_e4 | ...`.

        Raises:
            ParseError: the text has another form, or a block, a depth or a share that the space does not have.
        """
        require_kind(text, "an architecture's text", str)
        found = None if len(text) > LONGEST_TEXT else TEXT.fullmatch(text)
        if found is None:
            raise ParseError(f"expected a text like {EXAMPLE}, got {excerpt(text)}")
        given = [part.split() for part in found[3].split(" | ")[1:]]
        stages = self.topology.stages
        if len(given) != len(stages):
            raise ParseError(f"expected {len(stages)} stages, got {len(given)}")
        names = [found[1], found[2]]
        for number, (blocks, stage) in enumerate(zip(given, stages, strict=True)):
            if not stage.least <= len(blocks) <= stage.layers:
                raise ParseError(f"stage {number} has {stage.least} to {stage.layers} blocks, got {len(blocks)}")
            names += [*blocks, *[SKIP] * (stage.layers - len(blocks))]
        choices = []
        for decision, name in zip(self.decisions, names, strict=True):
            if name not in decision.options:
                raise ParseError(f"{decision.name} has the options {', '.join(decision.options)}, got {name}")
            choices.append(decision.options.index(name))
        return Architecture(self, tuple(choices))

    def text(self, architecture: Architecture) -> str:
        """Resolution and width, then the blocks of each stage."""
        names = [architecture.operation(d) or "" for d in range(len(architecture.choices))]
        stages = [names[group.decisions[0] : group.decisions[-1] + 1] for group in self.groups[FIRST_LAYER:]]
        blocks = [" ".join(name for name in stage if name != SKIP) for stage in stages]
        return " | ".join([f"{names[0]} {names[1]}", *blocks])

    def feature_map(self) -> NDArray[np.float64]:
        """Counts of the options in each stage, then the encoding itself."""
        labels = [decision.name.partition(".")[0] for decision in self.decisions]
        return np.concatenate([operation_counts(self, labels), np.eye(self.encoding_length)])


class MobileNetV3(ElasticSpace):
    """OFA's space, with width and resolution."""

    name = "mobilenetv3"
    topology = _mobilenetv3(plain=False)
    sizes = {
        "cifar10": NetworkSize(input_shape=(3, 32, 32), outputs=10, width=16, depth=1),
        "imagenet": NetworkSize(input_shape=(3, 224, 224), outputs=1000, width=16, depth=1, stem="imagenet"),
    }


class PlainMobileNetV3(MobileNetV3):
    """The same decisions, without squeeze-and-excitation and with ReLU alone."""

    name = "mobilenetv3-plain"
    topology = _mobilenetv3(plain=True)


class EfficientNetLite(ElasticSpace):
    """The parts of EfficientNet-Lite0 (tensorflow/tpu, efficientnet/lite), which is the largest network."""

    name = "efficientnet-lite"
    topology = ElasticTopology(
        width=32,
        first=16,
        stages=tuple(
            Stage(channels, squeeze=False, activation="relu6", layers=layers, least=1, kernel=kernel)
            for layers, kernel, channels in ((2, 3, 24), (2, 5, 40), (3, 3, 80), (3, 5, 112), (4, 5, 192), (1, 3, 320))
        ),
        resolutions=tuple(RESOLUTIONS.values()),
        widths=tuple(WIDTHS.values()),
        blocks={name: form for name, form in BLOCKS.items() if form[0] <= 5},
        strides={
            "cifar": (1, 1, 2, 2, 1, 2, 1),
            "small": (2, 2, 2, 2, 1, 1, 1),
            "imagenet": (2, 2, 2, 2, 1, 2, 1),
        },
        head=1280,
        features=0,
        activation="relu6",
        same_padding=True,
        epsilon=1e-3,
        operations=OPERATIONS,
    )
    sizes = {
        "imagenet": NetworkSize(input_shape=(3, 224, 224), outputs=1000, width=32, depth=1, stem="imagenet"),
        "cifar10": NetworkSize(input_shape=(3, 96, 96), outputs=10, width=32, depth=1, stem="imagenet"),
    }


def from_ofa(config: str, outputs: int = 1000) -> tuple[Architecture, NetworkSize]:
    """The architecture and size of an OFA network: JSON with `ks`, `e`, `d` and the resolution `r`.

    Args:
        config: a JSON object, as HELP's table of OFA latencies has it (https://github.com/HayeonLee/HELP).
        outputs: number of classes.

    Raises:
        ParseError: the text is no such object.
    """
    try:
        given = json.loads(config)
        kernels, expansions, depths, pixels = (given[key] for key in ("ks", "e", "d", "r"))
        blocks = [f"k{kernel}_e{expansion}" for kernel, expansion in zip(kernels, expansions, strict=True)]
        most = MobileNetV3.topology.stages[0].layers
        stages = [" ".join(blocks[n * most : n * most + depth]) for n, depth in enumerate(map(int, depths))]
        size = MobileNetV3.sizes["imagenet"].model_copy(update={"outputs": outputs, "input_shape": (3, pixels, pixels)})
    except (ValueError, TypeError, KeyError) as error:
        raise ParseError(f"expected JSON with ks, e, d and r, got {excerpt(config)}") from error
    from chronas.spaces import make_space  # the singleton; at import time it is not there yet

    return make_space(MobileNetV3.name).parse(" | ".join(["r100 w100", *stages])), size
