"""The process that measures resident memory: `python -m chronas.measurement.resident`, JSON lines in and out.

The first line has device, config, space and size, pickled by the parent process; each further line has an architecture
and the file of its weights or null. Answers are one line each: {"peak_memory_mib": 33.6}, or {"error": "..."}. Output
of libraries goes to stderr.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from chronas.devices import Device
from chronas.errors import ChronasError
from chronas.measurement.memory import RUNS
from chronas.measurement.state import REFERENCE_SEED
from chronas.registry import unpacked
from chronas.spaces import NetworkSize, Space
from chronas.units import MIB_PER_KIB

STATUS = Path("/proc/self/status")
CLEAR_REFS = Path("/proc/self/clear_refs")
PEAK_TO_NOW = "5"  # https://docs.kernel.org/filesystems/proc.html, "clear_refs"


class Worker:
    """Measures the memory of one network after the other."""

    def __init__(self, first: Mapping[str, Any]) -> None:
        """Load the device's runtime and run a first network."""
        torch.set_num_threads(1)  # more threads would stay in memory after building networks
        device, config, space, size = unpacked(first["things"])
        self.device: Device = device(config)
        self.size: NetworkSize = size
        self.space: Space = space
        self.peak_mib(str(self.space.sample(1, REFERENCE_SEED)[0]), None)

    def peak_mib(self, text: str, weights: str | None) -> float:
        """The peak resident memory while a network runs, minus that before it was prepared, in MiB."""
        architecture = self.space.parse(text)
        _give_back()
        before_mib = resident_mib("VmRSS")
        runner = self.device.prepare(architecture, self.size, weights=None if weights is None else Path(weights))
        _give_back()
        CLEAR_REFS.write_text(PEAK_TO_NOW, encoding="ascii")
        runner.round(0, *RUNS)
        peak_mib = resident_mib("VmHWM")
        runner.close()
        return peak_mib - before_mib


def resident_mib(field: str) -> float:
    """A memory field of this process's status, in MiB."""
    lines = STATUS.read_text(encoding="ascii", errors="replace").splitlines()
    (value,) = (line.split()[1] for line in lines if line.startswith(f"{field}:"))
    return int(value) * MIB_PER_KIB


def _give_back() -> None:
    """Return unused memory to the system, so that garbage does not count."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's; other C libraries return memory by themselves
    if trim is not None:
        trim(0)


def main() -> None:
    """Answer requests until the input ends."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # libraries print there, and answers must stay alone
    worker: Worker | None = None
    for line in sys.stdin:
        question = json.loads(line)
        answer: dict[str, float | str] = {}
        try:
            if worker is None:
                worker = Worker(question)
            else:
                answer = {"peak_memory_mib": worker.peak_mib(question["architecture"], question["weights"])}
        except ChronasError as error:
            answer = {"error": str(error)}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
