"""`chronas run` on a chain of layers: the whole loop, with sampled paths and a look-up table, within a limit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chronas.cli.main import main
from chronas.runs import Run, read_choice
from chronas.tables import CostTable

FLAGS = (
    *("--space", "fbnet", "--searcher", "proxyless", "--device", "simulated", "--predictor", "lookup"),
    *("--networks", "60", "--data-limit", "200", "--size.width", "4", "--recipe.epochs", "1"),
    *("--searcher.epochs", "2", "--searcher.warmup-epochs", "1", "--searcher.width", "4", "--no-baseline"),
)


def test_a_run_searches_layers_within_a_limit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", *FLAGS, "--limit-ms", "1.2", "--json", "--out", str(tmp_path / "run")]) == 0
    run = Run.open(tmp_path / "run")
    answer = json.loads(capsys.readouterr().out)
    assert answer["met"] is True
    (network,) = answer["networks"]
    assert network["latency_high_ms"] <= 1.2 < float(CostTable.load(run.folder / "costs.parquet").costs().mean())
    assert read_choice(run.folder / "networks" / "limit").architecture == network["architecture"]
    assert len(run.space.parse(network["architecture"]).choices) == 22
    assert run.size.depth == 1
    assert (run.folder / "model.onnx").stat().st_size > 0
