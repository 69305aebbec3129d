"""`chronas measure net`: the table, the CSV file and JSON of networks side by side."""

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
        (["model.onnx", "--data", "digits", "--mean", "0.5"], "says how its pixels are scaled: give no mean and std"),
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
