"""Peak memory of a run in MiB, and what exactly is counted by each way to measure it.

- `resident`, for runtimes on this machine's CPU: in a process of its own, which has loaded the runtime and has already
  run another network, the most resident memory (VmHWM of Linux) while the network runs, less the resident memory before
  it was prepared. So weights, as the runtime keeps them, activations and scratch count; the runtime's own code does
  not, nor what only preparing needs (the PyTorch module and the ONNX file that a session is made from).
- `cuda`: the most that PyTorch's allocator had handed out on the GPU while the network was brought there and ran
  (`torch.cuda.max_memory_allocated`), less what it had handed out before: weights, images, activations and workspaces,
  but not the CUDA context. Networks are built on the CPU, so that building does not count.
- `simulated`: weights and peak activations, by counting.

One process measures all networks, since starting one takes seconds, and a fork of one that has run a network counts
pages of the runtime's code again. What came before does not matter: see docs/log.md.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, ClassVar, Protocol, cast

import torch

from chronas.devices import Device
from chronas.errors import DeviceError
from chronas.measurement.meter import Meter, Reading
from chronas.registry import Registry, packed
from chronas.spaces import Architecture, NetworkSize, Space
from chronas.units import mib_from_bytes

MEMORY_METERS = Registry(
    "memory meter",
    {
        "resident": "chronas.measurement.memory:ResidentMemory",
        "cuda": "chronas.measurement.memory:CudaMemory",
        "simulated": "chronas.measurement.memory:SimulatedMemory",
    },
)
WORKER = "chronas.measurement.resident"
ALLOCATOR = {  # glibc's: buffers from 64 KiB on are mappings of their own, so that no earlier network leaves them holes
    "MALLOC_MMAP_THRESHOLD_": "65536",
    "MALLOC_TRIM_THRESHOLD_": "65536",
}
RUNS = (1, 2)  # warm-up and further runs, in which memory reaches its peak


class _OnGpu(Protocol):
    gpu: int


class _KnowsItsMemory(Protocol):
    def true_memory_mib(self, architecture: Architecture, size: NetworkSize) -> float: ...


class MemoryMeter(Meter):
    """Base of all ways to measure peak memory."""

    cost: ClassVar[str] = "peak_memory_mib"


class ResidentMemory(MemoryMeter):
    """Resident memory of a process of its own."""

    def __init__(self, device: Device, size: NetworkSize, weights: Mapping[Architecture, Path] | None = None) -> None:
        """Check that the kernel tells it.

        Raises:
            DeviceError: this system has no VmHWM that can be put back.
        """
        super().__init__(device, size, weights)
        if platform.system() != "Linux":
            reason = f"it needs Linux's /proc/self/clear_refs, this is {platform.system()}"
            raise DeviceError(f"peak_memory_mib cannot be measured on device {device.name} here: {reason}")
        self._process: subprocess.Popen[str] | None = None
        self._errors: IO[str] | None = None

    @property
    def source(self) -> str:
        """The kernel's number."""
        return "resident: VmHWM of a process of its own"

    @property
    def process_id(self) -> int | None:
        """Of the process that measures; None where none runs."""
        return None if self._process is None else self._process.pid

    def _read(self, architecture: Architecture, index: int) -> Reading:  # noqa: ARG002 - memory has no noise of its own
        weights = self.weights.get(architecture)
        if self._process is None:
            self._start(architecture.space)
        answer = self._asked({"architecture": str(architecture), "weights": None if weights is None else str(weights)})
        return Reading(answer["peak_memory_mib"])

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

    def _start(self, space: Space) -> None:
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
    """What PyTorch's allocator hands out on a GPU, in this process."""

    @property
    def source(self) -> str:
        """PyTorch's number."""
        return "cuda: torch.cuda.max_memory_allocated"

    def _read(self, architecture: Architecture, index: int) -> Reading:
        gpu = cast("_OnGpu", self.device.config).gpu
        before = torch.cuda.memory_allocated(gpu)
        torch.cuda.reset_peak_memory_stats(gpu)  # not later: a CUDA graph takes its memory while it is captured
        runner = self.device.prepare(architecture, self.size, weights=self.weights.get(architecture))
        try:
            runner.round(index, *RUNS)
            return Reading(mib_from_bytes(torch.cuda.max_memory_allocated(gpu) - before))
        finally:
            runner.close()

    def close(self) -> None:
        """Nothing is held."""


class SimulatedMemory(MemoryMeter):
    """What the simulated device takes, exactly."""

    @property
    def source(self) -> str:
        """The device's own formula."""
        return "simulated: weights and peak activations"

    def _read(self, architecture: Architecture, index: int) -> Reading:  # noqa: ARG002 - it has no noise
        return Reading(cast("_KnowsItsMemory", self.device).true_memory_mib(architecture, self.size))

    def close(self) -> None:
        """Nothing is held."""


def make_memory_meter(
    device: Device, size: NetworkSize, weights: Mapping[Architecture, Path] | None = None
) -> MemoryMeter:
    """The meter that a device names.

    Raises:
        DeviceError: the device names none, or this system has not what it needs.
    """
    if device.memory is None:
        raise DeviceError(f"peak_memory_mib cannot be measured on device {device.name}: nothing tells its memory")
    meter: MemoryMeter = MEMORY_METERS[device.memory](device, size, weights)
    return meter
