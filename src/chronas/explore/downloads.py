"""A network to take away: an ONNX file, or one Python file that needs only torch. Neither is trained."""

from __future__ import annotations

from chronas.networks import build, model_source, onnx_bytes
from chronas.spaces import Architecture, Skeleton


def onnx_file(architecture: Architecture, skeleton: Skeleton) -> bytes:
    """The network with random weights as an ONNX model, batch 1: what a device can be timed with."""
    return onnx_bytes(build(architecture, skeleton), skeleton.input_shape)


def python_file(architecture: Architecture, skeleton: Skeleton) -> bytes:
    """The source of the network, whose `network()` builds it with random weights to be trained."""
    return model_source(architecture, skeleton).encode()
