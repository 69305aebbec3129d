"""A simulated device with exactly known additive latencies, chosen noise and drift, on a virtual clock.

It serves to test measuring, predicting and searching quickly against known truth. A network's true latency is

    base_ms + base MACs / speed + sum over its operations of (MACs / speed + kernels x overhead) x cells of the kind

and a timed run takes that, times 1 + drift x sin(2 pi t / period) at the run's time t on the virtual clock, times 1 +
noise x e. Here e is exponential with mean 1, because noise of real timings is one-sided too. It is drawn only from
(seed, architecture, round, repeat), and the clock advances by the time of each run. So a campaign that was killed and
resumed gives the same bits as one that was not. The first run of a round is cold and takes `COLD` times as long.

The device draws `IDLE_MW` all the time and `PJ_PER_MAC` for each MAC of a run. The memory of a run is that of the
weights plus the largest memory of activations at one time, in fp32.
"""

from __future__ import annotations

import functools
import hashlib
import math
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from chronas.arguments import LARGEST_SEED
from chronas.devices.device import Device, Fingerprint, Runner
from chronas.devices.model import Model
from chronas.errors import DeviceError, UsageError
from chronas.networks import build, count, space_counts
from chronas.spaces import Architecture, NetworkSize, Space
from chronas.units import MJ_PER_PJ, MS_PER_S, mib_from_bytes

COLD = 2.0
IDLE_MW = 2000.0
PJ_PER_MAC = 100.0
BYTES_PER_WEIGHT = 4
MACS_PER_MS = 1e6  # in 1 GMAC/s


class SimulatedConfig(BaseModel):
    """Costs of the simulated device, and the noise of its measurements."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    seed: int = Field(default=0, ge=0, le=LARGEST_SEED, description="seed of the noise")
    base_ms: float = Field(default=0.5, gt=0, le=1e6, description="latency of an empty network, in ms")
    gigamacs_per_s: float = Field(
        default=20.0, gt=0, le=1e9, description="speed of all operations, in 10^9 MACs a second"
    )
    overhead_us: float = Field(default=10.0, ge=0, le=1e6, description="cost of launching one kernel, in microseconds")
    noise: float = Field(default=0.02, ge=0, le=10, description="relative standard deviation of one run, one-sided")
    drift: float = Field(
        default=0.0, ge=0, lt=1, description="relative amplitude of the slow sine that all latencies follow"
    )
    drift_period_s: float = Field(
        default=600.0, gt=0, description="period of the drift, in seconds of the virtual clock"
    )


class Simulated(Device):
    """Known additive costs with noise and drift. Nothing is built; weights and batch do not matter."""

    name = "simulated"
    Config: ClassVar[type[BaseModel]] = SimulatedConfig
    prunes_dead_nodes = False
    sensors: ClassVar[tuple[str, ...]] = ("simulated",)
    memory: ClassVar[str | None] = "simulated"
    config: SimulatedConfig

    def __init__(self, config: SimulatedConfig) -> None:
        super().__init__(config)
        self.idle_mw = IDLE_MW
        self.work_mj = 0.0  # energy of MACs since the reader last set it to zero
        self._now_s = 0.0
        self._costs: dict[tuple[str, NetworkSize], tuple[float, NDArray[np.float64]]] = {}

    @classmethod
    def unavailable(cls) -> str | None:
        """None: the device is always available."""
        return None

    @property
    def hardware(self) -> str:
        """The word "simulated"."""
        return "simulated"

    def fingerprint(self) -> Fingerprint:
        """The config and the common fields; the machine that simulates does not matter."""
        described: Fingerprint = {
            "name": self.name,
            "hardware": self.hardware,
            "cores": 1,
            "os": "none",
            "runtime": "simulated",
            "version": "1",
            "threads": 1,
            "batch": 1,
            "dtype": "float32",
        }
        return described | self.config.model_dump()

    def now_s(self) -> float:
        """Virtual seconds: the time of all runs on this object, since 0 or since `resume_at`."""
        return self._now_s

    def resume_at(self, now_s: float) -> None:
        """Set the virtual clock to `now_s` seconds."""
        self._now_s = now_s

    def _prepare(self, model: Model) -> Runner:
        """A runner that computes latencies; weights do not matter, and an architecture is not built."""
        if model.architecture is not None and model.size is not None:
            true_ms = self.true_latency_ms(model.architecture, model.size)
            return _SimulatedRunner(self, model, true_ms, self.true_work_mj(model.architecture, model.size))
        layers = model.workload()
        macs = sum(layer.macs * times for layer, times in layers.items() if layer.kind != "pooling")
        kernels_ms = sum(layers.values()) * self.config.overhead_us / MS_PER_S
        true_ms = self.config.base_ms + macs / (self.config.gigamacs_per_s * MACS_PER_MS) + kernels_ms
        return _SimulatedRunner(self, model, true_ms, macs * PJ_PER_MAC * MJ_PER_PJ)

    def true_slot_costs(self, space: Space, size: NetworkSize) -> tuple[float, NDArray[np.float64]]:
        """The parts of latencies: the constant part in ms, and the part of each slot in ms [W].

        Raises:
            UsageError: the space has scaling decisions, so that latencies are no sums over slots.
        """
        key = (space.name, size)
        if key not in self._costs:
            macs = space_counts(space, size).additive
            if macs is None:
                raise UsageError(f"latencies of {space.name} are no sums over slots: ask for true_latency_ms")
            ms_per_mac = 1 / (self.config.gigamacs_per_s * MACS_PER_MS)
            kernels = np.array(_kernels(space, size), dtype=np.float64)
            slots_ms = np.asarray(macs.slot_macs) * ms_per_mac + kernels * self.config.overhead_us / MS_PER_S
            self._costs[key] = (self.config.base_ms + float(macs.base_macs) * ms_per_mac, slots_ms)
        return self._costs[key]

    def true_latency_ms(self, architecture: Architecture, size: NetworkSize) -> float:
        """The latency without noise and drift, in ms."""
        space = architecture.space
        if space.topology.scaling:
            (macs,) = space_counts(space, size).macs(space.encode([architecture]))
            kernels = float((space.encode([architecture])[0] * np.array(_kernels(space, size))).sum())
            overhead_ms = kernels * self.config.overhead_us / MS_PER_S
            return self.config.base_ms + float(macs) / (self.config.gigamacs_per_s * MACS_PER_MS) + overhead_ms
        base_ms, slots_ms = self.true_slot_costs(space, size)
        choices = zip(space.offsets, architecture.choices, strict=True)
        return math.fsum(
            [base_ms, *(float(slots_ms[first + choice]) for first, choice in choices if choice is not None)]
        )

    def true_work_mj(self, architecture: Architecture, size: NetworkSize) -> float:
        """The energy of one run's MACs in mJ, without `IDLE_MW` for its duration."""
        space = architecture.space
        (macs,) = space_counts(space, size).macs(space.encode([architecture]))
        return float(macs) * PJ_PER_MAC * MJ_PER_PJ

    def true_memory_mib(self, architecture: Architecture, size: NetworkSize) -> float:
        """Weights and peak activations of one image, in MiB; the network is built and counted, not run."""
        return _memory_mib(architecture, size)

    def run_once(self, latency_ms: float) -> float:
        """Simulate one run that takes `latency_ms` without drift; returns its time with drift, in ms."""
        phase = 2 * math.pi * self._now_s / self.config.drift_period_s
        taken_ms = latency_ms * (1 + self.config.drift * math.sin(phase))
        self._now_s += taken_ms / MS_PER_S
        return taken_ms


class _SimulatedRunner(Runner):
    """The true latency of one network, its noise, and the clock of its device."""

    def __init__(self, device: Simulated, model: Model, true_ms: float, work_mj: float) -> None:
        self.input_shape = (1, *model.input_shape)
        self.device = device
        self.key = model.name
        self.true_ms = true_ms
        self.work_mj = work_mj

    def _round(self, index: int, warmup: int, repeats: int) -> list[float]:
        config = self.device.config
        digest = hashlib.sha256(f"{config.seed}|{self.key}|{index}".encode()).digest()
        noise = np.random.default_rng(int.from_bytes(digest[:8], "little")).standard_exponential(repeats)
        for run in range(warmup):
            self.device.run_once(self.true_ms * (COLD if run == 0 else 1.0))
        return [self.device.run_once(self.true_ms * (1 + config.noise * float(e))) for e in noise]

    def _run_times(self, times: int) -> None:
        for _ in range(times):
            self.device.run_once(self.true_ms)
        self.device.work_mj += self.work_mj * times

    def close(self) -> None:
        """Do nothing: the runner holds no resources."""


@functools.lru_cache(maxsize=10_000)
def _memory_mib(architecture: Architecture, size: NetworkSize) -> float:
    counts = count(build(architecture, size), size.input_shape)
    if counts.peak_activation_bytes is None:
        raise DeviceError(
            f"the memory of networks of {architecture.space.name} is not known: torch.fx cannot trace them"
        )
    return mib_from_bytes(counts.parameters * BYTES_PER_WEIGHT + counts.peak_activation_bytes)


def _kernels(space: Space, size: NetworkSize) -> list[int]:
    """The number of kernels that each slot launches in the whole network [W]."""
    occurrences, operations = space.topology.occurrences(space, size), space.topology.operations
    names = [(decision, space.decisions[decision].options[option]) for decision, option in space.slots]
    return [occurrences[d] * (operations[name].kernels if name in operations else 1) for d, name in names]
