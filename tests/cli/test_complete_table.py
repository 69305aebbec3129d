"""A search on a complete table begins at once: nothing is fitted, and its costs are exact."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest

from chronas.cli.main import main
from chronas.predictors import CompleteTable, load_predictor
from chronas.runs import Run
from chronas.tables import CostTable, shipped_files

TABLE = "nasbench201-cifar10-onnxruntime-cpu"
FLAGS = [
    *("search", "--table", TABLE, "--limit-ms", "0.5", "--data-limit", "200", "--no-baseline", "--json"),
    *("--space", "nasbench201", "--searcher", "random", "--searcher.architectures", "2", "--searcher.epochs", "1"),
]


def test_the_costs_of_a_search_are_the_tables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    size = ["--size.width", "16", "--size.depth", "5"]
    data = tmp_path / "images.npz"
    _write_images(data)
    started = time.monotonic()
    code = main([*FLAGS, *size, "--data", str(data), "--out", str(tmp_path / "run")])
    assert time.monotonic() - started < 300, "a fit of 15,625 rows took minutes"
    assert code == 0, capsys.readouterr().err
    run = Run.open(tmp_path / "run")
    timings = run.timings
    assert timings["fit"] < 60
    predictor = load_predictor(run.folder / "predictor" / "predictor.safetensors")
    assert isinstance(predictor, CompleteTable)
    choice = json.loads((run.folder / "networks" / "limit" / "choice.json").read_text())
    table = CostTable.load(shipped_files()[TABLE])
    known = dict(zip(table.frame["architecture"], table.costs(), strict=True))
    assert known[choice["architecture"]] <= 0.5
    assert choice["compared"][0]["costs"]["latency_ms"] == known[choice["architecture"]]


def _write_images(path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 255, (300, 32, 32, 3), dtype=np.uint8)
    np.savez(path, images=images, labels=np.arange(300) % 10)
