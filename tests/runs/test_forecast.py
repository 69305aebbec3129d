"""The time left of a whole run: what is known is added, what is not is named, and trying a training changes nothing."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import torch

from chronas.runs import Run, execute
from chronas.runs.forecast import Forecast
from chronas.tables import CostTable
from tiny_run import tiny_config

Told = list[tuple[str, int, int, str]]


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_s = 1000.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now_s)


def told(forecast: Forecast, clock: Clock, step: str, *, after_s: float, done: int, total: int, reports: Told) -> None:
    """Report a step's begin and, later, how far it is."""
    forecast(step, 0, total, "")
    clock.now_s += after_s
    reports.clear()
    forecast(step, done, total, "a note")
    assert reports[0] == (step, done, total, "a note")


@pytest.fixture
def begun(tmp_path: Path) -> Run:
    """A run with all comparisons, of which nothing is done."""
    return Run.create(tmp_path / "run", tiny_config(baseline=True), command="x")


def test_each_step_adds_what_it_knows_of_later_ones(begun: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, reports = Clock(monkeypatch), Told()
    forecast = Forecast(begun, lambda *report: reports.append(report))
    told(forecast, clock, "measure", after_s=10, done=5, total=10, reports=reports)
    assert reports[1] == ("whole run", 10, 21, "seconds; not counted yet: search, train")
    told(forecast, clock, "search latency-term", after_s=10, done=1, total=4, reports=reports)
    assert reports[1] == ("whole run", 20, 20 + 30 + 2 * 40 + 1, "seconds; not counted yet: train")
    told(forecast, clock, "prepare", after_s=5, done=1, total=4, reports=reports)
    assert len(reports) == 1
    told(forecast, clock, "train random", after_s=5, done=5, total=10, reports=reports)
    assert reports[1][:2] == ("whole run", 30) and reports[1][2] == 30 + 5 + 10 + 1  # and another one as long
    forecast.finished()
    assert reports[-1] == ("whole run", 30, 30, "seconds")


def test_a_training_is_tried_in_the_runs_own_way_and_leaves_nothing(finished: Run, begun: Run) -> None:
    table = CostTable.load(finished.folder / "costs.parquet")
    reports = Told()
    forecast = Forecast(begun, lambda *report: reports.append(report))
    before, state = sorted(begun.folder.rglob("*")), torch.get_rng_state()
    forecast.try_training(table)
    assert sorted(begun.folder.rglob("*")) == before and torch.equal(torch.get_rng_state(), state) and not reports
    forecast("measure", 0, 10, "")
    forecast("measure", 5, 10, "")
    assert reports[-1][0] == "whole run" and reports[-1][3] == "seconds; not counted yet: search"


def test_a_run_tells_it_until_its_end(finished: Run, copied: Run) -> None:
    (copied.folder / "networks" / "latency-term" / "result.json").unlink()
    reports = Told()
    execute(copied, lambda *report: reports.append(report))
    assert reports[-1][0] == "whole run" and reports[-1][1] == reports[-1][2]
    assert (copied.folder / "model.onnx").read_bytes() == (finished.folder / "model.onnx").read_bytes()
