"""ExecuTorch's runtime with XNNPACK kernels on this machine's CPU: PyTorch's runtime for phones and boards.

The exported network is lowered to XNNPACK as a whole, which takes 10 s of CPU for an 8-cell DARTS network, and run from
memory. ExecuTorch has one thread pool for each process; its size is set before the first network is loaded.
https://docs.pytorch.org/executorch/stable/backends/xnnpack/xnnpack-overview.html
"""

from __future__ import annotations

import importlib.util
import weakref
from importlib.metadata import version
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from numpy.typing import NDArray

from chronas.devices.compiled import compilers_own_warnings, exported, folded
from chronas.devices.device import Fingerprint, Runner
from chronas.devices.host import HostCpu, HostTimedRunner, cpu_fingerprint
from chronas.devices.model import Model
from chronas.errors import DeviceError

if TYPE_CHECKING:
    from executorch.runtime import Method, Program


class ExecutorchCpu(HostCpu):
    """ExecuTorch with the XNNPACK delegate. The export drops steps that the output does not need."""

    name = "executorch-cpu"
    prunes_dead_nodes = True
    dtypes = ("float32",)
    memory = None  # the converter's remains in the process would be counted

    @classmethod
    def unavailable(cls) -> str | None:
        """None if the package executorch is installed."""
        if importlib.util.find_spec("executorch") is None:
            return "ExecuTorch converts and runs networks here: pip install 'chronas[executorch]'"
        return None

    def fingerprint(self) -> Fingerprint:
        """The CPU, ExecuTorch's version, threads and batch."""
        return cpu_fingerprint(self.name, "executorch-xnnpack", version("executorch"), self.config)

    def _prepare(self, model: Model) -> Runner:
        """The network's program, loaded from memory; raises as `Device.prepare`."""
        images = model.inputs(self.config.batch)
        expected = model.output_shape(self.config.batch)
        return _MethodRunner(program(model.module(), images), images, expected, self.config.threads)


def program(network: torch.nn.Module, images: NDArray[np.float32]) -> bytes:
    """The bytes of a `.pte` file: `network` for the shape of `images` [B, C, H, W], lowered to XNNPACK."""
    with compilers_own_warnings():
        from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
        from executorch.exir import EdgeCompileConfig, to_edge_transform_and_lower

        lowered = to_edge_transform_and_lower(
            exported(folded(network), torch.from_numpy(images)),
            partitioner=[XnnpackPartitioner()],
            compile_config=EdgeCompileConfig(_check_ir_validity=False),  # else it checks its own steps again and again
        )
        return bytes(lowered.to_executorch().buffer)


class _MethodRunner(HostTimedRunner):
    """A loaded method and its input."""

    def __init__(self, program: bytes, images: NDArray[np.float32], expected: tuple[int, ...], threads: int) -> None:
        super().__init__(images, expected)
        self.images = [torch.from_numpy(images)]
        resize_pool(threads)
        with compilers_own_warnings():
            from executorch.runtime import Runtime

            self.bytes: bytes | None = program  # the runtime reads them in place
            self.program: Program | None = Runtime.get().load_program(program)
            self.method: Method | None = self.program.load_method("forward")
        LOADED.add(self)

    def _run(self) -> object:
        assert self.method is not None, "a closed runner is not used"
        return self.method.execute(self.images)

    def _logits(self, output: object) -> NDArray[np.float32]:
        return cast("list[torch.Tensor]", output)[0].numpy()

    def close(self) -> None:
        self.method = self.program = self.bytes = None
        LOADED.discard(self)


LOADED: weakref.WeakSet[_MethodRunner] = weakref.WeakSet()  # runners that use the present pool


def resize_pool(threads: int) -> None:
    """Set the number of threads in ExecuTorch's pool, if it differs.

    A loaded method keeps using its original pool. A resize destroys that pool, and the process would crash.

    Raises:
        DeviceError: loaded networks use the present pool, or the pool cannot have this number.
    """
    with compilers_own_warnings():
        from executorch.extension.pybindings import portable_lib

    before = portable_lib._threadpool_get_thread_count()
    if before == threads:
        return
    if LOADED:
        raise DeviceError(
            f"ExecuTorch has one pool of threads a process, of {before} for the {len(LOADED)} networks that are "
            f"loaded: close them before one is prepared for {threads}"
        )
    portable_lib._unsafe_reset_threadpool(threads)
    after = portable_lib._threadpool_get_thread_count()
    if after != threads:
        raise DeviceError(f"{threads} threads are asked for, ExecuTorch's pool took {after}: ask for {after}")
