"""A check measures a sample again, in new rounds and under the table's plan, and is kept in the table."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from chronas.devices import device_like, make_device
from chronas.devices.simulated import Simulated, SimulatedConfig
from chronas.errors import DataError, MismatchError, UsageError
from chronas.measurement import Plan, read_journal, run_campaign
from chronas.spaces import NetworkSize, make_space
from chronas.tables import CostTable, Repeatability, remeasured

SPACE = make_space("darts")
SIZE = NetworkSize(input_shape=(3, 16, 16), outputs=10, width=8, depth=5)
CONFIG = SimulatedConfig(noise=0.05, drift=0.0)
PLAN = Plan(rounds=3, max_rounds=3)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> CostTable:
    journal = tmp_path_factory.mktemp("table") / "journal.sqlite"
    run_campaign(Simulated(CONFIG), SIZE, SPACE.sample(40, seed=0), PLAN, journal)
    return CostTable.from_journal(journal)


class Slower(Simulated):
    """The same device on a day when all takes 10 % longer."""

    def run_once(self, latency_ms: float) -> float:
        return super().run_once(1.1 * latency_ms)


def test_a_check_agrees_in_order_and_tells_a_changed_level(table: CostTable, tmp_path: Path) -> None:
    later = remeasured(table, Slower(CONFIG), tmp_path / "check.sqlite", networks=25)
    (check,) = later.provenance.checks
    assert check.level_percent == pytest.approx(10, abs=0.2)
    assert (check.agreement.kendall or 0) > 0.9
    assert check.agreement.median_difference_percent == pytest.approx(200 * 0.1 / 2.1, abs=0.3)
    assert check.agreement.networks == 25
    sampled = read_journal(tmp_path / "check.sqlite")
    assert len(sampled.networks) == 25 and set(sampled.networks) < set(table.frame["architecture"])
    assert sampled.header.plan == PLAN
    assert later.frame.equals(table.frame) and table.provenance.checks == ()


def test_shuffled_latencies_do_not_pass_a_check(table: CostTable, tmp_path: Path) -> None:
    """A check that compared the wrong rows would find the same here and above."""
    shuffled = table.frame.with_columns(table.frame["architecture"].shuffle(seed=1))
    check = remeasured(CostTable(shuffled, table.provenance), Simulated(CONFIG), tmp_path / "c.sqlite", networks=40)
    assert abs(check.provenance.checks[0].agreement.kendall or 0) < 0.4


def test_checks_are_kept_in_the_file_and_told(table: CostTable, tmp_path: Path) -> None:
    once = remeasured(table, Simulated(CONFIG), tmp_path / "1.sqlite", networks=5)
    twice = remeasured(once, Simulated(CONFIG), tmp_path / "2.sqlite", networks=99, seed=1)
    twice.save(tmp_path / "costs.parquet")
    found = CostTable.load(tmp_path / "costs.parquet")
    assert found.provenance == twice.provenance
    assert [check.agreement.networks for check in found.provenance.checks] == [5, 40]
    told = dict(found.describe())
    assert "5 networks after" in told["check 1"] and "40 networks after" in told["check 2"]


def test_another_device_no_plan_and_too_few_networks_are_refused(table: CostTable, tmp_path: Path) -> None:
    journal = tmp_path / "check.sqlite"
    with pytest.raises(MismatchError, match="noise is 0.05 there"):
        remeasured(table, Simulated(SimulatedConfig(noise=0.2, drift=0.0)), journal, networks=5)
    with pytest.raises(UsageError, match="at least two networks"):
        remeasured(table, Simulated(CONFIG), journal, networks=1)
    given = CostTable(table.frame, replace(table.provenance, plan={}, source="a paper"))
    with pytest.raises(DataError, match=r"\(a paper\) has no plan"):
        remeasured(given, Simulated(CONFIG), journal, networks=5)
    assert not journal.exists()


def test_a_device_comes_back_from_its_fingerprint() -> None:
    assert device_like(Simulated(CONFIG).fingerprint()).config == CONFIG
    device = make_device("eager-cpu")
    assert device_like(device.fingerprint()).fingerprint() == device.fingerprint()
    with pytest.raises(UsageError, match="unknown device"):
        device_like({"name": "abacus"})


def test_two_measurements_agree_or_not() -> None:
    agreement = Repeatability.between([1.0, 2.0, 3.0], [1.1, 2.2, 3.3])
    assert agreement.kendall == 1.0 and agreement.median_difference_percent == pytest.approx(20 / 2.1)
    assert str(agreement) == "Kendall 1.000, 9.5 % apart"
    assert str(Repeatability.between([], [])) == "unknown"
    assert Repeatability.between([1.0, 2.0], [2.0, 1.0]).kendall is None
