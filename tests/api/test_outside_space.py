"""Proof that a topology is one file: a space from outside the package is measured, searched, trained and exported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

import chronas
from chronas.cli.main import main
from chronas.predictors import Predictor
from chronas.search import RerankConfig, make_searcher
from chronas.search.blackbox.evolution import EvolutionConfig
from chronas.tables import CostTable
from chronas.training import make_recipe
from outside_space import PatchSpace

SPACE = PatchSpace()
ONE_EPOCH = make_recipe("digits-small").model_copy(update={"epochs": 1})


@pytest.fixture(scope="module")
def data() -> chronas.Dataset:
    return chronas.load_data("digits", limit=300, progress=False)


@pytest.fixture(scope="module")
def table() -> CostTable:
    return chronas.measure(SPACE, "simulated", networks=30, progress=False)


@pytest.fixture(scope="module")
def latency(table: CostTable) -> Predictor:
    return chronas.fit(table, "pairs")


def test_its_work_is_that_of_its_layers(table: CostTable) -> None:
    architecture = SPACE.parse("mix_3.wide_4.pool.wide_1")
    size = SPACE.sizes["digits"]
    patches, channels = 16, 8
    mixed = patches * channels * 9  # depthwise 3x3 over 4x4 patches
    wide = patches * channels * channels * 2  # up and down
    stem, head = patches * channels * 4, channels * 10
    assert chronas.count(architecture, size).macs == stem + mixed + 4 * wide + wide + head
    assert len(table) == 30
    assert table.costs().min() > 0


@pytest.mark.parametrize(
    ("searcher", "settings"),
    [
        ("random", {"architectures": 2, "epochs": 1}),
        ("bayesian", {"architectures": 3, "initial_random": 2, "epochs": 1, "workers": 2}),
        ("evolution", {"epochs": 1, "architectures": 8, "population": 4}),
        ("darts", {"epochs": 2, "warmup_epochs": 1}),
        ("proxyless", {"epochs": 2, "warmup_epochs": 1}),
        ("gdas", {"epochs": 2}),
    ],
)
def test_it_is_searched_by_samples_and_by_gradient_within_a_limit(
    searcher: str, settings: dict[str, int], data: chronas.Dataset, table: CostTable, latency: Predictor
) -> None:
    limit = float(np.median(table.costs()))
    costs, limits = {"latency_ms": latency}, {"latency_ms": limit}
    found = chronas.search(SPACE, data, searcher=searcher, costs=costs, limits=limits, progress=False, **settings)
    assert found.best.architecture.space is SPACE
    assert found.best.costs["latency_ms"] <= limit
    assert "<svg" in found._repr_html_()


def test_what_was_found_is_trained_exported_and_runs_without_chronas(data: chronas.Dataset, tmp_path: Path) -> None:
    architecture = SPACE.parse("mix_5.wide_4.pool.wide_1")
    model = chronas.train(architecture, data, recipe=ONE_EPOCH, progress=False)
    paths = model.export(tmp_path / "exported")
    assert {path.name for path in paths} >= {"model.onnx", "model.py", "model.safetensors"}
    pixels = data.test.pixels[:3]
    scaling = (model.preprocessing.mean, model.preprocessing.std)
    mean, std = (torch.tensor(values).view(1, -1, 1, 1) for values in scaling)
    prepared = (pixels / 255 - mean) / std
    session = onnxruntime.InferenceSession(tmp_path / "exported" / "model.onnx")
    for image in prepared:
        (logits,) = session.run(None, {session.get_inputs()[0].name: image[None].numpy()})
        assert np.allclose(logits, model.network(image[None]).detach().numpy(), atol=1e-4)
    script = (
        "import sys, torch; from model import network, prepared; "
        "print(*network('model.safetensors')(prepared(torch.zeros(1, 1, 8, 8, dtype=torch.uint8))).shape); "
        "assert not any(name.startswith('chronas') for name in sys.modules)"
    )
    answer = subprocess.run([sys.executable, "-c", script], cwd=tmp_path / "exported", capture_output=True, text=True)
    assert answer.stdout.split() == ["1", "10"], answer.stderr


def test_a_run_on_it_ends_in_a_report_that_draws_it(data: chronas.Dataset, table: CostTable, tmp_path: Path) -> None:
    settings = {"search_images": 150, "recipe": ONE_EPOCH, "networks": 30, "baseline": False, "threads": 1}
    done = chronas.run(
        data,
        tmp_path / "run",
        space=SPACE,
        device="simulated",
        searcher=make_searcher("evolution", EvolutionConfig(epochs=1, architectures=8, width=8, depth=1)),
        predictor="pairs",
        limit_ms=float(np.quantile(table.costs(), 0.7)),
        rerank=RerankConfig(candidates=1),
        progress=False,
        **settings,
    )
    assert done.met
    page = (tmp_path / "run" / "report.html").read_text()
    assert "<svg" in page
    assert "wide 4" in page or "wide 1" in page
    assert SPACE.parse(done.networks[0].architecture)


@pytest.mark.usefixtures("unregistered")
def test_the_command_line_knows_it_once_it_is_registered(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chronas.register(SPACE)
    words = ["--space", "patches", "--device", "simulated", "--networks", "5", "--out", str(tmp_path / "costs.parquet")]
    assert main(["measure", "run", *words]) == 0
    assert "patches" in capsys.readouterr().out
    assert main(["spaces", "--json"]) == 0
    assert '"patches"' in capsys.readouterr().out
