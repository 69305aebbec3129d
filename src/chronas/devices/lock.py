"""One timing at a time per hardware, over all processes of this machine.

The lock is the operating system's (`flock` on a file in the temporary folder): the kernel frees it when its holder
dies, however it dies, so that nothing has to be cleaned up after a kill.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from chronas.errors import DeviceError


def _nothing() -> None:
    """Say nothing about waiting."""


@contextmanager
def hardware_lock(hardware: str, waiting: Callable[[], None] = _nothing, every_s: float = 1.0) -> Iterator[None]:
    """Hold a hardware for one timing, after waiting for whoever holds it now.

    Args:
        hardware: `Device.hardware`.
        waiting: called when the lock is taken, and again every `every_s` seconds until it is free; an exception that it
            raises ends the wait.
        every_s: seconds between two calls of `waiting`.

    Raises:
        DeviceError: the lock's file cannot be made.
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
