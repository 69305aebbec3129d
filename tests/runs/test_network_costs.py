"""Devices that are not here: costs come from the table or are predicted, none is measured, and reports say so."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from chronas.cli.main import main
from chronas.devices import OfflineConfig, make_device
from chronas.devices.simulated import Simulated
from chronas.errors import DeviceError, MismatchError
from chronas.runs import Run, device_of, execute, fit_all, measure, read_choice
from chronas.runs.network_costs import costs_of, of_row, recorded
from chronas.tables import CostTable
from tiny_run import FLAGS, tiny_config

BOARD = {"name": "board", "hardware": "A board far away", "batch": 1}
CHEAP = ("--networks", "40", "--no-baseline", "--latency-weight", "0.0", "--rerank.candidates", "4")


def elsewhere(table: CostTable) -> CostTable:
    """The same numbers, of a device that no machine here has."""
    return CostTable(table.frame, replace(table.provenance, device=dict(BOARD)))


@pytest.fixture(scope="module")
def table(finished: Run) -> CostTable:
    return elsewhere(CostTable.load(finished.folder / "costs.parquet"))


def a_run(table: CostTable, folder: Path, **changes: object) -> Run:
    name, config = device_of(table)
    changes = {"device": name, "device_config": config, "baseline": False, "latency_weight": 0.0, **changes}
    return Run.create(folder, tiny_config(**changes), command="x", table=table)


def test_a_device_that_is_here_is_taken_with_the_tables_settings(finished: Run) -> None:
    own = CostTable.load(finished.folder / "costs.parquet")
    assert device_of(own) == ("simulated", finished.config.device_config)
    drifting = {**own.provenance.device, "drift": 0.25}
    name, config = device_of(CostTable(own.frame, replace(own.provenance, device=drifting)))
    assert (name, config.drift) == ("simulated", 0.25)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "changed",
    [BOARD, {"name": "onnxruntime-cpu", "hardware": "Another CPU", "threads": 1}, {"name": "eyeriss", "batch": 1}],
    ids=["name", "hardware", "nothing but a name"],
)
def test_a_device_that_is_not_here_is_known_by_its_table(finished: Run, changed: dict[str, str | int | float]) -> None:
    own = CostTable.load(finished.folder / "costs.parquet")
    moved = CostTable(own.frame, replace(own.provenance, device=changed))
    assert device_of(moved) == ("recorded", OfflineConfig(fingerprint=changed))
    device = make_device(*device_of(moved))
    moved.require(device=device)
    with pytest.raises(DeviceError, match=r"nothing can be measured on .*, it is not on this machine"):
        device.prepare(own.architectures()[0], own.provenance.size)


def test_hardware_that_is_here_with_another_version_is_refused_not_passed_over(finished: Run, tmp_path: Path) -> None:
    own = CostTable.load(finished.folder / "costs.parquet")
    other = CostTable(own.frame, replace(own.provenance, device={**own.provenance.device, "version": "9.0"}))
    with pytest.raises(MismatchError, match=r"version is 9.0 there, 1 here"):
        a_run(other, tmp_path / "run")


def test_what_is_measured_while_the_machine_is_busy_is_told_as_at_rest(tmp_path: Path, monkeypatch) -> None:
    """A neighbour that comes between the table and a candidate: all runs take 40 % longer from then on."""
    run = Run.create(tmp_path / "run", tiny_config(), command="x")
    table = measure(run)
    networks = table.architectures()[:3]
    run_once = Simulated.run_once
    monkeypatch.setattr(Simulated, "run_once", lambda device, latency_ms: run_once(device, 1.4 * latency_ms))
    costs = costs_of(run, "choose limit", networks)
    measured_ms = [costs[str(network)]["latency_ms"].value for network in networks]
    np.testing.assert_allclose(measured_ms, table.costs()[:3], rtol=0.03)


def test_a_limit_is_kept_by_the_tables_own_costs_and_the_report_says_that_nothing_was_measured(
    table: CostTable, tmp_path: Path
) -> None:
    limit_ms = float(np.quantile(table.costs(), 0.5))
    run = a_run(table, tmp_path / "run", limit_ms=limit_ms)
    report = execute(run)
    network = report.networks[0]
    choice = read_choice(run.folder / "networks" / "limit")
    known = {str(a): float(ms) for a, ms in zip(table.architectures(), table.costs(), strict=True)}
    assert (
        choice.costs["latency_ms"].source
        == network.source
        == ("table" if network.architecture in known else "predicted")
    )
    assert network.latency.high <= limit_ms
    assert report.verdict.met is True
    assert "not measured here" in report.verdict.text
    assert any(note.startswith("Not measured here: device board (A board far away)") for note in report.notes)
    assert report.title.endswith("for board")
    assert report.asked["device"] == "board (A board far away), not on this machine"
    assert not list(run.folder.glob("*.sqlite")), "nothing was measured"
    page = (run.folder / "report.html").read_text(encoding="utf-8")
    assert "Measured latency" not in page


def test_a_network_of_the_table_costs_what_the_table_says_and_another_is_predicted(
    table: CostTable, tmp_path: Path
) -> None:
    run = a_run(table, tmp_path / "run")
    predictor = fit_all(run, measure(run))["latency_ms"]
    inside = table.architectures()[3]
    outside = next(a for a in run.space.sample(100, seed=77) if a not in set(table.architectures()))
    found = recorded(run, [inside, outside])
    assert found[str(inside)] == of_row(table, 3, [])
    assert found[str(inside)]["latency_ms"].value == table.costs()[3]
    assert found[str(inside)]["latency_ms"].source == "table"
    prediction = predictor.predict(run.space.encode([outside]))
    other = found[str(outside)]["latency_ms"]
    assert other.source == "predicted"
    assert other.value == float(prediction.mean[0])
    assert other.high - other.value == pytest.approx(1.959964 * float(prediction.std[0]))


def test_the_command_takes_the_tables_device_and_says_that_it_is_not_here(
    table: CostTable, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table.save(tmp_path / "board.parquet")
    flags = [flag for flag in FLAGS if flag not in {"--device", "simulated", "--latency-weight", "2.0"}]
    search = ["search", "--table", str(tmp_path / "board.parquet"), *flags, *CHEAP, "--out", str(tmp_path / "run")]
    assert main(search) == 0
    answer = capsys.readouterr().out
    assert "not measured here: device board (A board far away) is not on this machine; costs are" in answer
    assert Run.open(tmp_path / "run").recorded
    named = [*search[:-1], str(tmp_path / "named"), "--device", "simulated"]
    assert main(named) == 2
    assert "device: name is board there, simulated here" in capsys.readouterr().err
