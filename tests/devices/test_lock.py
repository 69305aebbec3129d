from __future__ import annotations

import subprocess
import sys
import threading
import time
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


def test_the_lock_is_free_again_after_an_error(hardware: str) -> None:
    with pytest.raises(RuntimeError, match="the timing failed"), hardware_lock(hardware):
        raise RuntimeError("the timing failed")
    with hardware_lock(hardware, waiting=lambda: pytest.fail("waited")):
        pass


def test_threads_of_one_process_take_turns(hardware: str) -> None:
    """Two campaigns in one process must not time at once either."""
    busy, overlaps, done = [0], [], []

    def timing() -> None:
        for _ in range(5):
            with hardware_lock(hardware, every_s=0.01):
                busy[0] += 1
                overlaps.append(busy[0])
                time.sleep(0.002)
                busy[0] -= 1
        done.append(True)

    threads = [threading.Thread(target=timing) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) == 3
    assert overlaps == [1] * 15


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("AMD EPYC (family 26, model 2)", "AMD EPYC (family 26, model 2)", True),
        ("AMD EPYC (family 26, model 2)", "AMD EPYC (family 26, model 3)", False),
        ("../../etc/passwd", "simulated", False),
        ("CPU @ 2.5GHz / 8", "CPU @ 2.5GHz / 9", False),
    ],
)
def test_a_lock_is_one_file_a_hardware_in_the_temporary_folder(
    one: str, other: str, *, same: bool, hardware: str, tmp_path: Path
) -> None:
    for name in (one, other):
        with hardware_lock(name):
            pass
    files = list(tmp_path.rglob("*.lock"))
    assert {file.parent for file in files} == {tmp_path}
    assert len(files) == (1 if same else 2)


def test_a_lock_that_cannot_be_made_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing" / ("x" * 300)))
    with pytest.raises(DeviceError, match="cannot lock"), hardware_lock("a CPU"):
        pass
