"""Peak memory of a run in MiB, by three meters that count different things.

- `resident`, for runtimes on this machine's CPU: the peak resident memory (VmHWM of Linux) while the network runs,
  minus the resident memory before it was prepared. A separate process measures it, after it has loaded the runtime and
  has run another network. So weights in the runtime's form, activations and scratch memory count. The runtime's own
  code does not count, nor memory that only preparing needs (the PyTorch module, the ONNX file of a session).
- `cuda`: the peak of PyTorch's allocator on the GPU while the network is moved there and runs
  (`torch.cuda.max_memory_allocated`), minus the memory allocated before. Weights, images, activations and workspaces
  count, the CUDA context does not. Networks are built on the CPU, so building does not count.
- `simulated`: weights and peak activations, by counting.

One process measures all networks, because starting one takes seconds, and in a fork of a process that has run a
network, pages of the runtime's code would count again. Earlier networks do not change the result: see docs/log.md.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, ClassVar, Protocol, cast

import onnx
import torch
from torch import nn

from chronas.devices import Device
from chronas.errors import ChronasError, DeviceError, said_as
from chronas.measurement.meter import Meter, Network, OwnNetwork, Reading, prepared
from chronas.measurement.state import REFERENCE_SEED
from chronas.networks import OnnxNetwork, onnx_bytes
from chronas.registry import Registry, packed, unpacked
from chronas.spaces import Architecture, NetworkSize, Space
from chronas.units import MIB_PER_KIB, mib_from_bytes

MEMORY_METERS = Registry(
    "memory meter",
    {
        "resident": "chronas.measurement.memory:ResidentMemory",
        "cuda": "chronas.measurement.memory:CudaMemory",
        "simulated": "chronas.measurement.memory:SimulatedMemory",
    },
)
WORKER = "chronas.measurement.memory"
ALLOCATOR = {  # glibc's: buffers of 64 KiB or more get their own mappings, so earlier networks leave no holes
    "MALLOC_MMAP_THRESHOLD_": "65536",
    "MALLOC_TRIM_THRESHOLD_": "65536",
}
RUNS = (1, 2)  # warm-up and further runs, in which memory reaches its peak


class _OnGpu(Protocol):
    gpu: int


class _KnowsItsMemory(Protocol):
    def true_memory_mib(self, architecture: Architecture, size: NetworkSize) -> float: ...


class MemoryMeter(Meter):
    """Base of all meters of peak memory."""

    cost: ClassVar[str] = "peak_memory_mib"


class ResidentMemory(MemoryMeter):
    """Peak resident memory, measured in a separate process."""

    def __init__(
        self, device: Device, size: NetworkSize | None, weights: Mapping[Architecture, Path] | None = None
    ) -> None:
        """Check that the kernel reports peak memory.

        Raises:
            DeviceError: this system has no VmHWM that can be reset.
        """
        super().__init__(device, size, weights)
        if platform.system() != "Linux":
            reason = f"it needs Linux's /proc/self/clear_refs, this is {platform.system()}"
            raise DeviceError(f"peak_memory_mib cannot be measured on device {device.name} here: {reason}")
        self._process: subprocess.Popen[str] | None = None
        self._errors: IO[str] | None = None

    @property
    def source(self) -> str:
        """The kernel's counter."""
        return "resident: VmHWM of a process of its own"

    @property
    def process_id(self) -> int | None:
        """Process id of the measuring process; None if none runs."""
        return None if self._process is None else self._process.pid

    def _read(self, network: Network, index: int) -> Reading:  # noqa: ARG002 - memory has no noise of its own
        if self._process is None:
            self._start(None if isinstance(network, OwnNetwork) else network.space)
        return Reading(self._asked(self._question(network))["peak_memory_mib"])

    def _question(self, network: Network) -> dict[str, object]:
        if isinstance(network, OwnNetwork):
            with said_as(DeviceError, "it cannot be given to the process that measures memory"):
                return {"own": packed(_portable(network, self.device))}
        weights = self.weights.get(network)
        return {"architecture": str(network), "weights": None if weights is None else str(weights)}

    def _asked(self, question: Mapping[str, object]) -> dict[str, float]:
        process = self._process
        assert process is not None and process.stdin is not None and process.stdout is not None
        try:
            process.stdin.write(json.dumps(question) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise DeviceError(f"the process that measures memory ended: {self._last_words(process)}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise DeviceError(f"memory could not be measured: {answer['error']}")
        return answer

    def _start(self, space: Space | None) -> None:
        self._errors = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115 - until close
        pipe, command = subprocess.PIPE, [sys.executable, "-m", WORKER]
        environment = os.environ | ALLOCATOR
        self._process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=self._errors, text=True, env=environment
        )
        self._asked({"things": packed(type(self.device), self.device.config, space, self.size)})

    def _last_words(self, process: subprocess.Popen[str]) -> str:
        code = process.wait()
        assert self._errors is not None
        self._errors.seek(0)
        lines = self._errors.read().strip().splitlines()
        self.close()
        ended = f"exit code {code}" if code >= 0 else f"signal {-code}, which the kernel sends when memory runs out"
        return f"{lines[-1]} ({ended})" if lines else ended

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.communicate()
            self._process = None
        if self._errors is not None:
            self._errors.close()
            self._errors = None


class CudaMemory(MemoryMeter):
    """Peak memory of PyTorch's allocator on a GPU, in this process."""

    @property
    def source(self) -> str:
        """PyTorch's counter."""
        return "cuda: torch.cuda.max_memory_allocated"

    def _read(self, network: Network, index: int) -> Reading:
        gpu = cast("_OnGpu", self.device.config).gpu
        before = torch.cuda.memory_allocated(gpu)
        torch.cuda.reset_peak_memory_stats(gpu)  # not later: a CUDA graph takes its memory while it is captured
        runner = self._prepared(network)
        try:
            runner.round(index, *RUNS)
            return Reading(mib_from_bytes(torch.cuda.max_memory_allocated(gpu) - before))
        finally:
            runner.close()

    def close(self) -> None:
        """Do nothing: the meter holds no resources."""


class SimulatedMemory(MemoryMeter):
    """The exact memory of the simulated device."""

    @property
    def source(self) -> str:
        """The device's own formula."""
        return "simulated: weights and peak activations"

    def _read(self, network: Network, index: int) -> Reading:  # noqa: ARG002 - it has no noise
        architecture, size = self._in_its_size(network)
        return Reading(cast("_KnowsItsMemory", self.device).true_memory_mib(architecture, size))

    def close(self) -> None:
        """Do nothing: the meter holds no resources."""


def _portable(own: OwnNetwork, device: Device) -> OwnNetwork:
    """The same network as an ONNX file where the device takes one: modules may have classes of the user's own files."""
    if not (device.takes_onnx and isinstance(own.network, nn.Module) and own.shape is not None):
        return own
    content = onnx_bytes(own.network, own.shape, batch=int(getattr(device.config, "batch", 1)))
    return OwnNetwork(OnnxNetwork(type(own.network).__name__, onnx.load_from_string(content)))


def make_memory_meter(
    device: Device, size: NetworkSize | None, weights: Mapping[Architecture, Path] | None = None
) -> MemoryMeter:
    """The memory meter of a device.

    Raises:
        DeviceError: the device has no memory meter, or this system lacks its requirements.
    """
    if device.memory is None:
        raise DeviceError(f"peak_memory_mib cannot be measured on device {device.name}: it has no memory meter")
    meter: MemoryMeter = MEMORY_METERS[device.memory](device, size, weights)
    return meter


# ----
# The process that measures resident memory: `python -m chronas.measurement.memory`, JSON lines in and out.
#
# The first line has device, config, space and size, pickled by the parent process; each further line has an
# architecture and the file of its weights or null, or a network of the user, pickled. Answers are one line each:
# {"peak_memory_mib": 33.6}, or {"error": "..."}. Output of libraries goes to stderr.

REFERENCE_SHAPE = (3, 16, 16)  # of the first network where there is no space
STATUS = Path("/proc/self/status")
CLEAR_REFS = Path("/proc/self/clear_refs")
PEAK_TO_NOW = "5"  # https://docs.kernel.org/filesystems/proc.html, "clear_refs"


class Worker:
    """Measures the memory of one network after the other."""

    def __init__(self, first: Mapping[str, Any]) -> None:
        """Load the device's runtime and run a first network."""
        torch.set_num_threads(1)  # more threads would stay in memory after building networks
        device, config, space, size = unpacked(first["things"])
        self.device: Device = device(config)
        self.size: NetworkSize | None = size
        self.space: Space | None = space
        own = OwnNetwork(nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten()), REFERENCE_SHAPE)
        self.peak_mib(own if space is None else space.sample(1, REFERENCE_SEED)[0])

    def answer(self, question: Mapping[str, Any]) -> float:
        """The peak memory in MiB of the network in a question."""
        if "own" in question:
            with said_as(DeviceError, "the process that measures memory cannot read it"):
                (network,) = unpacked(question["own"])
            self.peak_mib(network)  # it may be the first that uses a part of the runtime, which does not count
            return self.peak_mib(network)
        assert self.space is not None  # architectures come with their space
        weights = question["weights"]
        architecture = self.space.parse(question["architecture"])
        return self.peak_mib(architecture, None if weights is None else Path(weights))

    def peak_mib(self, network: Network, weights: Path | None = None) -> float:
        """The peak resident memory while a network runs, minus that before it was prepared, in MiB."""
        _give_back()
        before_mib = resident_mib("VmRSS")
        runner = prepared(self.device, network, self.size, weights)
        _give_back()
        CLEAR_REFS.write_text(PEAK_TO_NOW, encoding="ascii")
        runner.round(0, *RUNS)
        peak_mib = resident_mib("VmHWM")
        runner.close()
        return peak_mib - before_mib


def resident_mib(field: str) -> float:
    """A memory field of this process's status, in MiB."""
    lines = STATUS.read_text(encoding="ascii", errors="replace").splitlines()
    (value,) = (line.split()[1] for line in lines if line.startswith(f"{field}:"))
    return int(value) * MIB_PER_KIB


def _give_back() -> None:
    """Return unused memory to the system, so that garbage does not count."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's; other C libraries return memory by themselves
    if trim is not None:
        trim(0)


def main() -> None:
    """Answer requests until the input ends."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # libraries print there, and answers must stay alone
    worker: Worker | None = None
    for line in sys.stdin:
        question = json.loads(line)
        answer: dict[str, float | str] = {}
        try:
            if worker is None:
                worker = Worker(question)
            else:
                answer = {"peak_memory_mib": worker.answer(question)}
        except ChronasError as error:
            answer = {"error": str(error)}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
