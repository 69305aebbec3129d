"""`torchrun ... chronas train`: one answer and one folder of several processes, and what it is not for."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from torch import distributed

from chronas.cli.main import main
from chronas.runs import Run, read_trained
from tiny_run import tiny_config

CELL = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|"
TRAIN = ("train", "--space", "nasbench201", "--architecture", CELL, "--recipe.epochs", "1", "--frame.width", "4")
TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")


@pytest.mark.skipif(
    not (distributed.is_available() and distributed.is_gloo_available()), reason="this torch has no gloo"
)
@pytest.mark.timeout(600)
def test_two_processes_train_in_one_folder_and_answer_once(tmp_path: Path) -> None:
    out = tmp_path / "trained"
    words = [*TORCHRUN, "-m", "chronas.cli.main", *TRAIN, "--frame.depth", "1", "--out", str(out), "--json"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=580)
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)
    assert row["accuracy_percent"] == read_trained(out).accuracy_percent > 20
    assert sum(line.startswith("train 1/") for line in done.stderr.splitlines()) == 1
    files = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}
    networks = {"training/last.safetensors", "training/best.safetensors"}
    assert files == {"architecture.json", "result.json", *networks}


@pytest.mark.parametrize("command", ["search", "run", "measure"])
def test_other_commands_refuse_torchrun(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "test")
    assert main([command]) == 2
    wanted = f"chronas: error: torchrun is for train, got {command}: start it as one process\n"
    assert capsys.readouterr().err == wanted


def test_training_a_run_refuses_torchrun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Run.create(tmp_path / "run", tiny_config(), command="chronas run")
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "test")
    assert main(["train", str(tmp_path / "run")]) == 2
    assert "train its --architecture with torchrun instead" in capsys.readouterr().err
