"""How alike devices rank the cells of NAS-Bench-201, and what the best cell for one costs on the others.

    python benchmarks/device_ranks.py --data ../shared/data [--page ranks.html]

HW-NAS-Bench's columns (arXiv 2103.10584), HELP's (arXiv 2106.08630) and the tables that come with chronas, CIFAR-10
networks. Each device's limit is the latency that a quarter of all cells keeps; the best cell is the most accurate
within it (validation accuracy, 200 epochs). Prints Kendall of all pairs, the best cells, their latency over every limit
and, last, one line of JSON.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import polars as pl

from chronas.reports import write_comparison
from chronas.spaces import make_space
from chronas.tables import (
    Comparison,
    CostTable,
    Provenance,
    Query,
    compare,
    is_table,
    read_accuracies,
    shipped_tables,
)

ACCURACY = "cifar10_val_acc_200"
HW_NAS_BENCH, HELP = "HW-NAS-Bench (arXiv 2103.10584, MIT)", "HELP (arXiv 2106.08630, MIT)"
THEIRS = ("raspi4", "pixel3", "eyeriss", "fpga")  # HELP has HW-NAS-Bench's columns of these again
SPACE = make_space("nasbench201")
SIZE = SPACE.sizes["cifar10"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with nasbench201/*.parquet")
    parser.add_argument("--page", type=Path, help="HTML page to write")
    arguments = parser.parse_args()
    folder = arguments.data / "nasbench201"
    tables = [*published(folder), *at_hand()]
    query = Query(tables, read_accuracies(folder / "accuracy.parquet", SPACE))
    comparison = compare(query, SIZE, accuracy=ACCURACY)
    if arguments.page is not None:
        write_comparison(arguments.page, comparison)
    show(comparison)
    pairs = [one for one in comparison.agreements if "MACs" not in (one.first, one.second)]
    kendall = [one.kendall for one in pairs if one.kendall is not None and one.second != "parameters"]
    shares = np.array(comparison.shares(), dtype=np.float64)
    others = shares[~np.eye(len(shares), dtype=bool)]
    summary = {
        "columns": len(comparison.best),
        "kendall_median": round(float(np.median(kendall)), 3),
        "kendall_min": round(min(kendall), 3),
        "limits_missed_elsewhere": round(float((others[~np.isnan(others)] > 1).mean()), 3),
        "worst_times_limit": round(float(np.nanmax(others)), 2),
    }
    print(json.dumps({"benchmark": "device_ranks", **summary}))


def published(folder: Path) -> list[CostTable]:
    """One table for each device of the published files."""
    known = pl.read_parquet(folder / "hw_nas_bench.parquet")
    tables = []
    for device in ("edgegpu", "raspi4", "edgetpu", "pixel3", "eyeriss", "fpga"):
        energy = f"cifar10_{device}_energy_mj"
        columns = {"latency_ms": f"cifar10_{device}_latency_ms"} | (
            {"energy_mj": energy} if energy in known.columns else {}
        )
        tables.append(table(known, device, 1, columns, HW_NAS_BENCH))
    helps = pl.read_parquet(folder / "latency_help.parquet")
    for name in (name.removesuffix("_ms") for name in helps.columns if name.endswith("_ms")):
        if name not in THEIRS:
            batch = int(name.rpartition("_")[2]) if name.startswith(("1080ti", "titanx")) else 1
            tables.append(table(helps, name, batch, {"latency_ms": f"{name}_ms"}, HELP))
    return tables


def table(frame: pl.DataFrame, device: str, batch: int, columns: dict[str, str], source: str) -> CostTable:
    chosen = frame.select(index="arch_idx", architecture="arch_str", **columns).drop_nulls("latency_ms")
    provenance = Provenance(SPACE.name, SIZE, {"name": device, "batch": batch}, source=source)
    return CostTable.from_values(chosen, provenance)


def at_hand() -> list[CostTable]:
    """The tables that come with chronas, of these networks."""
    tables = [CostTable.load(path) for path in shipped_tables() if is_table(path)]
    kind = (SPACE.name, SIZE)
    return [one for one in tables if (one.provenance.space, one.provenance.size) == kind]


def show(comparison: Comparison) -> None:
    numbers = {name: str(number) for number, name in enumerate(comparison.names, 1)}
    print("Kendall; columns are numbered as rows\n")
    print(f"{'':<28}" + "".join(f"{number:>6}" for number in numbers.values()))
    for (name, number), row in zip(numbers.items(), comparison.matrix("kendall"), strict=True):
        print(f"{number:>2} {name:<25}" + "".join("     -" if value is None else f"{value:6.2f}" for value in row))
    print(f"\nthe most accurate cell ({ACCURACY}) within each device's limit\n")
    for one in comparison.best:
        print(f"{one.cost:<25}{one.limit:>9.3f}{one.accuracy_percent:>8.2f} %  {one.architecture}")
    print("\ncost of each of these on every device, over that device's limit (columns in the order of rows)\n")
    for one, row in zip(comparison.best, comparison.shares(), strict=True):
        print(f"{one.cost:<25}" + "".join("     -" if value is None else f"{value:6.2f}" for value in row))


if __name__ == "__main__":
    main()
