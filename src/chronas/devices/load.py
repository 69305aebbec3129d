"""How busy this machine is with other things than this process, so that a measurement can say so."""

from __future__ import annotations

import sys
import time

import psutil

if sys.platform == "linux":
    import resource

FRESH_S = 0.25  # a shorter time holds few ticks of the system's clock (10 ms), and says little


class LoadMeter:
    """Cores that others used between two questions: programs, the kernel, and other guests of a virtual machine."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._last = (time.monotonic(), self._others_s())
        self._cores: float | None = None

    def cores(self) -> float | None:
        """The mean number of cores that others used since the last question; None where too little time has passed."""
        now_s, others_s = time.monotonic(), self._others_s()
        before_s, before_others_s = self._last
        if now_s - before_s >= FRESH_S:
            self._cores = max(0.0, (others_s - before_others_s) / (now_s - before_s))
            self._last = (now_s, others_s)
        return self._cores

    def _others_s(self) -> float:
        """CPU seconds since the machine started that were neither idle nor this process's; guests' are in user's."""
        every = psutil.cpu_times()
        names = ("user", "nice", "system", "irq", "softirq", "steal")
        own = self._process.cpu_times()
        return sum(float(getattr(every, name, 0.0)) for name in names) - float(own.user) - float(own.system)


def preemptions() -> int:
    """How often the system has taken the core away from this thread; always 0 where it does not tell (not on Linux)."""
    return resource.getrusage(resource.RUSAGE_THREAD).ru_nivcsw if sys.platform == "linux" else 0
