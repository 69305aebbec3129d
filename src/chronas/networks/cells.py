"""Networks of repeated cells, built from a plan of plain data.

The evaluation networks of DARTS (https://github.com/quark0/darts, cnn/model.py) and NAS-Bench-201
(https://github.com/D-X-Y/AutoDL-Projects, `TinyNetwork`). Unlike there, no operation works in place, the auxiliary head
adapts to the size of the image, and a network in eval mode returns one tensor, so that torch.fx can trace it. This file
needs only torch and operations.py; an exported model.py contains it unchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import nn

from chronas.networks.operations import OPERATIONS, FactorizedReduce, ReLUConvBN, Skip, make_operation

Size = tuple[int, int]  # height and width in pixels


@dataclass(frozen=True)
class CellPlan:
    """One kind of cell.

    Attributes:
        inputs: number of input states.
        nodes: number of inner states, numbered after the inputs.
        edges: (source, target, operation) of each edge that is built.
        output: states whose concatenation is the cell's output.
        stride: stride of the edges that leave an input state.
    """

    inputs: int
    nodes: int
    edges: tuple[tuple[int, int, str], ...]
    output: tuple[int, ...]
    stride: int


@dataclass(frozen=True)
class BlockPlan:
    """One place in the chain of blocks.

    Attributes:
        kind: a key of `NetworkPlan.cells`, or "residual".
        input_channels: channels of its inputs, the latest last.
        sizes: sizes of its inputs, the latest last.
        channels: channels of its states.
        halve_first: whether the earlier input is twice as large as the latest.
    """

    kind: str
    input_channels: tuple[int, ...]
    sizes: tuple[Size, ...]
    channels: int
    halve_first: bool = False


@dataclass(frozen=True)
class AuxiliaryPlan:
    """The auxiliary head: the block it follows, the shape of its input, and whether it has its last batch norm."""

    after: int
    channels: int
    size: Size
    last_norm: bool


@dataclass(frozen=True)
class NetworkPlan:
    """All data for building a network of cells.

    Attributes:
        stem: "cifar" (conv3x3-BN) or "imagenet" (three convolutions of stride 2).
        image_channels: channels of an image.
        stem_channels: channels that leave the stem.
        cells: the kinds of cell by name.
        blocks: the chain of blocks.
        output_channels: channels that leave the last block.
        classes: number of logits.
        normalised_head: whether BN and ReLU stand before the global pooling.
        auxiliary: the auxiliary head, if there is one.
    """

    stem: str
    image_channels: int
    stem_channels: int
    cells: dict[str, CellPlan]
    blocks: tuple[BlockPlan, ...]
    output_channels: int
    classes: int
    normalised_head: bool
    auxiliary: AuxiliaryPlan | None


def is_even(size: Size) -> bool:
    """Whether height and width are even."""
    return size[0] % 2 == 0 and size[1] % 2 == 0


class DropPath(nn.Module):
    """Drops whole images of a batch with a given probability in training; the identity otherwise."""

    def __init__(self) -> None:
        super().__init__()
        self.probability = 0.0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[B, C, H, W] -> [B, C, H, W], each image zeroed or divided by the probability to keep it."""
        if not self.training or self.probability == 0.0:
            return x
        keep = 1.0 - self.probability
        mask = torch.empty(x.shape[0], 1, 1, 1, dtype=x.dtype, device=x.device).bernoulli_(keep)
        return x / keep * mask


def set_drop_path(network: nn.Module, probability: float) -> None:
    """Set the drop probability of all `DropPath` modules of a network."""
    for module in network.modules():
        if isinstance(module, DropPath):
            module.probability = probability


class Edge(nn.Sequential):
    """An operation followed by drop path; an identity is never dropped."""

    def __init__(self, operation: nn.Module) -> None:
        super().__init__(operation)
        if not (isinstance(operation, Skip) and len(operation) == 0):
            self.append(DropPath())


class Cell(nn.Module):
    """A directed graph of operations; a node is the sum of its edges, or zeros if it has none."""

    def __init__(
        self, plan: CellPlan, block: BlockPlan, types: Mapping[str, Callable[..., nn.Module]] = OPERATIONS
    ) -> None:
        super().__init__()
        self.inputs = plan.inputs
        self.output = plan.output
        self.preprocess = nn.ModuleList(_preprocess(block, number) for number in range(plan.inputs))
        self.edges = nn.ModuleList()
        self.incoming: list[list[tuple[int, int]]] = [[] for _ in range(plan.nodes)]
        for number, (source, target, name) in enumerate(plan.edges):
            stride = plan.stride if source < plan.inputs else 1
            operation = make_operation(name, block.channels, stride, even=is_even(block.sizes[-1]), types=types)
            self.edges.append(Edge(operation))
            self.incoming[target - plan.inputs].append((number, source))
        self.zero = make_operation("none", block.channels, plan.stride)

    def forward(self, inputs: list[torch.Tensor]) -> torch.Tensor:
        """Tensors [B, C_in, H, W] of each input, the latest last -> [B, C * len(output), H / stride, W / stride]."""
        states = [layer(x) for layer, x in zip(self.preprocess, inputs[-self.inputs :], strict=True)]
        for incoming in self.incoming:
            terms = [self.edges[number](states[source]) for number, source in incoming]
            states.append(_sum(terms) if terms else self.zero(states[self.inputs - 1]))
        return states[self.output[0]] if len(self.output) == 1 else torch.cat([states[i] for i in self.output], dim=1)


def _preprocess(block: BlockPlan, number: int) -> nn.Module:
    if len(block.input_channels) == 1:
        return nn.Identity()
    channels = block.input_channels[number]
    if number == 0 and block.halve_first:
        return FactorizedReduce(channels, block.channels, even=is_even(block.sizes[0]))
    return ReLUConvBN(channels, block.channels)


def _sum(terms: list[torch.Tensor]) -> torch.Tensor:
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


class Residual(nn.Module):
    """NAS-Bench-201's ResNet basic block of stride 2; the shortcut is a 2x2 mean and a 1x1 convolution."""

    def __init__(self, block: BlockPlan) -> None:
        super().__init__()
        channels = block.input_channels[-1]
        uneven = not is_even(block.sizes[-1])
        self.conv_a = ReLUConvBN(channels, block.channels, 3, 2)
        self.conv_b = ReLUConvBN(block.channels, block.channels, 3)
        self.shortcut = nn.Sequential(
            nn.AvgPool2d(2, 2, ceil_mode=uneven, count_include_pad=False),
            nn.Conv2d(channels, block.channels, 1, bias=False),
        )

    def forward(self, inputs: list[torch.Tensor]) -> torch.Tensor:
        """Tensors [B, C_in, H, W], the latest last -> [B, C, H / 2, W / 2], rounded up."""
        x = inputs[-1]
        halved: torch.Tensor = self.shortcut(x) + self.conv_b(self.conv_a(x))
        return halved


class AuxiliaryHead(nn.Module):
    """DARTS's auxiliary head, with two windows a side as the original has for 8x8 (CIFAR) and 7x7 (ImageNet)."""

    def __init__(self, plan: AuxiliaryPlan, classes: int) -> None:
        super().__init__()
        strides = [max(1, 3 * side // 8) for side in plan.size]
        kernels = [side - stride for side, stride in zip(plan.size, strides, strict=True)]
        self.features = nn.Sequential(
            nn.ReLU(),
            nn.AvgPool2d((kernels[0], kernels[1]), (strides[0], strides[1]), count_include_pad=False),
            nn.Conv2d(plan.channels, 128, 1, bias=False),
            nn.BatchNorm2d(128),
            nn.ReLU(),
            nn.Conv2d(128, 768, 2, bias=False),
            nn.BatchNorm2d(768) if plan.last_norm else nn.Identity(),
            nn.ReLU(),
        )
        self.classifier = nn.Linear(768, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[B, C, H, W] -> logits [B, classes]."""
        logits: torch.Tensor = self.classifier(torch.flatten(self.features(x), 1))
        return logits


class Network(nn.Module):
    """A stem, a chain of blocks, a head.

    In eval mode, images [B, C, H, W] -> logits [B, classes]. In training mode with an auxiliary head, it returns
    (logits, auxiliary logits).
    """

    def __init__(self, plan: NetworkPlan, types: Mapping[str, Callable[..., nn.Module]] = OPERATIONS) -> None:
        super().__init__()
        self.stem = nn.ModuleList(_stem(plan))
        self.blocks = nn.ModuleList(
            Cell(plan.cells[block.kind], block, types) if block.kind in plan.cells else Residual(block)
            for block in plan.blocks
        )
        head = [nn.BatchNorm2d(plan.output_channels), nn.ReLU()] if plan.normalised_head else []
        self.head = nn.Sequential(*head, nn.AdaptiveAvgPool2d(1))
        self.classifier = nn.Linear(plan.output_channels, plan.classes)
        self.auxiliary_head = AuxiliaryHead(plan.auxiliary, plan.classes) if plan.auxiliary else None
        self.auxiliary_after = plan.auxiliary.after if plan.auxiliary else -1

    def forward(self, images: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        """[B, C, H, W] -> [B, classes]; in training mode also the auxiliary logits of the same shape."""
        states = [self.stem[0](images)]
        states.append(self.stem[1](states[0]) if len(self.stem) > 1 else states[0])
        auxiliary: torch.Tensor | None = None
        for number, block in enumerate(self.blocks):
            states = [states[-1], block(states)]
            if self.training and self.auxiliary_head is not None and number == self.auxiliary_after:
                auxiliary = self.auxiliary_head(states[-1])
        logits: torch.Tensor = self.classifier(torch.flatten(self.head(states[-1]), 1))
        return logits if auxiliary is None else (logits, auxiliary)


def _stem(plan: NetworkPlan) -> list[nn.Module]:
    channels = plan.stem_channels
    if plan.stem == "cifar":
        convolution = nn.Conv2d(plan.image_channels, channels, 3, padding=1, bias=False)
        return [nn.Sequential(convolution, nn.BatchNorm2d(channels))]
    half = channels // 2
    first = nn.Sequential(
        nn.Conv2d(plan.image_channels, half, 3, 2, padding=1, bias=False),
        nn.BatchNorm2d(half),
        nn.ReLU(),
        nn.Conv2d(half, channels, 3, 2, padding=1, bias=False),
        nn.BatchNorm2d(channels),
    )
    return [first, ReLUConvBN(channels, channels, 3, 2)]
