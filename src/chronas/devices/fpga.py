"""An FPGA (Xilinx Zynq XC7Z045 of the ZC706 board) with one pipelined convolution engine, as an analytical model.

The engine is that of C. Zhang et al., "Optimizing FPGA-based accelerator design for deep convolutional neural
networks", FPGA 2015 (https://doi.org/10.1145/2684746.2689060): `lanes_out` x `lanes_in` multipliers, one pixel and one
position of the window in each cycle, and double buffers, so that the next tile is loaded while one is computed. The
board and its figures are from J. Qiu et al., "Going deeper with embedded FPGA platform for convolutional neural
network", FPGA 2016 (https://doi.org/10.1145/2847263.2847265): 150 MHz, 4.2 GB/s to DDR3, 9.63 W, 16-bit words.

A layer is processed in tiles of channels, and of rows if the block RAM is too small for all rows. It takes

    load of the first tile + max(compute of all tiles, load of the others + store of all but the last) + last store

Loads and stores share the memory. Unlike in the paper, each output lane pools a whole window in each cycle, because
pooling needs adders but no multipliers. A depthwise convolution does the same in as many channels as there are
multipliers for. Groups of other convolutions run next to each other if the lanes have room. The energy is the board's
power times the latency, as in HW-NAS-Bench (arXiv 2103.10584), whose two columns differ only by a factor.
"""

from __future__ import annotations

import math
from typing import ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from chronas.devices.analytical import LayerCost, LayerCostDevice
from chronas.errors import DeviceError
from chronas.networks import Layer

WORD_BYTES = 2
BITS_PER_WORD = 16
CYCLES_PER_MS = 1e3  # at 1 MHz
MHZ_PER_GHZ = 1e3


class FpgaConfig(BaseModel):
    """The engine and its board, with sources."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    lanes_out: int = Field(
        default=32, ge=1, le=4096, description="output channels at one time; with lanes_in best for 16, 32, 64 channels"
    )
    lanes_in: int = Field(default=28, ge=1, le=4096, description="input channels at one time")
    multipliers: int = Field(default=900, ge=1, le=10**6, description="DSP slices, one a multiplier; XC7Z045 has 900")
    memory_mbit: float = Field(default=19.1, gt=0, le=1e5, description="block RAM; XC7Z045 has 19.1 Mb")
    mhz: float = Field(default=150.0, gt=0, le=1e4, description="clock of the engine; Qiu et al. 2016")
    gigabytes_per_s: float = Field(default=4.2, gt=0, le=1e5, description="to DDR memory, both ways; Qiu et al. 2016")
    board_w: float = Field(default=9.63, gt=0, le=1e4, description="power of the board; Qiu et al. 2016")

    @model_validator(mode="after")
    def _has_multipliers(self) -> Self:
        if self.lanes_out * self.lanes_in > self.multipliers:
            got = f"{self.lanes_out} x {self.lanes_in} lanes"
            raise ValueError(f"{got} need more than {self.multipliers} multipliers: give fewer lanes")
        return self


class Fpga(LayerCostDevice):
    """A Xilinx ZC706 board with a pipelined convolution engine, estimated: one image at a time."""

    name = "fpga"
    Config: ClassVar[type[BaseModel]] = FpgaConfig
    chip = "Xilinx ZC706 (estimated)"
    model_version = "1"
    config: FpgaConfig

    def _layer_cost(self, layer: Layer) -> LayerCost:
        latency_ms = cycles(layer, self.config) / (self.config.mhz * CYCLES_PER_MS)
        return LayerCost(latency_ms, latency_ms * self.config.board_w)  # 1 W is 1 mJ per ms


def cycles(layer: Layer, config: FpgaConfig) -> float:
    """The time of a layer, in cycles of the engine.

    Raises:
        DeviceError: a single row of a tile does not fit the block RAM.
    """
    tile = _Tile(layer, config)
    words_a_cycle = config.gigabytes_per_s * MHZ_PER_GHZ / WORD_BYTES / config.mhz
    load, store = tile.load_words / words_a_cycle, tile.store_words / words_a_cycle
    others = (tile.number - 1) * load + (tile.stores - 1) * store
    return load + max(tile.number * tile.compute_cycles, others) + store


class _Tile:
    """One tile of a layer, and the number of tiles.

    Attributes:
        number: total number of tiles.
        stores: number of tiles after which outputs are stored.
        compute_cycles: cycles of the engine for one tile.
        load_words: inputs and weights of one tile.
        store_words: outputs of one tile.
    """

    def __init__(self, layer: Layer, config: FpgaConfig) -> None:
        inputs, outputs = layer.inputs // layer.groups, layer.outputs // layer.groups
        lanes_in, lanes_out = min(config.lanes_in, inputs), min(config.lanes_out, outputs)
        together = _groups_together(layer, config)
        weights = together * lanes_in * lanes_out * math.prod(layer.kernel) if layer.kind == "convolution" else 0
        channels = together * lanes_in, together * lanes_out
        rows = _rows(layer, channels, weights, config)
        strips = -(-layer.output_size[0] // rows)
        self.stores = -(-layer.groups // together) * -(-outputs // lanes_out) * strips
        self.number = self.stores * -(-inputs // lanes_in)
        self.compute_cycles = rows * layer.output_size[1] * (1 if _by_plane(layer) else math.prod(layer.kernel))
        self.load_words = channels[0] * _input_words(layer, rows) + weights
        self.store_words = channels[1] * rows * layer.output_size[1]


def _by_plane(layer: Layer) -> bool:
    """Whether each output channel depends on one input channel, so that a cycle processes a whole window."""
    return layer.inputs == layer.outputs == layer.groups


def _groups_together(layer: Layer, config: FpgaConfig) -> int:
    """The number of groups that are processed at one time."""
    if layer.kind == "pooling":
        fit = config.lanes_out  # needs only adders
    elif _by_plane(layer):
        fit = config.lanes_out * config.lanes_in // math.prod(layer.kernel)
    else:
        fit = min(config.lanes_out * layer.groups // layer.outputs, config.lanes_in * layer.groups // layer.inputs)
    return max(1, min(fit, layer.groups))


def _input_words(layer: Layer, rows: int) -> int:
    """The words of one input channel that `rows` output rows need."""
    return min((rows - 1) * layer.stride[0] + layer.kernel[0], layer.input_size[0]) * layer.input_size[1]


def _rows(layer: Layer, channels: tuple[int, int], weights: int, config: FpgaConfig) -> int:
    """The largest number of output rows whose tile fits the block RAM twice, in strips of nearly equal size."""
    half = config.memory_mbit * 1e6 / BITS_PER_WORD / 2
    for strips in range(1, layer.output_size[0] + 1):
        rows = -(-layer.output_size[0] // strips)
        if channels[0] * _input_words(layer, rows) + weights + channels[1] * rows * layer.output_size[1] <= half:
            return rows
    wide = f"{layer.input_size[1]} pixels wide, {channels[0]} channels in"
    raise DeviceError(f"no row of a tile {wide} fits {config.memory_mbit} Mbit of block RAM: give fewer lanes or more")
