"""What the tables that come with chronas hold and how well they were measured; and how measured tables become shipped.

    python benchmarks/shipped_tables.py [--take FOLDER]

Bars: all files together <= 3 MB; a check of each measured NAS-Bench-201 table >= 30 minutes after its last round, in
another process: median difference <= 3 %, Kendall >= 0.9. With --take, every table of the folder that was measured by a
campaign is written among them first, under the name of its space, data set and device; one that has single blocks
also as a table of blocks. Prints a row for each file and, last, one line of JSON.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from chronas.cli.output import write_table
from chronas.spaces import make_space
from chronas.tables import (
    BlockNetworks,
    BlockTable,
    CostTable,
    Provenance,
    added_up,
    as_block_table,
    is_block_table,
    is_table,
    shipped_files,
)
from chronas.tables.bundled import FOLDER
from chronas.tables.provenance import interval_text

LARGEST_MB, FARTHEST_PERCENT, LEAST_KENDALL = 3.0, 3.0, 0.9
MEGA = 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--take", type=Path, help="folder of measured tables to ship")
    folder = parser.parse_args().take
    if folder is not None:
        FOLDER.mkdir(exist_ok=True)
        for path in sorted(folder.glob("*.parquet")):
            take(path)
    files = shipped_files()
    size_mb = sum(path.stat().st_size for path in files.values()) / MEGA
    described = [(name, *facts(path), round(path.stat().st_size / 1e3)) for name, path in files.items()]
    write_table(("table", "rows", "measured", "rounds", "interval", "halves of rounds", "checks", "kB"), described)
    checked = {name: judged(path) for name, path in files.items() if name.startswith("nasbench201")}
    met = size_mb <= LARGEST_MB and all(checked.values())
    print(
        json.dumps({"benchmark": "shipped_tables", "met": met, "megabytes": round(size_mb, 3), "checks_met": checked})
    )


def take(path: Path) -> None:
    """Write a measured table among those that are shipped."""
    table = CostTable.load(path)
    name = f"{table.provenance.space}-{dataset(table.provenance)}-{table.provenance.device['name']}"
    if table.provenance.additivity is None:
        table.save(FOLDER / f"{name}.parquet")
        return
    networks = BlockNetworks.of(table.space, table.provenance.size)
    _, judged_again = added_up(table, networks)
    judged_again.save(FOLDER / f"{name}-networks.parquet")
    as_block_table(table, networks, dataset(table.provenance)).save(FOLDER / f"{name}.parquet")


def dataset(provenance: Provenance) -> str:
    """The name of the size's data set in the table's space."""
    sizes = make_space(provenance.space).sizes
    return next(name for name, size in sizes.items() if size == provenance.size)


def facts(path: Path) -> tuple[object, ...]:
    """Rows, measured networks, rounds, interval, repeatability and checks of a table."""
    if is_block_table(path):
        table = BlockTable.load(path)
        (quality,) = table.origin.quality.values()
        ends = f"{quality.low_percent:+.2g} to {quality.high_percent:+.2g} % (sums)"
        checks = "; ".join(map(str, quality.checks)) or "none"
        return len(table.frame), None, f"{quality.rounds} or more", ends, str(quality.repeatability), checks
    assert is_table(path)
    known = CostTable.load(path)
    rounds = [len(one) for one in known.measured().rounds()]
    checks = "; ".join(map(str, known.provenance.checks)) or "none"
    interval = interval_text(known.frame, known.provenance.cost).partition(" (")[0]
    spread = f"{min(rounds)} to {max(rounds)}"
    return len(known), len(known.measured()), spread, interval, str(known.repeatability()), checks


def judged(path: Path) -> bool:
    """Whether the last check of a table keeps the bars."""
    checks = CostTable.load(path).provenance.checks
    if not checks:
        return False
    found = checks[-1].agreement
    assert found.kendall is not None and found.median_difference_percent is not None
    return found.median_difference_percent <= FARTHEST_PERCENT and found.kendall >= LEAST_KENDALL


if __name__ == "__main__":
    main()
