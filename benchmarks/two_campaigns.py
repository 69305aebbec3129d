"""How well two campaigns over the same networks agree, with and without the level that all networks share.

    python benchmarks/two_campaigns.py results/darts-quiet.parquet results/darts-quiet-again.parquet

The second table is of the journal that `chronas measure check` left beside the first:
`CostTable.from_journal(Path("darts-quiet.check-1.sqlite"))`. Prints one line of JSON.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from chronas.tables import CostTable, Repeatability


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("first", type=Path)
    parser.add_argument("second", type=Path)
    options = parser.parse_args()
    columns = ["architecture", "latency_ms"]
    first, second = (CostTable.load(path).frame.select(columns) for path in (options.first, options.second))
    both = first.join(second, on="architecture", suffix="_again")
    before_ms, now_ms = both["latency_ms"].to_numpy(), both["latency_ms_again"].to_numpy()
    level = float(np.median(now_ms / before_ms))
    found, free = Repeatability.between(before_ms, now_ms), Repeatability.between(before_ms * level, now_ms)
    answer: dict[str, object] = {"benchmark": "two_campaigns", "networks": len(both), "kendall": found.kendall}
    answer |= {"median_difference_percent": found.median_difference_percent, "level_percent": 100 * (level - 1)}
    print(json.dumps(answer | {"without_level_percent": free.median_difference_percent}))


if __name__ == "__main__":
    main()
