from __future__ import annotations

import io
import re
import sys

import pytest

from chronas import progress
from chronas.progress import Pace, ProgressBars, ProgressLines, progress_display

Capture = pytest.CaptureFixture[str]
CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_s = 100.0
        monkeypatch.setattr(progress.time, "monotonic", lambda: self.now_s)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_lines_come_at_the_start_seldom_in_between_and_at_the_end(clock: Clock, capsys: Capture) -> None:
    with ProgressLines() as display:
        for done in range(61):
            clock.now_s = 100.0 + done
            display("measure", done, 60, "5 rounds/s")
    assert capsys.readouterr().err.splitlines() == [
        "measure 0/60: 5 rounds/s",
        "measure 15/60: 5 rounds/s, 45 s left",
        "measure 30/60: 5 rounds/s, 30 s left",
        "measure 45/60: 5 rounds/s, 15 s left",
        "measure 60/60: 5 rounds/s",
    ]


def test_each_step_has_lines_of_its_own_and_single_steps_no_count(clock: Clock, capsys: Capture) -> None:
    with ProgressLines() as display:
        display("fit", 0, 1, "lpm")
        display("fit", 1, 1, "")
        display("search", 1, 9, "")
        display("search", 2, 9, "")
    assert capsys.readouterr().err.splitlines() == ["fit: lpm", "fit", "search 1/9"]


def test_the_time_left_follows_the_rate_since_the_step_was_first_told(clock: Clock) -> None:
    pace = Pace()
    assert pace.left("train", 10, 30) == ""
    clock.now_s += 20
    assert pace.left("train", 20, 30) == "20 s left"
    assert pace.left("train", 30, 30) == ""


def test_a_step_that_begins_anew_forgets_its_old_rate(clock: Clock) -> None:
    pace = Pace()
    pace.left("measure", 90, 100)
    clock.now_s += 1000
    assert pace.left("measure", 0, 100) == ""
    clock.now_s += 5
    assert pace.left("measure", 50, 100) == "5.0 s left"


def test_bars_show_each_step_with_its_count_and_note(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", "150")
    display = progress_display()
    assert isinstance(display, ProgressBars)
    with display:
        display("measure", 3, 7, "2.5 rounds/s")
        display("search", 1, 4, "epoch 1 of 2")
        display("measure", 7, 7, "done")
    text = CODES.sub("", terminal.getvalue())
    last = {line.split()[0]: line for line in text.replace("\r", "\n").splitlines() if line.strip()}
    assert "7/7" in last["measure"]
    assert "done" in last["measure"]
    assert "1/4" in last["search"]
    assert "epoch 1 of 2" in last["search"]


def test_a_file_gets_lines_without_codes(monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.StringIO()
    monkeypatch.setattr(sys, "stderr", file)
    display = progress_display()
    assert isinstance(display, ProgressLines)
    with display:
        display("train", 1, 1, "note")
    assert file.getvalue() == "train: note\n"
