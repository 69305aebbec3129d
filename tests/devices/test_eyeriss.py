"""Eyeriss against HW-NAS-Bench's columns, to which nothing is fitted."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from scipy.stats import kendalltau

from chronas.devices import make_device
from chronas.devices.eyeriss import Eyeriss, EyerissConfig
from chronas.spaces import make_space

SPACE = make_space("nasbench201")


@pytest.mark.parametrize("cost", ["latency_ms", "energy_mj"])
def test_it_ranks_as_hw_nas_bench_does(shared_data: Path, cost: str) -> None:
    table = pl.read_parquet(shared_data / "nasbench201" / "hw_nas_bench.parquet")
    architectures = [SPACE.parse(text) for text in table["arch_str"]]
    theirs = table[f"cifar10_eyeriss_{cost}"]
    device = Eyeriss(EyerissConfig(pooling_as_convolution=True))
    ours = device.costs(architectures, SPACE.sizes["cifar10"])[cost]
    assert kendalltau(ours, theirs).statistic >= 0.9
    plain = Eyeriss(EyerissConfig()).costs(architectures, SPACE.sizes["cifar10"])[cost]
    assert kendalltau(plain, theirs).statistic < 0.8


def test_a_faster_clock_takes_less_time_and_the_same_energy() -> None:
    (architecture,) = SPACE.sample(1, seed=0)
    slow, fast = (Eyeriss(EyerissConfig(mhz=mhz)).costs([architecture], SPACE.sizes["cifar10"]) for mhz in (100, 250))
    assert slow["latency_ms"][0] == pytest.approx(2.5 * fast["latency_ms"][0])
    assert slow["energy_mj"][0] == fast["energy_mj"][0]


def test_settings_make_another_device() -> None:
    other = make_device("eyeriss", EyerissConfig(pooling_as_convolution=True))
    assert make_device("eyeriss").fingerprint() != other.fingerprint()
