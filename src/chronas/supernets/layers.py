"""A supernet of layers: one weight-sharing network that holds all blocks of every layer (FBNet, arXiv 1812.03443).

A layer is the weighted sum of its blocks, which share no weights. It computes only the requested blocks: one for a
sampled path, two for ProxylessNAS's gates (arXiv 1812.00332). Stem, blocks and head are those of the deployed network.
As in the supernet of cells, batch norms use the statistics of the batch; unlike there they keep scale and shift,
because each block has its own.

Letters: `B` images, `C` channels, `D` decisions, `O` relaxed options.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from chronas.errors import UsageError
from chronas.networks import ChainNetwork, make_block
from chronas.spaces import LayerTopology, NetworkSize, Space
from chronas.supernets.kernels import with_batch_statistics
from chronas.supernets.supernet import Supernet


class MixedLayer(nn.Module):
    """All options of one decision: sum over o of weights[o] * block_o(x)."""

    def __init__(self, options: Sequence[nn.Module]) -> None:
        super().__init__()
        self.options = nn.ModuleList(options)

    def forward(self, x: Tensor, weights: Tensor, active: Sequence[int]) -> Tensor:
        """[B, C_in, H, W] -> [B, C_out, H / stride, W / stride], rounded up.

        Args:
            x: output of the previous layer.
            weights: [O].
            active: indices of the blocks to compute, at least one.
        """
        mixed: Tensor = self.options[active[0]](x) * weights[active[0]]
        for number in active[1:]:
            mixed = torch.addcmul(mixed, self.options[number](x), weights[number])
        return mixed


class LayerSupernet(Supernet):
    """All architectures of a chain of layers; edge weights scale the output of each layer."""

    def __init__(self, space: Space, topology: LayerTopology, size: NetworkSize, partial_channels: int) -> None:
        """Create stem, layers and head.

        Args:
            space: a space of layers.
            topology: topology of the space.
            size: input shape, classes, stem, width and depth of the supernet.
            partial_channels: 1.

        Raises:
            UsageError: the space lacks the size's stem, or partial channels are asked for.
        """
        super().__init__()
        if partial_channels != 1:
            raise UsageError(
                f"partial channels of 1/{partial_channels} are for cells: the blocks of space {space.name} change the "
                f"number of channels, so none can go around them; give partial channels 1"
            )
        relaxed, types = [decision.relaxed for decision in space.decisions], topology.types
        self.selectable = [range(len(names)) for names in relaxed]
        plans = [
            topology.chain([names[min(o, len(names) - 1)] for names in relaxed], size)
            for o in range(max(map(len, relaxed)))
        ]
        deployed = ChainNetwork(plans[0], types)
        self.stem, self.head, self.classifier = deployed.stem, deployed.head, deployed.classifier
        self.layers = nn.ModuleList()
        for decision, names in enumerate(relaxed):
            here = slice(decision * size.depth, (decision + 1) * size.depth)
            rows = [plan.layers[here] for plan in plans[: len(names)]]
            self.layers.append(MixedLayer([nn.Sequential(*(make_block(each, types) for each in row)) for row in rows]))
        with_batch_statistics(self)

    def _logits(
        self,
        images: Tensor,
        operation_weights: Tensor,
        edge_weights: Tensor | None,
        active: Sequence[Sequence[int]],
    ) -> Tensor:
        state = self.stem(images)
        for d, layer in enumerate(self.layers):
            weights = operation_weights[d] if edge_weights is None else operation_weights[d] * edge_weights[d]
            state = layer(state, weights, active[d])
        logits: Tensor = self.classifier(torch.flatten(self.head(state), 1))
        return logits
