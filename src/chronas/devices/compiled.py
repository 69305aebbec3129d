"""A network compiled by PyTorch's AOTInductor into C++ for this machine's CPU: PyTorch without most of its overhead.

AOTInductor and not `torch.compile`: on the same networks it is a third faster, since no Python runs between kernels,
and nothing falls back to eager in silence after eight recompilations, as Dynamo does. It needs a C++ compiler and 20 to
30 s of CPU a network, in this process, without workers. The compiler's folder is deleted at once, a library when its
runner is closed; but its 2 to 5 MB stay mapped until the process ends: glibc keeps libraries with unique symbols.
https://docs.pytorch.org/docs/stable/torch.compiler_aot_inductor.html
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray

from chronas.devices.device import CpuConfig, Fingerprint, Runner
from chronas.devices.eager import TORCH_DTYPES, inference
from chronas.devices.exported import compilers_own_warnings, exported, folded
from chronas.devices.host import HostCpu, HostTimedRunner, build_network, cpu_fingerprint, random_images, torch_version
from chronas.errors import DeviceError
from chronas.spaces import Architecture, Skeleton

Compiled = Callable[[torch.Tensor], torch.Tensor]

SETTINGS = {
    "compile_threads": 1,  # no pool of worker processes
    "force_disable_caches": True,
    # 140 MB each, outside of the folder that we delete, to save about 5 s a network
    "aot_inductor.precompile_headers": False,
    # of the code that calls the kernels, which stay at O3: seconds faster to compile, no slower to run
    "aot_inductor.compile_wrapper_opt_level": "O0",
}


class CompiledCpu(HostCpu):
    """AOTInductor's C++ kernels. It drops what the output does not need."""

    name = "compiled-cpu"
    prunes_dead_nodes = True
    dtypes = ("float32", "bfloat16")
    memory = None  # what the compiler leaves behind in the process would be counted

    @classmethod
    def unavailable(cls) -> str | None:
        """None where a C++ compiler is, which `CXX` may name."""
        compiler = os.environ.get("CXX", "g++")
        if shutil.which(compiler) is None:
            return f"it compiles networks by {compiler}, which is not here: install g++, or name a C++ compiler in CXX"
        return None

    def fingerprint(self) -> Fingerprint:
        """The CPU, PyTorch's version, threads, batch and dtype."""
        return cpu_fingerprint(self.name, "torch-aotinductor", torch_version(), self.config)

    def prepare(self, architecture: Architecture, skeleton: Skeleton, *, weights: Path | None = None) -> Runner:
        """A library of the network's kernels, loaded; raises as `Device.prepare`, and where the compiler fails."""
        network = build_network(architecture, skeleton, weights)
        images = random_images(self.config.batch, skeleton)
        return _CompiledRunner(network, images, skeleton.classes, self.config)


class _CompiledRunner(HostTimedRunner):
    """A loaded library and its input; PyTorch's number of threads is put back after each round."""

    def __init__(self, network: torch.nn.Module, images: NDArray[np.float32], classes: int, config: CpuConfig) -> None:
        super().__init__(images, classes)
        dtype = TORCH_DTYPES[config.dtype]
        self.images = torch.from_numpy(images).to(dtype)
        self.threads = config.threads
        with self._settings():
            self.network: Compiled | None = compiled(folded(network).to(dtype), self.images)

    def _settings(self) -> AbstractContextManager[None]:
        return inference(self.threads)

    def _run(self) -> object:
        assert self.network is not None, "a closed runner is not used"
        return self.network(self.images)

    def _logits(self, output: object) -> NDArray[np.float32]:
        return cast("NDArray[np.float32]", cast("torch.Tensor", output).float().numpy())

    def close(self) -> None:
        self.network = None


def compiled(network: torch.nn.Module, images: torch.Tensor) -> Compiled:
    """A network as a library that is compiled and loaded, for the number of threads that PyTorch has now.

    Args:
        network: in eval mode, without gradients.
        images: [B, C, H, W]; the library takes this shape and dtype alone.

    Raises:
        DeviceError: the C++ compiler fails; the message has the first line of what it says.
    """
    with compilers_own_warnings(), torch.inference_mode(mode=False), torch.no_grad():
        from torch._inductor import aoti_compile_and_package, aoti_load_package  # seconds to load
        from torch._inductor.exc import InductorError
        from torch._inductor.utils import fresh_cache

        with tempfile.TemporaryDirectory(prefix="chronas-compiled-") as folder, fresh_cache(dir=folder):
            package = str(Path(folder) / "network.pt2")
            try:
                aoti_compile_and_package(exported(network, images), package_path=package, inductor_configs=SETTINGS)
            except (InductorError, subprocess.CalledProcessError) as error:
                reason = str(error).strip().partition("\n")[0]
                raise DeviceError(f"the network cannot be compiled ({reason}): is the C++ compiler whole?") from error
            return cast("Compiled", aoti_load_package(package))
