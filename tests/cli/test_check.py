"""`chronas measure check`: of a loose table and of a run folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chronas.cli.main import main
from chronas.runs import Run
from chronas.tables import CostTable

Capture = pytest.CaptureFixture[str]


def test_a_loose_table_is_checked_again_and_again(tmp_path: Path, capsys: Capture) -> None:
    table = tmp_path / "costs.parquet"
    size = ["--size.width", "4", "--size.depth", "3"]
    assert main(["measure", "run", "--device", "simulated", "--networks", "20", *size, "--out", str(table)]) == 0
    capsys.readouterr()
    assert main(["measure", "check", str(table), "--networks", "8", "--json"]) == 0
    assert "8 networks after 0.0 h" in json.loads(capsys.readouterr().out)["check 1"]
    assert main(["measure", "check", str(table), "--networks", "9"]) == 0
    assert "check 2" in capsys.readouterr().out
    assert main(["table", "show", str(table), "--rows", "0"]) == 0
    assert "9 networks after" in capsys.readouterr().out
    assert sorted(path.name for path in tmp_path.glob("*.sqlite")) == [
        "costs.check-1.sqlite",
        "costs.check-2.sqlite",
        "costs.sqlite",
    ]


def test_the_report_of_a_run_carries_the_check(copied: Run, capsys: Capture) -> None:
    assert main(["measure", "check", str(copied.folder), "--networks", "5"]) == 0
    assert len(CostTable.load(copied.folder / "costs.parquet").provenance.checks) == 1
    assert main(["report", str(copied.folder)]) == 0
    page = (copied.folder / "report.html").read_text(encoding="utf-8")
    assert "How well it was measured" in page and "5 networks after" in page


@pytest.mark.parametrize("words", [[], ["gone.parquet"], ["x", "--networks", "1"]])
def test_wrong_use_is_one_line(words: list[str], capsys: Capture) -> None:
    assert main(["measure", "check", *words]) == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1 and not captured.out
