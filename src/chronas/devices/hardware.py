"""Facts about this machine that do not identify its owner: CPU model, usable cores, operating system."""

from __future__ import annotations

import functools
import os
import platform
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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
