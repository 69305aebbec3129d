"""How fast tables answer: one query, all answers at once, Pareto fronts, and the command from its start.

    python benchmarks/table_queries.py

Bars: one query <= 1 ms in the median; the front of 15,625 rows on two costs <= 50 ms, of 1,000,000 rows <= 1 s. All
cells of NAS-Bench-201 on six devices: the shipped table of ONNX Runtime, and five with random costs. Prints each and,
last, one line of JSON.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl

from chronas.pareto import non_dominated
from chronas.spaces import make_space
from chronas.tables import CostTable, Provenance, Query, shipped_files

SHIPPED = "nasbench201-cifar10-onnxruntime-cpu"
RANDOM_DEVICES = 5
QUERIES = 1000
ROWS = 1_000_000
REPEATS = 5


def main() -> None:
    space = make_space("nasbench201")
    random = np.random.default_rng(0)
    cells = [str(space.from_index(index)) for index in range(space.cardinality)]
    size = space.sizes["cifar10"]
    tables = [CostTable.load(shipped_files()[SHIPPED])]
    tables += [
        CostTable.from_values(
            pl.DataFrame(
                {"index": range(len(cells)), "architecture": cells, "latency_ms": random.uniform(1, 50, len(cells))}
            ),
            Provenance(space.name, size, {"name": f"device{number}"}, source="random"),
        )
        for number in range(RANDOM_DEVICES)
    ]
    query = Query(tables)
    asked = [cells[number] for number in random.integers(0, len(cells), QUERIES)]
    query.records(asked[0])
    singles = [seconds(lambda text=text: query.records(text)) for text in asked]  # type: ignore[misc]
    names = ["onnxruntime-cpu.latency_ms", "device1.latency_ms"]
    many = random.uniform(1, 50, (ROWS, 2))
    found = {
        "query_ms": 1e3 * statistics.median(singles),
        "query_p99_ms": 1e3 * float(np.quantile(singles, 0.99)),
        "front_15625_ms": 1e3 * best(lambda: query.pareto(names)),
        "front_1000000_ms": 1e3 * best(lambda: non_dominated(many)),
        "everything_ms": 1e3 * best(query.everything),
        "command_ms": 1e3 * command_on_all(tables),
        "shipped_command_ms": 1e3 * command([SHIPPED, "--index", "7"]),
    }
    for name, value in found.items():
        print(f"{name:<18} {value:9.3f}")
    met = found["query_ms"] <= 1 and found["front_15625_ms"] <= 50 and found["front_1000000_ms"] <= 1000
    print(json.dumps({"benchmark": "table_queries", "met": met} | {name: round(v, 3) for name, v in found.items()}))


def command_on_all(tables: list[CostTable]) -> float:
    """Seconds of `chronas table query FOLDER --index 7` on all tables."""
    with tempfile.TemporaryDirectory() as folder:
        for number, table in enumerate(tables):
            table.save(Path(folder) / f"device{number}.parquet")
        return command([folder, "--index", "7"])


def command(words: list[str]) -> float:
    """Seconds of `chronas table query` from its start to its end, the median of `REPEATS`."""
    line = [sys.executable, "-m", "chronas", "table", "query", *words]
    runs = [seconds(lambda: subprocess.run(line, check=True, stdout=subprocess.DEVNULL)) for _ in range(REPEATS)]
    return statistics.median(runs)


def best(call: Callable[[], object]) -> float:
    return min(seconds(call) for _ in range(REPEATS))


def seconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
