"""Devices with an analytical model: the cost of a network is a sum over its layers, computed instead of timed.

The model computes each different layer once, and one matrix product gives the costs of any number of networks. A run
takes exactly the modelled time on a virtual clock, without noise, so such a device can replace a real one anywhere.
Letters: `N` architectures, `W` slots.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from chronas.devices.device import AnalyticalDevice, Fingerprint, Runner
from chronas.devices.model import Model
from chronas.errors import DeviceError, UsageError
from chronas.networks import Layer, space_works
from chronas.spaces import Architecture, Choice, NetworkSize, Space
from chronas.units import MS_PER_S

Counted = tuple[list[Layer], NDArray[np.int64]]  # layers, and the number of times that each occurs in each slot


@dataclass(frozen=True)
class LayerCost:
    """The cost of one layer for one image."""

    latency_ms: float
    energy_mj: float


class LayerCostDevice(AnalyticalDevice):
    """Base of devices whose costs are a sum over layers. Weights do not matter; the batch is one image.

    Attributes:
        chip: name of the modelled chip or board.
        model_version: version of the model; it changes when the same config gives other costs.
    """

    prunes_dead_nodes = False
    estimates: ClassVar[tuple[str, ...]] = ("latency_ms", "energy_mj")
    chip: ClassVar[str]
    model_version: ClassVar[str]

    def __init__(self, config: BaseModel) -> None:
        super().__init__(config)
        self._now_s = 0.0
        self._layers: dict[Layer, LayerCost] = {}
        self._slots: dict[tuple[str, NetworkSize, tuple[Choice, ...]], Counted] = {}

    @classmethod
    def unavailable(cls) -> str | None:
        """None: the device is always available."""
        return None

    @abstractmethod
    def _layer_cost(self, layer: Layer) -> LayerCost:
        """The cost of a layer; called once for each different layer."""

    def layer_cost(self, layer: Layer) -> LayerCost:
        """The cost of a layer for one image.

        Raises:
            DeviceError: the layer does not fit the accelerator, or the device has no model for its kind.
        """
        if layer.kind == "other":
            raise DeviceError(
                f"{self.name} has a model of convolutions, fully connected layers and poolings, not of {layer.name}: "
                f"choose another device"
            )
        if layer not in self._layers:
            self._layers[layer] = self._layer_cost(layer)
        return self._layers[layer]

    def costs(self, architectures: Sequence[Architecture], size: NetworkSize) -> Mapping[str, NDArray[np.float64]]:
        """`latency_ms` and `energy_mj` [N] of architectures of one space; see `AnalyticalDevice.costs`."""
        spaces = {architecture.space.name: architecture.space for architecture in architectures}
        if len(spaces) != 1:
            raise UsageError(f"costs are of architectures of one space, got {len(architectures)} of {sorted(spaces)}")
        (space,) = spaces.values()
        both = np.zeros((len(architectures), 2))
        scales = [tuple(each.choices[d] for d in space.topology.scaling) for each in architectures]
        for scale in dict.fromkeys(scales):
            rows = [row for row, each in enumerate(scales) if each == scale]
            layers, slots = self._slot_counts(space, size, scale)
            counts = slots[0] + space.encode([architectures[row] for row in rows]).astype(np.int64) @ slots[1:]
            for number, layer in enumerate(layers):  # in one order, so that equal work costs the same to the bit
                cost = self.layer_cost(layer)
                both[rows] += counts[:, [number]] * np.array([cost.latency_ms, cost.energy_mj])
        return {"latency_ms": both[:, 0], "energy_mj": both[:, 1]}

    def _slot_counts(self, space: Space, size: NetworkSize, scale: tuple[Choice, ...]) -> Counted:
        """The number of times that each layer occurs, in the common part and then in each slot [1 + W, layers]."""
        key = (space.name, size, scale)
        if key not in self._slots:
            work = space_works(space, size)[tuple(option or 0 for option in scale)]
            parts = [each.layers for each in (work.base, *work.slots)]
            layers = list(dict.fromkeys(layer for part in parts for layer in part))
            counts = np.array([[part[layer] for layer in layers] for part in parts], dtype=np.int64)
            self._slots[key] = layers, counts
        return self._slots[key]

    @property
    def hardware(self) -> str:
        """The modelled chip or board."""
        return self.chip

    def fingerprint(self) -> Fingerprint:
        """The config and the common fields; the machine that computes does not matter."""
        described: Fingerprint = {
            "name": self.name,
            "hardware": self.hardware,
            "cores": 1,
            "os": "none",
            "runtime": "estimated",
            "version": self.model_version,
            "threads": 1,
            "batch": 1,
            "dtype": "int16",
        }
        return described | self.config.model_dump()

    def now_s(self) -> float:
        """Virtual seconds: the time of all runs on this object, since 0 or since `resume_at`."""
        return self._now_s

    def resume_at(self, now_s: float) -> None:
        """Set the virtual clock to `now_s` seconds."""
        self._now_s = now_s

    def _prepare(self, model: Model) -> Runner:
        """A runner that takes the modelled time; weights do not matter."""
        if model.architecture is not None and model.size is not None:
            (latency_ms,) = self.costs([model.architecture], model.size)["latency_ms"].tolist()
        else:
            layers = model.workload().items()
            latency_ms = sum(self.layer_cost(layer).latency_ms * times for layer, times in layers)
        return _EstimatedRunner(self, model, latency_ms)

    def pass_ms(self, duration_ms: float) -> None:
        """Advance the virtual clock by `duration_ms`."""
        self._now_s += duration_ms / MS_PER_S


class _EstimatedRunner(Runner):
    """The latency of one architecture, and the clock of its device."""

    def __init__(self, device: LayerCostDevice, model: Model, latency_ms: float) -> None:
        self.input_shape = (1, *model.input_shape)
        self.device = device
        self.latency_ms = latency_ms

    def _round(self, index: int, warmup: int, repeats: int) -> list[float]:  # noqa: ARG002 - all rounds are the same
        self.device.pass_ms((warmup + repeats) * self.latency_ms)
        return [self.latency_ms] * repeats

    def _run_times(self, times: int) -> None:
        self.device.pass_ms(times * self.latency_ms)

    def close(self) -> None:
        """Do nothing: the runner holds no resources."""
