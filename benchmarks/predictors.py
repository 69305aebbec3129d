"""How well each predictor learns each device from 10 to 3,000 networks, judged on networks held out.

    python benchmarks/predictors.py --data ../shared/data --rows results/predictors.jsonl

NAS-Bench-201 and FBNet on all device columns of HELP (MIT), and chronas's own DARTS table. Networks below 0.1 ms are
left out of NAS-Bench-201 and counted. Each fit adds a line to `--rows`; what is there is not done again, so that a
study that was stopped goes on. `--columns`, `--predictors`, `--samples` and `--seeds` take a part of it.
Prints a table of means over seeds, one of means over the devices of a space, with a plot by `--plot FILE.svg`, and,
last, one line of JSON.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from chronas.predictors import PREDICTORS, Scores, make_predictor, predictor_class
from chronas.spaces import NetworkSize, Space, make_space
from chronas.tables import CostTable

SAMPLES = (10, 20, 50, 100, 200, 500, 900, 3000)
LEAST_MS, TESTED = 0.1, 3000
Problem = tuple[Space, NetworkSize, NDArray[np.float32], NDArray[np.float64]]
Line = dict[str, object]


def problems(data: Path, table: Path, wanted: list[str] | None) -> Iterator[tuple[str, Problem]]:
    """Each device column that is wanted, by "space/device"."""
    for name in ("nasbench201", "fbnet"):
        space, frame = make_space(name), pl.read_parquet(data / name / "latency_help.parquet")
        columns = [c for c in frame.columns if c.endswith("_ms") and (wanted is None or f"{name}/{c[:-3]}" in wanted)]
        if not columns:
            continue
        if name == "nasbench201":
            codes, size = space.encode([space.parse(t) for t in frame["arch_str"]]), space.sizes["cifar10"]
        else:
            chosen = frame.select(pl.col(r"^l\d+$")).rows()
            codes, size = space.encode([space.architecture(row) for row in chosen]), space.sizes["cifar100"]
        for column in columns:
            costs = frame[column].to_numpy()
            kept = np.isfinite(costs) & (costs >= LEAST_MS)
            yield f"{name}/{column[:-3]}", (space, size, codes[kept], costs[kept])
    if wanted is None or "darts/onnxruntime-cpu" in wanted:
        own = CostTable.load(table)
        yield (
            "darts/onnxruntime-cpu",
            (own.space, own.provenance.size, own.space.encode(own.architectures()), own.costs()),
        )


def judged(name: str, problem: Problem, samples: int, seed: int) -> Line:
    """Scores on networks that were not fitted to, the share of them within 90 % intervals, and seconds of the fit."""
    space, size, codes, costs = problem
    order = np.random.default_rng(seed).permutation(len(codes))
    rows, left = order[:samples], order[samples : samples + TESTED]
    predictor = make_predictor(name, space, size)
    start = time.process_time()
    predictor.fit(codes[rows], costs[rows], seed=seed)
    seconds = time.process_time() - start
    prediction = predictor.predict(codes[left])
    inside = np.abs(prediction.mean - costs[left]) <= 1.645 * prediction.std
    scores = asdict(Scores.of(costs[left], prediction.mean))
    return {**scores, "coverage_percent": 100 * float(inside.mean()), "fit_cpu_s": seconds}


def study(options: argparse.Namespace) -> list[Line]:
    """All lines, those of before included."""
    done = [json.loads(text) for text in options.rows.read_text().splitlines()] if options.rows.exists() else []
    known = {(d["problem"], d["predictor"], d["samples"], d["seed"]) for d in done}
    for where, problem in problems(options.data, options.table, options.columns):
        for seed, samples, name in itertools.product(range(options.seeds), options.samples, options.predictors):
            too_many = samples + TESTED // 10 > len(problem[2])
            if (where, name, samples, seed) in known or samples < predictor_class(name).minimum or too_many:
                continue
            key: Line = {"problem": where, "predictor": name, "samples": samples, "seed": seed}
            done.append({**key, **judged(name, problem, samples, seed)})
            with options.rows.open("a") as file:
                file.write(json.dumps(done[-1]) + "\n")
    return done


def main() -> None:
    """Do what is left of the study, then print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    here = [name for name in PREDICTORS if predictor_class(name).unavailable() is None]
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--table", type=Path, default=Path("results/darts-onnxruntime-cpu.parquet"))
    parser.add_argument("--rows", type=Path, required=True)
    parser.add_argument("--columns", nargs="+")
    parser.add_argument("--predictors", nargs="+", default=here)
    parser.add_argument("--samples", nargs="+", type=int, default=SAMPLES)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    keys = ["problem", "samples", "predictor"]
    frame = pl.DataFrame(study(options)).filter(pl.col("samples").is_in(options.samples))
    measures = ["spearman", "kendall", "mape_percent", "coverage_percent", "fit_cpu_s"]
    means = frame.group_by(keys).agg(pl.len().alias("seeds"), *[pl.col(m).mean() for m in measures]).sort(keys)
    show(means, ["problem", "samples", "predictor", "seeds"])
    space = pl.col("problem").str.split("/").list.first().alias("space")
    devices = means.group_by(space, "samples", "predictor", maintain_order=True).agg(
        pl.len().alias("devices"), *[pl.col(m).mean() for m in measures]
    )
    print()
    show(devices, ["space", "samples", "predictor", "devices"])
    if options.plot is not None:
        draw(means, options.plot)
    overall = means.group_by("predictor", "samples").agg(pl.col("spearman").mean(), pl.col("coverage_percent").mean())
    print(json.dumps({"benchmark": "predictors", "means": overall.sort("predictor", "samples").to_dicts()}))


def show(means: pl.DataFrame, keys: list[str]) -> None:
    """A table in Markdown, of these columns and the measures behind them."""
    print(f"| {' | '.join(keys)} | Spearman | Kendall | MAPE % | within 90 % | fit, CPU s |")
    print("|---|--:|---|--:|--:|--:|--:|--:|--:|")
    for row in means.rows():
        rho, tau, error, inside, seconds = row[len(keys) :]
        values = f"{rho:.4f} | {tau:.4f} | {error:.2f} | {inside:.1f} | {seconds:.1f}"
        print(f"| {' | '.join(map(str, row[: len(keys)]))} | {values} |")


def draw(means: pl.DataFrame, path: Path) -> None:
    """A panel for each space: how well each predictor ranks with more networks, in the mean over its devices."""
    from matplotlib.figure import Figure

    by_space = means.with_columns(pl.col("problem").str.split("/").list.first().alias("space"))
    spaces, names = sorted(by_space["space"].unique()), sorted(by_space["predictor"].unique())
    figure = Figure(figsize=(3.4 * len(spaces), 3.2), layout="constrained")
    for axes, space in zip(np.ravel(figure.subplots(1, len(spaces), squeeze=False)), spaces, strict=True):
        here = by_space.filter(pl.col("space") == space)
        devices = here["problem"].n_unique()
        for number, name in enumerate(names):
            curve = here.filter(pl.col("predictor") == name).group_by("samples").agg(
                pl.col("spearman").mean(), pl.col("problem").n_unique().alias("devices")
            ).filter(pl.col("devices") == devices).sort("samples")  # fmt: skip
            if len(curve):
                axes.plot(curve["samples"], curve["spearman"], color=f"C{number}", marker="o", markersize=3, label=name)
        axes.set(title=f"{space}, {devices} device{'s' * (devices > 1)}", xlabel="networks", ylabel="Spearman")
        axes.set_xscale("log")
        axes.grid(visible=True, alpha=0.3)
        axes.legend(fontsize=7, loc="lower right")
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    main()
