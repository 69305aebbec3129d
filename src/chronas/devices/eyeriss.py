"""The ASIC Eyeriss (168 PEs, row-stationary), estimated from its published figures; see `row_stationary`.

As HW-NAS-Bench (arXiv 2103.10584) did with DNN-Chip Predictor (arXiv 2002.11270). Nothing is fitted to that table.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel

from chronas.devices.estimated import Estimated, LayerCost
from chronas.devices.row_stationary import EyerissConfig, best_mapping, nests_of
from chronas.networks import Layer
from chronas.units import MJ_PER_PJ

CYCLES_PER_MS = 1e3  # at 1 MHz


class Eyeriss(Estimated):
    """The ASIC Eyeriss, estimated: latency and energy of 16-bit inference, one image at a time."""

    name = "eyeriss"
    Config: ClassVar[type[BaseModel]] = EyerissConfig
    chip = "Eyeriss (estimated)"
    model_version = "1"
    config: EyerissConfig

    def _layer_cost(self, layer: Layer) -> LayerCost:
        nest, times = nests_of(layer, self.config)
        mapped = best_mapping(nest, self.config)
        latency_ms = times * mapped.cycles / (self.config.mhz * CYCLES_PER_MS)
        return LayerCost(latency_ms, times * mapped.energy_pj * MJ_PER_PJ)
