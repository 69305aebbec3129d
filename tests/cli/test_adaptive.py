"""`chronas measure adaptive`: its answer, and a second attempt that goes on with the journal of the first."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chronas.cli.main import main
from chronas.measurement import read_journal
from chronas.tables import CostTable

Capture = pytest.CaptureFixture[str]
SIZE = ["--size.input-shape", "3", "8", "8", "--size.width", "4", "--size.depth", "1"]


def command(out: Path, *more: str) -> list[str]:
    device = ["--device", "simulated", "--space", "nasbench201", "--predictor", "lookup", *SIZE]
    return ["measure", "adaptive", "--until-mape", "2", *device, "--out", str(out), *more]


def test_it_says_why_it_ended_and_writes_the_table(tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "costs.parquet"
    assert main(command(out, "--networks", "120")) == 0
    told = capsys.readouterr().out
    assert "Reached: the error is below 2 %" in told and str(out) in told
    table = CostTable.load(out)
    assert len(table) < 120 and "networks at random, others where lookup was unsure" in table.provenance.source
    assert main(command(out)) == 2
    assert "exists; choose another --out" in capsys.readouterr().err


def test_a_larger_budget_goes_on_with_what_was_measured(tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "costs.parquet"
    first = command(out, "--networks", "31", "--device.noise", "0.3", "--plan.interval-percent", "100")
    assert main([*first, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["reason"] in {"budget", "noise"}
    measured = read_journal(tmp_path / "costs.sqlite").networks
    out.unlink()
    assert main([*first[:-5], "40", *first[-4:], "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert read_journal(tmp_path / "costs.sqlite").networks[: len(measured)] == measured
    assert answer["steps"][0]["networks"] == len(measured)


def test_another_cost_is_judged_where_it_is_measured(tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "eyeriss.parquet"
    device = ["--device", "eyeriss", "--space", "nasbench201", "--predictor", "lookup", "--networks", "60"]
    until = ["measure", "adaptive", "--until-mape", "20", *device, "--out", str(out), "--cost", "energy_mj"]
    assert main(until) == 2
    assert "--cost energy_mj is not measured: give it to --costs too" in capsys.readouterr().err
    assert main([*until, "--costs", "energy_mj", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["steps"][-1]["networks"] == len(CostTable.load(out).of("energy_mj"))
