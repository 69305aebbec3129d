"""How fast a predictor is fitted on many networks and predicts many more, labelled by the simulated device.

    python benchmarks/predictor_speed.py [--rows 80000] [--predictor lpm] [--threads 2]
    python benchmarks/predictor_speed.py --table nasbench201-cifar10-onnxruntime-cpu [--predictor lpm]

Bars of `lpm` on 80,000 rows and two threads: fitted within 60 s, 1,000,000 architectures a second. Prints the seconds
of five predictions of 200,000 DARTS encodings, and last one line of JSON, with what the fit is worth on 2,000 networks
it has not seen.

With `--table`, a predictor is fitted to that table with its report, on one core. Bar: 15,625 rows within 60 s.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from pathlib import Path

import numpy as np
import torch
from scipy.stats import kendalltau

from chronas.devices import make_device
from chronas.devices.simulated import Simulated
from chronas.predictors import PREDICTORS, fit_and_report, make_predictor
from chronas.spaces import make_space
from chronas.tables import CostTable, table_path

UNSEEN, PREDICTED, REPEATS = 2_000, 200_000, 5
FIT_BAR_S, RATE_BAR = 60.0, 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=80_000)
    parser.add_argument("--predictor", choices=PREDICTORS, default="lpm")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--table", type=Path)
    options = parser.parse_args()
    if options.table is not None:
        fit_of_table(options.table, options.predictor)
        return
    torch.set_num_threads(options.threads)
    space, device = make_space("darts"), make_device("simulated")
    assert isinstance(device, Simulated)
    size = space.sizes["cifar10"]
    architectures = space.sample(options.rows + UNSEEN, seed=0)
    codes = space.encode(architectures)
    costs = np.array([device.true_latency_ms(each, size) for each in architectures])
    predictor = make_predictor(options.predictor, space, size)
    began = time.perf_counter()
    predictor.fit(codes[: options.rows], costs[: options.rows], seed=0)
    fit_s = time.perf_counter() - began
    found = predictor.predict(codes[options.rows :]).mean
    kendall = float(kendalltau(found, costs[options.rows :]).statistic)
    many = np.tile(codes, (PREDICTED // len(codes) + 1, 1))[:PREDICTED]
    seconds = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        predictor.predict(many)
        seconds.append(time.perf_counter() - began)
        print(f"{PREDICTED:,} predicted in {seconds[-1]:.3f} s")
    rate = PREDICTED / statistics.median(seconds)
    answer = {
        "benchmark": "predictor_speed",
        "predictor": options.predictor,
        "rows": options.rows,
        "threads": options.threads,
        "fit_s": round(fit_s, 1),
        "per_s": round(rate),
        "kendall": round(kendall, 4),
        "met": fit_s <= FIT_BAR_S and rate >= RATE_BAR,
    }
    print(json.dumps(answer))


def fit_of_table(path: Path, name: str) -> None:
    """Fit to a table with the report, on one core, and print the seconds."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    torch.set_num_threads(1)
    table = CostTable.load(table_path(path))
    began, worked = time.perf_counter(), time.process_time()
    _, report = fit_and_report(name, table)
    fit_s, cpu_s = time.perf_counter() - began, time.process_time() - worked
    answer = {
        "benchmark": "predictor_speed",
        "predictor": name,
        "rows": len(table),
        "threads": 1,
        "fit_s": round(fit_s, 1),
        "cpu_s": round(cpu_s, 1),
        "kendall": round(report.scores.kendall, 4),
        "met": fit_s <= FIT_BAR_S,
    }
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
