"""`chronas measure net` and `report --compare`: networks of the user side by side, and beside what a run found."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from chronas.cli.main import main
from chronas.runs import Run

Capture = pytest.CaptureFixture[str]
QUICK = ("--plan.rounds", "2", "--plan.max-rounds", "2", "--plan.repeats", "2", "--plan.priority", "normal")


def test_a_found_network_and_its_file_are_shown_side_by_side(finished: Run, tmp_path: Path, capsys: Capture) -> None:
    file, out = str(finished.folder / "model.onnx"), tmp_path / "=mine.csv"
    words = ["measure", "net", file, str(finished.folder), "--device", "onnxruntime-cpu", "openvino-cpu"]
    assert main([*words, "--data", "digits", "--device.threads", "2", *QUICK, "--out", str(out)]) == 0
    shown = capsys.readouterr()
    lines = shown.out.splitlines()
    assert lines[0].split()[:4] == ["network", "device", "latency", "ms"] and "accuracy %" in lines[0]
    assert sum(line.startswith(file) for line in lines) == 2
    assert "Latency of one example: the fastest run of a round" in shown.out
    assert "pixels are scaled as its file says" in shown.out
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert [row["device"] for row in rows] == ["onnxruntime-cpu"] * 2 + ["openvino-cpu"] * 2
    assert float(rows[0]["latency_low_ms"]) <= float(rows[0]["latency_ms"])
    assert main([*words, "--out", str(out)]) == 2
    assert "nothing is overwritten" in capsys.readouterr().err


def test_json_has_every_number_and_the_batch(finished: Run, capsys: Capture) -> None:
    assert main(["measure", "net", str(finished.folder), "--device.batch", "3", *QUICK, "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["batch"] == 3 and row["latency_ms"] > 0 and row["macs"] > 0 and row["accuracy"] is None


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["model.onnx", "--device.batch", "4"], "takes a batch of 1 and no other: measure with --device.batch 1"),
        (["model.onnx", "model.onnx"], "a network is given twice"),
        (
            ["model.onnx", "--device", "eager-cpu", "onnxruntime-cpu", "--device.batch", "2"],
            "no network can be",
        ),
        (["model.onnx", "--device", "eager-cpu", "fpga", "--device.threads", "2"], "fpga has no setting threads"),
        (["model.onnx", "--device", "eager"], "did you mean"),
        (["model.onnx", "--input-shape", "1", "9", "9"], "takes examples of 1 x 8 x 8, not of 1 x 9 x 9"),
        (["model.onnx", "--mean", "0.5"], "--mean and --std are for the accuracy: give --data as well"),
        ([], "NETWORKS is needed"),
    ],
    ids=range(8),
)
def test_what_cannot_be_measured_is_one_line(
    words: list[str], message: str, finished: Run, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(finished.folder)
    assert main(["measure", "net", *words]) == 2
    error = capsys.readouterr().err.splitlines()
    assert message in error[-1] and sum(line.startswith("chronas:") for line in error) == 1


SOURCE = """
from torch import nn

def make():
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(144, 10))
"""


def test_a_report_shows_networks_beside_the_found_one_and_keeps_them(
    copied: Run, tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "mine.py").write_text(SOURCE)
    words = ["report", str(copied.folder), "--json"]
    compare = ["--compare", f"{tmp_path / 'mine.py'}:make", str(copied.folder / "networks" / "random")]
    assert main([*words, *compare, "--input-shape", "1", "8", "8"]) == 0
    answer = json.loads(capsys.readouterr().out)
    own, mine, other = answer["beside"]
    assert (own["name"], mine["name"], other["name"]) == ("found by this run", compare[1], compare[2])
    by_network = {row["network"]: row["accuracy_percent"] for row in answer["networks"]}
    assert own["accuracy_percent"] == pytest.approx(by_network["latency term"], abs=0.3)
    assert other["accuracy_percent"] == pytest.approx(by_network["random, equal latency"], abs=0.3)
    assert mine["parameters"] == 4 * 9 + 4 + 144 * 10 + 10 and mine["latency"]["low"] > 0
    assert main(words) == 0
    assert json.loads(capsys.readouterr().out)["beside"] == answer["beside"]
    page = (copied.folder / "report.html").read_text()
    assert "Beside other networks" in page and "mine.py:make" in page
    assert '"name": "not searched"' in page  # on the plane of accuracy and latency


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--compare", "there.onnx"], "cannot read there.onnx"),
        (["--compare", "model.onnx"], "takes networks of PyTorch, not the ONNX file"),
        (["--mean", "0.5"], "are for --compare"),
    ],
    ids=range(3),
)
def test_what_cannot_be_compared_leaves_the_report_as_it_was(
    words: list[str], message: str, copied: Run, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(copied.folder)
    assert main(["report", ".", *words]) == 2
    assert message in capsys.readouterr().err
    assert not (copied.folder / "beside.json").exists()


def test_a_damaged_comparison_is_one_line(copied: Run, capsys: Capture) -> None:
    (copied.folder / "beside.json").write_text('{"schema": "chronas.beside/1", "networks": [{"name": 3}]}')
    assert main(["report", str(copied.folder)]) == 2
    assert "beside.json is damaged" in capsys.readouterr().err
