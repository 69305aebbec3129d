"""Row-stationary mappings, against hand calculation, brute force and the chip's published measurements."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chronas.devices.eyeriss import EyerissConfig, Mapped, Nest, best_mapping, nests_of
from chronas.errors import DeviceError
from chronas.networks import Layer

CHIP = EyerissConfig(input_bus=1, filter_bus=4, sum_bus=4)
# AlexNet's layers, one group each: the nest, groups, processing latency in ms of a batch of 4, and active PEs, as the
# chip's were measured at 200 MHz (JSSC, Table V).
ALEXNET = {
    "conv1": (Nest(96, 3, (11, 11), (4, 4), (55, 55)), 1, 16.5, 154),
    "conv2": (Nest(128, 48, (5, 5), (1, 1), (27, 27)), 2, 39.2, 135),
    "conv3": (Nest(384, 256, (3, 3), (1, 1), (13, 13)), 1, 21.8, 156),
    "conv4": (Nest(192, 192, (3, 3), (1, 1), (13, 13)), 2, 16.0, 156),
    "conv5": (Nest(128, 192, (3, 3), (1, 1), (13, 13)), 2, 10.0, 156),
}


def mapped(nest: Nest, **settings: float) -> Mapped:
    return best_mapping(nest, EyerissConfig(**settings))


@pytest.mark.parametrize("name", ALEXNET)
@pytest.mark.parametrize("config", [EyerissConfig(), CHIP], ids=["unlimited", "chip"])
def test_alexnet_takes_what_the_chip_was_measured_to_take_less_its_ramp_up(name: str, config: EyerissConfig) -> None:
    nest, groups, measured_ms, _ = ALEXNET[name]
    estimated_ms = 4 * groups * best_mapping(nest, config).cycles / 200e3
    assert 0.74 * measured_ms < estimated_ms < measured_ms


def test_the_array_is_as_full_as_on_the_chip_or_fuller() -> None:
    for nest, _, _, active in ALEXNET.values():
        assert active <= best_mapping(nest, CHIP).active <= 168


def test_a_layer_that_fills_the_array_by_hand() -> None:
    nest = Nest(filters=16, channels=4, kernel=(3, 3), stride=(1, 1), output_size=(14, 10))
    found = mapped(nest)  # one pass: 4 sets of 3 x 14 PEs, each 3 x 10 sums of 4 channels for 4 filters
    assert found.cycles == 4 * 4 * 3 * 10 and found.active == 168
    inputs, outputs, filters = 4 * 16 * 12, 16 * 14 * 10, 16 * 4 * 9
    assert found.dram_words == inputs + outputs + filters
    assert found.buffer_words == 2 * inputs + 2 * outputs
    deliveries = 168 * (4 * 12 + 4 * 4 * 3 + 4 * 10)
    macs = 16 * 4 * 9 * 14 * 10
    expected = 5 * macs + 2 * deliveries + 6 * found.buffer_words + 200 * found.dram_words
    assert found.energy_pj == pytest.approx(expected)


def test_each_price_is_paid_for_its_own_traffic() -> None:
    nest = Nest(16, 4, (3, 3), (1, 1), (14, 10))
    usual = mapped(nest)
    assert mapped(nest, mac_pj=2).energy_pj - usual.energy_pj == pytest.approx(nest.macs)
    assert mapped(nest, spad_pj=2).energy_pj - usual.energy_pj == pytest.approx(4 * nest.macs)
    assert mapped(nest, dram_pj=201).energy_pj - usual.energy_pj == pytest.approx(usual.dram_words)
    assert mapped(nest, buffer_pj=7).energy_pj - usual.energy_pj == pytest.approx(usual.buffer_words)


def test_buses_and_the_link_are_waited_for_where_they_are_limited() -> None:
    nest = Nest(16, 16, (1, 1), (1, 1), (32, 32))
    assert mapped(nest).cycles < 2000
    assert mapped(nest, input_bus=1).cycles == 16 * 32 * 32  # each input once
    linked = mapped(nest, link_mhz=60)
    assert linked.cycles == pytest.approx(linked.dram_words * 2 / (60e6 * 8) * 200e6)
    assert mapped(nest, sum_bus=1).cycles == 16 * 32 * 32
    assert mapped(Nest(512, 512, (1, 1), (1, 1), (1, 1)), filter_bus=4).cycles >= 512 * 512 / 4


def _fewest(nest: Nest, config: EyerissConfig) -> float:
    """The fewest cycles of all mappings, one by one; unlimited buses."""
    best = math.inf
    window, (height, width) = nest.kernel, nest.output_size
    for e, q, p in itertools.product(range(1, height + 1), range(1, 13), range(1, 25)):
        folds = -(-e // config.columns)
        sets = config.rows // (window[0] * folds) * (config.columns // e if folds == 1 else 1)
        if q > nest.channels or p > nest.filters or q * window[1] > 12 or p * q * window[1] > 224:
            continue
        for r in range(1, min(sets, nest.channels) + 1):
            t = sets // r
            passes = -(-nest.filters // (p * t)) * -(-nest.channels // (q * r)) * -(-height // e)
            best = min(best, passes * p * q * window[1] * width)
    return best


@settings(max_examples=25, deadline=None)
@given(filters=st.integers(1, 40), channels=st.integers(1, 24), kernel=st.integers(1, 5), height=st.integers(1, 30))
def test_no_mapping_is_faster_than_the_one_that_is_found(filters: int, channels: int, kernel: int, height: int) -> None:
    nest = Nest(filters, channels, (kernel, kernel), (1, 1), (height, 7))
    found = mapped(nest)
    assert found.cycles == _fewest(nest, EyerissConfig())
    assert found.cycles >= nest.macs / 168


def test_a_small_buffer_costs_traffic_but_no_result() -> None:
    nest = Nest(64, 16, (3, 3), (1, 1), (112, 112))
    large, small = mapped(nest), mapped(nest, buffer_kib=4)
    assert small.dram_words > large.dram_words and small.cycles >= large.cycles


def test_a_window_that_fits_nowhere_is_refused() -> None:
    with pytest.raises(DeviceError, match="no mapping of a 3x3 window fits the array: give larger"):
        mapped(Nest(4, 4, (3, 3), (1, 1), (8, 8)), filter_spad=2)
    with pytest.raises(DeviceError, match="no mapping of a 1x1 window"):
        mapped(Nest(4, 4, (1, 1), (1, 1), (8, 800)), buffer_kib=0.5)


POOLING = Layer("pooling", 8, 8, (3, 3), (1, 1), (16, 16), (16, 16), 8)


def test_a_pooling_goes_plane_by_plane_or_as_a_convolution_without_its_macs() -> None:
    plain, times = nests_of(POOLING, EyerissConfig())
    assert times == 8 and plain == Nest(1, 1, (3, 3), (1, 1), (16, 16), has_filters=False, multiplies=False)
    config = EyerissConfig(pooling_as_convolution=True)
    full, once = nests_of(POOLING, config)
    convolution = Nest(8, 8, (3, 3), (1, 1), (16, 16))
    assert once == 1 and best_mapping(full, config).cycles == mapped(convolution).cycles
    less = mapped(convolution).energy_pj - best_mapping(full, config).energy_pj
    assert less == pytest.approx(convolution.macs)


def test_the_global_pooling_stays_one() -> None:
    layer = Layer("pooling", 64, 64, (8, 8), (8, 8), (8, 8), (1, 1), 64)
    assert nests_of(layer, EyerissConfig(pooling_as_convolution=True)) == nests_of(layer, EyerissConfig())


def test_a_window_that_is_larger_than_the_array_is_cut() -> None:
    layer = Layer("pooling", 4, 4, (28, 28), (28, 28), (28, 28), (1, 1), 4)
    nest, times = nests_of(layer, EyerissConfig())
    assert nest.kernel == (10, 10) and times == 4 * 9
    assert mapped(nest).cycles > 0
