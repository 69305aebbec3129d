"""A space and a skeleton become a supernet: one weight-shared network that holds all choices (DARTS, arXiv 1806.09055).

Stem, preprocessing, residual blocks and head are those of the deployed network. All batch norms use the statistics of
the batch, in training and in scoring, because moving averages over a mixture fit no single architecture; inside cells
they have no scale and shift, as in the original. Tensors are channels-last inside: on a CPU core
depthwise convolutions of 32x32 images and their gradients take a fraction of the time so.

Letters: `B` images, `D` decisions, `O` relaxed options.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from chronas.errors import UsageError
from chronas.networks import OPERATIONS, Network, Zero, cell_topology, edgeless
from chronas.spaces import Architecture, Skeleton, Space
from chronas.supernets.cell import MixedCell


class Supernet(nn.Module):
    """All architectures of a cell space with shared weights; `build_supernet` makes one."""

    def __init__(self, space: Space, skeleton: Skeleton, partial_channels: int) -> None:
        """Make stem, blocks and head.

        Args:
            space: a space of cells.
            skeleton: input shape, classes, stem, width and depth of the supernet.
            partial_channels: K; the width is a multiple of it.
        """
        super().__init__()
        names = space.decisions[0].relaxed
        assert all(decision.relaxed == names for decision in space.decisions)
        self.cells = {cell.name: cell for cell in cell_topology(space).cells}
        self.selectable = [o for o, name in enumerate(names) if OPERATIONS[name] is not Zero]
        plan = edgeless(space, skeleton)
        deployed = Network(plan)
        self.kinds = [block.kind for block in plan.blocks]
        self.stem, self.head, self.classifier = deployed.stem, deployed.head, deployed.classifier
        self.blocks = nn.ModuleList()
        for block, plain in zip(plan.blocks, deployed.blocks, strict=True):
            if block.kind in self.cells:
                assert isinstance(plain.preprocess, nn.ModuleList)
                plain = MixedCell(self.cells[block.kind], names, block, plain.preprocess, partial_channels)
                _without_scale(plain)
            self.blocks.append(plain)
        _with_batch_statistics(self)

    def forward(self, images: Tensor, operation_weights: Tensor, edge_weights: Tensor | None = None) -> Tensor:
        """Logits [B, classes] of images [B, C, H, W].

        Args:
            images: normalised pixels.
            operation_weights: [D, O]; operations of weight zero are not computed.
            edge_weights: [D], or None where the edges of a node are simply added.
        """
        non_zero = operation_weights.ne(0).tolist()
        active = [[o for o in self.selectable if row[o]] for row in non_zero]
        states = [self.stem[0](images.contiguous(memory_format=torch.channels_last))]
        states.append(self.stem[1](states[0]) if len(self.stem) > 1 else states[0])
        for kind, block in zip(self.kinds, self.blocks, strict=True):
            if kind in self.cells:
                cell = self.cells[kind]
                part = slice(cell.first, cell.first + len(cell.edges))
                edges = None if edge_weights is None else edge_weights[part]
                output = block(states, operation_weights[part], edges, active[part])
            else:
                output = block(states)
            states = [states[-1], output]
        logits: Tensor = self.classifier(torch.flatten(self.head(states[-1]), 1))
        return logits


def build_supernet(space: Space, skeleton: Skeleton, *, partial_channels: int = 1, seed: int = 0) -> Supernet:
    """The supernet of a space, with torch's default initial weights.

    Args:
        space: a space of cells.
        skeleton: input shape, classes, stem, width and depth of the supernet.
        partial_channels: PC-DARTS's K: one in K channels goes through the operations.
        seed: of the initial weights; torch's own generator stays as it was.

    Raises:
        UsageError: the space is not made of cells, or its width leaves less than two channels to work on.
    """
    if skeleton.width % partial_channels or skeleton.width // partial_channels < 2:
        raise UsageError(
            f"partial channels of 1/{partial_channels} need a width that is a multiple of {partial_channels} "
            f"and at least {2 * partial_channels}, got {skeleton.width}"
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        supernet = Supernet(space, skeleton, partial_channels)
    supernet.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return supernet


def discrete_weights(architecture: Architecture) -> tuple[Tensor, Tensor]:
    """Operation weights [D, O] and edge weights [D] that make a supernet compute one architecture.

    The edges that are kept of a group share its edge weight evenly, as they do before a search has learned anything.
    """
    space = architecture.space
    operation_weights = torch.zeros(len(space.decisions), len(space.decisions[0].relaxed))
    edge_weights = torch.zeros(len(space.decisions))
    for group in space.groups:
        for d in group.decisions:
            choice = architecture.choices[d]
            if choice is not None:
                operation_weights[d, len(space.decisions[d].unselectable) + choice] = 1.0
                edge_weights[d] = 1.0 / group.keep
    return operation_weights, edge_weights


def _batch_norms(module: nn.Module) -> list[nn.BatchNorm2d]:
    return [each for each in module.modules() if isinstance(each, nn.BatchNorm2d)]


def _without_scale(module: nn.Module) -> None:
    for norm in _batch_norms(module):
        norm.affine = False
        norm.register_parameter("weight", None)
        norm.register_parameter("bias", None)


def _with_batch_statistics(module: nn.Module) -> None:
    for norm in _batch_norms(module):
        norm.track_running_stats = False
        norm.register_buffer("running_mean", None)
        norm.register_buffer("running_var", None)
        norm.register_buffer("num_batches_tracked", None)
