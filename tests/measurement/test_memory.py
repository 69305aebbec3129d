"""Peak memory of a run: by formula on the simulated device, by the kernel's numbers on this machine."""

from __future__ import annotations

import os
import platform
import signal
from pathlib import Path

import numpy as np
import pytest
import torch

from chronas.devices import DEVICES, device_class, make_device
from chronas.devices.device import CpuConfig
from chronas.devices.simulated import Simulated, SimulatedConfig
from chronas.errors import DeviceError
from chronas.measurement import memory
from chronas.measurement.memory import MEMORY_METERS, CudaMemory, ResidentMemory
from chronas.measurement.meter import Meter, make_meter
from chronas.networks import build, count, save_state
from chronas.spaces import NetworkSize, make_space

SPACE = make_space("nasbench201")
SMALL = NetworkSize(input_shape=(3, 32, 32), outputs=10, width=16, depth=8)
WIDE = NetworkSize(input_shape=(3, 32, 32), outputs=10, width=64, depth=8)
DENSE = SPACE.parse("|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|")
SPARSE = SPACE.parse("|skip_connect~0|+|none~0|skip_connect~1|+|none~0|none~1|nor_conv_1x1~2|")
linux = pytest.mark.skipif(platform.system() != "Linux", reason="the kernel's numbers are Linux's")


def weights_mib(architecture, size: NetworkSize) -> float:
    return count(build(architecture, size), size.input_shape).parameters * 4 / 1024**2


@pytest.fixture
def meter():
    found = make_meter("peak_memory_mib", make_device("onnxruntime-cpu"), WIDE)
    yield found
    found.close()


@pytest.mark.parametrize("name", DEVICES)
def test_a_device_names_a_way_that_there_is(name: str) -> None:
    assert device_class(name).memory in {None, *MEMORY_METERS}


def test_the_simulated_memory_is_that_of_weights_and_activations() -> None:
    device = Simulated(SimulatedConfig())
    counts = count(build(DENSE, SMALL), SMALL.input_shape)
    reading = make_meter("peak_memory_mib", device, SMALL).read(DENSE, 0)
    assert reading.value == (counts.parameters * 4 + counts.peak_activation_bytes) / 1024**2


@linux
def test_memory_repeats_whatever_came_before_and_holds_the_weights(meter: Meter) -> None:
    order = [DENSE, SPARSE, DENSE, SPARSE, SPARSE, DENSE]
    readings_mib = [meter.read(architecture, index).value for index, architecture in enumerate(order)]
    dense, sparse = (
        np.array([mib for mib, each in zip(readings_mib, order, strict=True) if each == a]) for a in (DENSE, SPARSE)
    )
    assert weights_mib(DENSE, WIDE) > 10 * weights_mib(SPARSE, WIDE)
    assert dense.min() > weights_mib(DENSE, WIDE) and dense.max() < 6 * weights_mib(DENSE, WIDE)
    assert dense.min() > 2 * sparse.max()
    assert np.ptp(dense) < 0.1 * dense.min()


@linux
def test_the_weights_of_a_file_are_loaded_and_those_of_another_network_refused(tmp_path: Path) -> None:
    for name, architecture in (("dense", DENSE), ("sparse", SPARSE)):
        save_state(tmp_path / name, build(architecture, SMALL, seed=1).state_dict(), {})
    device = make_device("eager-cpu")
    meter = make_meter("peak_memory_mib", device, SMALL, {DENSE: tmp_path / "dense", SPARSE: tmp_path / "dense"})
    assert meter.read(DENSE, 0).value > weights_mib(DENSE, SMALL)
    with pytest.raises(DeviceError, match="memory could not be measured: .*weights of another network"):
        meter.read(SPARSE, 0)
    assert meter.read(DENSE, 1).value > weights_mib(DENSE, SMALL)
    meter.close()


@linux
def test_a_process_that_was_killed_is_told_and_another_goes_on(meter: Meter) -> None:
    assert isinstance(meter, ResidentMemory)
    first = meter.read(SPARSE, 0).value
    os.kill(meter.process_id, signal.SIGKILL)
    with pytest.raises(DeviceError, match="the process that measures memory ended: signal 9, which the kernel sends"):
        meter.read(SPARSE, 1)
    assert meter.read(SPARSE, 1).value == pytest.approx(first, abs=2)


@linux
def test_a_process_that_cannot_start_says_its_last_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "WORKER", "chronas.no_such_module")
    meter = make_meter("peak_memory_mib", make_device("onnxruntime-cpu"), SMALL)
    with pytest.raises(DeviceError, match=r"ended: .*No module named chronas.no_such_module .exit code 1."):
        meter.read(SPARSE, 0)


def test_other_systems_and_devices_that_tell_nothing_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    with pytest.raises(
        DeviceError, match="peak_memory_mib cannot be measured on device eager-cpu here: it needs Linux"
    ):
        make_meter("peak_memory_mib", device_class("eager-cpu")(CpuConfig()), SMALL)
    monkeypatch.setattr(Simulated, "memory", None)
    with pytest.raises(DeviceError, match="cannot be measured on device simulated: it has no memory meter"):
        make_meter("peak_memory_mib", Simulated(SimulatedConfig()), SMALL)


def test_on_a_gpu_the_allocators_peak_counts_less_what_was_there_before(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    state = {"allocated": 5 * 1024**2, "peak": 900 * 1024**2}

    class Runner:
        def round(self, index: int, warmup: int, repeats: int) -> None:
            state["peak"] = max(state["peak"], state["allocated"] + 7 * 1024**2)

        def close(self) -> None:
            told.append("closed")

    class Gpu(Simulated):
        config = type("Config", (), {"gpu": 3})()

        def __init__(self) -> None:
            pass

        def prepare(self, *args, **options) -> Runner:
            state["allocated"] += 20 * 1024**2
            state["peak"] = max(state["peak"], state["allocated"] + 9 * 1024**2)  # a CUDA graph is captured
            return Runner()

    def reset(gpu: int) -> None:
        state["peak"] = state["allocated"]

    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda gpu: state["allocated"])
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda gpu: state["peak"])
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", reset)
    assert CudaMemory(Gpu(), SMALL).read(DENSE, 0).value == 29.0
    assert told == ["closed"]
