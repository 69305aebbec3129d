from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from chronas.errors import DataError, LimitMissedError
from chronas.runs import Run, show
from chronas.runs.summary import name_of, summarise, write_missed
from tiny_run import tiny_config

FILES = (
    "run.json",
    "data.json",
    "timings.json",
    "predictor/report.json",
    "networks/latency-term/choice.json",
    "networks/latency-term/result.json",
    "networks/latency-term/architecture.json",
    "search/latency-term/history.json",
    "search/latency-term/scored.json",
)


def keys() -> list[tuple[str, str]]:
    """Every key that a report needs, by file."""
    by_file = {
        "data.json": ("name", "shape", "classes", "train", "test"),
        "timings.json": ("seconds",),
        "predictor/report.json": ("measured", "scores", "baselines", "coverage_90_percent", "repeatability"),
        "networks/latency-term/choice.json": ("costs", "tried", "compared", "architecture"),
        "networks/latency-term/result.json": ("accuracy_percent", "macs", "parameters", "training_s"),
        "networks/latency-term/architecture.json": ("space", "architecture", "size"),
        "search/latency-term/history.json": ("epochs",),
        "search/latency-term/scored.json": ("rows",),
    }
    return [(name, key) for name, found in by_file.items() for key in found]


def test_a_run_that_has_only_begun_has_a_report_that_says_how_to_go_on(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "my run", tiny_config(), command="x")
    report = show(run)
    assert report.verdict.met is None
    assert report.verdict.text == f"The run is not finished; go on with: chronas resume '{run.folder}'"
    assert (report.networks, report.searches, report.predictor, report.found) == ([], [], None, None)
    assert report.files == {}
    assert report.asked["data"] == (
        "digits: 200 training and 359 test images. There is no test split: 20% of the training images are set apart "
        "for testing"
    )
    assert (run.folder / "report.html").read_text().startswith("<!DOCTYPE html>")


@pytest.mark.parametrize(
    ("weighted", "name"),
    [
        (("latency",), "latency term"),
        (("energy",), "energy term"),
        (("latency", "peak_memory"), "latency and peak memory terms"),
        (("latency", "energy", "peak_memory"), "latency, energy and peak memory terms"),
    ],
)
def test_a_network_is_called_by_the_costs_that_its_search_weighed(weighted: tuple[str, ...], name: str) -> None:
    config = tiny_config(**{"latency_weight": 0.0, **{f"{cost}_weight": 0.5 for cost in weighted}})
    assert name_of("latency-term", config) == name
    assert name_of("weight-0", config) == "accuracy alone"


@pytest.mark.parametrize(
    ("gone", "networks"),
    [
        (("final.sqlite",), 0),
        (("networks",), 0),
        (("networks/latency-term/result.json",), 3),
        (("networks/random", "networks/random-search"), 2),
        (("search",), 4),
        (("predictor", "costs.parquet"), 4),
    ],
)
def test_a_report_leaves_out_what_is_not_done(gone: tuple[str, ...], networks: int, copied: Run) -> None:
    for name in gone:
        path = copied.folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    report = summarise(copied)
    assert len(report.networks) == networks
    assert (report.predictor is None) == ("predictor" in gone)
    assert (report.searches == []) == ("search" in gone)
    assert all((copied.folder / name).exists() for name in report.files)
    show(copied)


def test_a_network_that_is_trained_but_not_measured_again_is_left_out(copied: Run) -> None:
    for role in ("random", "latency-term"):
        path = copied.folder / "networks" / role / "architecture.json"
        content = json.loads(path.read_text())
        content["architecture"] = str(copied.space.sample(1, 99)[0])
        path.write_text(json.dumps(content))
    assert {network.role for network in summarise(copied).networks} == {"weight-0", "random-search"}


def test_the_runs_own_network_comes_first(finished: Run) -> None:
    report = summarise(finished)
    assert report.networks[0].role == "latency-term"
    assert report.searches[0].name == report.found == "latency term"
    assert report.title == "darts on digits for simulated"
    assert report.command == "chronas run --out tiny"


def test_a_missed_limit_is_kept_for_the_report(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "run", tiny_config(limit_ms=1.0), command="x")
    write_missed(run, LimitMissedError("no architecture within 1.0 ms: predicted 0.9 ms, measured up to 1.2 ms"))
    verdict = summarise(run).verdict
    assert verdict.met is False
    assert verdict.text.endswith("measured up to 1.2 ms")


def test_candidates_that_missed_are_among_the_notes(copied: Run) -> None:
    path = copied.folder / "networks" / "latency-term" / "choice.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "tried": ["predicted 1 ms, measured up to 2 ms"]}))
    note = "latency term: a candidate was over a limit or too close to it (predicted 1 ms, measured up to 2 ms)"
    assert note in summarise(copied).notes


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("content", [b"", b'{"schema": ', b"[]", b"\x80\x81", b'{"schema": "other/1"}'])
def test_a_damaged_file_is_named(name: str, content: bytes, copied: Run) -> None:
    (copied.folder / name).write_bytes(content)
    with pytest.raises(DataError, match=name):
        summarise(Run.open(copied.folder))


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999"])
def test_a_report_of_the_predictor_that_is_not_finite_is_refused(number: str, copied: Run) -> None:
    path = copied.folder / "predictor" / "report.json"
    path.write_text(re.sub(r'"kendall": [^,}]*', f'"kendall": {number}', path.read_text()))
    with pytest.raises(DataError, match="report.json is not valid JSON .*number"):
        summarise(Run.open(copied.folder))


@pytest.mark.parametrize(("name", "key"), keys())
def test_a_file_without_a_key_or_with_another_type_names_both(name: str, key: str, copied: Run) -> None:
    path = copied.folder / name
    content = json.loads(path.read_text())
    for changed in ({k: v for k, v in content.items() if k != key}, {**content, key: None}):
        path.write_text(json.dumps(changed))
        with pytest.raises(DataError, match=rf"{path.name} is damaged \({key}.*use a copy, or move it away"):
            summarise(Run.open(copied.folder))


def test_a_report_says_which_training_its_validation_ended(copied: Run) -> None:
    config = json.loads((copied.folder / "run.json").read_text())
    config["config"]["recipe"]["patience"] = 3
    (copied.folder / "run.json").write_text(json.dumps(config))
    path = copied.folder / "networks" / "latency-term" / "result.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "stopped_epoch": 7}))
    told = "latency term: its training ended after epoch 7, as its validation accuracy had not risen since epoch 4."
    assert told in show(Run.open(copied.folder)).notes
