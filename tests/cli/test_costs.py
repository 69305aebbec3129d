"""Costs beside latency on the command line: measure, show, fit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chronas.cli.main import main
from chronas.measurement.sensors import rapl
from chronas.predictors import load_predictor
from chronas.tables import CostTable

Capture = pytest.CaptureFixture[str]
SMALL = ["--space", "nasbench201", "--size.width", "8", "--size.depth", "3"]
SMALL += ["--plan.rounds", "2", "--plan.max-rounds", "2"]
SIMULATED = ["--device", "simulated", "--device.base-ms", "20", "--networks", "60"]


def test_energy_and_memory_are_measured_shown_and_learned(tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "costs.parquet"
    words = ["measure", "run", *SMALL, *SIMULATED, "--out", str(out), "--costs", "energy_mj", "peak_memory_mib"]
    assert main([*words, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert " mJ; " in answer["energy_mj"] and " MiB; " in answer["peak_memory_mib"]
    assert main(["table", "show", str(out), "--rows", "2"]) == 0
    shown = capsys.readouterr().out
    assert "energy mJ" in shown and "peak memory MiB" in shown and "null" not in shown.lower()
    predictor = tmp_path / "energy.safetensors"
    fit = ["fit", "--table", str(out), "--cost", "energy_mj", "--predictor", "lookup", "--out", str(predictor)]
    assert main(fit) == 0
    told = capsys.readouterr().out
    assert "RMSE mJ" in told and " ms" not in told and "latenc" not in told
    median_mj = float(CostTable.load(out).frame["energy_mj"].median())
    assert load_predictor(predictor).median == pytest.approx(median_mj)


def test_latency_alone_is_measured_by_default(tmp_path: Path, capsys: Capture) -> None:
    assert main(["measure", "run", *SMALL, *SIMULATED, "--out", str(tmp_path / "costs.parquet"), "--json"]) == 0
    assert not {"energy_mj", "peak_memory_mib"} & json.loads(capsys.readouterr().out).keys()
    assert main(["fit", "--table", str(tmp_path / "costs.parquet"), "--cost", "energy_mj"]) == 2
    assert "has no cost energy_mj, only latency_ms: measure with --costs" in capsys.readouterr().err


def test_energy_without_a_sensor_is_one_line_that_says_why(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rapl, "POWERCAP", tmp_path / "none")
    out = tmp_path / "costs.parquet"
    assert main(["measure", "run", *SMALL, "--device", "eager-cpu", "--out", str(out), "--costs", "energy_mj"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "energy_mj cannot be measured on device eager-cpu here: rapl: no CPU" in error
    assert list(tmp_path.iterdir()) == []


def test_a_cost_that_there_is_not_is_refused_with_those_that_are(tmp_path: Path, capsys: Capture) -> None:
    assert main(["measure", "run", *SMALL, "--out", str(tmp_path / "costs.parquet"), "--costs", "energy_uj"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "energy_mj" in error and "peak_memory_mib" in error


def test_a_bundle_measures_no_costs_and_says_so(tmp_path: Path, capsys: Capture) -> None:
    assert main(["measure", "bundle", *SMALL, "--out", str(tmp_path / "bundle"), "--costs", "energy_mj"]) == 2
    assert "there is no option --costs" in capsys.readouterr().err
    assert not (tmp_path / "bundle").exists()
