"""An ONNX file as a PyTorch module, computed by ONNX Runtime on the CPU: for testing it on images."""

from __future__ import annotations

import numpy as np
import onnxruntime
import torch
from torch import Tensor, nn

from chronas.errors import DataError, UsageError, said_as
from chronas.networks import OnnxNetwork

BATCH = 100  # examples of a run, if the file takes any batch
PROVIDER = "CPUExecutionProvider"


class OnnxModule(nn.Module):
    """An ONNX file with one input [B, ...] and one output [B, ...]; a fixed batch is filled up with zeros."""

    def __init__(self, network: OnnxNetwork) -> None:
        """Load the file.

        Raises:
            UsageError: it has several inputs or outputs, or an input of another type than float32.
            DataError: ONNX Runtime does not run it.
        """
        super().__init__()
        (first, *others) = network.inputs
        if others or first.dtype != np.float32 or network.outputs != 1:
            raise UsageError(
                f"{network.name} should have one input of float32 numbers and one output to be tested on images"
            )
        self._network, self._name = network, first.name
        self._batch = network.batch or BATCH
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()  # those that training has, if it is a teacher
        with said_as(DataError, f"ONNX Runtime does not run {network.name}"):
            self._session = onnxruntime.InferenceSession(network.fixed(self._batch), options, providers=[PROVIDER])

    def forward(self, images: Tensor) -> Tensor:
        """The outputs for any number of examples.

        Raises:
            UsageError: the file gives another number of outputs than examples.
        """
        found = []
        for at in range(0, len(images), self._batch):
            part = images[at : at + self._batch]
            filled = torch.zeros(self._batch, *part.shape[1:])
            filled[: len(part)] = part
            output = np.array(self._session.run(None, {self._name: filled.numpy()})[0], dtype=np.float32)
            if len(output) != self._batch:
                raise UsageError(
                    f"{self._network.name} gives {len(output)} outputs for {self._batch} images, though its batch is "
                    "open: export it again, with all its reshapes by the batch"
                )
            found.append(torch.from_numpy(output)[: len(part)])
        return torch.cat(found)
