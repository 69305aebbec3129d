from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from chronas.cli.main import main
from chronas.runs import EXPORTED, Run, read_choice
from chronas.tables import CostTable
from tiny_run import FLAGS

Capture = pytest.CaptureFixture[str]
HANG_S = 240


def test_the_flags_ask_for_the_same_run_as_python_and_a_finished_run_is_not_done_again(
    copied: Run, capsys: Capture
) -> None:
    assert main(["run", "--preset", "digits-cpu", *FLAGS, "--out", str(copied.folder), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert {network["network"] for network in answer["networks"]} >= {"latency term", "accuracy alone"}
    assert Path(answer["report"]).read_text().startswith("<!DOCTYPE html>")


def test_resume_takes_the_folder_alone(copied: Run, capsys: Capture) -> None:
    assert main(["resume", str(copied.folder)]) == 0
    captured = capsys.readouterr()
    assert "latency term" in captured.out
    assert "report.html" in captured.out
    assert main(["resume", str(copied.folder), "--networks", "50"]) == 2


def test_each_step_runs_alone_on_a_run_folder(copied: Run, capsys: Capture) -> None:
    folder = str(copied.folder)
    assert main(["measure", "run", folder, "--again", "--json"]) == 0
    assert "40" in capsys.readouterr().out
    assert main(["fit", folder, "--again"]) == 0
    assert "Kendall" in capsys.readouterr().out
    assert main(["search", folder, "--json"]) == 0
    assert {row["network"] for row in json.loads(capsys.readouterr().out)} >= {"latency-term", "random"}
    assert main(["train", folder]) == 0
    assert "accuracy" in capsys.readouterr().out
    assert main(["export", folder, "--again", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == len(EXPORTED)
    assert main(["report", folder]) == 0
    assert main(["fit", folder, "--folds", "3"]) == 2
    assert (copied.folder / "costs.parquet.old-1").exists()
    assert (copied.folder / "model.onnx.old-1").exists()


def test_loose_files_from_measuring_to_a_trained_and_exported_network(tmp_path: Path, capsys: Capture) -> None:
    table, predictor = tmp_path / "costs.parquet", tmp_path / "lookup.safetensors"
    size = ["--size.input-shape", "1", "8", "8", "--size.width", "4", "--size.depth", "3"]
    measure = ["measure", "run", "--device", "simulated", "--networks", "40", *size, "--out", str(table)]
    assert main(measure) == 0
    assert "40" in capsys.readouterr().out
    assert main(measure) == 2
    assert "nothing is overwritten" in capsys.readouterr().err
    assert main(["table", "show", str(table), "--rows", "2"]) == 0
    assert "fastest 2" in capsys.readouterr().out
    assert main(["fit", "--table", str(table), "--predictor", "lookup", "--out", str(predictor), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["path"] == str(predictor)
    search = ["search", "--table", str(table), *FLAGS, "--no-baseline", "--out", str(tmp_path / "run"), "--json"]
    assert main(search) == 0
    found = json.loads(capsys.readouterr().out)[0]["architecture"]
    train = ["train", "--architecture", found, "--size.width", "4", "--size.depth", "3", "--recipe.epochs", "1"]
    assert main([*train, "--out", str(tmp_path / "trained"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["architecture"] == found
    export = ["export", "--network", str(tmp_path / "trained"), "--out", str(tmp_path / "exported"), "--batch", "3"]
    assert main(export) == 0
    assert (tmp_path / "exported" / "model.py").exists()
    assert main(export) == 2


def test_a_table_of_another_device_is_refused(finished: Run, tmp_path: Path, capsys: Capture) -> None:
    table = str(finished.folder / "costs.parquet")
    flags = [flag if flag != "simulated" else "onnxruntime-cpu" for flag in FLAGS]
    assert main(["search", "--table", table, *flags, "--out", str(tmp_path / "run")]) == 2
    assert "device" in capsys.readouterr().err


def test_a_cut_table_is_one_line(finished: Run, tmp_path: Path, capsys: Capture) -> None:
    cut = tmp_path / "cut.parquet"
    cut.write_bytes((finished.folder / "costs.parquet").read_bytes()[:-100])
    assert main(["fit", "--table", str(cut)]) == 2
    assert str(cut) in capsys.readouterr().err


def test_ctrl_c_says_how_to_resume_and_exits_130(tmp_path: Path) -> None:
    process = start(tmp_path)
    wait_for(tmp_path / "run" / "journal.sqlite", process)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=HANG_S)
    assert process.returncode == 130
    assert f"chronas resume {tmp_path / 'run'}" in err.splitlines()[-1]


def test_a_run_killed_by_the_kernel_goes_on_to_the_same_bits(finished: Run, tmp_path: Path) -> None:
    process = start(tmp_path)
    wait_for(tmp_path / "run" / "search" / "latency-term" / "search.safetensors", process)
    process.kill()
    process.communicate()
    assert main(["resume", str(tmp_path / "run")]) == 0
    again = tmp_path / "run"
    assert CostTable.load(again / "costs.parquet").frame.equals(CostTable.load(finished.folder / "costs.parquet").frame)
    role = Path("networks", "latency-term")
    assert read_choice(again / role) == read_choice(finished.folder / role)
    assert (again / "model.safetensors").read_bytes() == (finished.folder / "model.safetensors").read_bytes()


def start(folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "chronas", "run", "--preset", "digits-cpu", *FLAGS, "--out", str(folder / "run")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment)


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    until = time.monotonic() + HANG_S
    while not path.exists():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < until, f"{path} never came"
        time.sleep(0.02)
