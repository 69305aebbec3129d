"""A space as a user brings it: a topology of its own, operations of its own, decisions with different options.

Patches of an image go through blocks, as in MLP-Mixer (arXiv 2105.01601) and ConvMixer (arXiv 2201.09792). Each block
has two decisions: how patches are mixed (three options) and how wide its channel part is (two options). Nothing here is
in the package, and the package knows nothing of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from chronas.errors import ParseError
from chronas.spaces import Architecture, Decision, Group, NetworkSize, Operation, Space, Topology
from chronas.supernets import Supernet

PATCH = 2  # side of a patch, in pixels


@dataclass(frozen=True)
class MixPlan:
    """One operation of a block: its name, and the channels that it keeps."""

    name: str
    channels: int


@dataclass(frozen=True)
class PatchPlan:
    image_channels: int
    channels: int
    operations: tuple[MixPlan, ...]
    classes: int


class PoolMix(nn.Module):
    """PoolFormer's mixer: the mean of the neighbours, less the patch itself."""

    def __init__(self, plan: MixPlan) -> None:
        super().__init__()
        self.pool = nn.AvgPool2d(3, 1, 1, count_include_pad=False)

    def forward(self, x: Tensor) -> Tensor:
        return x + (self.pool(x) - x)


class ConvMix(nn.Module):
    """A depthwise convolution over patches, 3x3 or 5x5 by its name."""

    def __init__(self, plan: MixPlan) -> None:
        super().__init__()
        kernel = int(plan.name[-1])
        self.conv = nn.Conv2d(plan.channels, plan.channels, kernel, padding=kernel // 2, groups=plan.channels)
        self.norm = nn.BatchNorm2d(plan.channels)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.norm(nn.functional.gelu(self.conv(x)))


class ChannelMix(nn.Module):
    """Two 1x1 convolutions, as much wider between them as the name says."""

    def __init__(self, plan: MixPlan) -> None:
        super().__init__()
        inner = plan.channels * int(plan.name.removeprefix("wide_"))
        self.up, self.down = nn.Conv2d(plan.channels, inner, 1), nn.Conv2d(inner, plan.channels, 1)
        self.norm = nn.BatchNorm2d(plan.channels)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.norm(self.down(nn.functional.hardswish(self.up(x))))


MIXERS: Mapping[str, type[nn.Module]] = {
    "pool": PoolMix,
    "mix_3": ConvMix,
    "mix_5": ConvMix,
    "wide_1": ChannelMix,
    "wide_4": ChannelMix,
}


class PatchNetwork(nn.Module):
    """Patches, blocks, the mean over patches, logits."""

    def __init__(self, plan: PatchPlan) -> None:
        super().__init__()
        self.patches = nn.Conv2d(plan.image_channels, plan.channels, PATCH, PATCH)
        self.blocks = nn.Sequential(*(MIXERS[each.name](each) for each in plan.operations))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(plan.channels, plan.classes)

    def forward(self, images: Tensor) -> Tensor:
        return self.classifier(torch.flatten(self.pool(self.blocks(self.patches(images))), 1))


class PatchSupernet(Supernet):
    """Every decision is the weighted sum of its options."""

    def __init__(self, space: Space, plan: PatchPlan) -> None:
        super().__init__()
        network = PatchNetwork(plan)
        self.patches, self.pool, self.classifier = network.patches, network.pool, network.classifier
        self.selectable = [range(len(decision.options)) for decision in space.decisions]
        self.mixed = nn.ModuleList(
            nn.ModuleList(MIXERS[name](MixPlan(name, plan.channels)) for name in decision.options)
            for decision in space.decisions
        )

    def _logits(
        self, images: Tensor, operation_weights: Tensor, edge_weights: Tensor | None, active: Sequence[Sequence[int]]
    ) -> Tensor:
        x = self.patches(images)
        for d, options in enumerate(self.mixed):
            mixed = sum(options[o](x) * operation_weights[d, o] for o in active[d])
            x = mixed if edge_weights is None else mixed * edge_weights[d]
        return self.classifier(torch.flatten(self.pool(x), 1))


class PatchTopology(Topology):
    """Blocks over patches, twice as many as `NetworkSize.depth` says, each with two operations."""

    operations = {
        "pool": Operation(PoolMix, colour="#a84800", kernels=2),
        "mix_3": Operation(ConvMix, "mix 3x3", "#0067a5", kernels=3),
        "mix_5": Operation(ConvMix, "mix 5x5", "#0067a5", kernels=3),
        "wide_1": Operation(ChannelMix, colour="#00735a", kernels=4),
        "wide_4": Operation(ChannelMix, colour="#00735a", kernels=4),
    }

    def plan(self, architecture: Architecture, size: NetworkSize, *, auxiliary: bool = False) -> PatchPlan:
        names = [architecture.operation(d) or "" for d in range(len(architecture.choices))] * size.depth
        return PatchPlan(
            size.input_shape[0], size.width, tuple(MixPlan(name, size.width) for name in names), size.outputs
        )

    def network(self, plan: PatchPlan) -> nn.Module:
        return PatchNetwork(plan)

    def tables(self, plan: PatchPlan) -> Mapping[str, Mapping[str, type[nn.Module]]]:
        used = {each.name for each in plan.operations}
        return {"MIXERS": {name: kind for name, kind in MIXERS.items() if name in used}}

    def supernet(self, space: Space, size: NetworkSize, *, partial_channels: int = 1) -> Supernet:
        return PatchSupernet(space, self.plan(space.first(), size))


class PatchSpace(Space):
    """Two blocks; the text form is the names of the operations with dots between."""

    name = "patches"
    topology = PatchTopology()
    decisions = (
        Decision("0.mix", ("pool", "mix_3", "mix_5")),
        Decision("0.wide", ("wide_1", "wide_4")),
        Decision("1.mix", ("pool", "mix_3", "mix_5")),
        Decision("1.wide", ("wide_1", "wide_4")),
    )
    groups = tuple(Group((d,), 1) for d in range(4))
    sizes = {"digits": NetworkSize(input_shape=(1, 8, 8), outputs=10, width=8, depth=1)}

    def text(self, architecture: Architecture) -> str:
        return ".".join(str(architecture.operation(d)) for d in range(4))

    def parse(self, text: str) -> Architecture:
        names = text.strip().split(".")
        known: list[Any] = [decision.options for decision in self.decisions]
        if len(names) != len(known) or any(name not in here for name, here in zip(names, known, strict=True)):
            raise ParseError(f"expected four operations like mix_3.wide_4.pool.wide_1, got {text[:60]!r}")
        return self.architecture([here.index(name) for name, here in zip(names, known, strict=True)])
