"""What repeats best: the same DARTS networks measured twice in different processes, reduced in many ways.

    python benchmarks/repeatability.py measure first.npz --beside 1
    python benchmarks/repeatability.py measure second.npz --beside 1
    python benchmarks/repeatability.py compare first.npz second.npz

`measure` times networks (C=36, 20 cells, 32x32; ONNX Runtime, one thread) in rounds, each network at ordinary and at
real-time priority, a reference network before each, and keeps every sample. `--beside N` keeps N other programs busy
meanwhile that build networks as a campaign does. `compare` prints Kendall's tau and the median difference for each way
to make one number of a network's samples and, last, one line of JSON about chronas's own way.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from contextlib import ExitStack, nullcontext
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau

from chronas.devices import make_device
from chronas.spaces import make_space

SEED = 77
REFERENCE_SEED = 1_234_567
WARMUP, REPEATS = 2, 8
PRIORITIES = ("normal", "real-time")
QUIET = 10
BUILD = """
import torch
torch.set_num_threads(1)
from chronas.networks import build, onnx_bytes
from chronas.spaces import make_space
space = make_space("darts")
size = space.sizes["cifar10"]
seed = 0
while True:
    onnx_bytes(build(space.sample(1, seed)[0], size).eval(), size.input_shape)
    seed += 1
"""
Array = NDArray[np.float64]


def measure(out: Path, networks: int, rounds: int, beside: int, seed: int) -> None:
    space, device = make_space("darts"), make_device("onnxruntime-cpu")
    size = space.sizes["cifar10"]
    reference = device.prepare(space.sample(1, REFERENCE_SEED)[0], size)
    runners = [device.prepare(architecture, size) for architecture in space.sample(networks, SEED)]
    samples_ms = np.zeros((2, rounds, networks, REPEATS))
    references_ms = np.zeros((2, rounds, networks, 2))
    order = np.zeros((2, rounds, networks), dtype=np.int64)
    rng = np.random.default_rng(seed)
    visit = 0
    with ExitStack() as held:
        for _ in range(beside):
            process = held.enter_context(subprocess.Popen([sys.executable, "-c", BUILD]))
            held.callback(process.kill)
        for index in range(rounds):
            for network in rng.permutation(networks):
                for priority in rng.permutation(2):
                    with device.realtime_priority() if priority else nullcontext():
                        references_ms[priority, index, network] = reference.round(0, 1, 2)
                        samples_ms[priority, index, network] = runners[network].round(0, WARMUP, REPEATS)
                    order[priority, index, network] = visit
                    visit += 1
            print(f"round {index + 1} of {rounds}", file=sys.stderr)
        cores = device.background_cores()
    np.savez(out, samples_ms=samples_ms, references_ms=references_ms, order=order)
    print(f"{out}: {networks} networks, {rounds} rounds; others used {cores:.2f} cores")


def ways(path: Path, priority: int) -> dict[str, Array]:
    """One number for each network, in each of many ways."""
    content = np.load(path)
    samples_ms, order = content["samples_ms"][priority], content["order"][priority]
    references_ms = content["references_ms"][priority].min(-1)
    minima, medians = samples_ms.min(-1), np.median(samples_ms, -1)
    four = samples_ms[..., :4].min(-1)
    half = len(four) // 2
    found = {
        "minima, smallest round": minima.min(0),
        "medians, median round": np.median(medians, 0),
        "minima, median round": np.median(minima, 0),
        "minima of 4, median round": np.median(four, 0),
    }
    for nearest in (1, 5, 9):
        drift = smoothed(references_ms, order, nearest)
        name = f"divided by the nearest {nearest}"
        found[f"medians, {name}"] = np.median(medians / drift, 0) * np.percentile(drift, QUIET)
        found[f"minima, {name}"] = np.median(minima / drift, 0) * np.percentile(drift, QUIET)
        found[f"minima of 4, {name}"] = np.median(four / drift, 0) * np.percentile(drift, QUIET)
    drift = smoothed(references_ms, order, 5)
    found["minima of 4, divided by the nearest 5, level: median"] = np.median(four / drift, 0) * np.median(drift)
    found["minima of 4, divided by the nearest 5, half of the rounds"] = np.median(
        (four / drift)[:half], 0
    ) * np.percentile(drift[:half], QUIET)
    return found


def smoothed(references_ms: Array, order: NDArray[np.int64], nearest: int) -> Array:
    """The median of the reference's timings around each visit, shaped as they are."""
    by_time = np.argsort(order, axis=None)
    values = references_ms.ravel()[by_time]
    half = nearest // 2
    medians = [np.median(values[max(0, i - half) : i + half + 1]) for i in range(len(values))]
    result = np.empty(len(values))
    result[by_time] = medians
    return result.reshape(references_ms.shape)


def compare(first: Path, second: Path) -> None:
    own = "minima of 4, divided by the nearest 5"
    answer: dict[str, object] = {"benchmark": "repeatability"}
    print(f"{'':62}  priority  Kendall  apart %  level %")
    for number, priority in enumerate(PRIORITIES):
        again = ways(second, number)
        for name, before in ways(first, number).items():
            ratio = again[name] / before
            kendall = float(kendalltau(before, again[name]).statistic)
            apart = 100 * float(np.median(np.abs(ratio - 1)))
            level = 100 * (float(np.median(ratio)) - 1)
            print(f"{name:62} {priority:>9}  {kendall:7.3f}  {apart:7.2f}  {level:+7.2f}")
            if name == own and priority == "real-time":
                answer |= {"kendall": round(kendall, 4), "apart_percent": round(apart, 3)}
    print(json.dumps(answer))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    actions = parser.add_subparsers(dest="action", required=True)
    one = actions.add_parser("measure")
    one.add_argument("out", type=Path)
    one.add_argument("--networks", type=int, default=40)
    one.add_argument("--rounds", type=int, default=12)
    one.add_argument("--beside", type=int, default=0)
    one.add_argument("--seed", type=int, default=0)
    two = actions.add_parser("compare")
    two.add_argument("first", type=Path)
    two.add_argument("second", type=Path)
    options = parser.parse_args()
    if options.action == "measure":
        measure(options.out, options.networks, options.rounds, options.beside, options.seed)
    else:
        compare(options.first, options.second)


if __name__ == "__main__":
    main()
