"""Real-time priority: what was before comes back, children do not inherit it, and who may not have it goes without."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from chronas.devices import HIGH, NORMAL, REALTIME
from chronas.devices.hardware import realtime_priority

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets Python set a thread's priority")


def state() -> tuple[int, int, int]:
    return os.sched_getscheduler(0), os.sched_getparam(0).sched_priority, os.getpriority(os.PRIO_PROCESS, 0)


def refuse(*arguments: object) -> None:
    raise PermissionError


def test_what_was_before_comes_back_also_after_an_error() -> None:
    before = state()
    with pytest.raises(RuntimeError), realtime_priority() as granted:
        assert granted in {REALTIME, HIGH, NORMAL}
        assert (state() != before) == (granted != NORMAL)
        raise RuntimeError
    assert state() == before


def test_children_have_ordinary_priority() -> None:
    """A worker thread that kept real-time priority and waited by spinning would stop the machine."""
    show = "import os; print(os.sched_getscheduler(0) == os.SCHED_OTHER)"
    with realtime_priority() as granted:
        if granted != REALTIME:
            pytest.skip("this user may not have real-time priority")
        answer = subprocess.run([sys.executable, "-c", show], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "True"


def test_without_the_right_to_it_a_nice_value_is_tried_then_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    before, asked = state(), []
    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    with monkeypatch.context() as patch:
        patch.setattr(os, "setpriority", lambda *arguments: asked.append(arguments))
        with realtime_priority() as granted:
            assert granted == HIGH
    assert asked == [(os.PRIO_PROCESS, 0, -20), (os.PRIO_PROCESS, 0, before[2])]
    monkeypatch.setattr(os, "setpriority", refuse)
    with realtime_priority() as granted:
        assert granted == NORMAL
    assert state() == before
