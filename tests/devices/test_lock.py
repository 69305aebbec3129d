from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from chronas.devices import hardware_lock
from chronas.errors import DeviceError

HOLD = """
import sys, time
from chronas.devices.lock import hardware_lock
with hardware_lock(sys.argv[1]):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def hardware(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    return f"A test's CPU (model {uuid.uuid4()})"


@contextmanager
def another_process(hardware: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", HOLD, hardware]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_lock_that_is_free_is_taken_without_a_word(hardware: str) -> None:
    for _ in range(2):
        with hardware_lock(hardware, waiting=lambda: pytest.fail("waited")):
            pass


def test_waiting_says_so_and_ends_when_the_holder_is_killed(hardware: str) -> None:
    said = []
    with another_process(hardware) as process:

        def waiting() -> None:
            said.append("waiting")
            if len(said) == 3:
                process.kill()

        with hardware_lock(hardware, waiting, every_s=0.05):
            assert len(said) >= 3


def test_waiting_can_be_interrupted(hardware: str) -> None:
    def waiting() -> None:
        raise KeyboardInterrupt

    with another_process(hardware), pytest.raises(KeyboardInterrupt), hardware_lock(hardware, waiting):
        pytest.fail("got a lock that another process holds")


def test_other_hardware_is_free(hardware: str) -> None:
    with another_process(hardware), hardware_lock("another CPU", waiting=lambda: pytest.fail("waited")):
        pass


def test_a_lock_that_cannot_be_made_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing" / ("x" * 300)))
    with pytest.raises(DeviceError, match="cannot lock"), hardware_lock("a CPU"):
        pass
