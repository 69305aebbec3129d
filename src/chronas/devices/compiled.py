"""A network compiled by PyTorch's AOTInductor into C++ for this machine's CPU: PyTorch without most of its overhead.

AOTInductor is a third faster than `torch.compile` on the same networks, because no Python runs between kernels. It also
does not silently fall back to eager mode after eight recompilations, as Dynamo does. It needs a C++ compiler and 20 to
30 s of CPU for each network, in this process, without workers. The compiler's folder is deleted at once, a library when
its runner is closed. But 2 to 5 MB of each library stay mapped until the process ends: glibc keeps libraries with
unique symbols. https://docs.pytorch.org/docs/stable/torch.compiler_aot_inductor.html

`exported` prepares networks for the runtimes that compile or convert them ahead of time. Each batch norm that is the
only reader of a convolution is folded into it, as the ONNX writer does. Later passes walk the graph dozens of times:
ExecuTorch took 40 s of CPU for an 8-cell DARTS network, and 10 s for the folded one. Notes about the origin of each
step are removed, because nothing reads them and every pass copies them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from chronas.devices.device import CpuConfig, Fingerprint, Runner
from chronas.devices.eager import TORCH_DTYPES, inference
from chronas.devices.host import HostCpu, HostTimedRunner, cpu_fingerprint, torch_version
from chronas.devices.model import Model
from chronas.errors import DeviceError

NOTES = ("from_node", "nn_module_stack", "source_fn_stack", "stack_trace", "torch_fn")


def exported(network: nn.Module, images: torch.Tensor) -> torch.export.ExportedProgram:
    """The program of a network in eval mode for images of one shape; nothing is run.

    Args:
        network: without gradients, in the dtype to compute in.
        images: [B, C, H, W] of that dtype; the program accepts only this shape.
    """
    program = torch.export.export(network, (images,), strict=False)
    for node in program.graph.nodes:
        for note in NOTES:
            node.meta.pop(note, None)
    return program


def folded(network: nn.Module) -> nn.Module:
    """The network in eval mode, with each batch norm folded into the convolution that it alone reads."""
    traced = fx.symbolic_trace(network)
    layers = dict(traced.named_modules())
    for node in [node for node in traced.graph.nodes if _layer(node, layers, nn.BatchNorm2d) is not None]:
        source = node.args[0]
        convolution, norm = _layer(source, layers, nn.Conv2d), layers[node.target]
        if not isinstance(convolution, nn.Conv2d) or len(source.users) > 1:
            continue
        owner, _, name = source.target.rpartition(".")
        setattr(layers[owner], name, fuse_conv_bn_eval(convolution, norm))
        node.replace_all_uses_with(source)
        traced.graph.erase_node(node)
    traced.graph.eliminate_dead_code()
    traced.recompile()
    return traced


def _layer(node: fx.Node, layers: dict[str, nn.Module], kind: type[nn.Module]) -> nn.Module | None:
    layer = layers[str(node.target)] if node.op == "call_module" else None
    return layer if type(layer) is kind else None


@contextmanager
def compilers_own_warnings() -> Iterator[None]:
    """Suppress warnings about code inside PyTorch's and ExecuTorch's compilers, which users cannot change."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        warnings.filterwarnings("ignore", category=FutureWarning)
        warnings.filterwarnings("ignore", message="This API is experimental")
        yield


Compiled = Callable[[torch.Tensor], torch.Tensor]

SETTINGS = {
    "compile_threads": 1,  # no pool of worker processes
    "force_disable_caches": True,
    # off: 140 MB each, outside of the folder that we delete, to save about 5 s a network
    "aot_inductor.precompile_headers": False,
    # for the code that calls the kernels; kernels stay at O3: compiles seconds faster, runs as fast
    "aot_inductor.compile_wrapper_opt_level": "O0",
}


class CompiledCpu(HostCpu):
    """AOTInductor's C++ kernels. It drops steps that the output does not need."""

    name = "compiled-cpu"
    prunes_dead_nodes = True
    dtypes = ("float32", "bfloat16")
    memory = None  # the compiler's remains in the process would be counted

    @classmethod
    def unavailable(cls) -> str | None:
        """None if there is a C++ compiler; `CXX` may name it."""
        compiler = os.environ.get("CXX", "g++")
        if shutil.which(compiler) is None:
            return f"it compiles networks by {compiler}, which is not here: install g++, or name a C++ compiler in CXX"
        return None

    def fingerprint(self) -> Fingerprint:
        """The CPU, PyTorch's version, threads, batch and dtype."""
        return cpu_fingerprint(self.name, "torch-aotinductor", torch_version(), self.config)

    def _prepare(self, model: Model) -> Runner:
        """A loaded library of the network's kernels; raises as `Device.prepare`, and if the compiler fails."""
        return _CompiledRunner(model, self.config)


class _CompiledRunner(HostTimedRunner):
    """A loaded library and its input; PyTorch's number of threads is restored after each round."""

    def __init__(self, model: Model, config: CpuConfig) -> None:
        images = model.inputs(config.batch)
        super().__init__(images, model.output_shape(config.batch))
        dtype = TORCH_DTYPES[config.dtype]
        self.images = torch.from_numpy(images).to(dtype)
        self.threads = config.threads
        with self._settings():
            self.network: Compiled | None = compiled(folded(model.module()).to(dtype), self.images)

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
    """A network compiled to a library and loaded, for PyTorch's current number of threads.

    Args:
        network: in eval mode, without gradients.
        images: [B, C, H, W]; the library accepts only this shape and dtype.

    Raises:
        DeviceError: the C++ compiler fails; the message has the first line of its output.
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
