"""A bundle of a few tiny networks, for tests of what writes, measures and reads one."""

from __future__ import annotations

from pathlib import Path

from chronas.measurement import Manifest, Plan, write_bundle
from chronas.spaces import NetworkSize, make_space

SIZE = NetworkSize(input_shape=(3, 8, 8), outputs=5, width=4, depth=1)
NETWORKS = make_space("nasbench201").sample(5, seed=0)
PLAN = Plan(rounds=2, max_rounds=3, warmup=1, repeats=3, block=3, interval_percent=1.0)


def write_tiny(folder: Path, *, batch: int = 1) -> Manifest:
    """Write the bundle."""
    return write_bundle(folder, SIZE, NETWORKS, PLAN, batch=batch)
