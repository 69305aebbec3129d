"""A chain of blocks between a stem and a head, one decision for each block: FBNet, and other chains of layers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from chronas.spaces.operations import LAYER_OPERATIONS, Operation
from chronas.spaces.topologies.topology import Topology

if TYPE_CHECKING:
    from torch import nn

    from chronas.networks import ChainPlan, SpaceWork
    from chronas.spaces.space import Architecture, NetworkSize, Space
    from chronas.supernets import Supernet


@dataclass(frozen=True, eq=False, kw_only=True)
class LayerTopology(Topology):
    """A chain of blocks.

    Attributes:
        width: channels of the published stem; for another width, all channels scale in proportion and are rounded to
            even numbers.
        widths: output channels of each published block.
        heads: channels of the published last 1x1 convolution, by stem.
        strides: strides of the stem and of each block, by stem.
        operations: the kinds of block, by option name; their classes are called with a `LayerPlan`.
    """

    width: int
    widths: tuple[int, ...]
    heads: Mapping[str, int]
    strides: Mapping[str, tuple[int, ...]]
    operations: Mapping[str, Operation] = field(default_factory=lambda: LAYER_OPERATIONS)

    @property
    def stems(self) -> tuple[str, ...]:  # type: ignore[override]
        """The stems for which strides are known."""
        return tuple(self.strides)

    def plan(self, architecture: Architecture, size: NetworkSize, *, auxiliary: bool = False) -> ChainPlan:  # noqa: ARG002
        """Each chosen block is repeated `size.depth` times; there is no auxiliary head."""
        return self.chain([architecture.operation(d) or "" for d in range(len(architecture.choices))], size)

    def chain(self, names: Sequence[str], size: NetworkSize) -> ChainPlan:
        """The plan of a network of these blocks, one block name for each decision."""
        from chronas.networks.layers import ChainPlan, LayerPlan

        def scaled(channels: int) -> int:
            return max(2, 2 * round(channels * size.width / self.width / 2))

        stem_stride, *strides = self.strides[size.stem]
        channels, layers = scaled(self.width), []
        for name, width, stride in zip(names, self.widths, strides, strict=True):
            for time in range(size.depth):
                layers.append(LayerPlan(name, channels, scaled(width), 1 if time else stride))
                channels = scaled(width)
        return ChainPlan(
            image_channels=size.input_shape[0],
            stem_stride=stem_stride,
            layers=tuple(layers),
            head_channels=scaled(self.heads[size.stem]),
            classes=size.outputs,
        )

    def network(self, plan: ChainPlan) -> nn.Module:
        """A chain of this topology's blocks."""
        from chronas.networks.layers import ChainNetwork

        return ChainNetwork(plan, self.types)

    @property
    def types(self) -> dict[str, Callable[..., nn.Module]]:
        """The class of each kind of block."""
        return {name: operation.type for name, operation in self.operations.items()}

    def tables(self, plan: ChainPlan) -> Mapping[str, Mapping[str, type[nn.Module]]]:
        """`BLOCK_TYPES` with the kinds of block of a plan."""
        used = {layer.block for layer in plan.layers}
        return {"BLOCK_TYPES": {name: kind for name, kind in self.types.items() if name in used}}  # type: ignore[misc]

    def supernet(self, space: Space, size: NetworkSize, *, partial_channels: int = 1) -> Supernet:
        """A weighted sum of all blocks in each layer; raises `UsageError` if partial channels are asked for."""
        from chronas.supernets.layers import LayerSupernet

        return LayerSupernet(space, self, size, partial_channels)

    def work(self, space: Space, size: NetworkSize) -> SpaceWork:
        """Exact, because the work of a block depends on its place alone."""
        from chronas.networks.slot_counts import layer_work

        return layer_work(space, self, size)

    def reduction(self, size: NetworkSize) -> int:
        """The product of all strides."""
        return math.prod(self.strides[size.stem])

    def occurrences(self, space: Space, size: NetworkSize) -> Sequence[int]:
        """The number of repetitions of each block [D]."""
        return [size.depth] * len(space.decisions)

    def alike(self, space: Space, size: NetworkSize) -> Sequence[Sequence[int]]:
        """Decisions grouped by the input and output shapes of their layers."""
        layers = self.chain([decision.options[0] for decision in space.decisions], size).layers
        found: dict[tuple[int, int, int, int], list[int]] = {}
        reduction = self.strides[size.stem][0]
        for decision in range(len(space.decisions)):
            first, last = layers[decision * size.depth], layers[(decision + 1) * size.depth - 1]
            shape = (first.channels_in, last.channels_out, first.stride, reduction)
            found.setdefault(shape, []).append(decision)
            reduction *= first.stride
        return [tuple(decisions) for decisions in found.values()]
