"""OpenVINO on this machine's CPU: Intel's runtime, which also runs on other CPUs, in float32, bfloat16 or int8.

All settings of a compiled model are explicit: the latency hint, one stream, the requested number of threads and
precision, and no pinning. The system places the threads, as for the other devices on this CPU.
https://docs.openvino.ai/2026/openvino-workflow/running-inference/inference-devices-and-modes/cpu-device.html

The network is read as ONNX bytes from memory. In bfloat16 OpenVINO converts the float32 model; in int8 it runs the same
quantised model as ONNX Runtime does, as OpenVINO's own tool (NNCF) is another package.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import sys
from collections.abc import Mapping
from types import ModuleType
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from chronas.devices.device import CpuConfig, Fingerprint, Runner
from chronas.devices.host import HostCpu, HostTimedRunner, cpu_fingerprint
from chronas.devices.model import Model
from chronas.devices.onnxruntime import onnx_model
from chronas.errors import DeviceError, reason

PACKAGE = "openvino"
TELEMETRY = "openvino_telemetry"
PRECISIONS = {"float32": "f32", "bfloat16": "bf16", "int8": "f32"}  # unless the model sets it


class OpenVinoCpu(HostCpu):
    """OpenVINO's CPU plugin. It drops nodes that the output does not need."""

    name = "openvino-cpu"
    prunes_dead_nodes = True
    dtypes = ("float32", "bfloat16", "int8")
    takes_onnx = True

    def __init__(self, config: CpuConfig) -> None:
        """Load OpenVINO.

        Raises:
            DeviceError: as `HostCpu`, or OpenVINO has no bfloat16 for this CPU.
            UsageError: the config belongs to another device.
        """
        super().__init__(config)
        self.openvino: Any = without_telemetry()
        self.core = self.openvino.Core()
        able = self.core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        if config.dtype == "bfloat16" and "BF16" not in able:
            raise DeviceError(f"OpenVINO computes in {', '.join(able)} on this CPU, not in bfloat16: use another dtype")

    @classmethod
    def unavailable(cls) -> str | None:
        """None if OpenVINO is installed."""
        if importlib.util.find_spec(PACKAGE) is not None:
            return None
        return "it times networks in OpenVINO, which is not installed: pip install 'chronas[openvino]'"

    def fingerprint(self) -> Fingerprint:
        """The CPU, OpenVINO's version, threads, batch and dtype."""
        return cpu_fingerprint(self.name, PACKAGE, importlib.metadata.version(PACKAGE), self.config)

    def _prepare(self, model: Model) -> Runner:
        """A compiled model; raises as `Device.prepare`."""
        batch = self.config.batch
        content = onnx_model(model, batch, self.config.dtype)
        try:
            read = self.core.read_model(model=content, weights=b"")
            compiled = self.core.compile_model(read, "CPU", settings(self.config))
        except RuntimeError as error:
            if model.file is None:
                raise
            raise DeviceError(f"OpenVINO does not run {model.name} ({reason(error)}): export it again") from error
        feeds = model.feeds(batch)
        tensors = {name: self.openvino.Tensor(values, shared_memory=True) for name, values in feeds.items()}
        return _RequestRunner(compiled, tensors, feeds, model.checked_shape(batch))


def settings(config: CpuConfig) -> dict[str, object]:
    """The properties of a compiled model in the module's docstring."""
    return {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        "INFERENCE_NUM_THREADS": config.threads,
        "INFERENCE_PRECISION_HINT": PRECISIONS[config.dtype],
        "ENABLE_CPU_PINNING": False,
    }


def without_telemetry() -> ModuleType:
    """The package `openvino`, imported without its telemetry.

    pip also installs the package `openvino_telemetry`. With it, importing OpenVINO sends an event over the network and
    writes an id into the user's home, without asking. If that package is not found, OpenVINO works without telemetry.
    """
    before = sys.modules.get(TELEMETRY)
    sys.modules[TELEMETRY] = cast("ModuleType", None)
    try:
        return importlib.import_module(PACKAGE)
    finally:
        if before is None:
            del sys.modules[TELEMETRY]
        else:
            sys.modules[TELEMETRY] = before


class _RequestRunner(HostTimedRunner):
    """A compiled model's request with its inputs.

    OpenVINO precomputes parts that do not depend on the images, so the model of a disconnected cell has no input.
    """

    def __init__(
        self,
        compiled: Any,
        tensors: Mapping[str, Any],
        feeds: Mapping[str, NDArray[Any]],
        expected: tuple[int, ...] | None,
    ) -> None:
        super().__init__(next(iter(feeds.values())), expected)
        self.feeds = feeds  # the tensors share their memory
        self.request = compiled.create_infer_request()
        for declared in compiled.inputs:
            self.request.set_tensor(declared, tensors[next(iter(declared.names & tensors.keys()))])

    def _run(self) -> object:
        self.request.infer()
        return self.request

    def _logits(self, output: object) -> NDArray[np.float32]:
        return cast("NDArray[np.float32]", cast("Any", output).get_output_tensor().data)

    def close(self) -> None:
        self.request = None
