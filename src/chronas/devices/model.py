"""A network in the form that devices take: an architecture in a size, or any module of the user."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from chronas.errors import DataError, UsageError
from chronas.spaces import Architecture, NetworkSize

if TYPE_CHECKING:
    from torch import nn

    from chronas.networks import Workload


@dataclass(frozen=True, eq=False)
class Model:
    """A network to run; its module is built when it is needed. Create one with `Model.of`.

    Attributes:
        name: unique name: an architecture's space and text, or a module's class and layers.
        input_shape: shape of one example: channels, height and width of an image.
        architecture: the architecture to build; None for a user's own module.
        size: size of the architecture.
        weights: a file of `networks.save_state` for the architecture, None for the random weights of seed 0.
        given: the user's own module.
    """

    name: str
    input_shape: tuple[int, ...]
    architecture: Architecture | None = None
    size: NetworkSize | None = None
    weights: Path | None = None
    given: nn.Module | None = None

    @classmethod
    def of(
        cls, network: Architecture | nn.Module, shape: NetworkSize | tuple[int, ...], weights: Path | None = None
    ) -> Model:
        """The model of an architecture or of a module.

        Args:
            network: the network to run.
            shape: an architecture's size; a module's input shape for one example, without the batch.
            weights: for an architecture, as the attribute.

        Raises:
            UsageError: the shape does not fit the network.
        """
        if isinstance(network, Architecture):
            if not isinstance(shape, NetworkSize):
                raise UsageError(f"an architecture is built in a NetworkSize, got {shape!r}")
            return cls(f"{network.space.name}|{network}", shape.input_shape, network, shape, weights)
        if (
            isinstance(shape, NetworkSize)
            or weights is not None
            or not all(isinstance(n, int) and n > 0 for n in shape)
        ):
            raise UsageError(
                f"a module is timed as it is, on the shape of one example without the batch, such as (3, 224, 224), "
                f"got {shape!r}"
            )
        return cls(repr(network), tuple(shape), given=network)

    def module(self) -> nn.Module:
        """The network in eval mode, without gradients; a user's module is copied, so that the original does not change.

        Raises:
            DataError: the file of weights is damaged, or belongs to another network.
        """
        import copy

        from chronas.networks import build, load_state

        if self.given is not None:
            return copy.deepcopy(self.given).eval().requires_grad_(requires_grad=False)
        assert self.architecture is not None and self.size is not None
        network = build(self.architecture, self.size).eval()
        if self.weights is not None:
            tensors, _ = load_state(self.weights)
            expected = network.state_dict()
            try:
                network.load_state_dict({key: tensors[key] for key in expected})
            except (KeyError, RuntimeError) as error:
                what = f"{self.weights} holds the weights of another network than {self.architecture}"
                raise DataError(f"{what}: {error}") from error
        return network.requires_grad_(requires_grad=False)

    def output_shape(self, batch: int) -> tuple[int, ...]:
        """The output shape for a batch of examples; a user's own module is run once to find it.

        Raises:
            UsageError: the network does not return one tensor, or does not fit the input shape.
        """
        return (batch, self.size.outputs) if self.size is not None else (batch, *self._own_output)

    @functools.cached_property
    def _own_output(self) -> tuple[int, ...]:
        import torch

        try:
            with torch.no_grad():
                output = self.module()(torch.zeros(1, *self.input_shape))
        except (RuntimeError, ValueError, IndexError, TypeError) as error:
            reason = str(error).partition("\n")[0]
            raise UsageError(f"the network does not take an input of shape {self.input_shape}: {reason}") from error
        if not isinstance(output, torch.Tensor) or output.shape[:1] != (1,):
            raise UsageError(f"a network should give one tensor with the batch first, got {type(output).__name__}")
        return tuple(output.shape[1:])

    def inputs(self, batch: int) -> NDArray[np.float32]:
        """Normal noise [B, C, H, W], always the same: the content of images does not affect latency."""
        return np.random.default_rng(0).standard_normal((batch, *self.input_shape), dtype=np.float32)

    def workload(self) -> Workload:
        """The layers of the network, found without running it.

        Raises:
            UsageError: the network cannot be traced, or does not fit the input shape.
        """
        from chronas.networks import workload

        return workload(self.module(), self.input_shape)
