"""Energy of a run: exactly on the simulated device, and on a powercap folder that runs advance."""

from __future__ import annotations

from pathlib import Path

import pytest

from chronas.devices.device import CpuConfig, Runner
from chronas.devices.eager import EagerCpu
from chronas.devices.simulated import IDLE_MW, Simulated, SimulatedConfig
from chronas.errors import DeviceError, UsageError
from chronas.measurement.meter import COSTS, make_meter
from chronas.measurement.sensors import rapl, sensor
from chronas.spaces import NetworkSize, make_space
from chronas.units import COST_UNITS

SIZE = NetworkSize(input_shape=(3, 32, 32), outputs=10, width=16, depth=8)
NETWORKS = make_space("darts").sample(3, seed=0)


def test_every_cost_has_a_unit() -> None:
    assert {"latency_ms", *COSTS} == set(COST_UNITS)
    with pytest.raises(UsageError, match="unknown cost 'energy': did you mean energy_mj"):
        make_meter("energy", Simulated(SimulatedConfig()), SIZE)


@pytest.mark.parametrize("number", range(3))
def test_it_is_the_total_over_the_interval_by_all_its_runs(number: int) -> None:
    device, network = Simulated(SimulatedConfig(noise=0.0)), NETWORKS[number]
    reading = make_meter("energy_mj", device, SIZE).read(network, 0)
    latency_s = device.true_latency_ms(network, SIZE) / 1000
    runs = reading.beside["runs"]
    assert reading.beside["duration_s"] == pytest.approx(runs * latency_s) and runs * latency_s >= 1
    assert reading.beside["idle_mw"] == pytest.approx(IDLE_MW)
    expected_mj = device.true_work_mj(network, SIZE) + IDLE_MW * latency_s
    assert reading.value == pytest.approx(expected_mj)
    above_idle_mj = reading.value - IDLE_MW * reading.beside["duration_s"] / runs
    assert above_idle_mj == pytest.approx(device.true_work_mj(network, SIZE))


def test_the_runners_are_held_until_the_meter_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    prepared: list[object] = []
    prepare = Simulated.prepare

    def spy(device: Simulated, architecture, *args, **options) -> Runner:
        prepared.append(architecture)
        return prepare(device, architecture, *args, **options)

    monkeypatch.setattr(Simulated, "prepare", spy)
    meter = make_meter("energy_mj", Simulated(SimulatedConfig()), SIZE)
    meter.read(NETWORKS[0], 0)
    meter.read(NETWORKS[0], 1)
    assert len(prepared) == 1
    meter.close()
    meter.read(NETWORKS[0], 2)
    assert len(prepared) == 2


IDLE_UJ = 3_000_000  # drawn while a test "sleeps"


@pytest.fixture
def battery(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EagerCpu:
    """A device whose every run draws 2.5 mJ from a powercap folder, and says that it takes 100 ms."""
    zone = tmp_path / "intel-rapl:0"
    zone.mkdir()
    for name, text in (("name", "package-0"), ("energy_uj", "0"), ("max_energy_range_uj", "262143328850")):
        (zone / name).write_text(text)
    monkeypatch.setattr(rapl, "POWERCAP", tmp_path)

    def draw(energy_uj: int) -> None:
        (zone / "energy_uj").write_text(str(int((zone / "energy_uj").read_text()) + energy_uj))

    class BatteryRunner(Runner):
        input_shape = (1, 3, 32, 32)

        def _round(self, index: int, warmup: int, repeats: int) -> list[float]:
            draw(2500 * 3 * (warmup + repeats))  # a disturbed run is timed again, so a round has more runs than asked
            return [100.0] * repeats

        def _run_times(self, times: int) -> None:
            draw(2500 * times)

        def close(self) -> None:
            pass

    monkeypatch.setattr(sensor.time, "sleep", lambda duration_s: draw(IDLE_UJ))
    monkeypatch.setattr(EagerCpu, "prepare", lambda *args, **options: BatteryRunner())
    return EagerCpu(CpuConfig())


def test_a_real_counter_gives_millijoules_of_one_run(battery: EagerCpu) -> None:
    meter = make_meter("energy_mj", battery, SIZE)
    assert meter.source == "rapl: CPU package-0"
    reading = meter.read(NETWORKS[0], 0)
    assert reading.value == pytest.approx(2.5)
    assert reading.beside["runs"] == 10
    assert reading.beside["idle_mw"] >= IDLE_UJ / 1000  # the test's sleep takes far less than a second


def test_without_a_sensor_it_is_refused_and_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rapl, "POWERCAP", tmp_path / "none")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(
        DeviceError, match=r"energy_mj cannot be measured on device eager-cpu here: rapl: .*; tegrastats: "
    ):
        make_meter("energy_mj", EagerCpu(CpuConfig()), SIZE)
