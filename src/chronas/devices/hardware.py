"""What this machine is, without saying whose: CPU model, usable cores, operating system."""

from __future__ import annotations

import functools
import os
import platform
import subprocess
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")


@functools.cache
def cpu_model() -> str:
    """The CPU's name, with family and model where Linux tells them: "AMD EPYC (family 26, model 2)"."""
    if CPUINFO.is_file():
        lines = CPUINFO.read_text(encoding="utf-8", errors="replace").split("\n\n")[0].splitlines()
        facts = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
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


def usable_cores() -> int:
    """Logical cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def operating_system() -> str:
    """System, release and machine type, such as "Linux 6.1 x86_64"."""
    release = ".".join(platform.release().split("-")[0].split(".")[:2])
    return f"{platform.system()} {release} {platform.machine()}"
