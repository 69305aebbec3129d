"""The base classes of devices, and of the runner that times one network on a device.

Methods of a device are called in this order: `unavailable` says whether the machine has it, `fingerprint` identifies
it, `resume_at` sets a virtual clock when a campaign resumes, `prepare` makes a network ready, `now_s` reads the clock.
"""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, NoReturn

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from chronas.devices.hardware import NORMAL
from chronas.devices.model import Model
from chronas.errors import DeviceError, UsageError
from chronas.spaces import Architecture, NetworkSize

if TYPE_CHECKING:
    from torch import nn

    from chronas.networks import OnnxNetwork

Fingerprint = dict[str, str | int | float]
Dtype = Literal["float32", "bfloat16", "int8"]

# Fields of a fingerprint that do not identify a device: one thread is as fast beside 2 idle cores as beside 8.
INFORMATIVE = frozenset({"os", "cores"})


class CpuConfig(BaseModel):
    """Settings of a runtime on this machine's CPU."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    threads: int = Field(default=1, ge=1, le=1024, description="threads that one network may use")
    batch: int = Field(default=1, ge=1, le=4096, description="images in one timed run; the latency is the batch's")
    dtype: Dtype = Field(default="float32", description="numbers that the network computes in")


class Runner(ABC):
    """One network, ready to be timed.

    Attributes:
        input_shape: shape of the actual input of one run: the batch, then the shape of one example.
    """

    input_shape: tuple[int, ...]

    def round(self, index: int, warmup: int, repeats: int) -> list[float]:
        """Run the network `warmup` times untimed, then `repeats` times timed, without a break.

        Args:
            index: the number of the round in its campaign; simulated noise depends on it, real devices ignore it.
            warmup: untimed runs; at least one, so that the cold run never counts.
            repeats: timed runs.

        Returns:
            Milliseconds of each timed run of the whole batch, in order.

        Raises:
            UsageError: there is no warm-up or no timed run.
            DeviceError: the network's output is not finite, or a duration is not above zero.
        """
        if warmup < 1 or repeats < 1:
            raise UsageError(f"a round needs at least one warm-up and one timed run, got {warmup} and {repeats}")
        samples_ms = self._round(index, warmup, repeats)
        if not all(math.isfinite(sample) and sample > 0 for sample in samples_ms):
            raise DeviceError(f"a timed run should take more than 0 ms, got {samples_ms}: measure again")
        return samples_ms

    def run(self, times: int) -> None:
        """Run the network exactly `times` times without a break, untimed, while a sensor watches.

        Raises:
            UsageError: `times` is less than one.
            DeviceError: the network's output is not finite, or the runs cannot be started from this process.
        """
        if times < 1:
            raise UsageError(f"expected at least one run, got {times}")
        self._run_times(times)

    def _run_times(self, times: int) -> None:
        raise DeviceError(f"this device times {times} runs only by itself: no sensor can watch them from here")

    @abstractmethod
    def _round(self, index: int, warmup: int, repeats: int) -> list[float]:
        """Milliseconds of each timed run."""

    @abstractmethod
    def close(self) -> None:
        """Release the network's resources; the runner is not used afterwards."""


class Device(ABC):
    """Hardware with a runtime, threads, batch and dtype.

    Attributes:
        name: the key in `DEVICES`.
        Config: class of its settings; all fields have defaults.
        prunes_dead_nodes: whether the runtime drops identities and steps that the output does not need, so that
            architectures with the same `pruned()` cost the same. Isomorphic ones may differ: isomorphism merges two
            convolutions of one input.
        dtypes: number formats that the runtime computes in, among those of `CpuConfig.dtype`; others are refused, never
            emulated.
        sensors: names in `measurement.SENSORS` of sensors that can measure its energy, the best first; empty if there
            are none.
        memory: name in `measurement.MEMORY_METERS` of the meter for its memory; None if memory cannot be measured.
        takes_onnx: whether it runs ONNX files: those of a user, and int8 files that were calibrated on images.
        bundles: whether a bundle's `run.py` times networks as this device does, on a machine without chronas.
        config: its settings.
    """

    name: ClassVar[str]
    Config: ClassVar[type[BaseModel]]
    prunes_dead_nodes: ClassVar[bool]
    takes_onnx: ClassVar[bool] = False
    bundles: ClassVar[bool] = False
    dtypes: ClassVar[tuple[Dtype, ...]] = ("float32",)
    sensors: ClassVar[tuple[str, ...]] = ()
    memory: ClassVar[str | None] = None
    config: BaseModel

    def __init__(self, config: BaseModel) -> None:
        if not isinstance(config, self.Config):
            raise UsageError(f"device {self.name} takes a {self.Config.__name__}, got a {type(config).__name__}")
        reason = self.unavailable_with(config)
        if reason is not None:
            raise DeviceError(f"device {self.name} is not available: {reason}")
        if isinstance(config, CpuConfig) and config.dtype not in self.dtypes:
            known = " or ".join(self.dtypes)
            raise DeviceError(f"device {self.name} computes in {known}, not in {config.dtype}: choose another dtype")
        self.config = config

    def __repr__(self) -> str:
        settings = ", ".join(f"{key}={value!r}" for key, value in self.config.model_dump(exclude_defaults=True).items())
        return f"Device({self.name}{': ' + settings if settings else ''})"

    @classmethod
    @abstractmethod
    def unavailable(cls) -> str | None:
        """The reason why this machine does not have the device, in one line, or None if it has it."""

    @classmethod
    def unavailable_with(cls, config: BaseModel) -> str | None:  # noqa: ARG003 - for devices that a config makes
        """The reason why this machine lacks a device with this config; by default as `unavailable`."""
        return cls.unavailable()

    @property
    @abstractmethod
    def hardware(self) -> str:
        """The hardware that only one timing at a time may use: the key of `hardware_lock`."""

    @abstractmethod
    def fingerprint(self) -> Fingerprint:
        """Name, hardware, cores, os, runtime, version, threads, batch, dtype of the device; no host or user names."""

    def prepare(
        self,
        network: Architecture | nn.Module | OnnxNetwork,
        shape: NetworkSize | tuple[int, ...] | None = None,
        *,
        weights: Path | None = None,
    ) -> Runner:
        """Make a network ready to run.

        Args:
            network: an architecture, which is built, or a user's own module or ONNX file, which is not changed.
            shape: the size of an architecture; for a module, the shape of one example, such as (3, 224, 224); an ONNX
                file has its own.
            weights: for an architecture: a file of `networks.save_state`, or None for the random weights of seed 0. A
                device that takes ONNX files also takes such a file of the architecture, and runs it as it is.

        Raises:
            UsageError: the shape does not fit the network.
            DeviceError: the network's output is not finite, or the device takes no ONNX files.
            DataError: the weights are damaged or belong to another network.
        """
        return self._prepare(Model.of(network, shape, weights))

    @abstractmethod
    def _prepare(self, model: Model) -> Runner:
        """A runner for a network; raises as `prepare`."""

    @property
    def accelerator(self) -> str | None:
        """UUID of the GPU that networks run on, as NVIDIA's tools write it ("GPU-..."); None on the CPU."""
        return None

    def now_s(self) -> float:
        """The device's clock in seconds since its own epoch; real devices use the system's clock."""
        return time.time()

    def realtime_priority(self) -> AbstractContextManager[str]:
        """A context to hold while timing, so that other programs stay out; it yields the granted priority."""
        return nullcontext(NORMAL)

    def background_cores(self) -> float | None:
        """Mean number of cores used by others since the last call; None if unknown or irrelevant."""
        return None

    def resume_at(self, now_s: float) -> None:  # noqa: B027 - real clocks go on by themselves
        """Set a virtual clock to `now_s`, the time of an interrupted campaign; real clocks ignore this."""


class AnalyticalDevice(Device):
    """A device that computes exact costs of networks: it needs no rounds, and a whole space takes seconds.

    Attributes:
        estimates: the costs that it computes, by the names in `units.COST_UNITS`; always including latency_ms.
    """

    estimates: ClassVar[tuple[str, ...]]

    @abstractmethod
    def costs(self, architectures: Sequence[Architecture], size: NetworkSize) -> Mapping[str, NDArray[np.float64]]:
        """The costs [N] of N architectures of one space, by the names in `estimates`.

        Raises:
            UsageError: there is no architecture, there are several spaces, or the size does not fit.
            DeviceError: a network does not fit the device.
        """


def device_differences(here: Mapping[str, object], there: Mapping[str, object]) -> list[str]:
    """The differences between two fingerprints, one text for each field; empty for the same device.

    All fields count (hardware, runtime, version, threads, batch, dtype, and a device's own) except the operating system
    and the number of cores. Only major and minor version of the runtime count: patch releases fix bugs and keep
    kernels, so a table stays usable.

    Args:
        here: fingerprint of the wanted device.
        there: fingerprint in a table or journal.
    """
    keys = sorted((here.keys() | there.keys()) - INFORMATIVE)
    if here.get("name") != there.get("name"):
        keys = ["name"]  # for another device, the name says enough
    differing = [key for key in keys if _compared(key, here.get(key)) != _compared(key, there.get(key))]
    return [f"{key} is {there.get(key, 'not given')} there, {here.get(key, 'not given')} here" for key in differing]


def _compared(key: str, value: object) -> object:
    return ".".join(str(value).split("+")[0].split(".")[:2]) if key == "version" else value


# ----
# A device that is not on this machine and is known only by a table of its costs: usable for search, not measured.

HOW = "it represents a table's device that is not on this machine: `chronas search --table` selects it by itself"


def described(fingerprint: Mapping[str, str | int | float]) -> str:
    """Name and hardware of a device: `raspi4 (Raspberry Pi 4)`."""
    return f"{fingerprint.get('name', 'unknown')} ({fingerprint.get('hardware', 'unknown')})"


class OfflineConfig(BaseModel):
    """The device that a table describes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fingerprint: dict[str, str | int | float] = Field(
        default={}, description="fingerprint of the device in the table; `chronas search --table` fills it in"
    )


class OfflineDevice(Device):
    """The device of a table that is not on this machine: its costs come from the table or a predictor."""

    name = "recorded"
    Config: ClassVar[type[BaseModel]] = OfflineConfig
    prunes_dead_nodes = False
    config: OfflineConfig

    @classmethod
    def unavailable(cls) -> str | None:
        """Instructions, because such a device exists only for a table."""
        return HOW

    @classmethod
    def unavailable_with(cls, config: BaseModel) -> str | None:
        """None if the config has a fingerprint."""
        assert isinstance(config, OfflineConfig)
        return None if config.fingerprint else HOW

    @property
    def hardware(self) -> str:
        """The hardware in the table, or the word "unknown"."""
        return str(self.config.fingerprint.get("hardware", "unknown"))

    def fingerprint(self) -> Fingerprint:
        """The fingerprint in the table."""
        return dict(self.config.fingerprint)

    def _prepare(self, model: Model) -> NoReturn:  # noqa: ARG002 - nothing runs
        """Refuse, because nothing can be measured on this device.

        Raises:
            DeviceError: always.
        """
        raise DeviceError(
            f"nothing can be measured on {described(self.config.fingerprint)}, it is not on this machine: measure "
            f"there (`chronas measure bundle`), or choose a device that is here"
        )
