"""Stages of inverted residual blocks whose depth, kernels, expansions, width and resolution are decisions.

Cai et al., Once-for-All, https://arxiv.org/abs/1908.09791; Yu et al., BigNAS, https://arxiv.org/abs/2003.11142. The
first decision is the share of the image's size at which a network computes; its first layer scales the images. The
second is the share of all channels. Then come the layers of each stage; "skip" leaves a layer out, and only the last
layers of a stage can be left out. So every network is a part of the largest one, and a supernet can nest all weights.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from chronas.errors import UsageError
from chronas.spaces.operations import Operation
from chronas.spaces.topologies.topology import Topology

if TYPE_CHECKING:
    from torch import nn

    from chronas.networks import InvertedPlan, MobilePlan, SpaceWork
    from chronas.spaces.space import Architecture, NetworkSize, Space
    from chronas.supernets import Supernet

RESOLUTION, WIDTH, FIRST_LAYER = 0, 1, 2  # decisions
SKIP = "skip"
LEAST_PIXELS = 8  # of a scaled image's side


@dataclass(frozen=True)
class Stage:
    """The published numbers of one stage.

    Attributes:
        channels: output channels.
        squeeze: whether its blocks have squeeze-and-excitation.
        activation: "relu", "relu6" or "hardswish".
        layers: most layers.
        least: fewest layers.
        kernel: side of the largest depthwise convolution.
    """

    channels: int
    squeeze: bool
    activation: str
    layers: int = 4
    least: int = 2
    kernel: int = 7


@dataclass(frozen=True, eq=False, kw_only=True)
class ElasticTopology(Topology):
    """A stem, a fixed first block, stages of a free number of blocks, and a head.

    Attributes:
        width: channels of the published stem; for another width, all channels scale in proportion.
        first: output channels of the published fixed block after the stem.
        stages: the stages.
        resolutions: shares of the image's size, one for each option of the first decision.
        widths: shares of the channels, one for each option of the second decision.
        blocks: kernel and expansion of each option of a layer, by its name.
        strides: strides of the stem and of each stage, by stem.
        head: channels of the published last 1x1 convolution.
        features: outputs of the published fully connected layer before the classifier, 0 without one.
        activation: activation of stem and head.
        same_padding: whether images are padded as in TensorFlow, see `networks.mobile.with_same_padding`.
        epsilon: number that batch norms add to the variance.
        operations: label, colour and kernels of the options.
    """

    width: int
    first: int
    stages: tuple[Stage, ...]
    resolutions: tuple[float, ...]
    widths: tuple[float, ...]
    blocks: Mapping[str, tuple[int, int]]
    strides: Mapping[str, tuple[int, ...]]
    head: int
    features: int
    activation: str
    same_padding: bool = False
    epsilon: float = 1e-5
    operations: Mapping[str, Operation] = field(default_factory=dict)
    scaling: tuple[int, ...] = (RESOLUTION, WIDTH)
    mixtures: bool = False
    nested: bool = True

    @property
    def stems(self) -> tuple[str, ...]:  # type: ignore[override]
        """The stems for which strides are known."""
        return tuple(self.strides)

    def check(self, space: Space, size: NetworkSize) -> None:
        """As `Topology.check`; depth is a decision here, so the size has none."""
        super().check(space, size)
        if size.depth != 1:
            raise UsageError(f"space {space.name} chooses its depth itself: give depth 1, got {size.depth}")

    def options(self, stage: Stage, number: int) -> tuple[str, ...]:
        """The options of a layer of a stage, counted from 0: blocks, and `SKIP` where it can be left out."""
        names = tuple(name for name, (kernel, _) in self.blocks.items() if kernel <= stage.kernel)
        return names if number < stage.least else (*names, SKIP)

    def ends(self, space: Space) -> tuple[Architecture, Architecture]:
        """The smallest and the largest architecture."""
        smallest, largest = [0, 0], [len(self.resolutions) - 1, len(self.widths) - 1]
        for decision in space.decisions[FIRST_LAYER:]:
            order = sorted((name for name in decision.options if name != SKIP), key=lambda name: self.blocks[name])
            smallest.append(decision.options.index(SKIP if SKIP in decision.options else order[0]))
            largest.append(decision.options.index(order[-1]))
        return space.architecture(smallest), space.architecture(largest)

    def plan(self, architecture: Architecture, size: NetworkSize, *, auxiliary: bool = False) -> MobilePlan:  # noqa: ARG002
        """The chosen blocks; there is no auxiliary head."""
        names = [architecture.operation(d) or SKIP for d in range(len(architecture.choices))]
        scale = tuple(architecture.choices[d] or 0 for d in self.scaling)
        return self.chain(names[FIRST_LAYER:], size, scale)

    def chain(self, names: Sequence[str], size: NetworkSize, scale: tuple[int, ...]) -> MobilePlan:
        """The plan of a network of these blocks.

        Args:
            names: an option for each layer.
            size: size of the largest network.
            scale: options of resolution and width.
        """
        from chronas.networks.mobile import MobilePlan, with_same_padding

        stem, *_ = self.strides[size.stem]
        places = self.places(size, scale[1])
        blocks = [self._first_block(size, scale[1])]
        blocks += [self.block(name, *place) for name, place in zip(names, places, strict=True) if name != SKIP]
        scaled = self.pixels(size, scale[0])
        plan = MobilePlan(
            image_channels=size.input_shape[0],
            image_size=None if scaled == size.input_shape[1:] else scaled,
            stem_channels=blocks[0].channels_in,
            stem_stride=stem,
            stem_activation=self.activation,
            blocks=tuple(blocks),
            head_channels=self.channels(self.head, size, scale[1]),
            features=self.channels(self.features, size, scale[1]) if self.features else 0,
            activation=self.activation,
            classes=size.outputs,
            epsilon=self.epsilon,
        )
        return with_same_padding(plan, scaled) if self.same_padding else plan

    def channels(self, published: int, size: NetworkSize, width: int) -> int:
        """A number of channels in this size, under option `width` of the width."""
        from chronas.networks.mobile import rounded_channels

        return rounded_channels(published * size.width / self.width * self.widths[width])

    def pixels(self, size: NetworkSize, resolution: int) -> tuple[int, int]:
        """Height and width of the scaled image under an option of the resolution: even, and the image's own for 1."""
        share, (_, *sides) = self.resolutions[resolution], size.input_shape
        if share == 1.0:
            return sides[0], sides[1]
        height, width = (min(side, max(LEAST_PIXELS, 2 * round(side * share / 2))) for side in sides)
        return height, width

    def places(self, size: NetworkSize, width: int) -> list[tuple[Stage, int, int, int]]:
        """Stage, input channels, output channels and stride of each layer."""
        found = []
        before = self.channels(self.first, size, width)
        for stage, stride in zip(self.stages, self.strides[size.stem][1:], strict=True):
            after = self.channels(stage.channels, size, width)
            found += [(stage, after if n else before, after, 1 if n else stride) for n in range(stage.layers)]
            before = after
        return found

    def block(self, name: str, stage: Stage, channels_in: int, channels_out: int, stride: int) -> InvertedPlan:
        """The plan of one block."""
        from chronas.networks.mobile import InvertedPlan, rounded_channels

        kernel, expansion = self.blocks[name]
        inner = rounded_channels(channels_in * expansion)
        squeezed = rounded_channels(inner / 4) if stage.squeeze else 0
        return InvertedPlan(kernel, channels_in, inner, channels_out, stride, squeezed, stage.activation)

    def _first_block(self, size: NetworkSize, width: int) -> InvertedPlan:
        """The fixed block after the stem: kernel 3, no expansion, ReLU, without squeeze-and-excitation."""
        from chronas.networks.mobile import InvertedPlan

        channels, after = self.channels(self.width, size, width), self.channels(self.first, size, width)
        return InvertedPlan(3, channels, channels, after, 1, 0, self.stages[0].activation)

    def network(self, plan: MobilePlan) -> nn.Module:
        """A network of inverted residual blocks."""
        from chronas.networks.mobile import MobileNetwork

        return MobileNetwork(plan)

    def supernet(self, space: Space, size: NetworkSize, *, partial_channels: int = 1) -> Supernet:
        """The largest network with nested weights; raises `UsageError` if partial channels are asked for."""
        from chronas.supernets.elastic import ElasticSupernet

        if partial_channels != 1:
            raise UsageError(f"space {space.name} has nested channels, so none can go around them: give 1")
        return ElasticSupernet(space, self, size)

    def reduction(self, size: NetworkSize) -> int:
        """The product of all strides, at full resolution."""
        return math.prod(self.strides[size.stem])

    def work(self, space: Space, size: NetworkSize) -> SpaceWork:
        """The work at full resolution and width."""
        return self.works(space, size)[len(self.resolutions) - 1, len(self.widths) - 1]

    def works(self, space: Space, size: NetworkSize) -> Mapping[tuple[int, ...], SpaceWork]:
        """Exact: under one resolution and width, the work of a block depends on its place alone."""
        from chronas.networks.mobile_counts import mobile_works

        return mobile_works(space, self, size)
