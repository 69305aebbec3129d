"""One supernet serves any limit on its device: a second run takes seconds, and its network has weights."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chronas.cli.main import main
from chronas.runs import Run, read_front, read_trained

RUN = (
    "run --preset photos-cpu --data digits --data-limit 200 --searcher elastic --searcher.epochs 2 --searcher.batch 64 "
    "--searcher.architectures 6 --searcher.population 3 --device simulated --limit-ms 2.5 --networks 45 "
    "--plan.rounds 2 --size.width 8 --size.stem cifar --train-steps 4 --threads 1 --predictor macs"
)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("elastic") / "first"
    assert main([*RUN.split(), "--out", str(folder)]) == 0
    return folder


def test_a_found_network_begins_with_the_weights_of_the_supernet(first: Path) -> None:
    assert (first / "networks" / "limit" / "inherited.safetensors").exists()
    assert Run.open(first).searcher.gives_weights


def test_another_limit_on_the_same_device_measures_no_table_and_trains_nothing(
    first: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["retarget", str(first), "--limit-ms", "1.5", "--no-retrain", "--json", "--out", str(tmp_path / "second")]
    assert main(command) == 0
    said = capsys.readouterr()
    [network] = json.loads(said.out)["networks"][:1]
    assert network["latency_ms"] <= 1.5
    assert not (tmp_path / "second" / "journal.sqlite").exists()
    assert "loss" not in said.err and "fit: " not in said.err
    for name in ("predictor.safetensors", "report.json"):
        place = Path("predictor", name)
        assert (tmp_path / "second" / place).read_bytes() == (first / place).read_bytes()
    result = json.loads((tmp_path / "second" / "networks" / "limit" / "result.json").read_text())
    assert result["steps"] == 0
    assert (tmp_path / "second" / "model.onnx").exists()


def test_a_front_has_networks_with_weights_that_can_be_trained_further(
    first: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["retarget", str(first), "--front", "3", "--no-retrain", "--out", str(tmp_path / "front")]
    assert main(command) == 0
    run = Run.open(tmp_path / "front")
    front = read_front(run)
    assert 1 <= len(front.networks) <= 3
    for number, network in enumerate(front.networks, start=1):
        assert network.folder == f"front/{number}"
        trained = read_trained(run.folder / network.folder)
        assert str(trained.architecture) == network.architecture and trained.steps == 0
        assert trained.accuracy_percent == network.test_percent
        assert (run.folder / network.folder / "model.onnx").exists()
    assert "test accuracy" in (run.folder / "report.html").read_text()
    capsys.readouterr()
    assert main(["search", str(run.folder)]) == 0
    assert "their weights and files are in front/NUMBER" in capsys.readouterr().out
    assert (run.folder / "networks" / "front-1" / "inherited.safetensors").exists()


def test_no_retrain_is_for_searchers_that_give_weights(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = "run --device simulated --space nasbench201 --searcher random --no-retrain --networks 45"
    assert main([*command.split(), "--out", str(tmp_path / "run")]) == 2
    assert "searcher random gives no trained weights, so --no-retrain leaves nothing" in capsys.readouterr().err
