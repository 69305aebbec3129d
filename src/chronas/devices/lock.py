"""One timing at a time for each hardware, over all processes of this machine; and the load from other programs.

The lock is the operating system's (`flock` on a file in the temporary folder). The kernel frees it when its holder
dies for any reason, so nothing has to be cleaned up after a kill. The load is stored with a measurement.
"""

from __future__ import annotations

import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from chronas.errors import DeviceError


def _nothing() -> None:
    """Ignore the wait."""


@contextmanager
def hardware_lock(hardware: str, waiting: Callable[[], None] = _nothing, every_s: float = 1.0) -> Iterator[None]:
    """Hold a hardware for one timing, after waiting for its present holder.

    Args:
        hardware: `Device.hardware`.
        waiting: called if another process holds the lock, and again every `every_s` seconds until it is free; an
            exception from it ends the wait.
        every_s: seconds between two calls of `waiting`.

    Raises:
        DeviceError: the lock's file cannot be created.
    """
    lock = FileLock(_lock_path(hardware), mode=0o666)
    timeout_s = 0.0
    try:
        while not _acquired(lock, timeout_s):
            waiting()
            timeout_s = every_s
        yield
    finally:
        lock.release()


def _lock_path(hardware: str) -> Path:
    return Path(tempfile.gettempdir()) / f"chronas-{re.sub(r'[^A-Za-z0-9]+', '-', hardware).strip('-').lower()}.lock"


def _acquired(lock: FileLock, timeout_s: float) -> bool:
    try:
        lock.acquire(timeout=timeout_s, poll_interval=0.02)
    except Timeout:
        return False
    except OSError as error:
        raise DeviceError(f"cannot lock {lock.lock_file}: {error.strerror}; make it writable or delete it") from error
    return True


if sys.platform == "linux":
    import resource

FRESH_S = 0.25  # a shorter time has too few ticks of the system's clock (10 ms) to say much


class LoadMeter:
    """Measures the cores used by others between two calls: programs, the kernel, other guests of a virtual machine."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._last = (time.monotonic(), self._others_s())
        self._cores: float | None = None

    def cores(self) -> float | None:
        """The mean number of cores used by others since the last call; None if too little time has passed."""
        now_s, others_s = time.monotonic(), self._others_s()
        before_s, before_others_s = self._last
        if now_s - before_s >= FRESH_S:
            self._cores = max(0.0, (others_s - before_others_s) / (now_s - before_s))
            self._last = (now_s, others_s)
        return self._cores

    def _others_s(self) -> float:
        """CPU seconds since boot that were neither idle nor this process's; guests count as user time."""
        every = psutil.cpu_times()
        names = ("user", "nice", "system", "irq", "softirq", "steal")
        own = self._process.cpu_times()
        return sum(float(getattr(every, name, 0.0)) for name in names) - float(own.user) - float(own.system)


def preemptions() -> int:
    """The number of times that this thread lost its core to others; always 0 if unknown (not on Linux)."""
    return resource.getrusage(resource.RUSAGE_THREAD).ru_nivcsw if sys.platform == "linux" else 0
