"""Tables with more costs than latency, from the journal to the predictor."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from chronas.devices.simulated import IDLE_MW, Simulated, SimulatedConfig
from chronas.errors import DataError, MismatchError, UsageError
from chronas.measurement import Plan, run_campaign
from chronas.predictors import PredictorReport, fit_and_report, load_predictor
from chronas.spaces import NetworkSize, make_space
from chronas.tables import CostTable
from chronas.tables.provenance import COST_COLUMNS
from chronas.units import COST_UNITS

SIZE = NetworkSize(input_shape=(3, 16, 16), outputs=10, width=8, depth=3)
SPACE = make_space("nasbench201")
NETWORKS = SPACE.sample(60, seed=0)
PLAN = Plan(rounds=2, max_rounds=2, repeats=2)
DEVICE = Simulated(SimulatedConfig(noise=0.0, base_ms=20.0))


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> CostTable:
    journal = tmp_path_factory.mktemp("costs") / "journal.sqlite"
    run_campaign(DEVICE, SIZE, NETWORKS, PLAN, journal, costs=("energy_mj",))
    run_campaign(DEVICE, SIZE, NETWORKS[:8], PLAN, journal, costs=("peak_memory_mib",))
    return CostTable.from_journal(journal)


def test_every_columns_name_ends_in_its_costs_unit() -> None:
    assert COST_COLUMNS.keys() == COST_UNITS.keys()
    for cost, columns in COST_COLUMNS.items():
        suffix = f"_{COST_UNITS[cost].lower()}"
        assert all(name.endswith(suffix) for name in (cost, columns.low, columns.high, columns.rounds))


def test_energy_is_in_millijoules_and_memory_in_mebibytes(table: CostTable) -> None:
    energy, memory = table.of("energy_mj"), table.of("peak_memory_mib")
    seconds = table.costs() / 1000
    work_mj = np.array([DEVICE.true_work_mj(network, SIZE) for network in NETWORKS])
    assert np.allclose(energy.costs(), IDLE_MW * seconds + work_mj, rtol=1e-9)
    assert energy.frame["energy_idle_mw"].to_list() == pytest.approx([IDLE_MW] * len(NETWORKS))
    assert "energy_background_cores" not in energy.frame.columns
    assert memory.costs().tolist() == [DEVICE.true_memory_mib(network, SIZE) for network in NETWORKS[:8]]
    assert [len(rounds) for rounds in memory.rounds()] == [3] * 8


def test_networks_without_a_cost_are_gaps_and_left_out_of_its_table(table: CostTable) -> None:
    assert len(table) == 60 and table.frame["peak_memory_mib"].null_count() == 52
    assert len(table.of("peak_memory_mib")) == 8 and len(table.of("energy_mj")) == 60
    with pytest.raises(DataError, match="has no cost energy_uj, only latency_ms, energy_mj, peak_memory_mib"):
        table.of("energy_uj")
    with pytest.raises(DataError, match="has no cost latency_p95_ms"):
        table.of("latency_p95_ms")


def test_it_comes_back_from_its_file_and_a_changed_energy_is_noticed(table: CostTable, tmp_path: Path) -> None:
    table.save(tmp_path / "costs.parquet")
    loaded = CostTable.load(tmp_path / "costs.parquet")
    assert loaded.frame.equals(table.frame) and loaded.provenance == table.provenance
    assert loaded.provenance.sources["energy_mj"] == "simulated: simulated device"
    metadata = pl.read_parquet_metadata(tmp_path / "costs.parquet")
    for name, dtype in loaded.frame.schema.items():
        if name.startswith(("energy", "peak", "round_energies")):
            times = pl.col(name) * 1.000001 if dtype == pl.Float64() else pl.col(name).list.reverse().list.head(2)
            changed = loaded.frame.with_columns(times)
            changed.write_parquet(
                tmp_path / "changed.parquet", metadata={k: v for k, v in metadata.items() if k.startswith("chronas")}
            )
            with pytest.raises(DataError, match="numbers do not match their checksum"):
                CostTable.load(tmp_path / "changed.parquet")


@pytest.mark.parametrize("wrong", [0.0, -1.0, float("nan")], ids=["zero", "negative", "nan"])
def test_an_energy_of_nothing_is_refused_also_beside_the_latency(wrong: float, table: CostTable) -> None:
    with pytest.raises(DataError, match="energy_mj should be finite and above zero"):
        CostTable(table.frame.with_columns(energy_mj=pl.lit(wrong)), table.provenance)


def test_a_table_tells_all_its_costs_with_their_units(table: CostTable) -> None:
    described = dict(table.describe())
    assert described["energy_mj"].endswith("; energy_idle_mw 2000; simulated: simulated device")
    assert " mJ; +-" in described["energy_mj"]
    assert "52 architectures without" in described["peak_memory_mib"] and " MiB; " in described["peak_memory_mib"]
    energy = dict(table.of("energy_mj").describe())
    assert "latency_ms" not in energy and "Kendall 0.99" in energy["repeatability"]


def test_a_predictor_learns_energy_and_its_file_and_report_say_so(table: CostTable, tmp_path: Path) -> None:
    energy = table.of("energy_mj")
    predictor, report = fit_and_report("lookup", energy)
    assert report.cost == "energy_mj" and report.measured == tuple(energy.costs())
    assert report.scores.kendall > 0.99  # energy is additive here, as latency is
    assert PredictorReport.from_json(report.to_json()) == report
    old = {key: value for key, value in report.to_json().items() if key != "cost"}
    assert PredictorReport.from_json(old) == replace(report, cost="latency_ms")
    predictor.save(tmp_path / "energy.safetensors")
    assert load_predictor(tmp_path / "energy.safetensors").learned == "energy_mj"
    assert predictor.median == pytest.approx(np.median(energy.costs()))
    with pytest.raises(UsageError, match="should end in its unit, .* got 'energy'"):
        predictor.fit(SPACE.encode(NETWORKS), energy.costs(), seed=0, cost="energy")


def test_a_table_of_energies_is_not_taken_for_latencies(table: CostTable) -> None:
    table.require(cost="latency_ms")
    with pytest.raises(MismatchError, match="cost is energy_mj there, latency_ms here"):
        table.of("energy_mj").require(cost="latency_ms")
