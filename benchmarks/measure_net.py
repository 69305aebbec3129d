"""How long `chronas measure net` takes for one ONNX file, and how it agrees with a plain loop of ONNX Runtime.

    python benchmarks/measure_net.py --repeats 5

Two networks: a chain of 22 layers on 224 x 224 pixels, and cells on 32 x 32. In each repeat, the command and the loop
take turns: 20 runs to warm up, then 300 timed ones. Bars: <= 15 s a command; the medians of single runs differ by at
most 3 %, in the median over repeats. On a busy machine there is no verdict on the second bar. Prints a row for each
repeat and, last, one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnxruntime

from chronas.networks import build, write_onnx
from chronas.spaces import NetworkSize, make_space

TIME_BAR_S, AGREE_BAR_PERCENT = 15.0, 3.0
WARMUP, RUNS = 20, 300
NETWORKS = {
    "layers 224": ("fbnet", NetworkSize(input_shape=(3, 224, 224), outputs=1000, width=16, depth=1, stem="imagenet")),
    "cells 32": ("darts", NetworkSize(input_shape=(3, 32, 32), outputs=10, width=16, depth=5)),
}


def command(path: Path) -> tuple[float, float]:
    """Seconds of the command, and its median of single runs in ms."""
    began = time.perf_counter()
    words = [sys.executable, "-m", "chronas", "measure", "net", str(path), "--json"]
    answer = subprocess.run(words, check=True, capture_output=True, text=True)
    return time.perf_counter() - began, json.loads(answer.stdout)[0]["latency_median_ms"]


def loop_ms(path: Path) -> float:
    """The median run of a plain loop, with one thread and all else as ONNX Runtime has it."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    (declared,) = session.get_inputs()
    feed = {declared.name: np.random.default_rng(0).standard_normal(declared.shape, dtype=np.float32)}
    times_ms = []
    for _ in range(WARMUP + RUNS):
        began = time.perf_counter()
        session.run(None, feed)
        times_ms.append(1e3 * (time.perf_counter() - began))
    return statistics.median(times_ms[WARMUP:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    load = os.getloadavg()[0]
    seconds, apart = [], {}
    with tempfile.TemporaryDirectory() as folder:
        for name, (space, size) in NETWORKS.items():
            path = Path(folder) / f"{space}.onnx"
            write_onnx(path, build(make_space(space).sample(1, 0)[0], size).eval(), size.input_shape)
            differences = []
            for _ in range(repeats):
                taken_s, ours_ms = command(path)
                plain_ms = loop_ms(path)
                seconds.append(taken_s)
                differences.append(100 * (ours_ms / plain_ms - 1))
                print(
                    f"{name}: {taken_s:.1f} s, {ours_ms:.4g} ms, plain loop {plain_ms:.4g} ms, {differences[-1]:+.1f} %"
                )
            apart[name] = round(statistics.median(differences), 2)
    answer = {
        "benchmark": "measure_net",
        "median_s": round(statistics.median(seconds), 1),
        "apart_percent": apart,
        "load": round(load, 1),
        "met": max(seconds) <= TIME_BAR_S and max(map(abs, apart.values())) <= AGREE_BAR_PERCENT,
    }
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
