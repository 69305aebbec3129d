"""RAPL on recorded powercap folders, whose counters the test advances as hardware would."""

from __future__ import annotations

from pathlib import Path

import pytest

from chronas.devices import make_device
from chronas.devices.device import Device
from chronas.errors import DeviceError
from chronas.measurement.sensors import Sensor, sensor_class, sensor_of
from chronas.measurement.sensors import rapl as module

RANGE_UJ = 262_143_328_850


def add_zone(folder: Path, zone: str, name: str, counter_uj: int) -> Path:
    (folder / zone).mkdir(parents=True)
    (folder / zone / "name").write_text(f"{name}\n")
    (folder / zone / "energy_uj").write_text(f"{counter_uj}\n")
    (folder / zone / "max_energy_range_uj").write_text(f"{RANGE_UJ}\n")
    return folder / zone / "energy_uj"


@pytest.fixture
def powercap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two sockets as a server has them, with what must not be counted again beside them."""
    folder = tmp_path / "powercap"
    add_zone(folder, "intel-rapl:0", "package-0", 5_000_000)
    add_zone(folder, "intel-rapl:0:0", "core", 1_000_000)
    add_zone(folder, "intel-rapl:0:1", "dram", 1_000_000)
    add_zone(folder, "intel-rapl:1", "package-1", 7_000_000)
    add_zone(folder, "intel-rapl:2", "psys", 9_000_000)
    add_zone(folder, "intel-rapl-mmio:0", "package-0", 5_000_000)
    (folder / "intel-rapl").mkdir()
    monkeypatch.setattr(module, "POWERCAP", folder)
    return folder


@pytest.fixture
def device() -> Device:
    return make_device("eager-cpu")


def make_sensor(device: Device) -> Sensor:
    return sensor_class("rapl")(device)


def test_the_packages_are_summed_once_and_in_millijoules(powercap: Path, device: Device) -> None:
    sensor = sensor_of(device)
    assert (sensor.name, sensor.scope) == ("rapl", "CPU package-0, package-1")
    sensor.begin()
    (powercap / "intel-rapl:0" / "energy_uj").write_text("5250000")
    (powercap / "intel-rapl:1" / "energy_uj").write_text("7000500")
    for zone in ("intel-rapl:0:0", "intel-rapl:0:1", "intel-rapl:2", "intel-rapl-mmio:0"):
        (powercap / zone / "energy_uj").write_text("99000000")
    drawn = sensor.end()
    assert drawn.energy_mj == pytest.approx(250.5)
    assert drawn.power_mw == pytest.approx(250.5 / drawn.duration_s)


def test_a_counter_that_started_again_from_zero_is_set_right(powercap: Path, device: Device) -> None:
    counter = powercap / "intel-rapl:0" / "energy_uj"
    counter.write_text(str(RANGE_UJ - 1_000))
    sensor = make_sensor(device)
    sensor.begin()
    counter.write_text("3000")
    assert sensor.end().energy_mj == pytest.approx(4.0)


def test_a_counter_that_stands_still_is_told_and_never_zero(powercap: Path, device: Device) -> None:
    sensor = make_sensor(device)
    sensor.begin()
    with pytest.raises(DeviceError, match=r"rapl should report an energy above zero, got 0 mJ"):
        sensor.end()


def test_a_counter_for_root_alone_says_so(powercap: Path, device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    read_text = Path.read_text

    def refuse(path: Path, *args: str, **options: str) -> str:
        if path.name == "energy_uj":
            raise PermissionError(13, "Permission denied", str(path))
        return read_text(path, *args, **options)

    monkeypatch.setattr(Path, "read_text", refuse)
    reason = sensor_class("rapl").unavailable()
    assert reason is not None and "by root" in reason and "chmod" in reason and "\n" not in reason
    with pytest.raises(DeviceError, match=r"energy_mj cannot be measured on device eager-cpu here: rapl: .*by root"):
        sensor_of(device)


def test_a_counter_that_disappears_meanwhile_is_told(powercap: Path, device: Device) -> None:
    sensor = make_sensor(device)
    sensor.begin()
    (powercap / "intel-rapl:1" / "energy_uj").unlink()
    with pytest.raises(DeviceError, match=r"cannot read .*intel-rapl:1/energy_uj: No such file"):
        sensor.end()


@pytest.mark.parametrize("text", ["", "-3", "1e9", "many"], ids=["empty", "negative", "float", "word"])
def test_a_counter_that_is_no_number_is_told(text: str, powercap: Path) -> None:
    (powercap / "intel-rapl:0" / "energy_uj").write_text(text)
    reason = sensor_class("rapl").unavailable()
    assert reason is not None and "should hold a number of uJ" in reason


@pytest.mark.parametrize("empty", [True, False], ids=["empty", "missing"])
def test_a_machine_without_counters_says_so(
    empty: bool, tmp_path: Path, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    if empty:
        (tmp_path / "powercap").mkdir()
    monkeypatch.setattr(module, "POWERCAP", tmp_path / "powercap")
    reason = sensor_class("rapl").unavailable()
    assert reason is not None and "no CPU package has an energy counter" in reason
    with pytest.raises(DeviceError, match=r"rapl: no CPU package .*; tegrastats: no command"):
        sensor_of(device)
