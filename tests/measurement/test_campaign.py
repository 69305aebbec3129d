"""Campaigns on the simulated device, where everything can be compared with the truth and with an uninterrupted run."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chronas.devices import hardware_lock, make_device
from chronas.devices.simulated import Simulated, SimulatedConfig
from chronas.errors import DataError, DeviceError, MismatchError, UsageError
from chronas.measurement import CampaignState, Plan, read_journal, run_campaign
from chronas.spaces import Architecture, NetworkSize, make_space

SIZE = NetworkSize(input_shape=(3, 32, 32), outputs=10, width=16, depth=8)
NETWORKS = make_space("darts").sample(10, seed=0)
NOISY = SimulatedConfig(noise=0.5, drift=0.05, drift_period_s=7.0)
PLAN = Plan(rounds=3, max_rounds=5, repeats=3, interval_percent=30.0, block=4)
UNDIVIDED = {"reference_every": 0}


def measure(
    path: Path, device: Simulated | None = None, plan: Plan = PLAN, networks=NETWORKS, **options
) -> CampaignState:
    run_campaign(device or Simulated(NOISY), SIZE, networks, plan, path, **options)
    return read_journal(path)


def data(state: CampaignState) -> tuple[object, ...]:
    """All that two campaigns must have in common to be the same, to the last bit."""
    samples = {text: sorted(rounds.items()) for text, rounds in state.samples_ms.items()}
    return state.blocks, samples, state.references, state.clock_s, state.latencies()


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> CampaignState:
    return measure(tmp_path_factory.mktemp("whole") / "journal.sqlite")


def rows(path: Path, statement: str) -> list[tuple]:
    with sqlite3.connect(path) as connection:
        return connection.execute(statement).fetchall()


def test_without_noise_the_latency_is_the_true_one(tmp_path: Path) -> None:
    device = Simulated(SimulatedConfig(noise=0.0))
    latencies = measure(tmp_path / "journal.sqlite", device).latencies()
    assert list(latencies) == [str(network) for network in NETWORKS]
    for network in NETWORKS:
        latency, true_ms = latencies[str(network)], device.true_latency_ms(network, SIZE)
        assert (latency.value, latency.low, latency.high, latency.p95) == (true_ms,) * 4
        assert latency.rounds == (true_ms,) * 3


def test_noise_shows_in_the_summary_as_configured(tmp_path: Path) -> None:
    device = Simulated(SimulatedConfig(noise=0.1))
    networks = make_space("darts").sample(40, seed=1)
    latencies = measure(tmp_path / "journal.sqlite", device, Plan(repeats=20, **UNDIVIDED), networks).latencies()
    true_ms = np.array([device.true_latency_ms(network, SIZE) for network in networks])
    relative = {
        name: np.mean([getattr(lat, name) for lat in latencies.values()] / true_ms)
        for name in ("value", "median", "p95")
    }
    assert relative["value"] == pytest.approx(1 + 0.1 / 20, abs=0.003)
    assert relative["median"] == pytest.approx(1 + 0.1 * np.log(2), abs=0.01)
    assert relative["p95"] == pytest.approx(1 + 0.1 * np.log(20), abs=0.03)


def test_drift_shows_in_the_reference_as_configured(tmp_path: Path) -> None:
    device = Simulated(SimulatedConfig(noise=0.0, drift=0.1, drift_period_s=0.7))
    state = measure(tmp_path / "journal.sqlite", device, Plan(rounds=5, max_rounds=5, block=3))
    assert state.drift_percent() == pytest.approx(20, abs=2)
    steady = measure(tmp_path / "steady.sqlite", Simulated(SimulatedConfig(noise=0.0)))
    assert steady.drift_percent() == 0


def test_rounds_are_apart_and_each_is_in_an_order_of_its_own(tmp_path: Path) -> None:
    measure(tmp_path / "journal.sqlite", plan=Plan(rounds=3, max_rounds=3, block=100))
    found = rows(
        tmp_path / "journal.sqlite", "SELECT round, architecture, start_s, end_s FROM measurement ORDER BY start_s"
    )
    assert [index for index, *_ in found] == [0] * 10 + [1] * 10 + [2] * 10
    orders = [tuple(text for index, text, *_ in found if index == wanted) for wanted in range(3)]
    assert len(set(orders)) == 3
    assert all(sorted(order) == sorted(map(str, NETWORKS)) for order in orders)
    assert all(before[3] <= after[2] for before, after in zip(found, found[1:], strict=False))
    measure(tmp_path / "again.sqlite", plan=Plan(rounds=3, max_rounds=3, block=100, seed=1))
    again = rows(tmp_path / "again.sqlite", "SELECT architecture FROM measurement WHERE round = 0 ORDER BY start_s")
    assert tuple(text for (text,) in again) != orders[0]


@pytest.mark.parametrize(
    ("every", "order"), [(1, "rnrnrnrnrnrnrnrnrnrnr"), (3, "rnnnrnnnrnnnrnr"), (20, "rnnnnnnnnnnr"), (0, "nnnnnnnnnn")]
)
def test_the_reference_stands_between_the_networks_of_every_round(every: int, order: str, tmp_path: Path) -> None:
    state = measure(tmp_path / "journal.sqlite", plan=Plan(rounds=2, max_rounds=2, reference_every=every))
    starts = "SELECT 'network' AS kind, start_s FROM measurement UNION ALL SELECT 'reference', start_s FROM reference"
    found = [kind[0] for kind, _ in rows(tmp_path / "journal.sqlite", f"{starts} ORDER BY start_s")]
    assert "".join(found) == order * 2
    count = order.count("r")
    assert set(state.references) == {(0, index, place) for index in range(2) for place in range(count)}
    assert len({reference.samples_ms for reference in state.references.values()}) == 2 * count


def test_latencies_are_divided_by_the_drift_of_their_moment(tmp_path: Path) -> None:
    """A machine whose speed swings by 30 % every 9 s: without the reference that goes into the latencies."""
    device = SimulatedConfig(noise=0.001, drift=0.3, drift_period_s=9.0)
    networks = make_space("darts").sample(60, seed=3)
    true_ms = np.array([Simulated(device).true_latency_ms(network, SIZE) for network in networks])
    spread_percent = {}
    for every in (0, 1):
        plan = Plan(rounds=2, max_rounds=2, reference_every=every)
        state = measure(tmp_path / f"{every}.sqlite", Simulated(device), plan, networks)
        relative = np.array([latency.value for latency in state.latencies().values()]) / true_ms
        spread_percent[every] = 100 * np.std(relative) / np.mean(relative)
    assert spread_percent[0] > 5 and spread_percent[1] < 0.5
    assert np.mean(relative) == pytest.approx(0.7, abs=0.05)  # the machine at its quickest is what is told


class Busier(Simulated):
    """The same device, all of whose runs take 40 % longer."""

    def run_once(self, latency_ms: float) -> float:
        return super().run_once(1.4 * latency_ms)


def values_ms(state: CampaignState) -> np.ndarray:
    return np.array([latency.value for latency in state.latencies().values()])


def test_load_that_lasts_a_whole_campaign_is_told_by_an_earlier_one_that_knew_the_machine_at_rest(
    tmp_path: Path,
) -> None:
    config = SimulatedConfig(noise=0.001)
    quiet = measure(tmp_path / "quiet.sqlite", Simulated(config))
    alone = measure(tmp_path / "alone.sqlite", Busier(config))
    np.testing.assert_allclose(values_ms(alone) / values_ms(quiet), 1.4, rtol=0.002)
    measure(tmp_path / "busy.sqlite", Busier(config), networks=NETWORKS[:4], earlier=[tmp_path / "quiet.sqlite"])
    busy = measure(tmp_path / "busy.sqlite", Busier(config), earlier=[tmp_path / "busy.sqlite"])  # goes on as it began
    np.testing.assert_allclose(values_ms(busy), values_ms(quiet), rtol=0.002)
    assert busy.idle_reference_ms == quiet.idle_reference_ms < alone.idle_reference_ms / 1.39
    later = measure(tmp_path / "later.sqlite", Simulated(config), earlier=[tmp_path / "alone.sqlite"])
    assert later.latencies() == quiet.latencies()  # the quieter campaign is itself what is known of rest


def test_earlier_journals_are_read_for_a_new_journal_alone(tmp_path: Path) -> None:
    damaged, journal = tmp_path / "damaged.sqlite", tmp_path / "journal.sqlite"
    damaged.write_text("no journal")
    with pytest.raises(DataError):
        measure(journal, networks=NETWORKS[:4], earlier=[damaged])
    assert not journal.exists()
    measure(journal, networks=NETWORKS[:4], earlier=[journal])  # nothing is known of itself before it is there
    assert measure(journal, earlier=[damaged, tmp_path / "gone.sqlite"]).header.idle_reference_ms is None


@pytest.mark.parametrize(
    ("device", "plan"),
    [(SimulatedConfig(noise=0.001, base_ms=0.1), PLAN), (NOISY, PLAN.model_copy(update={"repeats": 9}))],
    ids=["another device", "another way of timing"],
)
def test_a_campaign_that_timed_another_reference_or_otherwise_says_nothing_of_rest(
    device: SimulatedConfig, plan: Plan, tmp_path: Path
) -> None:
    alone = measure(tmp_path / "alone.sqlite", Simulated(NOISY))
    measure(tmp_path / "other.sqlite", Simulated(device), plan)
    beside = measure(tmp_path / "beside.sqlite", Simulated(NOISY), earlier=[tmp_path / "other.sqlite"])
    assert data(beside) == data(alone) and beside.header.idle_reference_ms is None


def test_a_machine_that_is_busy_and_the_priority_that_was_had_are_kept(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(Simulated, "background_cores", lambda device: 1.5)
    monkeypatch.setattr(Simulated, "realtime_priority", lambda device: nullcontext("high"))
    state = measure(tmp_path / "journal.sqlite")
    assert state.background_cores() == 1.5 and state.priority() == "high"
    ordinary = measure(tmp_path / "ordinary.sqlite", plan=PLAN.model_copy(update={"priority": "normal"}))
    assert ordinary.priority() == "normal"


def test_only_networks_that_are_known_badly_get_more_rounds(uninterrupted: CampaignState) -> None:
    counts = [uninterrupted.rounds_done(str(network)) for network in NETWORKS]
    assert min(counts) == 3 and max(counts) == 5
    for network in NETWORKS:
        done = uninterrupted.rounds_done(str(network))
        for before in range(3, done):
            assert uninterrupted.latency(str(network), before).half_width_percent > 30.0
        if done < 5:
            assert uninterrupted.latency(str(network)).half_width_percent <= 30.0


@pytest.mark.parametrize(
    ("plan", "expected"),
    [
        (PLAN, "oooo" + "rrr" + "cccc" + "oooo" + "cccc" + "oo" + "cc" + "RRR"),
        (Plan(rounds=4, max_rounds=4, rebuild_every=2), 10 * "o" + "rrr" + 10 * "c" + 10 * "o" + 10 * "c" + "RRR"),
        (Plan(rounds=4, max_rounds=4, rebuild_every=0), 10 * "o" + "rrr" + 10 * "c" + "RRR"),
        (Plan(rounds=2, max_rounds=2, reference_every=0), 10 * "o" + 10 * "c"),
    ],
    ids=["blocks", "built anew halfway", "built once", "without a reference"],
)
def test_networks_are_held_for_a_block_and_references_for_a_campaign(
    plan: Plan, expected: str, tmp_path: Path, monkeypatch
) -> None:
    events: list[str] = []
    prepare = Simulated.prepare

    def spy(device: Simulated, architecture: Architecture, *args, **options):
        runner = prepare(device, architecture, *args, **options)
        known = architecture in NETWORKS
        events.append("o" if known else "r")
        monkeypatch.setattr(runner, "close", lambda: events.append("c" if known else "R"))
        return runner

    monkeypatch.setattr(Simulated, "prepare", spy)
    measure(tmp_path / "journal.sqlite", plan=plan)
    assert "".join(events) == expected


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


@settings(deadline=None, max_examples=25)
@given(stops=st.lists(st.integers(1, 40), min_size=1, max_size=6))
def test_a_campaign_stopped_anywhere_goes_on_to_the_same_bits(
    stops: list[int], uninterrupted: CampaignState, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("stopped") / "journal.sqlite"
    for stop in stops:
        device = Interrupted(NOISY)
        device.left = stop
        with pytest.raises(KeyboardInterrupt):
            measure(path, device)
    assert data(measure(path)) == data(uninterrupted)


@pytest.mark.parametrize("stop", [1, 2, 17, 30])
def test_a_campaign_stopped_after_a_row_goes_on_to_the_same_bits(
    stop: int, uninterrupted: CampaignState, tmp_path: Path
) -> None:
    def progress(step: str, done: int, total: int, note: str) -> None:
        if step == "measure" and done == stop:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure(tmp_path / "journal.sqlite", progress=progress)
    assert sum(map(len, read_journal(tmp_path / "journal.sqlite").samples_ms.values())) == stop
    assert data(measure(tmp_path / "journal.sqlite")) == data(uninterrupted)


CHILD = """
import sys, time
sys.path.insert(0, sys.argv[1])
from pathlib import Path
import test_campaign
test_campaign.measure(Path(sys.argv[2]), progress=lambda *told: time.sleep(0.02))
"""


def test_a_killed_process_loses_and_doubles_nothing(uninterrupted: CampaignState, tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    command = [sys.executable, "-c", CHILD, str(Path(__file__).parent), str(path)]
    with subprocess.Popen(command) as process:
        while process.poll() is None and not (path.exists() and len(rows(path, "SELECT * FROM measurement")) >= 9):
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    left = rows(path, "SELECT architecture, round, samples_ms FROM measurement")
    assert 9 <= len(left) < sum(map(len, uninterrupted.samples_ms.values()))
    state = measure(path)
    assert all(state.samples_ms[text][index] == json.loads(samples_ms) for text, index, samples_ms in left)
    assert data(state) == data(uninterrupted)


def test_a_finished_campaign_is_not_measured_again(tmp_path: Path, monkeypatch) -> None:
    first = measure(tmp_path / "journal.sqlite")
    monkeypatch.setattr(Simulated, "prepare", lambda *args, **options: pytest.fail("prepared a network again"))
    assert data(measure(tmp_path / "journal.sqlite")) == data(first)


def test_more_networks_can_be_asked_for_later_and_fewer_leave_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    first = measure(path, networks=[*NETWORKS[:3], NETWORKS[0]])
    assert first.networks == [str(network) for network in NETWORKS[:3]]
    more = measure(path, networks=NETWORKS)
    assert more.networks == [str(network) for network in NETWORKS]
    assert {text: more.samples_ms[text] for text in first.networks} == first.samples_ms
    assert len(more.latencies()) == 10
    assert data(measure(path, networks=NETWORKS[5:6])) == data(more)


def test_progress_has_a_rate_and_ends_at_the_total(tmp_path: Path) -> None:
    told: list[tuple[str, int, int, str]] = []
    measure(tmp_path / "journal.sqlite", progress=lambda *step: told.append(step))
    told = [each for each in told if not each[3].startswith("waiting")]  # for a test that times beside this one
    measured = [(done, total) for step, done, total, _ in told if step == "measure"]
    assert [done for done, _ in measured] == list(range(1, len(measured) + 1))
    assert measured[0][1] == 30 and measured[-1][0] == measured[-1][1] > 30
    assert all("rounds/s" in note for step, _, _, note in told if step == "measure")
    built = [(done, total) for step, done, total, _ in told if step == "prepare"]
    assert built[-1][0] == built[-1][1]


def test_waiting_for_the_hardware_is_told(tmp_path: Path) -> None:
    class Told(Exception):
        pass

    def progress(step: str, done: int, total: int, note: str) -> None:
        if note.startswith("waiting: another process is timing on simulated"):
            raise Told

    with hardware_lock("simulated"), pytest.raises(Told):
        measure(tmp_path / "journal.sqlite", progress=progress)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda path: measure(path, Simulated(SimulatedConfig(seed=5))), "device: drift is"),
        (lambda path: measure(path, plan=PLAN.model_copy(update={"repeats": 4})), "plan: repeats is 3 there, 4 here"),
        (lambda path: measure(path, networks=make_space("nasbench201").sample(2, seed=0)), "space is darts there"),
        (
            lambda path: run_campaign(Simulated(NOISY), SIZE.model_copy(update={"width": 8}), NETWORKS, PLAN, path),
            "size is cifar stem, width 16",
        ),
    ],
)
def test_a_journal_of_another_campaign_is_refused(change: Callable[[Path], object], word: str, tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    before = measure(path, networks=NETWORKS[:2])
    with pytest.raises(MismatchError, match=word):
        change(path)
    assert data(read_journal(path)) == data(before)


def test_several_spaces_and_no_network_are_refused(tmp_path: Path) -> None:
    mixed = [NETWORKS[0], make_space("nasbench201").sample(1, seed=0)[0]]
    for networks in ([], mixed):
        with pytest.raises(UsageError, match="of one space"):
            measure(tmp_path / "journal.sqlite", networks=networks)
    assert not (tmp_path / "journal.sqlite").exists()


def test_a_run_that_took_no_time_stops_the_campaign_and_is_not_written(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(Simulated, "run_once", lambda device, latency_ms: 0.0)
    with pytest.raises(DeviceError, match="more than 0 ms"):
        measure(tmp_path / "journal.sqlite")
    assert not read_journal(tmp_path / "journal.sqlite").samples_ms


def test_a_real_device_is_measured_and_goes_on(tmp_path: Path) -> None:
    small = NetworkSize(input_shape=(3, 16, 16), outputs=10, width=4, depth=3)
    device, plan, path = (
        make_device("onnxruntime-cpu"),
        Plan(rounds=2, max_rounds=2, repeats=3),
        tmp_path / "journal.sqlite",
    )
    run_campaign(device, small, NETWORKS[:2], plan, path)
    run_campaign(device, small, NETWORKS[:4], plan, path)
    state = read_journal(path)
    assert len(state.latencies()) == 4
    assert all(len(samples_ms) == 3 for rounds in state.samples_ms.values() for samples_ms in rounds.values())
