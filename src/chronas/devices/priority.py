"""Real-time priority for the timing thread, if the system grants it, to keep other programs out.

On a machine with more work than cores, an ordinary thread loses its core in the middle of a run. Among all methods
tried (docs/log.md, 2026-11-22), this helped most: with five busy programs on two cores, two campaigns agreed with
Kendall 0.94 with it, and 0.23 without it. Linux grants it to root, to CAP_SYS_NICE, and within RLIMIT_RTPRIO.
https://man7.org/linux/man-pages/man7/sched.7.html
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

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
