"""How long imports, helps and a query of a shipped table take, beside bare Python and bare torch in the same run.

    python benchmarks/startup.py

Bars: `import chronas` 0.05 s over Python; `chronas --help` 0.2 s; `chronas run --help` 1 s; `import chronas.search`
with all of its names 1 s over torch; `chronas table query` 0.7 s. Ten runs of each, taking turns, so that load is seen.
`cpu` is what a process has computed, which other work on the machine hardly changes. Prints a line for each and, last,
one line of JSON.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time

RUNS = 10
CHRONAS = ["-m", "chronas"]
COMMANDS = {
    "python": ["-c", "pass"],
    "torch": ["-c", "import torch"],
    "import": ["-c", "import chronas"],
    "search": ["-c", "import chronas.search"],
    "all of search": ["-c", "from chronas.search import *"],
    "help": [*CHRONAS, "--help"],
    "run help": [*CHRONAS, "run", "--help"],
    "query": [*CHRONAS, "table", "query", "nasbench201-cifar10-onnxruntime-cpu", "--index", "1462"],
}
BARS_S = {  # seconds, over those of another line
    "import": (0.05, "python"),
    "search": (1.0, "torch"),
    "all of search": (1.0, "torch"),
    "help": (0.2, None),
    "run help": (1.0, None),
    "query": (0.7, None),
}
LIGHT = ("import", "help", "run help", "query")  # must not import torch


def run_s(words: list[str]) -> tuple[float, float]:
    """Wall and CPU seconds of one process."""
    began, before = time.perf_counter(), os.times()
    subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)
    after = os.times()
    cpu_s = after.children_user + after.children_system - before.children_user - before.children_system
    return time.perf_counter() - began, cpu_s


def imports_torch(words: list[str]) -> bool:
    trace = subprocess.run(
        [sys.executable, "-X", "importtime", *words], check=True, capture_output=True, text=True
    ).stderr
    return any(line.split("|")[-1].strip() == "torch" for line in trace.splitlines())


def main() -> None:
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in COMMANDS}
    for _ in range(RUNS):
        for name, words in COMMANDS.items():
            times[name].append(run_s(words))
    medians = {}
    for name, found in times.items():
        wall, cpu = (statistics.median(part) for part in zip(*found, strict=True))
        medians[name] = {"median_s": round(wall, 3), "cpu_s": round(cpu, 3)}
        print(f"{name:<13} {wall:.3f} s, cpu {cpu:.3f} s: {' '.join(f'{one[0]:.3f}' for one in found)}")
    over = {
        name: round(medians[name]["median_s"] - (medians[base]["median_s"] if base else 0.0), 3)
        for name, (_, base) in BARS_S.items()
    }
    torch = [name for name in LIGHT if imports_torch(COMMANDS[name])]
    met = not torch and all(over[name] <= bar for name, (bar, _) in BARS_S.items())
    print(json.dumps({"benchmark": "startup", "met": met, "over_s": over, "bars_s": BARS_S, "imports_torch": torch}))


if __name__ == "__main__":
    main()
