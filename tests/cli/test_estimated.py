"""LayerCostDevice devices on the command line: a whole space in seconds, and no option that does nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chronas.cli.main import main
from chronas.tables import CostTable

Capture = pytest.CaptureFixture[str]
MEASURE = ["measure", "run", "--space", "nasbench201", "--device", "eyeriss", "--networks", "15625"]


def test_all_cells_of_nasbench201_are_estimated_at_once(tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "costs.parquet"
    assert main([*MEASURE, "--out", str(out), "--costs", "energy_mj", "--json"]) == 0
    assert "estimated by eyeriss" in json.loads(capsys.readouterr().out)["energy_mj"]
    assert len(CostTable.load(out)) == 15625
    assert list(tmp_path.iterdir()) == [out]


def test_a_table_of_the_whole_space_has_official_indices(tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "costs.parquet"
    assert main(["table", "build", "--device", "fpga", "--dataset", "imagenet16-120", "--out", str(out)]) == 0
    assert "15625 networks to measure, for 15625 architectures" in capsys.readouterr().err
    table = CostTable.load(out)
    assert table.frame["index"].to_list() == list(range(15625)) and table.provenance.source == "estimated"
    assert list(tmp_path.iterdir()) == [out]
    assert main(["table", "build", "--device", "fpga", "--plan.rounds", "5", "--out", str(tmp_path / "b.parquet")]) == 2
    assert "device fpga computes its costs, so --plan.rounds does nothing" in capsys.readouterr().err


def test_a_setting_of_the_chip_is_in_the_table(tmp_path: Path) -> None:
    out = tmp_path / "costs.parquet"
    words = ["measure", "run", "--space", "nasbench201", "--device", "eyeriss", "--networks", "5", "--out", str(out)]
    assert main([*words, "--device.pooling-as-convolution"]) == 0
    assert CostTable.load(out).provenance.device["pooling_as_convolution"] is True


def test_what_it_cannot_do_is_refused(tmp_path: Path, capsys: Capture) -> None:
    out = ["--out", str(tmp_path / "costs.parquet")]
    assert main([*MEASURE, *out, "--plan.rounds", "5"]) == 2
    assert "device eyeriss computes its costs, so --plan.rounds does nothing" in capsys.readouterr().err
    assert main([*MEASURE, *out, "--costs", "peak_memory_mib"]) == 2
    assert "computes latency_ms and energy_mj, not peak_memory_mib" in capsys.readouterr().err
    assert main(["measure", "run", "--device", "fpga", *out, "--device.lanes-in", "40"]) == 2
    assert "32 x 40 lanes need more than 900 multipliers" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
