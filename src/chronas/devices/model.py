"""A network in the form that devices take: an architecture in a size, or any module or ONNX file of the user."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from chronas.errors import DataError, DeviceError, UsageError, said_as
from chronas.spaces import Architecture, NetworkSize

if TYPE_CHECKING:
    from torch import nn

    from chronas.networks import OnnxNetwork, Workload


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
        file: the user's own ONNX file, or one of the architecture.
    """

    name: str
    input_shape: tuple[int, ...]
    architecture: Architecture | None = None
    size: NetworkSize | None = None
    weights: Path | None = None
    given: nn.Module | None = None
    file: OnnxNetwork | None = None

    @classmethod
    def of(
        cls,
        network: Architecture | nn.Module | OnnxNetwork,
        shape: NetworkSize | tuple[int, ...] | None = None,
        weights: Path | None = None,
    ) -> Model:
        """The model of an architecture, a module or an ONNX file.

        Args:
            network: the network to run.
            shape: an architecture's size; a module's input shape for one example, without the batch; an ONNX file has
                its own.
            weights: for an architecture, as the attribute, or an ONNX file of the architecture in this size.

        Raises:
            UsageError: the shape does not fit the network.
            DataError: the ONNX file is damaged, or of another shape.
        """
        from chronas.networks import OnnxNetwork

        if isinstance(network, OnnxNetwork):
            if shape is not None or weights is not None:
                raise UsageError(f"{network.name} has its own shape and weights: give none")
            return cls(network.name, network.input_shape, file=network)
        if isinstance(network, Architecture):
            if not isinstance(shape, NetworkSize):
                raise UsageError(f"an architecture is built in a NetworkSize, got {shape!r}")
            name = f"{network.space.name}|{network}"
            if weights is not None and weights.suffix == ".onnx":
                return cls(name, shape.input_shape, network, shape, file=_file_of(name, shape, weights))
            return cls(name, shape.input_shape, network, shape, weights)
        if (
            shape is None
            or isinstance(shape, NetworkSize)
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
            DeviceError: it is an ONNX file, which only some devices run.
        """
        import copy

        from chronas.networks import build, load_state

        if self.file is not None:
            raise DeviceError(
                f"this device takes networks of PyTorch, not the ONNX file {self.name}: take onnxruntime-cpu or "
                "openvino-cpu, or give the function that makes the network, FILE.py:FUNCTION"
            )
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

    def checked_shape(self, batch: int) -> tuple[int, ...] | None:
        """The output shape that a runner checks; None for a user's ONNX file, which may have several outputs."""
        return None if self.file is not None and self.size is None else self.output_shape(batch)

    @functools.cached_property
    def _own_output(self) -> tuple[int, ...]:
        import torch

        wrong = f"the network does not take an input of shape {self.input_shape}"
        with said_as(UsageError, wrong), torch.no_grad():
            output = self.module()(torch.zeros(1, *self.input_shape))
        if not isinstance(output, torch.Tensor) or output.shape[:1] != (1,):
            raise UsageError(f"a network should give one tensor with the batch first, got {type(output).__name__}")
        return tuple(output.shape[1:])

    def onnx(self, batch: int) -> bytes:
        """The network as an ONNX file in float32 for a batch; the user's own file is in what it is in.

        Raises:
            UsageError: it has no ONNX form, or the file takes another batch.
        """
        from chronas.networks import onnx_bytes

        return (
            self.file.fixed(batch)
            if self.file is not None
            else onnx_bytes(self.module(), self.input_shape, batch=batch)
        )

    def feeds(self, batch: int) -> dict[str, NDArray[Any]]:
        """The inputs of `onnx(batch)` by name, always the same; raises as it does."""
        from chronas.networks import INPUT_NAME

        return self.file.feeds(batch) if self.file is not None else {INPUT_NAME: self.inputs(batch)}

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


def _file_of(name: str, size: NetworkSize, path: Path) -> OnnxNetwork:
    """The ONNX file of an architecture."""
    from chronas.networks import read_onnx

    file = read_onnx(path)
    if file.input_shape != size.input_shape:
        raise DataError(
            f"{path} takes examples of {file.input_shape}, not of {size.input_shape} as {name} does: export it again"
        )
    return file
