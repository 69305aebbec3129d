"""How long `import chronas`, `chronas --help` and a query of a shipped table take, and that none of them imports torch.

    python benchmarks/startup.py

Bars: `chronas --help` <= 0.4 s, `chronas table query` <= 0.7 s. Ten runs of each, taking turns with a Python that does
nothing, so that load is seen. `cpu` is what a process has computed, which other work on the machine hardly changes.
Prints a line for each and, last, one line of JSON.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time

RUNS = 10
BARS_S = {"help": 0.4, "query": 0.7}
CHRONAS = ["-m", "chronas.cli.main"]
COMMANDS = {
    "python": ["-c", "pass"],
    "import": ["-c", "import chronas"],
    "help": [*CHRONAS, "--help"],
    "query": [*CHRONAS, "table", "query", "nasbench201-cifar10-onnxruntime-cpu", "--index", "1462"],
}


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
        print(f"{name:<7} {wall:.3f} s, cpu {cpu:.3f} s: {' '.join(f'{one[0]:.3f}' for one in found)}")
    torch = [name for name, words in COMMANDS.items() if imports_torch(words)]
    met = not torch and all(medians[name]["median_s"] <= bar for name, bar in BARS_S.items())
    print(json.dumps({"benchmark": "startup", "met": met, **medians, "bars_s": BARS_S, "imports_torch": torch}))


if __name__ == "__main__":
    main()
