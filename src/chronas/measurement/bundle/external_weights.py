"""One file of random weights for many ONNX networks, so that thousands of them fit onto a small disk.

What numbers a network has does not matter to its latency, as long as they stay ordinary: infinities and denormal
numbers (below 1.2e-38) are slower on many CPUs. So convolutions and linear layers have a variance of 1 over the number
of their inputs, biases are small and above or below zero, batch norms multiply by about 1. Each tensor of a network has
a place of its own in the file, which the tensors of other networks share: within a network nothing is in the cache that
would not be there with its own weights.

The networks refer to the file by ONNX's external data: https://onnx.ai/onnx/repo-docs/ExternalData.html
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto

from chronas.files import write_bytes

Random = np.random.Generator
Draw = Callable[[Random, int, int], NDArray[np.float64]]  # generator, numbers, inputs of one output

ALIGNMENT = 64  # bytes; of a cache line, and of the widest instructions of CPUs
FLOAT_BYTES = 4
SMALL = 0.01


def _weight(random: Random, count: int, inputs: int) -> NDArray[np.float64]:
    return random.normal(0.0, 1 / math.sqrt(inputs), count)


def _bias(random: Random, count: int, inputs: int) -> NDArray[np.float64]:  # noqa: ARG001 - the signature of `Draw`
    return random.uniform(-SMALL, SMALL, count)


def _scale(random: Random, count: int, inputs: int) -> NDArray[np.float64]:  # noqa: ARG001 - the signature of `Draw`
    return random.uniform(0.9, 1.1, count)


# What an operation's input is: the weights of a layer, what it adds, or what it multiplies by.
ROLES: dict[tuple[str, int], Draw] = {
    ("Conv", 1): _weight,
    ("Conv", 2): _bias,
    ("Gemm", 1): _weight,
    ("Gemm", 2): _bias,
    ("BatchNormalization", 1): _scale,
    ("BatchNormalization", 2): _bias,
    ("BatchNormalization", 3): _bias,
    ("BatchNormalization", 4): _scale,
}


class ExternalWeights:
    """The file as it grows while networks are added to it.

    Args:
        name: of the file, which lies beside the networks.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._content = bytearray()
        self._places: dict[tuple[str, int, int], list[int]] = {}

    def share(self, model: bytes) -> bytes:
        """A network without its weights: they are replaced by places in the shared file.

        Constants that are no weights (shapes, numbers) stay in the network.

        Args:
            model: an ONNX model with all it needs inside.
        """
        proto = onnx.load_from_string(model)
        roles = {
            name: ROLES[node.op_type, number]
            for node in proto.graph.node
            for number, name in enumerate(node.input)
            if (node.op_type, number) in ROLES
        }
        taken: Counter[tuple[str, int, int]] = Counter()
        for tensor in proto.graph.initializer:
            if tensor.name in roles and tensor.data_type == TensorProto.FLOAT:
                draw, count = roles[tensor.name], math.prod(tensor.dims)
                key = (draw.__name__, math.prod(tensor.dims[1:]), count)
                _refer(tensor, self.name, self._place(draw, key, taken[key]), count * FLOAT_BYTES)
                taken[key] += 1
        shared: bytes = proto.SerializeToString(deterministic=True)
        return shared

    def write(self, folder: Path) -> Path:
        """Write the file into the folder of the networks; raises as `files.write_bytes`."""
        path = folder / self.name
        write_bytes(path, bytes(self._content))
        return path

    def _place(self, draw: Draw, key: tuple[str, int, int], number: int) -> int:
        """Where the tensor lies that is the `number`-th of its kind in its network."""
        places = self._places.setdefault(key, [])
        if number == len(places):
            _, inputs, count = key
            seed = hashlib.sha256(f"{key} {number}".encode()).digest()[:8]
            random = np.random.default_rng(int.from_bytes(seed, "little"))
            self._content.extend(bytes(-len(self._content) % ALIGNMENT))
            places.append(len(self._content))
            self._content.extend(draw(random, count, inputs).astype("<f4").tobytes())
        return places[number]


def _refer(tensor: TensorProto, location: str, offset: int, length: int) -> None:
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", offset), ("length", length)):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, str(value)
