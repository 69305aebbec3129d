"""The page and the plots of `truth_nasbench201.py`, of the rows that it prints.

    python benchmarks/truth_page.py runs/truth/rows.json --data ../shared/data --out results

Writes `truth-nasbench201.md`, and two plots beside it: regret by limit, and the fronts. Needs matplotlib (extra dev).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from chronas.files import read_json

SCHEMA = "chronas.truth/1"
WAYS = {
    "default": "default",
    "alone": "default, alone",
    "random": "random, 44 networks",
    "evolution": "evolution",
    "most MACs": "most MACs within",
}
PLAIN = "most MACs"  # the same for each seed
MARKS = {"default": "o", "alone": ".", "random": "x", "evolution": "+", "most MACs": "_"}
COLOURS = {
    "default": "#0072b2", "alone": "#56b4e9", "random": "#d55e00", "evolution": "#cc79a7", "most MACs": "#009e73",
}  # fmt: skip
DEVICE = "gold_6240"

Rows = Sequence[Mapping[str, Any]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", type=Path, help="rows.json of the benchmark")
    parser.add_argument("--data", type=Path, required=True, help="folder with nasbench201/*.parquet")
    parser.add_argument("--out", type=Path, required=True, help="folder for the page and the plots")
    arguments = parser.parse_args()
    rows = read_json(arguments.rows, SCHEMA)["rows"]
    plot_regrets(rows, arguments.out / "truth-regrets.svg")
    plot_fronts(rows, arguments.data / "nasbench201", arguments.out / "truth-fronts.svg")
    (arguments.out / "truth-nasbench201.md").write_text(page(rows))
    print(json.dumps({"written": ["truth-nasbench201.md", "truth-regrets.svg", "truth-fronts.svg"]}))


def page(rows: Rows) -> str:
    """All rows as tables."""
    searches = [WAYS[way] for way in searches_of(rows)]
    seeds = sorted({row["seed"] for row in rows})
    parts = [
        "# What is found on NAS-Bench-201, where the truth is known",
        "",
        "True CIFAR-10 test accuracy after 200 epochs (column cifar10_test_acc_200_nb201v10; optimum 94.37), looked up "
        f"at the end. Seeds {', '.join(map(str, seeds))}.",
        "",
        "## Within limits",
        "",
        "`gold_6240 25 %`: the limit is the 25th percentile of that device's latencies over all 15,625 cells. Points "
        "of test accuracy below the best cell within the limit, seed by seed and their mean; 'most MACs within' takes "
        "no search; skip connections of what the default found, and of the best; the default's largest latency. "
        "Latencies are the table's own in the search as well, so limits are kept by construction: how well they are "
        "kept with predictors and measurements is another question ([demo.md](demo.md)).",
        "",
        f"| limit | best | {' | mean | '.join(searches)} | mean | {WAYS[PLAIN]} | skips (best) | latency / limit |",
        f"|---|--:|{'---|--:|' * len(searches)}--:|---|--:|",
        *limit_lines(rows),
        "",
        "![regret by limit](truth-regrets.svg)",
        "",
        "## Without a limit",
        "",
        "| way | test accuracy, seed by seed | mean | seconds | supernet's Kendall |",
        "|---|---|--:|--:|--:|",
        *free_lines(rows),
        "",
        "## Fronts",
        "",
        f"Eight networks for {DEVICE}: area up to (slowest cell, 90 %), over that of the true front.",
        "",
        "| seed | hypervolume | eight random cells | time, of one search |",
        "|--:|--:|--:|--:|",
        *(
            f"| {row['seed']} | {row['hypervolume']:.3f} | {row['random_hypervolume']:.3f} | "
            f"{row['times_one_search']:.2f} |"
            for row in rows
            if row["way"] == "front"
        ),
        "",
        "![fronts](truth-fronts.svg)",
    ]
    return "\n".join(parts) + "\n"


def searches_of(rows: Rows) -> list[str]:
    """The ways that were searched within limits."""
    return [way for way in WAYS if way != PLAIN and any(row["way"] == way for row in limited_of(rows))]


def limited_of(rows: Rows) -> Rows:
    """The rows of searches within limits."""
    return [row for row in rows if row.get("limit_ms") is not None]


def limit_lines(rows: Rows) -> Iterable[str]:
    """A line of the table for each limit, and one for the mean over limits."""
    limited, searches = limited_of(rows), searches_of(rows)
    problems = list(dict.fromkeys(row["problem"] for row in limited))
    for problem in sorted(problems):
        here = {way: [row for row in limited if (row["way"], row["problem"]) == (way, problem)] for way in WAYS}
        own = here["default"]
        cells = [
            problem,
            f"{own[0]['test'] + own[0]['regret']:.2f}",
            *(text for way in searches for text in regrets(here[way])),
            f"{here[PLAIN][0]['regret']:.2f}",
            f"{', '.join(str(row['skips']) for row in own)} ({own[0]['best_skips']})",
            f"{max(row['latency_ms'] / row['limit_ms'] for row in own):.3f} at most",
        ]
        yield f"| {' | '.join(cells)} |"
    means = {way: [row["regret"] for row in limited if row["way"] == way] for way in WAYS}
    told = " | | ".join(f"**{np.mean(means[way]):.2f}**" for way in searches)
    yield f"| **mean** | | | {told} | **{np.mean(means[PLAIN]):.2f}** | | |"


def regrets(rows: Rows) -> tuple[str, str]:
    """Regrets seed by seed, and their mean."""
    values = [row["regret"] for row in sorted(rows, key=lambda row: row["seed"])]
    return ", ".join(f"{value:.2f}" for value in values), f"{np.mean(values):.2f}"


def free_lines(rows: Rows) -> Iterable[str]:
    """A line for each way of searching without a limit."""
    free = [row for row in rows if row["way"] != "front" and row.get("limit_ms") is None]
    for way in dict.fromkeys(row["way"] for row in free):
        here = sorted((row for row in free if row["way"] == way), key=lambda row: row["seed"])
        tests = [row["test"] for row in here]
        kendalls = [row["supernet_kendall"] for row in here if row.get("supernet_kendall") is not None]
        kendall = f"{np.mean(kendalls):.2f}" if kendalls else ""
        seconds = f"{np.median([row['seconds'] for row in here]):.0f}"
        yield f"| {way} | {', '.join(f'{test:.2f}' for test in tests)} | {np.mean(tests):.2f} | {seconds} | {kendall} |"


def plot_regrets(rows: Rows, path: Path) -> None:
    """Regret of each way and seed, by limit."""
    import matplotlib.pyplot as plt

    limited = limited_of(rows)
    problems = sorted({row["problem"] for row in limited})
    figure, axes = plt.subplots(figsize=(8, 4))
    ways = [way for way in WAYS if any(row["way"] == way for row in limited)]
    for shift, way in enumerate(ways):
        points = [(problems.index(row["problem"]), row["regret"]) for row in limited if row["way"] == way]
        places, values = np.array(points).T
        places = places + 0.15 * (shift - (len(ways) - 1) / 2)
        axes.scatter(places, values, marker=MARKS[way], color=COLOURS[way], label=WAYS[way])
    axes.set_xticks(range(len(problems)), problems, rotation=20)
    axes.set_ylabel("below the best within (points of test accuracy)")
    axes.grid(axis="y", alpha=0.3)
    axes.legend()
    save(figure, path)


def plot_fronts(rows: Rows, folder: Path, path: Path) -> None:
    """All cells, the true front, and the front of each seed."""
    import matplotlib.pyplot as plt

    latencies = pl.read_parquet(folder / "latency_help.parquet").sort("arch_idx")[f"{DEVICE}_ms"].to_numpy()
    accuracies = (
        pl.read_parquet(folder / "accuracy.parquet").sort("arch_idx")["cifar10_test_acc_200_nb201v10"].to_numpy()
    )
    figure, axes = plt.subplots(figsize=(8, 5))
    axes.scatter(latencies, accuracies, s=1, color="#bbbbbb", label="all cells", rasterized=True)
    order = np.argsort(latencies)
    axes.step(
        latencies[order], np.maximum.accumulate(accuracies[order]), where="post", color="black", label="true front"
    )
    for row in (row for row in rows if row["way"] == "front"):
        places = np.argsort(row["latencies_ms"])
        axes.plot(
            np.array(row["latencies_ms"])[places], np.array(row["tests"])[places], marker="o",
            label=f"found, seed {row['seed']}",
        )  # fmt: skip
    axes.set_ylim(84, 95)
    axes.set_xlabel(f"latency on {DEVICE} (ms)")
    axes.set_ylabel("true test accuracy (%)")
    axes.legend(loc="lower right")
    save(figure, path)


def save(figure: Any, path: Path) -> None:
    """Without a date, so that the same rows make the same file."""
    figure.tight_layout()
    figure.savefig(path, dpi=120, metadata={"Date": None})


if __name__ == "__main__":
    main()
