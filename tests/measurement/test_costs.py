"""Campaigns of more than latency: what the journal holds, wherever they were stopped."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chronas.devices import make_device
from chronas.devices.simulated import IDLE_MW, Simulated, SimulatedConfig
from chronas.errors import DataError, DeviceError, MismatchError, UsageError
from chronas.measurement import COSTS, CampaignState, Plan, read_journal, run_campaign
from chronas.measurement.rows import seal
from chronas.spaces import NetworkSize, make_space
from chronas.units import MeasuredCost

SIZE = NetworkSize(input_shape=(3, 16, 16), outputs=10, width=8, depth=3)
NETWORKS = make_space("darts").sample(5, seed=0)
NOISY = SimulatedConfig(noise=0.5, base_ms=20.0)
PLAN = Plan(rounds=3, max_rounds=3, repeats=3, block=3)
BOTH = ("energy_mj", "peak_memory_mib")
READINGS = "SELECT cost, architecture, round, start_s, end_s, value, beside FROM reading"


def measure(path: Path, device: Simulated | None = None, networks=NETWORKS, costs=BOTH, **options) -> CampaignState:
    run_campaign(device or Simulated(NOISY), SIZE, networks, PLAN, path, costs=costs, **options)
    return read_journal(path)


def rows(path: Path) -> list[tuple]:
    with sqlite3.connect(path) as connection:
        found = connection.execute(READINGS).fetchall()
    connection.close()
    return found


def data(state: CampaignState) -> tuple[object, ...]:
    """All that two campaigns must have in common to be the same, to the last bit."""
    return state.samples_ms, state.references, state.clock_s, state.readings


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> CampaignState:
    return measure(tmp_path_factory.mktemp("whole") / "journal.sqlite")


def test_the_costs_that_can_be_named_are_those_that_can_be_measured() -> None:
    assert get_args(MeasuredCost) == tuple(COSTS)


def test_every_network_gets_three_readings_of_each_cost(tmp_path: Path) -> None:
    device = Simulated(SimulatedConfig(noise=0.0))
    state = measure(tmp_path / "journal.sqlite", device)
    for network in NETWORKS:
        energy = state.readings["energy_mj"].estimates()[str(network)]
        latency_s = device.true_latency_ms(network, SIZE) / 1000
        expected_mj = device.true_work_mj(network, SIZE) + IDLE_MW * latency_s
        assert energy.rounds == pytest.approx([expected_mj] * 3)
        assert (energy.value, energy.low, energy.high) == pytest.approx((expected_mj,) * 3)
        assert energy.beside["idle_mw"] == pytest.approx(IDLE_MW)
        memory = state.readings["peak_memory_mib"].estimates()[str(network)]
        assert memory.rounds == (device.true_memory_mib(network, SIZE),) * 3
    assert state.readings["energy_mj"].source == "simulated: simulated device"


def test_rounds_are_apart_in_an_order_of_their_own_and_after_the_latencies(tmp_path: Path) -> None:
    state = measure(tmp_path / "journal.sqlite", costs=("energy_mj",))
    found = sorted(rows(tmp_path / "journal.sqlite"), key=lambda row: row[3])
    first = [row[1:3] for row in found if row[1] in state.blocks[0]]
    assert [index for _, index in first] == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert len({tuple(text for text, at in first if at == index) for index in range(3)}) > 1
    assert found[0][3] >= max(start_s for rounds in state.starts_s.values() for start_s in rounds.values())
    assert state.clock_s == found[-1][4]


class Interrupted(Simulated):
    """A simulated device whose user presses Ctrl-C at a run of any network."""

    left: int | None = None

    def run_once(self, latency_ms: float) -> float:
        taken_ms = super().run_once(latency_ms)
        if self.left is not None:
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt
        return taken_ms


@settings(deadline=None, max_examples=8)
@given(stops=st.lists(st.integers(1, 800), min_size=1, max_size=3))
def test_a_campaign_stopped_anywhere_goes_on_to_the_same_bits(
    stops: list[int], uninterrupted: CampaignState, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("stopped") / "journal.sqlite"
    for stop in stops:
        device = Interrupted(NOISY)
        device.left = stop
        try:
            measure(path, device)
        except KeyboardInterrupt:
            continue
    assert data(measure(path)) == data(uninterrupted)


CHILD = """
import sys, time
sys.path.insert(0, sys.argv[1])
from pathlib import Path
import test_costs
test_costs.measure(Path(sys.argv[2]), progress=lambda *told: time.sleep(0.02))
"""


def test_a_killed_process_loses_and_doubles_nothing(uninterrupted: CampaignState, tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    command = [sys.executable, "-c", CHILD, str(Path(__file__).parent), str(path)]

    def readings() -> int:
        try:
            return len(rows(path))
        except sqlite3.OperationalError:  # the table is not there yet
            return 0

    with subprocess.Popen(command) as process:
        while process.poll() is None and not (path.exists() and readings() >= 11):
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    left = rows(path)
    assert 11 <= len(left) < 30
    state = measure(path)
    assert set(left) <= set(rows(path)) and len(rows(path)) == 30
    assert data(state) == data(uninterrupted)


def test_a_journal_that_was_begun_for_latency_gets_costs_later(tmp_path: Path, uninterrupted: CampaignState) -> None:
    path = tmp_path / "journal.sqlite"
    before = measure(path, costs=())
    assert before.readings == {}
    memory = measure(path, costs=("peak_memory_mib",))
    assert set(memory.readings) == {"peak_memory_mib"} and memory.samples_ms == before.samples_ms
    assert set(measure(path, networks=NETWORKS[:1]).readings["energy_mj"].by_network) == {str(NETWORKS[0])}
    assert measure(path).samples_ms == uninterrupted.samples_ms
    assert measure(path, costs=()).readings["energy_mj"].by_network.keys() == set(map(str, NETWORKS))


def test_readings_of_another_sensor_are_not_mixed_in(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    measure(path)
    with sqlite3.connect(path) as connection:
        row = ("energy_mj", "rapl: CPU package-0")
        connection.execute(
            "UPDATE meter SET source = ?, seal = ? WHERE cost = 'energy_mj'", (row[1], seal("meter", row))
        )
    connection.close()
    with pytest.raises(MismatchError, match="energy_mj of .* was measured by rapl: CPU package-0, here is simulated"):
        measure(path)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE reading SET value = 0.0",
        "UPDATE reading SET value = 'much'",
        "UPDATE reading SET beside = '{'",
        """UPDATE reading SET beside = '{"idle_mw": NaN}'""",
        "UPDATE reading SET cost = 'energy_uj' WHERE cost = 'energy_mj'",
        "UPDATE meter SET cost = 'energy_uj' WHERE cost = 'energy_mj'",
        "DROP TABLE meter",
    ],
    ids=["zero", "text", "cut", "nan", "unknown", "unknown-meter", "no-meters"],
)
def test_readings_that_make_no_sense_are_refused(statement: str, tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    measure(path, networks=NETWORKS[:1])
    with sqlite3.connect(path) as connection:
        connection.execute(statement)
    connection.close()
    with pytest.raises(DataError, match="journal.sqlite"):
        read_journal(path)


def test_what_cannot_be_measured_is_refused_before_anything_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Simulated, "sensors", ("nvml",))
    monkeypatch.setitem(sys.modules, "pynvml", None)
    with pytest.raises(DeviceError, match=r"on device simulated here: nvml: .*chronas\[gpu\]"):
        measure(tmp_path / "journal.sqlite")
    with pytest.raises(UsageError, match="unknown cost 'energy_uj'"):
        measure(tmp_path / "journal.sqlite", costs=("energy_uj",))
    assert not (tmp_path / "journal.sqlite").exists()


def test_progress_ends_at_its_total_also_when_it_goes_on(tmp_path: Path) -> None:
    told: list[tuple[str, int, int, str]] = []
    measure(tmp_path / "journal.sqlite", networks=NETWORKS[:2])
    measure(tmp_path / "journal.sqlite", networks=NETWORKS[:3], progress=lambda *step: told.append(step))
    assert [(done, total) for step, done, total, _ in told if step == "costs"] == [(n, 18) for n in range(13, 19)]


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's numbers are Linux's")
def test_memory_of_a_real_device_is_measured_and_goes_on(tmp_path: Path) -> None:
    device, path, plan = make_device("onnxruntime-cpu"), tmp_path / "journal.sqlite", Plan(rounds=2, max_rounds=2)
    for networks in (NETWORKS[:1], NETWORKS[:2]):
        run_campaign(device, SIZE, networks, plan, path, costs=("peak_memory_mib",))
    estimates = read_journal(path).readings["peak_memory_mib"].estimates()
    assert estimates.keys() == set(map(str, NETWORKS[:2]))
    assert all(0 < estimate.value < 50 for estimate in estimates.values())
