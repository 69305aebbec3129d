"""PyTorch in eager mode on this machine's CPU: the cost of a network without any deployment effort.

Most of it is overhead. It is 5-7 times slower than ONNX Runtime on the same DARTS networks, and ranks them differently.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from chronas.devices.device import CpuConfig, Fingerprint, Runner
from chronas.devices.host import HostCpu, HostTimedRunner, cpu_fingerprint, torch_version
from chronas.devices.model import Model

TORCH_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


class EagerCpu(HostCpu):
    """PyTorch eager in inference mode; it runs all layers, even those that the output does not need.

    In bfloat16 all weights, images and activations are bfloat16, in the same memory layout as in fp32.
    """

    name = "eager-cpu"
    prunes_dead_nodes = False
    dtypes = ("float32", "bfloat16")

    @classmethod
    def unavailable(cls) -> str | None:
        """None: PyTorch always runs on the CPU."""
        return None

    def fingerprint(self) -> Fingerprint:
        """The CPU, PyTorch's version, threads, batch and dtype."""
        return cpu_fingerprint(self.name, "torch-eager", torch_version(), self.config)

    def _prepare(self, model: Model) -> Runner:
        """The unchanged module; raises as `Device.prepare`."""
        return _EagerCpuRunner(model, self.config)


class _EagerCpuRunner(HostTimedRunner):
    """A module and its input; PyTorch's number of threads is restored after each round."""

    def __init__(self, model: Model, config: CpuConfig) -> None:
        images = model.inputs(config.batch)
        super().__init__(images, model.output_shape(config.batch))
        dtype = TORCH_DTYPES[config.dtype]
        self.network: nn.Module | None = model.module().to(dtype)
        self.images = torch.from_numpy(images).to(dtype)
        self.threads = config.threads

    def _settings(self) -> AbstractContextManager[None]:
        return inference(self.threads)

    def _run(self) -> object:
        assert self.network is not None, "a closed runner is not used"
        return self.network(self.images)

    def _logits(self, output: object) -> NDArray[np.float32]:
        return cast("NDArray[np.float32]", cast("torch.Tensor", output).float().numpy())

    def close(self) -> None:
        self.network = None


@contextmanager
def inference(threads: int) -> Iterator[None]:
    """PyTorch's inference mode with this number of threads; the previous number is restored."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.inference_mode():
            yield
    finally:
        torch.set_num_threads(before)
