from __future__ import annotations

import json
from pathlib import Path

import pytest

from chronas.cli.main import main
from chronas.runs import Run, read_choice, read_trained
from chronas.tables import CostTable
from tiny_run import FLAGS

Capture = pytest.CaptureFixture[str]
ONE = [*FLAGS, "--no-baseline"]


def test_settings_beside_a_run_are_refused_and_named(finished: Run, capsys: Capture) -> None:
    assert main(["fit", str(finished.folder), "--json", "--folds", "3", "--again"]) == 2
    assert "so --folds cannot be given; give --again to do the step anew" in capsys.readouterr().err


def test_a_folder_without_a_run_is_refused(tmp_path: Path, capsys: Capture) -> None:
    assert main(["fit", str(tmp_path)]) == 2
    assert "run.json" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["measure run", "fit", "search", "train", "export"])
def test_again_is_for_a_run_folder(command: str, capsys: Capture) -> None:
    assert main([*command.split(), "--again"]) == 2
    assert f"chronas {command} RUN --again" in capsys.readouterr().err


def test_the_steps_of_the_readme_end_in_a_report_with_the_found_network(
    finished: Run, tmp_path: Path, capsys: Capture
) -> None:
    folder, table = str(tmp_path / "mine"), str(finished.folder / "costs.parquet")
    assert main(["search", "--table", table, *ONE, "--out", folder]) == 0
    assert main(["export", folder]) == 2
    assert f"run `chronas train {folder}` first" in capsys.readouterr().err
    assert main(["report", folder, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["networks"] == []
    assert answer["verdict"].endswith(f"chronas resume {folder}")
    for step in ("train", "export"):
        assert main([step, folder]) == 0
    capsys.readouterr()
    assert main(["report", folder, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert [network["network"] for network in answer["networks"]] == ["latency term"]
    choice = read_choice(tmp_path / "mine" / "networks" / "latency-term")
    assert choice == read_choice(finished.folder / "networks" / "latency-term")
    assert answer["networks"][0]["architecture"] == choice.architecture


def test_a_search_done_anew_leaves_no_old_export_behind(copied: Run, capsys: Capture) -> None:
    folder = str(copied.folder)
    assert main(["search", folder, "--again"]) == 0
    assert main(["export", folder]) == 2
    assert "no trained network yet" in capsys.readouterr().err
    for name in ("model.onnx", "model.py", "model.safetensors", "architecture.json", "networks", "search"):
        assert not (copied.folder / name).exists() or name in {"networks", "search"}
        assert (copied.folder / f"{name}.old-1").exists(), name


def test_a_training_done_anew_keeps_the_old_one(copied: Run) -> None:
    before = read_trained(copied.folder / "networks" / "random")
    assert main(["train", str(copied.folder), "--again"]) == 0
    after = read_trained(copied.folder / "networks" / "random")
    assert (after.architecture, after.accuracy_percent) == (before.architecture, before.accuracy_percent)
    assert (copied.folder / "networks" / "random" / "training.old-1" / "best.safetensors").exists()
    assert (copied.folder / "model.onnx.old-1").exists()


def test_a_search_on_another_table_in_the_same_folder_is_refused(
    finished: Run, copied: Run, tmp_path: Path, capsys: Capture
) -> None:
    table = CostTable.load(finished.folder / "costs.parquet")
    CostTable(table.frame.head(35), table.provenance).save(tmp_path / "other.parquet")
    words = ["search", "--table", str(tmp_path / "other.parquet"), *FLAGS, "--out", str(copied.folder)]
    assert main(words) == 2
    assert "another table" in capsys.readouterr().err


def test_the_predictor_is_fitted_again_where_its_file_is_gone(copied: Run) -> None:
    path = copied.folder / "predictor" / "predictor.safetensors"
    before = path.read_bytes()
    path.unlink()
    assert main(["fit", str(copied.folder)]) == 0
    assert path.read_bytes() == before
