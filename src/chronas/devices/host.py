"""Base of the devices on this machine's CPU: fingerprint, and timing by the host's clock."""

from __future__ import annotations

import gc
import time
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel

from chronas.devices.device import CpuConfig, Device, Fingerprint, Runner
from chronas.devices.hardware import (
    BFLOAT16_FLAGS,
    computes_bfloat16,
    cpu_model,
    operating_system,
    realtime_priority,
    usable_cores,
)
from chronas.devices.lock import LoadMeter, preemptions
from chronas.errors import DeviceError
from chronas.units import ms_from_ns

TRIES = 3  # at most this many timed runs for each requested one, if other programs take the core away


class HostTimedRunner(Runner):
    """A runner whose runs end when the call returns, each timed with `time.perf_counter_ns`.

    Python's garbage collector is off during timed runs. A run is repeated if the system gave the core to another
    program meanwhile. If three times as many runs as requested do not contain enough undisturbed ones, the shortest
    disturbed ones are used. Outside of the timing, the outputs of the last warm-up and the last timed run are checked
    for their shape and for numbers that are not finite.
    """

    def __init__(self, images: NDArray[Any], expected: tuple[int, ...] | None) -> None:
        """Store the input of a run and the shape of its output; None for outputs of any kind, which are not checked."""
        self.input_shape = images.shape
        self.expected = expected

    def logits(self) -> NDArray[np.float32]:
        """The network's output for the runner's own images, from one untimed run [B, ...]; for checks.

        Raises:
            DeviceError: the output has another shape, or is not finite.
        """
        with self._settings():
            output = self._run()
            self._check(output)
            return np.array(self._logits(output), dtype=np.float32)

    @abstractmethod
    def _run(self) -> object:
        """Run the network once and wait for its end; returns the runtime's own output object."""

    @abstractmethod
    def _logits(self, output: object) -> NDArray[np.float32]:
        """The result of `_run` as an array [B, ...]."""

    def _settings(self) -> AbstractContextManager[None]:
        """A context with the settings of a round; nothing by default."""
        return nullcontext()

    def _round(self, index: int, warmup: int, repeats: int) -> list[float]:  # noqa: ARG002 - for simulated noise alone
        samples_ms: list[float] = []
        disturbed_ms: list[float] = []
        with self._settings():
            for _ in range(warmup):
                output = self._run()
            self._check(output)
            with _resting_collector():
                while len(samples_ms) < repeats and len(samples_ms) + len(disturbed_ms) < TRIES * repeats:
                    before = preemptions()
                    start_ns = time.perf_counter_ns()
                    output = self._run()
                    taken_ms = ms_from_ns(time.perf_counter_ns() - start_ns)
                    (samples_ms if preemptions() == before else disturbed_ms).append(taken_ms)
            self._check(output)
        return samples_ms + sorted(disturbed_ms)[: repeats - len(samples_ms)]

    def _run_times(self, times: int) -> None:
        with self._settings(), _resting_collector():
            for _ in range(times):
                output = self._run()
            self._check(output)

    def _check(self, output: object) -> None:
        if self.expected is None:
            return
        logits = self._logits(output)
        if logits.shape != self.expected:
            raise DeviceError(f"the network should give {self.expected} but gave {logits.shape}: report this fault")
        if not np.isfinite(logits).all():
            raise DeviceError("the network's output is not finite: its weights are broken, train or load them again")


@contextmanager
def _resting_collector() -> Iterator[None]:
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def cpu_fingerprint(name: str, runtime: str, version: str, config: CpuConfig) -> Fingerprint:
    """The fingerprint of a runtime on this machine's CPU."""
    return {
        "name": name,
        "hardware": cpu_model(),
        "cores": usable_cores(),
        "os": operating_system(),
        "runtime": runtime,
        "version": version,
        "threads": config.threads,
        "batch": config.batch,
        "dtype": config.dtype,
    }


class HostCpu(Device):
    """A runtime on this machine's CPU, with a number of threads, a batch and a dtype."""

    Config: ClassVar[type[BaseModel]] = CpuConfig
    sensors: ClassVar[tuple[str, ...]] = ("rapl", "tegrastats")
    memory: ClassVar[str | None] = "resident"
    config: CpuConfig

    def __init__(self, config: CpuConfig) -> None:
        """Refuse emulated bfloat16, and more threads than cores, because then the scheduler would set the latency.

        Raises:
            DeviceError: there are more threads than usable cores, the dtype is not in `dtypes` or the CPU lacks it, or
                the device is not available.
            UsageError: the config belongs to another device.
        """
        super().__init__(config)
        cores = usable_cores()
        if config.threads > cores:
            raise DeviceError(f"{config.threads} threads are asked for, this machine has {cores} cores: use fewer")
        if config.dtype == "bfloat16" and not computes_bfloat16():
            wanted = ", ".join(BFLOAT16_FLAGS)
            raise DeviceError(f"bfloat16 needs a CPU with one of {wanted}, this one names none: choose another dtype")
        self._load = LoadMeter()

    @property
    def hardware(self) -> str:
        """The CPU's model."""
        return cpu_model()

    def realtime_priority(self) -> AbstractContextManager[str]:
        """Real-time priority for the timing thread, if the system grants it."""
        return realtime_priority()

    def background_cores(self) -> float | None:
        """Mean number of this machine's cores used by others since the last call; None at first."""
        return self._load.cores()


def torch_version() -> str:
    """PyTorch's version without its build, such as "2.13.0"."""
    return str(torch.__version__).split("+")[0]
