"""`--front`: networks from fast to accurate on the command line, in `front.json` and on the page."""

from __future__ import annotations

import json
import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from chronas.cli.main import main
from chronas.measurement import read_journal
from chronas.runs import Run, read_front
from chronas.tables import CostTable
from tiny_run import FLAGS

SMALL = [flag for flag in FLAGS if flag not in {"--latency-weight", "2.0"}]
WORDS = [*SMALL, "--space", "nasbench201", "--no-baseline", "--front", "4"]


def result(words: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    """What a command that ends well writes to stdout and stderr."""
    assert main(words) == 0
    out, error = capsys.readouterr()
    return out, error


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished `chronas run --front 4`; tests must not change it."""
    folder = tmp_path_factory.mktemp("fronts") / "run"
    assert main(["run", *WORDS, "--out", str(folder)]) == 0
    return Run.open(folder)


def test_a_run_ends_with_a_measured_front_and_its_hypervolume(whole: Run) -> None:
    front, table = read_front(whole), CostTable.load(whole.folder / "costs.parquet")
    assert 1 <= len(front.networks) <= 4
    measured = read_journal(whole.folder / "front.sqlite").latencies()
    assert {each.architecture for each in front.networks} == set(measured)
    for each in front.networks:
        assert each.source == "measured"
        assert each.latency.value == measured[each.architecture].value_ms
    for cheap, dear in pairwise(front.networks):
        assert cheap.latency.predicted is not None
        assert dear.latency.predicted is not None
        assert cheap.latency.predicted < dear.latency.predicted
    assert (front.reference_ms, front.reference_percent) == (float(table.costs().max()), 10.0)
    for number, one in enumerate(front.networks, 1):
        assert one.dominated == any(better.latency.value <= one.latency.value for better in front.networks[number:])


def test_the_page_and_the_preset_know_of_the_front(whole: Run) -> None:
    page = (whole.folder / "report.html").read_text(encoding="utf-8")
    assert "Every network of the front" in page
    assert "slowest network of the table" in page
    assert (whole.config.latency_weight, whole.role) == (0.0, "weight-0"), "the preset's weight makes way for a front"


def test_search_answers_with_the_front_and_a_killed_one_ends_the_same(
    whole: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(whole.folder, tmp_path / "run")
    run = Run.open(tmp_path / "run")
    (run.folder / "front.json").unlink()
    (run.folder / "front.sqlite").unlink()
    out, _ = result(["search", str(run.folder), "--json"], capsys)
    answer: dict[str, Any] = json.loads(out)
    assert read_front(run) == read_front(whole)
    assert len(answer["front"]["networks"]) == len(read_front(whole).networks)
    assert answer["networks"][0]["network"] == "weight-0"
    text, _ = result(["search", str(run.folder)], capsys)
    assert "Hypervolume" in text
    assert all(each.architecture in text for each in read_front(run).networks)
