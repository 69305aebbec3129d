"""Small tables and accuracies for tests of the explorer; every number is known exactly."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from chronas.explore import Collection, Plane, Quantity, load_catalogue
from chronas.spaces import Architecture, NetworkSize, make_space
from chronas.tables import CostTable, Provenance

SPACE = make_space("nasbench201")
SIZE = NetworkSize(input_shape=(3, 8, 8), outputs=4, width=4, depth=1)
NETWORKS = [network for network in SPACE.sample(90, seed=0) if network.connected()][:60]
USELESS = next(network for network in SPACE.sample(200, seed=0) if not network.connected())


def latencies(count: int, seed: int = 0) -> list[float]:
    """Latencies of 1 to 9 ms, with three decimals."""
    return [float(value) for value in np.random.default_rng(seed).uniform(1, 9, count).round(3)]


def write_table(
    path: Path,
    values_ms: Sequence[float],
    networks: Sequence[Architecture] = NETWORKS,
    *,
    hardware: str = "a board",
    size: NetworkSize = SIZE,
    spread_percent: float = 1.0,
    energies_mj: Sequence[float] | None = None,
) -> Path:
    """A table of three rounds a network, whose interval is the latency +- `spread_percent`."""
    values = np.array(values_ms)
    wide = values * spread_percent / 100
    frame = pl.DataFrame(
        {
            "architecture": [str(network) for network in networks[: len(values)]],
            "latency_ms": values,
            "latency_low_ms": values - wide,
            "latency_high_ms": values + wide,
            "latency_median_ms": values,
            "latency_p95_ms": values + wide,
            "round_latencies_ms": [[value] * 3 for value in values.tolist()],
        }
    )
    if energies_mj is not None:
        energy = pl.Series(energies_mj, dtype=pl.Float64)
        rounds = pl.Series([[value] for value in energies_mj], dtype=pl.List(pl.Float64))
        frame = frame.with_columns(
            energy.alias("energy_mj"),
            energy.alias("energy_low_mj"),
            energy.alias("energy_high_mj"),
            rounds.alias("round_energies_mj"),
        )
    device = {"name": "simulated", "hardware": hardware, "threads": 1, "batch": 1, "dtype": "float32"}
    device |= {"runtime": "simulated", "version": "1.0"}
    CostTable(frame, Provenance("nasbench201", size, device, created="2026-11-22T10:00:00")).save(path)
    return path


def write_accuracies(path: Path, percents: Sequence[float], networks: Sequence[Architecture] = NETWORKS) -> Path:
    """A file of accuracies in one column `accuracy`."""
    texts = [str(network) for network in networks[: len(percents)]]
    pl.DataFrame({"architecture": texts, "accuracy": percents}).write_parquet(path)
    return path


def accuracies(count: int, seed: int = 1) -> list[float]:
    """Accuracies of 60 to 94 percent, all different."""
    return [float(value) for value in np.random.default_rng(seed).permutation(np.linspace(60, 94, count).round(3))]


def only_collection(files: Sequence[Path], accuracy: Path | None = None) -> Collection:
    """The one collection of some files."""
    (collection,) = load_catalogue(tuple(files), accuracy).values()
    return collection


def quantity(values: list[float], *, high: float = 1.0, maximise: bool = False) -> Quantity:
    """A quantity of networks whose interval goes from value / high to value * high."""
    numbers = np.array(values)
    rounds = np.full(len(numbers), 3)
    return Quantity("Time", "a board", "ms", "", numbers, numbers / high, numbers * high, rounds, {}, maximise)


def plane_of(cost: Quantity, goal: Quantity) -> Plane:
    """The plane of two quantities of networks that are all useful."""
    return Plane.of(cost, goal, np.ones(len(cost.values), dtype=np.bool_))
