"""The ASIC Eyeriss (168 PEs, row-stationary): an analytical model of latency and energy from its published figures.

Eyeriss: Y.-H. Chen, T. Krishna, J. Emer, V. Sze, JSSC 52(1), 2017 (https://doi.org/10.1109/JSSC.2016.2616357), below
JSSC; the dataflow and its energy: Y.-H. Chen, J. Emer, V. Sze, ISCA 2016 (https://doi.org/10.1109/ISCA.2016.40).
HW-NAS-Bench (arXiv 2103.10584) models it the same way, with DNN-Chip Predictor (arXiv 2002.11270). Nothing here is
fitted to HW-NAS-Bench's table.

The model searches over row-stationary mappings of each layer. A processing element (PE) convolves one row of a filter
with one row of the input; R x e PEs, a set, give e rows of the output. Sets next to each other handle other channels (r
of them) or other filters (t). A PE interleaves p filters and q channels. So in a *pass* the array works on p t filters,
q r channels and e rows; between passes, sums are in the global buffer. A pass takes as long as the slowest of the PEs
and, if they are limited, the buses for inputs, filters and sums. By default neither the buses nor the link to DRAM are
limited, as in the analysis of ISCA and in the configuration of Eyeriss that HW-NAS-Bench's authors published (DNN-Chip
Predictor, arXiv 2002.11270: bandwidths of -1).

Simpler than the chip: passes follow each other without ramp-up, feature maps are not compressed, and zeros cost as much
as other numbers. The mapping with the fewest cycles is chosen, and among those the one with the least energy; the
authors minimised energy. Letters are theirs: M filters, C channels, R x S filter, E x F output, stride U.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from chronas.devices.analytical import LayerCost, LayerCostDevice
from chronas.errors import DeviceError
from chronas.networks import Layer
from chronas.units import MJ_PER_PJ

Grid = NDArray[np.float64]  # one number for each mapping
WORD_BYTES = 2
WORDS_PER_KIB = 1024 // WORD_BYTES
LINK_BYTES = 8
SPAD_PER_MAC = 4  # a scratchpad's accesses for one MAC: input, filter, sum read and written


class EyerissConfig(BaseModel):
    """The chip, with sources; data are words of 16 bits. Energies are for one access to one word."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    pooling_as_convolution: bool = Field(
        default=False, description="charge a pooling the cycles and traffic of a full convolution, as HW-NAS-Bench does"
    )
    mhz: float = Field(default=200.0, gt=0, le=1e5, description="core clock in MHz; JSSC, Table V")
    rows: int = Field(default=12, ge=1, le=1024, description="rows of PEs; JSSC, Table IV")
    columns: int = Field(default=14, ge=1, le=1024, description="columns of PEs; JSSC, Table IV")
    input_spad: int = Field(default=12, ge=1, le=10**6, description="words of a PE's input scratchpad; JSSC, V-C")
    filter_spad: int = Field(default=224, ge=1, le=10**6, description="words of its filter scratchpad; JSSC, V-C")
    sum_spad: int = Field(default=24, ge=1, le=10**6, description="words of its scratchpad of sums; JSSC, V-C")
    buffer_kib: float = Field(default=100.0, gt=0, le=1e6, description="global buffer for inputs and sums; JSSC, V-A")
    input_bus: float = Field(
        default=0.0,
        ge=0,
        le=1e4,
        description="words of inputs a cycle to PEs, 0: as many as wanted; 1 in JSSC, V-B",
    )
    filter_bus: float = Field(
        default=0.0, ge=0, le=1e4, description="words of filters a cycle, 0: as many as wanted; 4 in JSSC, V-B"
    )
    sum_bus: float = Field(
        default=0.0, ge=0, le=1e4, description="words of sums a cycle, each way, 0: as many as wanted; 4 in JSSC, V-B"
    )
    link_mhz: float = Field(
        default=0.0,
        ge=0,
        le=1e5,
        description="clock of the 64-bit link to DRAM, 0: traffic is hidden (JSSC's processing latency); 60 in Table V",
    )
    mac_pj: float = Field(default=1.0, gt=0, le=1e6, description="one MAC; hardware.yaml of DNN-Chip Predictor")
    spad_pj: float = Field(default=1.0, ge=0, le=1e6, description="scratchpad; 1 x MAC in ISCA, Table IV")
    array_pj: float = Field(default=2.0, ge=0, le=1e6, description="between PEs; 2 x MAC in ISCA, Table IV")
    buffer_pj: float = Field(default=6.0, ge=0, le=1e6, description="global buffer; 6 x MAC in ISCA, Table IV")
    dram_pj: float = Field(default=200.0, ge=0, le=1e6, description="DRAM; 200 x MAC in ISCA, Table IV")


@dataclass(frozen=True)
class Nest:
    """One group of a layer, as a loop nest.

    Attributes:
        filters: M.
        channels: C.
        kernel: R and S.
        stride: U, vertical and horizontal.
        output_size: E and F; the input has (E - 1) U + R rows, padding included, as in JSSC's Table III.
        has_filters: whether there are weights to move.
        multiplies: whether there are MACs to pay for.
    """

    filters: int
    channels: int
    kernel: tuple[int, int]
    stride: tuple[int, int]
    output_size: tuple[int, int]
    has_filters: bool = True
    multiplies: bool = True

    def input_rows(self, e: Grid) -> Grid:
        """The number of input rows, padding included, for `e` rows of the output."""
        return (e - 1) * self.stride[0] + self.kernel[0]

    @property
    def width(self) -> int:
        """Columns of the input, padding included."""
        return (self.output_size[1] - 1) * self.stride[1] + self.kernel[1]

    @property
    def macs(self) -> int:
        """The number of products: elements of all windows."""
        return self.filters * self.channels * math.prod(self.kernel) * math.prod(self.output_size)


@dataclass(frozen=True)
class Mapped:
    """The costs of a layer with its best mapping.

    Attributes:
        cycles: cycles of the core clock.
        energy_pj: total energy.
        buffer_words: words read from and written to the global buffer.
        dram_words: words read from and written to DRAM.
        active: number of working PEs.
    """

    cycles: float
    energy_pj: float
    buffer_words: float
    dram_words: float
    active: int


def nests_of(layer: Layer, config: EyerissConfig) -> tuple[Nest, int]:
    """The nest of one group of a layer, and the number of such nests.

    A kernel that is too large for the array or its scratchpads is cut into equal pieces, each a nest of its own.
    """
    pieces = -(-layer.kernel[0] // config.rows), -(-layer.kernel[1] // config.input_spad)
    kernel = -(-layer.kernel[0] // pieces[0]), -(-layer.kernel[1] // pieces[1])
    groups, pooling = layer.groups, layer.kind == "pooling"
    as_convolution = pooling and config.pooling_as_convolution and not layer.is_global
    if as_convolution:
        groups = 1
    shape = (layer.outputs // groups, layer.inputs // groups, kernel, layer.stride, layer.output_size)
    nest = Nest(*shape, has_filters=not pooling or as_convolution, multiplies=not pooling)
    return nest, groups * math.prod(pieces)


def best_mapping(nest: Nest, config: EyerissConfig) -> Mapped:
    """The mapping with the fewest cycles, and among those the one with the least energy.

    Raises:
        DeviceError: no mapping fits the array and its memories.
    """
    grid = _candidates(nest, config)
    if not grid.size:
        kernel = "x".join(map(str, nest.kernel))
        raise DeviceError(f"no mapping of a {kernel} window fits the array: give larger scratchpads, buffer or array")
    found = _Passes(nest, config, *grid)
    cycles, energy_pj = found.cycles(), found.energy_pj()
    best = int(np.lexsort((energy_pj, cycles))[0])
    traffic = float(found.buffer_words()[best]), float(found.dram_words()[best])
    return Mapped(float(cycles[best]), float(energy_pj[best]), *traffic, int(found.active[best]))


def _candidates(nest: Nest, config: EyerissConfig) -> Grid:
    """e, r, t, q, p, m of all possible mappings [6, mappings]; m is the number of filters with sums in the buffer."""
    pairs = [
        (q, p)
        for q in _shares(nest.channels, config.input_spad // nest.kernel[1])
        for p in _shares(nest.filters, config.sum_spad)
        if not nest.has_filters or p * q * nest.kernel[1] <= config.filter_spad
    ]
    sets = [
        (e, r, t)
        for e in _shares(nest.output_size[0], config.rows * config.columns)
        for r in _shares(nest.channels, _sets(e, nest.kernel[0], config))
        for t in _shares(nest.filters, _sets(e, nest.kernel[0], config) // r)
    ]
    grid = np.array([(*one, *pair) for one in sets for pair in pairs], dtype=np.float64).reshape(-1, 5).T
    return _with_buffered(grid, nest, config)


def _shares(number: int, most: int) -> list[int]:
    """Possible sizes, up to `most`, of equal shares of `number` things: the smallest size for each number of turns."""
    return [share for share in sorted({-(-number // turns) for turns in range(1, number + 1)}) if share <= most]


def _sets(e: int, window: int, config: EyerissConfig) -> int:
    """The number of sets of e output rows that the array holds; a set that is too wide is folded into segments."""
    folds = -(-e // config.columns)
    beside = config.columns // e if folds == 1 else 1
    return config.rows // (window * folds) * beside


def _with_buffered(grid: Grid, nest: Nest, config: EyerissConfig) -> Grid:
    """The mappings whose inputs and sums fit the buffer; m is the number of filters that fit next to the inputs."""
    e, r, t, q, p = grid
    inputs = q * r * nest.input_rows(e) * nest.width
    at_once = p * t
    fitting = (config.buffer_kib * WORDS_PER_KIB - inputs) // (e * nest.output_size[1])
    m = np.minimum(fitting // at_once, np.ceil(nest.filters / at_once)) * at_once
    kept: Grid = np.vstack([grid, m])[:, m > 0]
    return kept


class _Passes:
    """The passes of each mapping, and their costs; every attribute has one number for each mapping."""

    def __init__(self, nest: Nest, config: EyerissConfig, e: Grid, r: Grid, t: Grid, q: Grid, p: Grid, m: Grid) -> None:
        self.nest, self.config = nest, config
        self.e, self.r, self.t, self.q, self.p = e, r, t, q, p
        self.input_rows = nest.input_rows(e)
        self.by_filters = np.ceil(nest.filters / (p * t))
        self.by_channels = np.ceil(nest.channels / (q * r))
        self.by_rows = np.ceil(nest.output_size[0] / e)
        self.number = self.by_filters * self.by_channels * self.by_rows
        self.rereads = np.ceil(nest.filters / m)  # number of times that inputs are read from DRAM
        self.active = nest.kernel[0] * e * r * t

    def cycles(self) -> Grid:
        """Cycles of the core clock, over all passes."""
        nest, config = self.nest, self.config
        computing = self.p * self.q * nest.kernel[1] * nest.output_size[1]
        inputs = self.q * self.r * self.input_rows * nest.width
        filters = self.p * self.t * self.q * self.r * math.prod(nest.kernel) * nest.has_filters
        sums = self.p * self.t * self.e * nest.output_size[1]
        buses = ((inputs, config.input_bus), (filters, config.filter_bus), (sums, config.sum_bus))
        waits = [words / width for words, width in buses if width]
        core: Grid = self.number * np.maximum.reduce([computing, *waits])
        if config.link_mhz:
            link_words = LINK_BYTES / WORD_BYTES * config.link_mhz / config.mhz  # in a cycle of the core
            core = np.maximum(core, self.dram_words() / link_words)
        return core

    def _input_words(self) -> Grid:
        """The words of all inputs; rows shared by strips count for each strip."""
        words: Grid = self.by_rows * self.nest.channels * self.input_rows * self.nest.width
        return words

    def _output_words(self) -> int:
        return self.nest.filters * math.prod(self.nest.output_size)

    def dram_words(self) -> Grid:
        """Words to and from DRAM: inputs once for each m filters, filters once for each strip, outputs once."""
        nest = self.nest
        filters = self.by_rows * nest.filters * nest.channels * math.prod(nest.kernel) * nest.has_filters
        words: Grid = self.rereads * self._input_words() + filters + self._output_words()
        return words

    def buffer_words(self) -> Grid:
        """Words to and from the buffer: inputs go in and out in each pass, sums between passes and to DRAM."""
        inputs = (self.rereads + self.by_filters) * self._input_words()
        words: Grid = inputs + 2 * self.by_channels * self._output_words()
        return words

    def array_words(self) -> Grid:
        """Words that are delivered to PEs or passed between them: inputs, filters and sums of each pass."""
        nest = self.nest
        filters = self.p * self.q * nest.kernel[1] * nest.has_filters
        each = self.q * nest.width + filters + self.p * nest.output_size[1]
        words: Grid = self.number * self.active * each
        return words

    def energy_pj(self) -> Grid:
        """Energy of MACs and of accesses to all memories."""
        config, macs = self.config, self.nest.macs
        spad = macs * (SPAD_PER_MAC if self.nest.has_filters else SPAD_PER_MAC - 1)
        memories = config.array_pj * self.array_words() + config.buffer_pj * self.buffer_words()
        inside = config.mac_pj * macs * self.nest.multiplies + config.spad_pj * spad
        energy: Grid = inside + memories + config.dram_pj * self.dram_words()
        return energy


CYCLES_PER_MS = 1e3  # at 1 MHz


class Eyeriss(LayerCostDevice):
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
