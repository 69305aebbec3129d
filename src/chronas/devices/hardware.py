"""Facts about this machine that do not identify its owner: CPU model, usable cores, operating system."""

from __future__ import annotations

import functools
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from chronas.errors import DeviceError

CPUINFO = Path("/proc/cpuinfo")


# Flags in /proc/cpuinfo of CPUs that multiply bfloat16 natively: x86 (two instruction sets) and ARM.
BFLOAT16_FLAGS = ("avx512_bf16", "amx_bf16", "bf16")


@functools.cache
def cpu_model() -> str:
    """The CPU's name, on Linux with family and model: "AMD EPYC (family 26, model 2)"."""
    facts = _cpu_facts()
    if "cpu family" in facts:
        return f"{facts['model name']} (family {facts['cpu family']}, model {facts['model']})"
    if "model name" in facts:
        return facts["model name"]
    if platform.system() == "Darwin":
        answer = subprocess.run(
            ["sysctl", "-n", "machdep.cpu.brand_string"], capture_output=True, text=True, check=False
        )
        return answer.stdout.strip() or platform.machine()
    return platform.processor() or platform.machine()


def computes_bfloat16() -> bool:
    """Whether the CPU has instructions for bfloat16 according to Linux; False on other systems."""
    facts = _cpu_facts()
    flags = facts.get("flags", facts.get("Features", "")).split()
    return any(flag in flags for flag in BFLOAT16_FLAGS)


def _cpu_facts() -> dict[str, str]:
    """Linux's description of the first CPU; empty on other systems."""
    if not CPUINFO.is_file():
        return {}
    lines = CPUINFO.read_text(encoding="utf-8", errors="replace").split("\n\n")[0].splitlines()
    return {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}


def usable_cores() -> int:
    """The number of logical cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def operating_system() -> str:
    """System, release and machine type, such as "Linux 6.1 x86_64"."""
    release = ".".join(platform.release().split("-")[0].split(".")[:2])
    return f"{platform.system()} {release} {platform.machine()}"


# ----
# Real-time priority for the timing thread, if the system grants it, to keep other programs out.
#
# On a machine with more work than cores, an ordinary thread loses its core in the middle of a run. Among all methods
# tried (docs/log.md, 2026-11-22), this helped most: with five busy programs on two cores, two campaigns agreed with
# Kendall 0.94 with it, and 0.23 without it. Linux grants it to root, to CAP_SYS_NICE, and within RLIMIT_RTPRIO.
# https://man7.org/linux/man-pages/man7/sched.7.html

REALTIME, HIGH, NORMAL = "real-time", "high", "normal"
STEP = 10  # one of the 99 real-time priorities: above ordinary programs, below vital system threads
HIGHEST = -20


@contextmanager
def realtime_priority() -> Iterator[str]:
    """Hold the best priority that this thread may have, and restore the old one afterwards.

    Threads and processes that start in the meantime have ordinary priority.

    Yields:
        The granted priority: "real-time", "high" (a nice value of -20), or "normal".
    """
    if not hasattr(os, "SCHED_RESET_ON_FORK"):
        yield NORMAL  # no Linux: other systems have no such call in Python
        return
    policy, settings, nice = os.sched_getscheduler(0), os.sched_getparam(0), os.getpriority(os.PRIO_PROCESS, 0)
    granted = _raise()
    try:
        yield granted
    finally:
        if granted == REALTIME:
            os.sched_setscheduler(0, policy, settings)
        elif granted == HIGH:
            os.setpriority(os.PRIO_PROCESS, 0, nice)


def _raise() -> str:
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(STEP))
    except PermissionError:
        pass
    else:
        return REALTIME
    try:
        os.setpriority(os.PRIO_PROCESS, 0, HIGHEST)
    except PermissionError:
        return NORMAL
    return HIGH


# ----
# One timing at a time for each hardware, over all processes of this machine; and the load from other programs.
#
# The lock is the operating system's (`flock` on a file in the temporary folder). The kernel frees it when its holder
# dies for any reason, so nothing has to be cleaned up after a kill. The load is stored with a measurement.


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
