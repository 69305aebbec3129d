"""`torchrun ... chronas train`: one answer and one folder of several processes, and what it is not for."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from torch import distributed

from chronas.cli.main import main
from chronas.runs import Run, read_trained
from chronas.search.blackbox.bayesian import BayesianConfig
from tiny_run import tiny_config

CELL = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|"
TRAIN = ("train", "--space", "nasbench201", "--architecture", CELL, "--recipe.epochs", "1", "--size.width", "4")
TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")


needs_gloo = pytest.mark.skipif(
    not (distributed.is_available() and distributed.is_gloo_available()), reason="this torch has no gloo"
)


@needs_gloo
@pytest.mark.timeout(600)
def test_two_processes_train_in_one_folder_and_answer_once(tmp_path: Path) -> None:
    out = tmp_path / "trained"
    words = [*TORCHRUN, "-m", "chronas", *TRAIN, "--size.depth", "1", "--out", str(out), "--json"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=580)
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)
    assert row["accuracy_percent"] == read_trained(out).accuracy_percent > 20
    assert sum(line.startswith("train 1/") for line in done.stderr.splitlines()) == 1
    files = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}
    networks = {"training/last.safetensors", "training/best.safetensors"}
    assert files == {"architecture.json", "result.json", *networks}


def launched(*words: str) -> subprocess.CompletedProcess[str]:
    line = [*TORCHRUN, "-m", "chronas", *words]
    return subprocess.run(line, capture_output=True, text=True, timeout=580, check=False)


@needs_gloo
@pytest.mark.timeout(600)
def test_two_processes_search_in_one_run_what_one_process_does(tmp_path: Path) -> None:
    """The second one shares the batches of both searches by gradient; measuring and random search are the first's."""
    for name in ("alone", "both"):
        Run.create(tmp_path / name, tiny_config(space="nasbench201", data_limit=100), command="chronas run")
    assert main(["search", str(tmp_path / "alone")]) == 0
    done = launched("search", str(tmp_path / "both"), "--json")
    assert done.returncode == 0, done.stderr
    assert "weight-0" in {row["network"] for row in json.loads(done.stdout)}
    assert sum(line.startswith("search latency-term 1/") for line in done.stderr.splitlines()) == 1
    for role in ("latency-term", "weight-0"):
        one, both = (
            json.loads((tmp_path / name / "search" / role / "history.json").read_text())["epochs"]
            for name in ("alone", "both")
        )
        for row, other in zip(one, both, strict=True):
            assert other["validation_loss"] == pytest.approx(row["validation_loss"], rel=1e-3)
    assert (tmp_path / "both" / "networks" / "random-search" / "choice.json").exists()
    again = launched("search", str(tmp_path / "both"), "--json")
    assert again.stdout == done.stdout


@needs_gloo
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("changes", "exit_code", "message"),
    [
        pytest.param({"limit_ms": 0.01, "latency_weight": 0.0}, 2, "is predicted within 0.01 ms", id="limit"),
        pytest.param(
            {"searcher": "bayesian", "searcher_config": BayesianConfig()},
            2,
            "cannot share its work among 2 processes",
            id="searcher",
        ),
    ],
)
def test_two_processes_refuse_in_one_line_and_call_it_no_fault(
    tmp_path: Path, changes: dict[str, Any], exit_code: int, message: str
) -> None:
    config = tiny_config(baseline=False, space="nasbench201", networks=20, data_limit=100, **changes)
    Run.create(tmp_path / "run", config, command="chronas run")
    done = launched("search", str(tmp_path / "run"))
    assert f"exitcode  : {exit_code} " in done.stderr
    assert message in done.stderr
    assert "fault of chronas" not in done.stderr


@pytest.mark.parametrize("command", ["fit", "run", "measure run"])
def test_other_commands_refuse_torchrun(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "test")
    assert main(command.split()) == 2
    wanted = f"chronas: error: torchrun is for search, train, got {command}: start it as one process\n"
    assert capsys.readouterr().err == wanted


def test_training_a_run_refuses_torchrun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Run.create(tmp_path / "run", tiny_config(), command="chronas run")
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "test")
    assert main(["train", str(tmp_path / "run")]) == 2
    assert "train its --architecture with torchrun instead" in capsys.readouterr().err
