"""ONNX Runtime on this machine's CPU, the default device: what people deploy.

Settings of a session, all explicit: the asked number of threads within an operation, operations one after another, all
graph optimisations. Worker threads spin while they wait for work within a run, which is ONNX Runtime's own default and
its lowest latency (with one thread there are none), and stop when the run ends, so that the sessions of the other
networks of a block do not take the cores. https://onnxruntime.ai/docs/performance/tune-performance/threading.html
"""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from chronas.devices.device import Fingerprint, Runner
from chronas.devices.host import HostCpu, HostTimedRunner, build_network, cpu_fingerprint, random_images
from chronas.devices.quantisation import onnx_model
from chronas.spaces import Architecture, Skeleton

PROVIDER = "CPUExecutionProvider"
ERRORS_ONLY = 3


class OnnxRuntimeCpu(HostCpu):
    """ONNX Runtime's CPU provider. It drops nodes that the output does not need."""

    name = "onnxruntime-cpu"
    prunes_dead_nodes = True
    dtypes = ("float32", "int8")
    bundles = True

    @classmethod
    def unavailable(cls) -> str | None:
        """None where ONNX Runtime has its CPU provider, as its published packages do."""
        if PROVIDER in onnxruntime.get_available_providers():
            return None
        return f"this build of ONNX Runtime has no {PROVIDER}: pip install --force-reinstall onnxruntime"

    def fingerprint(self) -> Fingerprint:
        """The CPU, ONNX Runtime's version, threads, batch and dtype."""
        return cpu_fingerprint(self.name, "onnxruntime", onnxruntime.__version__, self.config)

    def prepare(self, architecture: Architecture, skeleton: Skeleton, *, weights: Path | None = None) -> Runner:
        """A session with the network's ONNX form; raises as `Device.prepare`."""
        images = random_images(self.config.batch, skeleton)
        model = onnx_model(build_network(architecture, skeleton, weights), images, self.config.dtype)
        session = onnxruntime.InferenceSession(model, session_options(self.config.threads), providers=[PROVIDER])
        return _SessionRunner(session, images, skeleton.classes)


def session_options(threads: int) -> onnxruntime.SessionOptions:
    """The settings that the module's docstring tells.

    Args:
        threads: threads within an operation.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = ERRORS_ONLY
    options.add_session_config_entry("session.intra_op.allow_spinning", "1")
    options.add_session_config_entry("session.force_spinning_stop", "1")
    return options


class _SessionRunner(HostTimedRunner):
    """A session, its input, and the shape that the model itself declares."""

    def __init__(self, session: onnxruntime.InferenceSession, images: NDArray[np.float32], classes: int) -> None:
        super().__init__(images, classes)
        (declared,) = session.get_inputs()
        self.input_shape = tuple(declared.shape)
        self.session: onnxruntime.InferenceSession | None = session
        self.feed = {declared.name: images}

    def _run(self) -> object:
        assert self.session is not None, "a closed runner is not used"
        return self.session.run(None, self.feed)

    def _logits(self, output: object) -> NDArray[np.float32]:
        return cast("list[NDArray[np.float32]]", output)[0]

    def close(self) -> None:
        self.session = None
