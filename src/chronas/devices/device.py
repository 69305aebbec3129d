"""The contract of a device, and of the runner that times one network on it.

A device is told five things, in this order: whether it is there (`unavailable`), what it is (`fingerprint`), where its
clock stands when a campaign goes on (`resume_at`), to prepare a network, and what time it is.
"""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from chronas.devices.model import Model
from chronas.devices.priority import NORMAL
from chronas.errors import DeviceError, UsageError
from chronas.spaces import Architecture, NetworkSize

if TYPE_CHECKING:
    from torch import nn

Fingerprint = dict[str, str | int | float]
Dtype = Literal["float32", "bfloat16", "int8"]

# What a fingerprint says besides, which makes no other device: one thread is as fast beside 2 idle cores as beside 8.
INFORMATIVE = frozenset({"os", "cores"})


class CpuConfig(BaseModel):
    """What is chosen about a runtime on this machine's CPU."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    threads: int = Field(default=1, ge=1, le=1024, description="threads that one network may use")
    batch: int = Field(default=1, ge=1, le=4096, description="images in one timed run; the latency is the batch's")
    dtype: Dtype = Field(default="float32", description="numbers that the network computes in")


class Runner(ABC):
    """One network, ready to be timed.

    Attributes:
        input_shape: what is really fed in one run: the batch, then the shape of one example.
    """

    input_shape: tuple[int, ...]

    def round(self, index: int, warmup: int, repeats: int) -> list[float]:
        """Run the network `warmup` times untimed, then `repeats` times timed, in one stretch.

        Args:
            index: the number of the round in its campaign; simulated noise is drawn from it, real devices need it not.
            warmup: untimed runs; at least one, so that the cold run never counts.
            repeats: timed runs.

        Returns:
            Milliseconds of each timed run of the whole batch, in order.

        Raises:
            UsageError: no warm-up or no repeat.
            DeviceError: the network's output is not finite, or a duration is not above zero.
        """
        if warmup < 1 or repeats < 1:
            raise UsageError(f"a round needs at least one warm-up and one timed run, got {warmup} and {repeats}")
        samples_ms = self._round(index, warmup, repeats)
        if not all(math.isfinite(sample) and sample > 0 for sample in samples_ms):
            raise DeviceError(f"a timed run should take more than 0 ms, got {samples_ms}: measure again")
        return samples_ms

    def run(self, times: int) -> None:
        """Run the network exactly `times` times in one stretch, untimed, for a sensor that watches meanwhile.

        Raises:
            UsageError: no run.
            DeviceError: the network's output is not finite, or the runs are not this process's to start.
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
        """Give back what the network holds; the runner is not used after it."""


class Device(ABC):
    """Hardware with a runtime, threads, batch and dtype.

    Attributes:
        name: the key in `DEVICES`.
        Config: what can be chosen; all fields have defaults.
        prunes_dead_nodes: whether the runtime drops what the output does not need, and identities: architectures with
            the same `pruned()` cost the same. Isomorphic ones need not: two convolutions of one input are one there.
        dtypes: what the runtime computes in, of the words of `CpuConfig.dtype`; any other is refused, never emulated.
        sensors: names in `measurement.SENSORS` of what can tell its energy, the best first; empty where nothing can.
        memory: the name in `measurement.MEMORY_METERS` of how its memory is measured; None where it cannot be.
        bundles: whether the `run.py` of a bundle times the same as this device, on a machine without chronas.
        config: what was chosen.
    """

    name: ClassVar[str]
    Config: ClassVar[type[BaseModel]]
    prunes_dead_nodes: ClassVar[bool]
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

    @classmethod
    @abstractmethod
    def unavailable(cls) -> str | None:
        """Why this machine does not have the device, in one line, or None where it has it."""

    @classmethod
    def unavailable_with(cls, config: BaseModel) -> str | None:  # noqa: ARG003 - for devices that a config makes
        """Why it does not have the device of this config; as `unavailable`, where the config does not decide that."""
        return cls.unavailable()

    @property
    @abstractmethod
    def hardware(self) -> str:
        """What only one timing at a time may use: the key of `hardware_lock`."""

    @abstractmethod
    def fingerprint(self) -> Fingerprint:
        """Name, hardware, cores, os, runtime, version, threads, batch, dtype of the device; no host or user names."""

    def prepare(
        self,
        network: Architecture | nn.Module,
        shape: NetworkSize | tuple[int, ...],
        *,
        weights: Path | None = None,
    ) -> Runner:
        """Make a network ready to run.

        Args:
            network: an architecture, which is built, or a module of one's own, which stays as it is.
            shape: the size of an architecture; of a module the shape of one example, such as (3, 224, 224).
            weights: of an architecture: a file of `networks.save_state`, or None for the random weights of seed 0.

        Raises:
            UsageError: the shape does not go with the network.
            DeviceError: the network's output is not finite.
            DataError: the weights are damaged or another network's.
        """
        return self._prepare(Model.of(network, shape, weights))

    @abstractmethod
    def _prepare(self, model: Model) -> Runner:
        """A runner of a network; raises as `prepare`."""

    @property
    def accelerator(self) -> str | None:
        """UUID of the GPU that networks run on, as NVIDIA's tools write it ("GPU-..."); None on the CPU."""
        return None

    def now_s(self) -> float:
        """The device's clock in seconds since an epoch of its own; a real device has the system's clock."""
        return time.time()

    def realtime_priority(self) -> AbstractContextManager[str]:
        """What to hold while timing, so that other programs stay out; it yields the priority that was granted."""
        return nullcontext(NORMAL)

    def background_cores(self) -> float | None:
        """How many cores others have used since the last question; None where that is not known or does not matter."""
        return None

    def resume_at(self, now_s: float) -> None:  # noqa: B027 - real clocks go on by themselves
        """Put a virtual clock to `now_s`, where an interrupted campaign left it; real clocks go on by themselves."""


class AnalyticalDevice(Device):
    """A device that computes what networks cost, exactly: no rounds are needed, and a whole space takes seconds.

    Attributes:
        estimates: the costs that it tells, as `units.COST_UNITS` names them; latency_ms is always among them.
    """

    estimates: ClassVar[tuple[str, ...]]

    @abstractmethod
    def costs(self, architectures: Sequence[Architecture], size: NetworkSize) -> Mapping[str, NDArray[np.float64]]:
        """The costs [N] of N architectures of one space, by the names in `estimates`.

        Raises:
            UsageError: no architecture, architectures of several spaces, or the size does not fit them.
            DeviceError: a network does not fit the device.
        """


def device_differences(here: Mapping[str, object], there: Mapping[str, object]) -> list[str]:
    """What makes two fingerprints different devices, one text a field; empty where they are the same device.

    Every field counts (hardware, runtime, version, threads, batch, dtype, and what a device adds) but the operating
    system and the number of cores. Of the runtime's version only major and minor count: patch releases mend bugs and
    keep kernels, so a table stays usable over them.

    Args:
        here: the fingerprint of the device that is asked for.
        there: the fingerprint that a table or journal carries.
    """
    keys = sorted((here.keys() | there.keys()) - INFORMATIVE)
    if here.get("name") != there.get("name"):
        keys = ["name"]  # another device differs in everything
    differing = [key for key in keys if _compared(key, here.get(key)) != _compared(key, there.get(key))]
    return [f"{key} is {there.get(key, 'not given')} there, {here.get(key, 'not given')} here" for key in differing]


def _compared(key: str, value: object) -> object:
    return ".".join(str(value).split("+")[0].split(".")[:2]) if key == "version" else value
