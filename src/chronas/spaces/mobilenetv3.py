"""The MobileNetV3 spaces: five stages of 2 to 4 blocks, kernels 3, 5, 7, expansions 3, 4, 6, width and resolution.

Once-for-All's space over MobileNetV3-Large (Cai et al., https://arxiv.org/abs/1908.09791, and Howard et al.,
https://arxiv.org/abs/1905.02244), with two more decisions: the share of the image's size and the share of all channels.
`mobilenetv3` has squeeze-and-excitation and h-swish where the paper has them; `mobilenetv3-plain` has neither, for int8
and for accelerators without them. Stems and the shares are our choice. Samples have uniform depths, as in OFA's code,
because few of all networks are shallow.

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
CHANNELS = (24, 40, 80, 112, 160)
SQUEEZED = (False, True, False, True, True)
LAYERS, LEAST = 4, 2
STRIDES = {  # of the stem and of each stage
    "cifar": (1, 2, 2, 1, 1, 2),
    "small": (2, 2, 2, 2, 1, 1),
    "imagenet": (2, 2, 2, 2, 1, 2),
}
HEAD, FEATURES = 960, 1280
TEXT = re.compile(r"\s*(r\d+) (w\d+)((?: \| k\d_e\d(?: k\d_e\d)*)+)\s*", re.ASCII)
LONGEST_TEXT = 512
EXAMPLE = "r100 w75 | k3_e3 k5_e4 | k3_e6 k3_e3 k7_e4 | ... (five stages)"
OPERATIONS = {
    **{name: Operation("", colour=GREY, kernels=0) for name in (*RESOLUTIONS, *WIDTHS)},
    **{
        name: Operation("", colour={3: BLUE, 5: PURPLE, 7: ORANGE}[kernel], kernels=3)
        for name, (kernel, _) in BLOCKS.items()
    },
    SKIP: Operation("", "none", GREEN, kernels=0, identity=True),
}


def _topology(*, plain: bool) -> ElasticTopology:
    activations = ["relu"] * 5 if plain else ["relu", "relu", "hardswish", "hardswish", "hardswish"]
    numbers = zip(CHANNELS, SQUEEZED, activations, strict=True)
    return ElasticTopology(
        width=16,
        stages=tuple(Stage(channels, squeeze and not plain, activation) for channels, squeeze, activation in numbers),
        layers=LAYERS,
        least=LEAST,
        resolutions=tuple(RESOLUTIONS.values()),
        widths=tuple(WIDTHS.values()),
        blocks=BLOCKS,
        strides=STRIDES,
        head=HEAD,
        features=FEATURES,
        activation="relu" if plain else "hardswish",
        operations=OPERATIONS,
    )


def _layer(stage: int, number: int) -> Decision:
    options = tuple(BLOCKS) if number < LEAST else (*BLOCKS, SKIP)
    return Decision(f"stage{stage}.{number}", options)


class MobileNetV3(Space):
    """Decisions "resolution", "width" and "stage<number>.<layer>"; a stage's layers are one group."""

    name = "mobilenetv3"
    topology: ElasticTopology = _topology(plain=False)
    decisions = (
        Decision("resolution", tuple(RESOLUTIONS)),
        Decision("width", tuple(WIDTHS)),
        *(_layer(stage, number) for stage in range(len(CHANNELS)) for number in range(LAYERS)),
    )
    groups = (
        Group((0,), 1),
        Group((1,), 1),
        *(
            Group(tuple(range(first, first + LAYERS)), LAYERS)
            for first in range(FIRST_LAYER, FIRST_LAYER + LAYERS * len(CHANNELS), LAYERS)
        ),
    )
    sizes = {
        "cifar10": NetworkSize(input_shape=(3, 32, 32), outputs=10, width=16, depth=1),
        "imagenet": NetworkSize(input_shape=(3, 224, 224), outputs=1000, width=16, depth=1, stem="imagenet"),
    }

    def allows(self, group: Group, choices: Sequence[Choice]) -> bool:
        """Only the last layers of a stage can be left out."""
        there = [self.decisions[d].options[c or 0] != SKIP for d, c in zip(group.decisions, choices, strict=True)]
        return there == sorted(there, reverse=True)

    @functools.cached_property
    def _shares(self) -> NDArray[np.float64]:
        """The probability of each assignment of a stage: depths are uniform, and blocks within a depth [N]."""
        group = self.groups[FIRST_LAYER]
        depths = np.array([self._depth(group, choices) for choices in self.assignments(group)])
        counts = np.bincount(depths)
        shares: NDArray[np.float64] = 1.0 / (LAYERS - LEAST + 1) / counts[depths]
        return shares

    def _depth(self, group: Group, choices: Sequence[Choice]) -> int:
        return sum(self.decisions[d].options[c or 0] != SKIP for d, c in zip(group.decisions, choices, strict=True))

    def shares(self, group: Group) -> NDArray[np.float64] | None:
        """Uniform depths for a stage."""
        return self._shares if len(group.decisions) == LAYERS else None

    def parse(self, text: str) -> Architecture:
        """The architecture of a text such as `r100 w75 | k3_e3 k5_e4 | ...`.

        Raises:
            ParseError: the text has another form, or a block, a depth or a share that the space does not have.
        """
        require_kind(text, "an architecture's text", str)
        found = None if len(text) > LONGEST_TEXT else TEXT.fullmatch(text)
        if found is None:
            raise ParseError(f"expected a text like {EXAMPLE}, got {excerpt(text)}")
        stages = [part.split() for part in found[3].split(" | ")[1:]]
        if len(stages) != len(CHANNELS) or any(not LEAST <= len(stage) <= LAYERS for stage in stages):
            depths = ", ".join(str(len(stage)) for stage in stages)
            raise ParseError(f"expected {len(CHANNELS)} stages of {LEAST} to {LAYERS} blocks, got {depths}")
        names = [found[1], found[2]]
        names += itertools.chain.from_iterable([*stage, *[SKIP] * (LAYERS - len(stage))] for stage in stages)
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


class PlainMobileNetV3(MobileNetV3):
    """The same decisions, without squeeze-and-excitation and with ReLU alone."""

    name = "mobilenetv3-plain"
    topology = _topology(plain=True)


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
        stages = [
            " ".join(blocks[n * LAYERS : n * LAYERS + depth]) for n, depth in enumerate(map(int, depths))
        ]  # fmt: skip
        size = MobileNetV3.sizes["imagenet"].model_copy(update={"outputs": outputs, "input_shape": (3, pixels, pixels)})
    except (ValueError, TypeError, KeyError) as error:
        raise ParseError(f"expected JSON with ks, e, d and r, got {excerpt(config)}") from error
    from chronas.spaces import make_space  # the singleton; at import time it is not there yet

    return make_space(MobileNetV3.name).parse(" | ".join(["r100 w100", *stages])), size
