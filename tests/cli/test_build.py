"""`chronas table build` on tiny sizes: whole or in part, going on, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chronas.cli.main import main
from chronas.measurement import read_journal
from chronas.spaces import make_space
from chronas.tables import CostTable

Capture = pytest.CaptureFixture[str]
TINY = ["--size.width", "4", "--size.depth", "1", "--plan.rounds", "2", "--plan.max-rounds", "2"]
BUILD = ["table", "build", *TINY]


def test_a_part_goes_on_to_a_larger_part(tmp_path: Path, capsys: Capture) -> None:
    out, words = tmp_path / "costs.parquet", [*BUILD, "--device", "simulated", "--out", str(tmp_path / "costs.parquet")]
    assert main([*words, "--networks", "20", "--json"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["architectures"] == "20"
    assert "20 networks to measure, for 15625 architectures of nasbench201" in captured.err
    first = read_journal(tmp_path / "costs.sqlite").samples_ms
    assert main([*words, "--networks", "30"]) == 2
    assert "nothing is overwritten" in capsys.readouterr().err
    out.rename(tmp_path / "part.parquet")
    assert main([*words, "--networks", "30"]) == 0
    then = read_journal(tmp_path / "costs.sqlite").samples_ms
    assert len(then) == 30 and {text: then[text] for text in first} == first
    part, larger = set(CostTable.load(tmp_path / "part.parquet").architectures()), CostTable.load(out)
    assert part < set(larger.architectures())
    space = make_space("nasbench201")
    assert larger.frame["index"].to_list() == [space.index(a) for a in larger.architectures()]


def test_a_runtime_that_drops_dead_steps_answers_for_more_cells_than_it_measured(
    tmp_path: Path, capsys: Capture
) -> None:
    out = tmp_path / "costs.parquet"
    words = [*BUILD, "--dataset", "imagenet16-120", "--networks", "3", "--out", str(out)]
    assert main([*words, "--device", "onnxruntime-cpu"]) == 0
    captured = capsys.readouterr()
    table = CostTable.load(out)
    assert "3 networks to measure" in captured.err and f"{len(table)}, by 3 measurements" in captured.out
    assert len(table) > 3 and {str(a.pruned()) for a in table.architectures()} == set(table.frame["measured_as"])
    assert table.provenance.size.input_shape == (3, 16, 16) and table.provenance.size.outputs == 120


@pytest.mark.parametrize(
    ("words", "message"),
    [
        pytest.param(["--space", "darts"], "chronas measure run --space darts --networks N", id="too large a space"),
        pytest.param(["--dataset", "cifar1"], "did you mean cifar", id="unknown data set"),
        pytest.param(["--networks", "9000"], "onnxruntime-cpu tells 8747 networks", id="more than there are"),
        pytest.param(["--networks", "0"], "--networks", id="none"),
        pytest.param(["--space", "darts", "--dataset", "imagenet16-120"], "unknown dataset", id="another space's data"),
        pytest.param(["--out", "costs.sqlite", "--networks", "1"], "its journal", id="table named as its journal"),
    ],
)
def test_wrong_use_is_one_line(
    words: list[str], message: str, capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["table", "build", *words]) == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1 and message in captured.err and not captured.out
    assert list(tmp_path.iterdir()) == []
