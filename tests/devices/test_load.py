"""The load of others is seen, this process's own is not."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from chronas.devices import lock as load
from chronas.devices.lock import LoadMeter, preemptions

SPIN = "while True: pass"


def spin(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def test_another_process_counts_and_this_one_does_not() -> None:
    meter = LoadMeter()
    assert meter.cores() is None, "nothing is known of no time"
    spin(1.0)
    alone = meter.cores()
    with subprocess.Popen([sys.executable, "-c", SPIN]) as other:
        try:
            time.sleep(1.0)
            beside = meter.cores()
        finally:
            other.kill()
    assert alone is not None and beside is not None
    assert beside > 0.02, "the other process had a share of a core"


class Clock:
    """A machine of which everything is known."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_s, self.others_s = 100.0, 40.0
        monkeypatch.setattr(load.time, "monotonic", lambda: self.now_s)
        monkeypatch.setattr(LoadMeter, "_others_s", lambda meter: self.others_s)

    def let_pass(self, seconds: float, others_s: float) -> None:
        self.now_s, self.others_s = self.now_s + seconds, self.others_s + others_s


def test_cores_are_cpu_seconds_of_others_by_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    meter = LoadMeter()
    clock.let_pass(2.0, 3.0)
    assert meter.cores() == 1.5
    clock.let_pass(0.01, 0.0)
    assert meter.cores() == 1.5, "too little time for a new answer"
    clock.let_pass(1.0, -0.02)
    assert meter.cores() == 0.0, "clocks of the system and of the process differ by ticks"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts preemptions by thread")
def test_preemptions_of_a_crowded_core_are_counted() -> None:
    before = preemptions()
    with subprocess.Popen([sys.executable, "-c", SPIN]) as one, subprocess.Popen([sys.executable, "-c", SPIN]) as two:
        try:
            spin(1.0)
        finally:
            one.kill()
            two.kill()
    assert preemptions() > before
