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
from chronas.runs import Run, read_architecture, read_front, read_trained
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
        assert each.latency.source == "measured"
        assert each.latency.value == measured[each.architecture].value
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


def test_a_network_of_the_front_is_trained_with_the_runs_settings_and_exported(
    whole: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(whole.folder, tmp_path / "run")
    run = Run.open(tmp_path / "run")
    wanted = read_front(run).networks[-1].architecture
    number = str(len(read_front(run).networks))
    text, _ = result(["search", str(run.folder)], capsys)
    assert f"chronas train {run.folder} --front NUMBER" in text
    before = {path: path.read_bytes() for path in run.folder.glob("model.*")}
    out, _ = result(["train", str(run.folder), "--front", number, "--json"], capsys)
    assert [row["network"] for row in json.loads(out)] == [f"front-{number}"]
    folder = run.folder / "networks" / f"front-{number}"
    architecture, size = read_architecture(folder / "architecture.json")
    assert (str(architecture), size) == (wanted, run.size)
    assert read_trained(folder).accuracy_percent == json.loads(out)[0]["accuracy_percent"]
    assert before == {path: path.read_bytes() for path in run.folder.glob("model.*")}, "the run's own stays"
    result(["export", "--network", str(folder), "--out", str(tmp_path / "files")], capsys)
    assert (tmp_path / "files" / "model.onnx").exists()
    assert main(["train", str(run.folder)]) == 0, "what the run itself has found is trained as before"
    result(["report", str(run.folder)], capsys)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--front", "9"], "has networks 1 to"),
        (["--front", "0"], "has networks 1 to"),
        (["--front", "x"], "--front"),
        (["--size.width", "8"], "takes its settings from the run, so --size.width cannot be given"),
    ],
)
def test_what_cannot_be_trained_of_a_front_is_one_line(
    words: list[str], expected: str, whole: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", str(whole.folder), *words]) == 2
    error = capsys.readouterr().err
    assert expected in error
    assert len(error.strip().splitlines()) == 1


def test_a_run_without_a_front_says_how_to_get_one(finished: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", str(finished.folder), "--front", "1"]) == 2
    assert "has no front: begin a run or a search with --front 8" in capsys.readouterr().err
