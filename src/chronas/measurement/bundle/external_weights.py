"""One file of random weights for many ONNX networks, so that thousands of them fit onto a small disk.

The values of weights do not affect latency, as long as they are ordinary: infinities and denormal numbers (below
1.2e-38) are slower on many CPUs. So weights of convolutions and linear layers have variance 1 / (number of inputs),
biases are small positive or negative numbers, and batch norms multiply by about 1. The tensors of one network have
different places in the file; different networks share places. So the cache holds nothing that it would not hold with a
network's own weights.

The networks refer to the file through ONNX's external data: https://onnx.ai/onnx/repo-docs/ExternalData.html
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

ALIGNMENT = 64  # bytes of a cache line, and of the widest CPU instructions
FLOAT_BYTES = 4
SMALL = 0.01


def _weight(random: Random, count: int, inputs: int) -> NDArray[np.float64]:
    return random.normal(0.0, 1 / math.sqrt(inputs), count)


def _bias(random: Random, count: int, inputs: int) -> NDArray[np.float64]:  # noqa: ARG001 - the signature of `Draw`
    return random.uniform(-SMALL, SMALL, count)


def _scale(random: Random, count: int, inputs: int) -> NDArray[np.float64]:  # noqa: ARG001 - the signature of `Draw`
    return random.uniform(0.9, 1.1, count)


# (operation, number of its input) -> values of that input: weights, biases or scales.
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
    """The file of weights, which grows while networks are added.

    Args:
        name: name of the file, in the folder of the networks.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._content = bytearray()
        self._places: dict[tuple[str, int, int], list[int]] = {}

    def share(self, model: bytes) -> bytes:
        """A network whose weights are replaced by places in the shared file.

        Constants other than weights (shapes, numbers) stay in the network.

        Args:
            model: an ONNX model that contains all its tensors.
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
        """The offset of the `number`-th tensor of its kind in a network."""
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
