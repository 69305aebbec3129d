"""`chronas measure lookup` on small sizes: the answer, going on, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chronas.cli.main import main
from chronas.measurement import read_journal
from chronas.predictors import load_predictor
from chronas.spaces import make_space
from chronas.tables import CostTable

Capture = pytest.CaptureFixture[str]
SIMULATED = ["measure", "lookup", "--device", "simulated", "--plan.rounds", "2", "--plan.max-rounds", "2"]


def test_blocks_are_measured_told_and_kept(tmp_path: Path, capsys: Capture) -> None:
    out, saved = tmp_path / "costs.parquet", ["--save-predictor", str(tmp_path / "blocks.safetensors")]
    saved += ["--save-blocks", str(tmp_path / "blocks.parquet")]
    assert main([*SIMULATED, "--dataset", "imagenet", "--networks", "5", "--out", str(out), *saved, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert len(answer["blocks"]) == 12 and answer["plain_ms"] > 0
    row = answer["blocks"][2]
    assert row["layers"] == "2, 3, 4" and row["skip"] == 0
    assert row["k5_e6"] > row["k3_e6"] > row["k3_e3"] > 0
    assert "5 networks" in answer["sums of blocks"]
    table = CostTable.load(out)
    assert len(table) == 97 + 5 and table.provenance.size == make_space("fbnet").sizes["imagenet"]
    predicted = load_predictor(tmp_path / "blocks.safetensors").predict(table.space.encode(table.architectures()))
    assert predicted.mean == pytest.approx(table.costs(), rel=0.1)
    assert main([*SIMULATED, "--out", str(tmp_path / "other.parquet"), *saved]) == 2
    assert "blocks.parquet exists" in capsys.readouterr().err
    whole = table.architectures()[-1]
    blocks = str(tmp_path / "blocks.parquet")
    assert main(["table", "query", blocks, blocks, "--architecture", str(whole), "--json"]) == 0
    (asked,) = json.loads(capsys.readouterr().out)["architectures"]
    assert len(asked["costs"]) == 2 and asked["costs"][0]["low"] < asked["costs"][0]["value"]
    assert main(["table", "query", blocks, str(out), "--architecture", str(whole)]) == 2
    assert "blocks.parquet has costs of blocks" in capsys.readouterr().err
    assert main(["table", "show", blocks, "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["data set"] == "imagenet" and "5 networks, before" in shown["sums of blocks"]
    assert main(["table", "show", str(out)]) == 0
    assert "sums of blocks" in capsys.readouterr().out
    assert main([*SIMULATED, "--out", str(out)]) == 2
    assert "nothing is overwritten" in capsys.readouterr().err


def test_more_whole_networks_leave_the_blocks_as_they_are(tmp_path: Path, capsys: Capture) -> None:
    out, words = tmp_path / "blocks.parquet", [*SIMULATED, "--out", str(tmp_path / "blocks.parquet")]
    assert main([*words, "--networks", "3"]) == 0
    assert "what a block adds to" in capsys.readouterr().out
    before = read_journal(tmp_path / "blocks.sqlite").samples_ms
    out.unlink()
    assert main([*words, "--networks", "6"]) == 0
    after = read_journal(tmp_path / "blocks.sqlite").samples_ms
    assert len(before) == 100 and len(after) == 103
    assert {text: after[text] for text in before} == before


def test_a_device_that_computes_its_costs_needs_no_campaign(tmp_path: Path, capsys: Capture) -> None:
    words = ["measure", "lookup", "--device", "eyeriss", "--networks", "4", "--out", str(tmp_path / "costs.parquet")]
    assert main([*words, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["sums of blocks"]
    assert "Kendall 1.000" in told and "4 networks" in told
    assert not (tmp_path / "costs.sqlite").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        pytest.param(["--space", "darts"], "darts is no chain of layers", id="a space of cells"),
        pytest.param(["--networks", "1"], "--networks", id="nothing to compare with"),
        pytest.param(["--dataset", "cifar10"], "valid names are cifar100, imagenet", id="unknown data set"),
        pytest.param(["--save-blocks", "blocks.parquet", "--out", "blocks.parquet"], "given twice", id="twice"),
        pytest.param(["--bundle", "folder"], "--bundle", id="an option of measure alone"),
    ],
)
def test_wrong_use_is_one_line(
    words: list[str], message: str, capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["measure", "lookup", *words]) == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1 and message in captured.err and not captured.out
    assert list(tmp_path.iterdir()) == []
