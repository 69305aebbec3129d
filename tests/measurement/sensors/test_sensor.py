"""What holds for all sensors, how power becomes energy, and which sensor sees which device."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronas.devices import DEVICES, device_class, make_device
from chronas.devices.simulated import IDLE_MW, Simulated, SimulatedConfig
from chronas.errors import DeviceError, UsageError
from chronas.measurement.sensors import SENSORS, mean_power_mw, sensor_class, sensor_of
from chronas.spaces import NetworkSize, make_space


@pytest.mark.parametrize("name", SENSORS)
def test_a_sensor_is_there_or_says_why_not_in_one_line(name: str) -> None:
    found = sensor_class(name)
    assert found.name == name and found.period_s > 0
    reason = found.unavailable()
    assert reason is None or ("\n" not in reason and len(reason) > 20)


@pytest.mark.parametrize("name", DEVICES)
def test_a_device_names_sensors_that_there_are(name: str) -> None:
    assert set(device_class(name).sensors) <= set(SENSORS)


def test_an_unknown_sensor_is_refused() -> None:
    with pytest.raises(UsageError, match="unknown sensor 'rappl': did you mean rapl"):
        sensor_class("rappl")


def test_a_device_that_no_sensor_sees_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Simulated, "sensors", ())
    with pytest.raises(DeviceError, match="energy_mj cannot be measured on device simulated here: no sensor measures"):
        sensor_of(make_device("simulated"))


def test_the_simulated_sensor_tells_idle_power_and_work() -> None:
    device, size = (
        Simulated(SimulatedConfig(noise=0.0)),
        NetworkSize(input_shape=(3, 32, 32), outputs=10, width=16, depth=8),
    )
    architecture = make_space("darts").sample(1, seed=0)[0]
    sensor = sensor_of(device)
    sensor.begin()
    sensor.wait(2.0)
    assert sensor.end().energy_mj == pytest.approx(2 * IDLE_MW)
    runner = device.prepare(architecture, size)
    sensor.begin()
    before_s = device.now_s()
    runner.run(5)
    expected = 5 * device.true_work_mj(architecture, size) + IDLE_MW * (device.now_s() - before_s)
    drawn = sensor.end()
    assert drawn.energy_mj == pytest.approx(expected)
    assert drawn.background_cores is None
    with pytest.raises(DeviceError, match="simulated sensor is the simulated device's, got eager-cpu"):
        sensor_class("simulated")(make_device("eager-cpu"))


def test_uneven_readings_count_by_the_time_they_stand_for() -> None:
    assert mean_power_mw([(0.0, 1000.0), (1.0, 1000.0), (9.0, 3000.0)]) == pytest.approx((1000 + 8 * 2000) / 9)


@given(
    st.lists(st.floats(0.01, 10), min_size=2, max_size=30),
    st.data(),
)
def test_a_mean_lies_between_the_readings(steps_s: list[float], data: st.DataObject) -> None:
    powers = data.draw(st.lists(st.floats(0, 1e6), min_size=len(steps_s) + 1, max_size=len(steps_s) + 1))
    times = [sum(steps_s[:i]) for i in range(len(steps_s) + 1)]
    mean_mw = mean_power_mw(list(zip(times, powers, strict=True)))
    assert min(powers) - 1e-6 <= mean_mw <= max(powers) + 1e-6


def test_too_few_readings_are_no_integral() -> None:
    with pytest.raises(DeviceError, match="at least 3 readings of power, got 2"):
        mean_power_mw([(0.0, 1.0), (1.0, 1.0)])


@pytest.mark.parametrize("name", [name for name in DEVICES if "cuda" in name or "tensorrt" in name])
def test_a_gpus_energy_is_read_from_the_gpu(name: str) -> None:
    assert device_class(name).sensors[0] == "nvml"
