"""The convolution engine of an FPGA, against hand calculation, a published measurement and HW-NAS-Bench's columns."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from pydantic import ValidationError
from scipy.stats import kendalltau

from chronas.devices.fpga import Fpga, FpgaConfig, cycles
from chronas.errors import DeviceError
from chronas.networks import Layer
from chronas.spaces import make_space

EXACT = FpgaConfig(lanes_out=16, lanes_in=8, mhz=100, gigabytes_per_s=0.4)  # two words a cycle


def convolution(inputs: int, outputs: int, size: int, kernel: int, groups: int = 1, stride: int = 1) -> Layer:
    return Layer(
        "convolution", inputs, outputs, (kernel, kernel), (stride, stride), (size * stride,) * 2, (size, size), groups
    )


def test_one_tile_is_loaded_computed_and_stored_in_turn() -> None:
    layer = convolution(8, 16, 10, 3)
    load, store = (8 * 100 + 8 * 16 * 9) / 2, 16 * 100 / 2
    assert cycles(layer, EXACT) == load + 9 * 100 + store


def test_of_many_tiles_compute_hides_traffic() -> None:
    layer = convolution(32, 32, 10, 5)  # 4 tiles of inputs by 2 of outputs
    load, store = (8 * 100 + 8 * 16 * 25) / 2, 16 * 100 / 2
    assert cycles(layer, EXACT) == load + 8 * 25 * 100 + store


def test_of_many_tiles_traffic_hides_compute() -> None:
    layer = convolution(32, 32, 10, 1)
    load, store = (8 * 100 + 8 * 16) / 2, 16 * 100 / 2
    assert cycles(layer, EXACT) == load + 7 * load + store + store


def test_groups_run_beside_each_other_where_lanes_are_free() -> None:
    grouped = convolution(12, 24, 10, 3, groups=6)  # 4 at a time: 8 lanes in for 2 each, 16 lanes out for 4 each
    load, store = (8 * 100 + 4 * 2 * 4 * 9) / 2, 16 * 100 / 2
    assert cycles(grouped, EXACT) == load + 2 * 900 + store
    wide = convolution(32, 64, 10, 5, groups=2)  # one at a time: 2 tiles of inputs by 2 of outputs
    load = (8 * 100 + 8 * 16 * 25) / 2
    assert cycles(wide, EXACT) == load + 2 * 4 * 2500 + store


def test_a_depthwise_convolution_takes_a_window_a_cycle_with_all_multipliers() -> None:
    layer = convolution(28, 28, 10, 3, groups=28)  # 14 at a time: 128 multipliers, 9 a channel
    load, store = (14 * 100 + 14 * 9) / 2, 14 * 100 / 2
    assert cycles(layer, EXACT) == load + (load + store) + store
    assert cycles(convolution(4, 4, 10, 3, groups=4), EXACT) == (4 * 100 + 4 * 9) / 2 + 100 + 4 * 100 / 2


def test_a_pooling_adds_a_window_a_cycle_and_has_no_weights() -> None:
    layer = Layer("pooling", 16, 16, (3, 3), (1, 1), (10, 10), (10, 10), 16)
    assert cycles(layer, EXACT) == 16 * 100 / 2 + 100 + 16 * 100 / 2


def test_what_the_memory_cannot_hold_is_cut_into_strips() -> None:
    layer = convolution(8, 16, 64, 3)
    small = EXACT.model_copy(update={"memory_mbit": 0.5})
    assert cycles(layer, small) > 64 * 64 * 9
    halves = 0.5e6 / 16 / 2
    strips = next(n for n in range(1, 65) if _words(layer, -(-64 // n)) <= halves)
    rows = -(-64 // strips)
    load, store = (8 * (rows + 2) * 64 + 8 * 16 * 9) / 2, 16 * rows * 64 / 2
    assert strips > 1
    assert cycles(layer, small) == load + max(strips * rows * 64 * 9, (strips - 1) * (load + store)) + store
    with pytest.raises(DeviceError, match=r"no row of a tile 64 pixels wide, 8 channels in fits 0.01 Mbit"):
        cycles(layer, EXACT.model_copy(update={"memory_mbit": 0.01}))


def _words(layer: Layer, rows: int) -> int:
    return 8 * min(rows + 2, 64) * 64 + 8 * 16 * 9 + 16 * rows * 64


def test_alexnet_takes_what_the_engine_of_the_paper_was_measured_to_take() -> None:
    """21.61 ms at 100 MHz with 64 x 7 lanes (Zhang et al. 2015), whose board has 4.5 GB/s for 32-bit numbers."""
    config = FpgaConfig(lanes_out=64, lanes_in=7, mhz=100, gigabytes_per_s=2.25)
    layers = [
        (convolution(3, 48, 55, 11, stride=4), 2),
        (convolution(48, 128, 27, 5), 2),
        (convolution(256, 192, 13, 3), 2),
        (convolution(192, 192, 13, 3), 2),
        (convolution(192, 128, 13, 3), 2),
    ]
    total_ms = sum(times * cycles(layer, config) for layer, times in layers) / 100e3
    assert total_ms == pytest.approx(21.61, rel=0.08)


def test_the_lanes_are_the_best_for_the_convolutions_of_nasbench201() -> None:
    multipliers = FpgaConfig().multipliers

    def needed(lanes_out: int) -> int:
        sides = ((16, 32), (32, 16), (64, 8))
        return sum(-(-c // lanes_out) * -(-c // (multipliers // lanes_out)) * size**2 for c, size in sides)

    assert needed(FpgaConfig().lanes_out) == min(needed(lanes) for lanes in range(1, 901))
    assert FpgaConfig().lanes_in == multipliers // FpgaConfig().lanes_out


def test_more_lanes_than_multipliers_are_refused() -> None:
    with pytest.raises(ValidationError, match="64 x 15 lanes need more than 900 multipliers: give fewer lanes"):
        FpgaConfig(lanes_out=64, lanes_in=15)


@pytest.mark.parametrize("cost", ["latency_ms", "energy_mj"])
def test_it_ranks_as_hw_nas_bench_does(shared_data: Path, cost: str) -> None:
    table = pl.read_parquet(shared_data / "nasbench201" / "hw_nas_bench.parquet")
    space = make_space("nasbench201")
    architectures = [space.parse(text) for text in table["arch_str"]]
    ours = Fpga(FpgaConfig()).costs(architectures, space.sizes["cifar10"])[cost]
    assert kendalltau(ours, table[f"cifar10_fpga_{cost}"]).statistic >= 0.9
