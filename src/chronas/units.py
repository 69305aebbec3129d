"""Units of chronas: latency in ms, energy in mJ, memory in MiB, work in MACs. Names carry them (`latency_ms`)."""

from __future__ import annotations

import re
from typing import Literal

from chronas.errors import UsageError, excerpt

MS_PER_S = 1e3
NS_PER_MS = 1e6
MJ_PER_UJ = 1e-3
MJ_PER_PJ = 1e-9
MIB_PER_KIB = 1 / 1024.0
BYTES_PER_MIB = 1024.0 * 1024.0
LATENCY = "latency_ms"
MeasuredCost = Literal["energy_mj", "peak_memory_mib"]  # costs that are measured besides latency on request
COST_UNITS = {LATENCY: "ms", "energy_mj": "mJ", "peak_memory_mib": "MiB"}

NAMED_BY_UNIT = re.compile(r"[a-z][a-z0-9_]*_([A-Za-z][A-Za-z0-9]*)")


def unit_of(cost: str) -> str:
    """The unit of a cost; for a user's own cost, the last part of its name (`carbon_g`: g).

    Raises:
        UsageError: the name does not end in a unit.
    """
    named = NAMED_BY_UNIT.fullmatch(cost)
    if named is None:
        known = ", ".join(COST_UNITS)
        raise UsageError(f"a cost's name should end in its unit, like {known} or carbon_g, got {excerpt(cost)}")
    return COST_UNITS.get(cost, named[1])


def ms_from_ns(duration_ns: float) -> float:
    """Milliseconds in `duration_ns` nanoseconds."""
    return duration_ns / NS_PER_MS


def mib_from_bytes(size_bytes: float) -> float:
    """Mebibytes in `size_bytes` bytes."""
    return size_bytes / BYTES_PER_MIB


def duration_text(duration_s: float) -> str:
    """A duration for people: `0.4 s`, `12 s`, `3 min 05 s`, `2 h 10 min`."""
    if round(duration_s, 1) < 10:
        return f"{duration_s:.1f} s"
    seconds = round(duration_s)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60:02d} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60:02d} min"


def cost_word(cost: str) -> str:
    """The name of a cost without its unit: `latency`, `peak memory`."""
    return cost.rpartition("_")[0].replace("_", " ") if cost in COST_UNITS else cost


def amount_text(cost: str, value: float) -> str:
    """An amount of a cost with its unit: `12 ms`; a user's own cost is named instead: `carbon_g 3`."""
    return f"{value:.4g} {COST_UNITS[cost]}" if cost in COST_UNITS else f"{cost} {value:.4g}"
