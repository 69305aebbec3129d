"""Facts about this machine that do not identify its owner: CPU model, usable cores, operating system."""

from __future__ import annotations

import functools
import os
import platform
import subprocess
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
