"""A supernet with nested weights: every network of an elastic space is a part of the largest one.

Once-for-All (Cai et al., https://arxiv.org/abs/1908.09791): a narrower layer has the first channels, a shallower stage
has the first blocks, and a smaller depthwise kernel is the centre of the larger one times a matrix that is learned for
each layer. As in the other supernets, batch norms use the statistics of the batch; the weights of one network are taken
out by `weights_of`, and its batch norms are recalibrated before use.

Letters: `B` images, `C` channels, `D` decisions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from chronas.errors import UsageError
from chronas.networks import TRANSFORMS, MobileNetwork, MobilePlan, build, fit_weights
from chronas.spaces import Architecture, ElasticTopology, NetworkSize, Space
from chronas.supernets.kernels import depthwise, trimmed
from chronas.supernets.sorting import sort_channels
from chronas.supernets.supernet import Supernet

if TYPE_CHECKING:
    from chronas.networks import FittedWeights, GivenWeights, InvertedPlan

SKIP = "skip"


class ElasticSupernet(Supernet):
    """The largest network of an elastic space, of which each call computes a part.

    Attributes:
        smallest: the architecture with the fewest weights.
        largest: the architecture with all weights.
        network: the largest network; its batch norms' running statistics are not used.
        transforms: matrices [k * k, k * k] of each block, from the centre of a larger depthwise kernel to a smaller
            one of side k, by "<block>_<k>"; identities at first.
    """

    def __init__(self, space: Space, topology: ElasticTopology, size: NetworkSize) -> None:
        super().__init__()
        self.space, self.topology, self.size = space, topology, size
        self.selectable = [range(len(decision.options)) for decision in space.decisions]
        count = len(space.decisions) - len(topology.scaling)
        self.smallest, self.largest = topology.ends(space)
        self.network = MobileNetwork(topology.plan(self.largest, size))
        kernels = sorted({kernel for kernel, _ in topology.blocks.values()})
        largest = [block.kernel for block in topology.plan(self.largest, size).blocks]
        self.transforms = nn.ParameterDict(
            {
                f"{block}_{side}": torch.eye(side * side)
                for block in range(1, count + 1)
                for side in kernels
                if side < largest[block]
            }
        )

    def _logits(
        self,
        images: Tensor,
        operation_weights: Tensor,  # noqa: ARG002 - each is 1 or 0
        edge_weights: Tensor | None,  # noqa: ARG002
        active: Sequence[Sequence[int]],
    ) -> Tensor:
        if any(len(options) != 1 for options in active):
            raise UsageError(
                f"the supernet of space {self.space.name} computes one option of each decision: choose a searcher that "
                "samples networks, such as elastic"
            )
        return self.logits(images, self.space.architecture([options[0] for options in active]))

    def logits(self, images: Tensor, architecture: Architecture) -> Tensor:
        """Logits [B, classes] of images [B, C, H, W] of the full size, by one architecture."""
        plan, numbers = self._plan(architecture)
        state = images
        if plan.image_size is not None:
            state = functional.interpolate(images, plan.image_size, mode="bilinear", align_corners=False)
            state = state.contiguous(memory_format=torch.channels_last)
        stem: Any = self.network.stem
        state = trimmed(state, plan.stem_trim, lambda x: self._convolved(stem, x, plan.stem_channels, plan.stem_stride))
        state = _activated(stem, _norm(stem[1], state))
        for number, block in zip(numbers, plan.blocks, strict=True):
            state = self._block(number, block, state)
        head = self.network.head
        state = _activated(head, self._normed(head, state, plan.head_channels)).mean(dim=(2, 3))
        if plan.features:
            features: Any = self.network.features
            weight, bias = features[0].weight[: plan.features, : state.shape[1]], features[0].bias[: plan.features]
            state = features[1](functional.linear(state, weight, bias))
        last = self.network.classifier
        return functional.linear(state, last.weight[:, : state.shape[1]], last.bias)

    def start_from(self, given: GivenWeights) -> FittedWeights:
        """Take the weights of a file for the largest network, and say what was taken.

        The channels inside of each block are sorted by importance, unless the file is of a nested supernet.

        Raises:
            MismatchError: the file has other names or shapes.
            DataError: it has a number that is not finite.
        """
        epsilon = next(each.eps for each in self.network.modules() if isinstance(each, nn.BatchNorm2d))
        transforms = {TRANSFORMS + name: matrix.data for name, matrix in self.transforms.items()}
        found = fit_weights({**self.network.state_dict(), **transforms}, given, final=("classifier",), epsilon=epsilon)
        self.network.load_state_dict({name: found.tensors[name] for name in self.network.state_dict()})
        with torch.no_grad():
            for name, matrix in self.transforms.items():
                matrix.copy_(found.tensors[TRANSFORMS + name])
        if not found.nested:
            sort_channels(self.network)
        return found

    def weights_of(self, architecture: Architecture, *, statistics: bool = False) -> dict[str, Tensor]:
        """The weights of one architecture by their names in its network, as copies.

        Args:
            architecture: any of the space.
            statistics: whether running statistics of batch norms are those of the largest network, where the numbers
                of channels are equal. Otherwise they are those of a new network: recalibrate them before use.
        """
        plan, numbers = self._plan(architecture)
        fresh, source = build(architecture, self.size).state_dict(), self.network.state_dict()
        found = {}
        for name, value in fresh.items():
            part, _, rest = name.partition(".")
            number, _, inner = rest.partition(".")
            there = f"blocks.{numbers[int(number)]}.{inner}" if part == "blocks" else name
            if "running" in name or "num_batches" in name:
                found[name] = source[there] if statistics and source[there].shape == value.shape else value
            elif part == "blocks" and inner == "depthwise.0.weight":
                found[name] = self._kernel(numbers[int(number)], plan.blocks[int(number)]).detach()
            else:
                found[name] = source[there][tuple(slice(side) for side in value.shape)]
        return {name: value.clone(memory_format=torch.contiguous_format) for name, value in found.items()}

    def _plan(self, architecture: Architecture) -> tuple[MobilePlan, list[int]]:
        """The plan of an architecture, and the number of each of its blocks in the largest network."""
        layers = range(len(self.topology.scaling), len(self.space.decisions))
        there = [n + 1 for n, d in enumerate(layers) if architecture.operation(d) != SKIP]
        return self.topology.plan(architecture, self.size), [0, *there]

    def _block(self, number: int, plan: InvertedPlan, x: Tensor) -> Tensor:
        block: Any = self.network.blocks[number]
        state = x
        if plan.inner != plan.channels_in:
            state = _activated(block.expand, self._normed(block.expand, state, plan.inner))
        kernel = self._kernel(number, plan)
        state = trimmed(state, plan.trim, lambda x: depthwise(x, kernel, plan.stride))
        state = _activated(block.depthwise, _norm(block.depthwise[1], state))
        if plan.squeezed:
            state = state * self._gate(block.squeeze, plan, state)
        projected = self._normed(block.project, state, plan.channels_out)
        return x + projected if plan.stride == 1 and plan.channels_in == plan.channels_out else projected

    def _normed(self, layer: Any, x: Tensor, channels: int) -> Tensor:
        """The first `channels` of a 1x1 convolution of the first channels of its input, and its batch norm."""
        return _norm(layer[1], self._convolved(layer, x, channels, 1))

    def _convolved(self, layer: Any, x: Tensor, channels: int, stride: int) -> Tensor:
        weight = layer[0].weight[:channels, : x.shape[1]].contiguous(memory_format=torch.channels_last)
        return functional.conv2d(x, weight, None, stride, weight.shape[2] // 2)

    def _gate(self, squeeze: Any, plan: InvertedPlan, x: Tensor) -> Tensor:
        """The factors [B, C, 1, 1] of squeeze-and-excitation."""
        pooled = x.mean(dim=(2, 3))
        reduce, expand = squeeze.reduce, squeeze.expand
        weights = reduce.weight[: plan.squeezed, : plan.inner, 0, 0], expand.weight[: plan.inner, : plan.squeezed, 0, 0]
        hidden = functional.relu(functional.linear(pooled, weights[0], reduce.bias[: plan.squeezed]))
        return functional.hardsigmoid(functional.linear(hidden, weights[1], expand.bias[: plan.inner]))[
            :, :, None, None
        ]

    def _kernel(self, number: int, plan: InvertedPlan) -> Tensor:
        """The depthwise kernel [C, 1, k, k] of a block."""
        block: Any = self.network.blocks[number]
        kernel: Tensor = block.depthwise[0].weight[: plan.inner]
        while kernel.shape[2] > plan.kernel:
            side = kernel.shape[2] - 2
            centre = kernel[:, :, 1:-1, 1:-1].reshape(plan.inner, side * side)
            kernel = (centre @ self.transforms[f"{number}_{side}"]).view(plan.inner, 1, side, side)
        return kernel


def _norm(norm: Any, x: Tensor) -> Tensor:
    """The first channels of a batch norm, with the statistics of the batch."""
    channels = x.shape[1]
    return functional.batch_norm(
        x, None, None, norm.weight[:channels], norm.bias[:channels], training=True, eps=norm.eps
    )


def _activated(layer: Any, x: Tensor) -> Tensor:
    activated: Tensor = layer[2](x)
    return activated
