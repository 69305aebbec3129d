"""What runtimes and dtypes cost on this CPU: seconds to prepare a network, and its latency against ONNX Runtime's.

    python benchmarks/runtimes.py [--networks 3] [--seconds 20] [DEVICE:DTYPE ...]

All devices hold the same networks and take turns in short rounds, so that a busy machine hits them alike; the latency
of a network is its shortest run. Prints a table of medians over networks and, last, one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time

from chronas.devices import CpuConfig, Runner, device_class
from chronas.spaces import Architecture, NetworkSize, make_space

REFERENCE = "onnxruntime-cpu:float32"
FRAMES = {
    "darts, width 16, 8 cells": ("darts", NetworkSize(input_shape=(3, 32, 32), outputs=10, width=16, depth=8)),
    "darts, width 36, 8 cells": ("darts", NetworkSize(input_shape=(3, 32, 32), outputs=10, width=36, depth=8)),
    "nasbench201": ("nasbench201", NetworkSize(input_shape=(3, 32, 32), outputs=10, width=16, depth=5)),
}


def prepared(name: str, architecture: Architecture, size: NetworkSize) -> tuple[Runner, float]:
    """The runner of a network on a device such as "openvino-cpu:int8", and the seconds that it took to prepare."""
    device, _, dtype = name.partition(":")
    config = CpuConfig.model_validate({"dtype": dtype or "float32"})
    start_s = time.perf_counter()
    runner = device_class(device)(config).prepare(architecture, size)
    return runner, time.perf_counter() - start_s


def latencies_ms(runners: dict[str, Runner], seconds: float) -> dict[str, float]:
    """The shortest run of each runner, all of them taking turns."""
    shortest = dict.fromkeys(runners, float("inf"))
    end_s = time.perf_counter() + seconds
    turn = 0
    while time.perf_counter() < end_s:
        for name, runner in runners.items():
            shortest[name] = min(shortest[name], *runner.round(turn, 1, 3))
        turn += 1
    return shortest


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=20.0, help="of timing, for each network")
    parser.add_argument("devices", nargs="*", default=["onnxruntime-cpu:int8", "eager-cpu:float32"])
    options = parser.parse_args()
    names = [REFERENCE, *options.devices]
    answer: dict[str, dict[str, dict[str, float]]] = {}
    for frame, (space, size) in FRAMES.items():
        rows: dict[str, list[tuple[float, float, float]]] = {name: [] for name in names}
        for architecture in make_space(space).sample(options.networks, seed=3):
            found = {name: prepared(name, architecture, size) for name in names}
            ms = latencies_ms({name: runner for name, (runner, _) in found.items()}, options.seconds)
            for name, (runner, took_s) in found.items():
                rows[name].append((took_s, ms[name], ms[name] / ms[REFERENCE]))
                runner.close()
        print(f"{frame}\n{'':28}prepare s   latency ms   against ONNX Runtime float32")
        answer[frame] = {}
        for name, values in rows.items():
            prepare_s, latency_ms, ratio = (statistics.median(column) for column in zip(*values, strict=True))
            print(f"{name:28}{prepare_s:9.2f}{latency_ms:13.2f}{ratio:10.2f}", flush=True)
            answer[frame][name] = {"prepare_s": prepare_s, "latency_ms": latency_ms, "ratio": ratio}
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
