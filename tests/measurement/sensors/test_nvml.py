"""NVML on a stub of its Python package."""

from __future__ import annotations

import sys
import types

import pytest

from chronas.devices import make_device
from chronas.devices.device import CpuConfig
from chronas.devices.eager import EagerCpu
from chronas.errors import DeviceError
from chronas.measurement.sensors import Sensor, sensor_class


class Gpu(EagerCpu):
    """A device that says it runs on a GPU; only its clock is used."""

    accelerator = "GPU-0f3"


class Nvml(types.ModuleType):
    """What of pynvml is used: one board, whose counter and power the test sets."""

    class NVMLError(Exception):
        pass

    class NVMLError_NotSupported(NVMLError):
        pass

    def __init__(self) -> None:
        super().__init__("pynvml")
        self.counter_mj: int | None = 1000
        self.power_mw = 70_000
        self.broken = False

    def nvmlInit(self) -> None:
        if self.broken:
            raise self.NVMLError("Driver Not Loaded")

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> str:
        if uuid != Gpu.accelerator:
            raise self.NVMLError("Not Found")
        return "handle"

    def nvmlDeviceGetTotalEnergyConsumption(self, gpu: str) -> int:
        assert gpu == "handle"
        if self.counter_mj is None:
            raise self.NVMLError_NotSupported
        if self.broken:
            raise self.NVMLError("GPU is lost")
        return self.counter_mj

    def nvmlDeviceGetPowerUsage(self, gpu: str) -> int:
        assert gpu == "handle"
        if self.broken:
            raise self.NVMLError("GPU is lost")
        return self.power_mw


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> Nvml:
    stub = Nvml()
    monkeypatch.setitem(sys.modules, "pynvml", stub)
    return stub


def make_sensor() -> Sensor:
    return sensor_class("nvml")(Gpu(CpuConfig()))


def test_the_counter_is_read_in_millijoules(nvml: Nvml) -> None:
    sensor = make_sensor()
    assert "energy counter" in sensor.scope
    sensor.begin()
    nvml.counter_mj = 4500
    assert sensor.end().energy_mj == 3500


def test_a_counter_that_went_back_is_told(nvml: Nvml) -> None:
    sensor = make_sensor()
    sensor.begin()
    nvml.counter_mj = 3
    with pytest.raises(DeviceError, match="above zero, got -997 mJ"):
        sensor.end()


def test_without_a_counter_the_power_is_integrated(nvml: Nvml) -> None:
    nvml.counter_mj = None
    sensor = make_sensor()
    assert "power, integrated" in sensor.scope
    sensor.begin()
    sensor.wait(0.5)
    drawn = sensor.end()
    assert drawn.energy_mj == pytest.approx(70_000 * drawn.duration_s)


@pytest.mark.parametrize("counter_mj", [1000, None], ids=["counter", "power"])
def test_a_gpu_that_gets_lost_is_told(counter_mj: int | None, nvml: Nvml) -> None:
    nvml.counter_mj = counter_mj
    sensor = make_sensor()
    sensor.begin()
    nvml.broken = True
    sensor.wait(0.3)
    with pytest.raises(DeviceError, match="failed .GPU is lost.: does `nvidia-smi`"):
        sensor.end()


def test_a_driver_that_is_not_there_is_told(nvml: Nvml) -> None:
    nvml.broken = True
    assert (
        sensor_class("nvml").unavailable() == "NVML does not answer (Driver Not Loaded): is NVIDIA's driver installed?"
    )


def test_a_missing_package_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    reason = sensor_class("nvml").unavailable()
    assert reason == "the energy of NVIDIA GPUs needs a package: pip install 'chronas[gpu]'"


def test_the_gpu_is_found_by_its_uuid(nvml: Nvml, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DeviceError, match="does not say which GPU"):
        sensor_class("nvml")(make_device("eager-cpu"))
    monkeypatch.setattr(Nvml, "nvmlDeviceGetHandleByUUID", lambda self, uuid: (_ for _ in ()).throw(self.NVMLError()))
    with pytest.raises(DeviceError, match="NVML does not know GPU GPU-0f3"):
        make_sensor()
