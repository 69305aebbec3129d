"""How long `chronas --help` takes, and that it imports no torch.

    python benchmarks/startup.py

Bar: <= 0.4 s. Prints the times of ten runs and, last, one line of JSON.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time

RUNS = 10
WANTED_S = 0.4
COMMAND = [sys.executable, "-m", "chronas.cli.main", "--help"]


def main() -> None:
    times = []
    for _ in range(RUNS):
        began = time.perf_counter()
        subprocess.run(COMMAND, check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - began)
    trace = subprocess.run(
        [sys.executable, "-X", "importtime", *COMMAND[1:]], check=True, capture_output=True, text=True
    ).stderr
    torch = any(line.split("|")[-1].strip() == "torch" for line in trace.splitlines())
    print(" ".join(f"{seconds:.3f}" for seconds in times))
    median = statistics.median(times)
    met = median <= WANTED_S and not torch
    print(json.dumps({"benchmark": "startup", "met": met, "median_s": round(median, 3), "imports_torch": torch}))


if __name__ == "__main__":
    main()
