"""One supernet for several devices: what searching again takes and finds, beside a search of its own for each device.

    python benchmarks/another_device.py --data ../shared/data --only tables --images 2000 --epochs 12 --seeds 0 1 2
    python benchmarks/another_device.py --data ../shared/data --only tables --searcher bayesian

Runtimes: the DARTS space on digits, searched by the default searcher for PyTorch eager and again for ONNX Runtime on
this CPU, each within a limit that a quarter of random networks keep there; both networks are measured in both. Tables:
NAS-Bench-201 on CIFAR-10, searched for gold_6240 and again for raspi4 and eyeriss (HELP's tables, arXiv 2106.08630),
each within its own median latency; the searches see images, the supernet and latencies, and the true test accuracy
(200 epochs) is looked up at the end. A searcher with a supernet gets so few images and epochs that it ends in seconds;
one that trains networks briefly has the settings of the preset `nasbench201-cifar10`, all images, and minutes. Nothing
is trained from scratch. Prints tables and, last, one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from chronas.devices import device_class
from chronas.devices.device import Fingerprint
from chronas.progress import silent
from chronas.reports import two_words
from chronas.runs import (
    Finder,
    Run,
    RunConfig,
    compare_devices,
    config_again,
    device_of,
    find,
    fit_all,
    make_preset,
    measure,
    read_choice,
    read_devices,
)
from chronas.search import searcher_class
from chronas.search.gradient.loop import AGAIN
from chronas.spaces import make_space
from chronas.tables import CostTable, Provenance

SPACE = make_space("nasbench201")
TEST = "cifar10_test_acc_200_nb201v10"
FIRST, OTHERS = "gold_6240", ("raspi4", "eyeriss")
RUNTIMES = ("eager-cpu", "onnxruntime-cpu")
SHARE_INSIDE = 0.25  # of random networks that are within a runtime's limit
SHARES = (6, 3)  # one in so many epochs of the first search


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with cifar10/ and nasbench201/*.parquet")
    parser.add_argument("--searcher", default="darts", help="of the tables' part")
    parser.add_argument("--images", type=int, default=1000, help="for a supernet, half for weights, half for alphas")
    parser.add_argument("--epochs", type=int, default=6, help="of a supernet in the first search")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="of the tables' part")
    parser.add_argument("--networks", type=int, default=40, help="DARTS networks that are measured in each runtime")
    parser.add_argument("--only", choices=("runtimes", "tables"), help="one part alone")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        runtimes, rows = None, []
        if arguments.only != "tables":
            runtimes = between_runtimes(Path(folder) / "runtimes", arguments.networks)
        if arguments.only != "runtimes":
            rows = [row for seed in arguments.seeds for row in between_tables(Path(folder), arguments, seed)]
    columns = ("searched for", "how", "search s", "latency / limit", "true test %", "pairs alike %")
    print("\n" + "".join(f"{column:>17}" for column in columns))
    for row in rows:
        print("".join(f"{_text(value):>17}" for value in row.values()))
    print(json.dumps({"benchmark": "another_device", "runtimes": runtimes, "tables": rows}))


def between_runtimes(folder: Path, networks: int) -> dict[str, Any]:
    """Digits: eager first, ONNX Runtime over what was learnt for it, each within a quarter of its own latencies."""
    base = make_preset("digits-cpu", {"device": RUNTIMES[0]})
    plan = base.plan.model_copy(update={"rounds": 3, "max_rounds": 4})
    shared = {"networks": networks, "plan": plan, "latency_weight": 0.0, "baseline": False}
    config, source, limits_ms = base.model_copy(update=shared), None, []
    for device in RUNTIMES:
        own = device_class(device).Config()
        alone = config.model_copy(update={"device": device, "device_config": own})
        measured = Run.create(folder / f"{device}-table", alone, command="benchmark")
        with measured.working():
            table = measure(measured)
        limits_ms.append(float(np.quantile(table.costs(), SHARE_INSIDE)))
        if source is not None:
            config = config_again(source, device, own, config.predictor, config.predictor_config)
        inside = config.model_copy(update={"limit_ms": limits_ms[-1]})
        source = searched(Run.create(folder / device, inside, command="benchmark", table=table, source=source))
    assert source is not None
    compare_devices(source)
    two = read_devices(source)
    assert two is not None
    print("\n".join(two_words(two)))
    ms = [[costs["latency_ms"].value for costs in network.costs] for network in two.networks]
    return {
        "networks": networks,
        "pairs_percent": two.pairs_percent,
        "kendall": two.kendall,
        "first_search_s": two.devices[0].search_s,
        "second_search_s": two.devices[1].search_s,
        "limits_ms": dict(zip(RUNTIMES, limits_ms, strict=True)),
        **{
            f"found for {device}": dict(zip(RUNTIMES, found, strict=True))
            for device, found in zip(RUNTIMES, ms, strict=True)
        },
    }


def between_tables(folder: Path, arguments: argparse.Namespace, seed: int) -> list[dict[str, Any]]:
    """NAS-Bench-201: gold_6240 first; then each other table by a search of its own, and over the first supernet."""
    data = arguments.data / "nasbench201"
    latencies, accuracies = pl.read_parquet(data / "latency_help.parquet"), pl.read_parquet(data / "accuracy.parquet")
    true = dict(accuracies.select("arch_str", TEST).iter_rows())
    tables = {name: table_of(name, latencies) for name in (FIRST, *OTHERS)}
    config = config_of(tables[FIRST], arguments, seed)
    first = searched(Run.create(folder / f"{seed}-{FIRST}", config, command="benchmark", table=tables[FIRST]))
    rows = [told(first, FIRST, "own search", true)]
    for name in OTHERS:
        own = config_of(tables[name], arguments, seed)
        run = Run.create(folder / f"{seed}-{name}", own, command="benchmark", table=tables[name])
        rows.append(told(searched(run), name, "own search", true))
        for share in SHARES if searcher_class(arguments.searcher).differentiable else (AGAIN,):
            again = config_again(first, own.device, own.device_config, own.predictor, own.predictor_config)
            update: dict[str, Any] = {"limit_ms": own.limit_ms}
            if share != AGAIN:
                epochs = -(-arguments.epochs // share)
                update["searcher_config"] = again.searcher_config.model_copy(update={"epochs": epochs})
            again = again.model_copy(update=update)
            target = folder / f"{seed}-{name}-{share}"
            run = searched(Run.create(target, again, command="benchmark", table=tables[name], source=first))
            compare_devices(run)
            rows.append(told(run, name, f"again, 1/{share}", true))
        rows.append(elsewhere(first, tables[name], name, true))
    return rows


def table_of(name: str, latencies: pl.DataFrame) -> CostTable:
    """HELP's column of a device as a table."""
    frame = latencies.select(pl.col("arch_str").alias("architecture"), pl.col(f"{name}_ms").alias("latency_ms"))
    device: Fingerprint = {"name": name, "hardware": name, "threads": 1, "batch": 1, "dtype": "float32"}
    return CostTable.from_values(frame, Provenance(SPACE.name, SPACE.sizes["cifar10"], device, source="HELP"))


def config_of(table: CostTable, arguments: argparse.Namespace, seed: int) -> RunConfig:
    """A small search for the device of a table, within its median latency."""
    device, device_config = device_of(table)
    names = {"space": SPACE.name, "searcher": arguments.searcher, "predictor": "lookup", "device": device}
    base = make_preset("nasbench201-cifar10", names)
    update: dict[str, Any] = {
        "device_config": device_config,
        "data": str(arguments.data / "cifar10"),
        "limit_ms": float(np.median(table.costs())),
        "seed": seed,
    }
    if searcher_class(arguments.searcher).weight_sharing:
        small = {"width": 8, "depth": 1, "epochs": arguments.epochs, "warmup_epochs": 1}
        known = {key: value for key, value in small.items() if key in type(base.searcher_config).model_fields}
        update["searcher_config"] = base.searcher_config.model_copy(update=known)
        update |= {"data_limit": 2 * arguments.images, "search_images": arguments.images, "threads": 1}
    return base.model_copy(update=update)


def searched(run: Run) -> Run:
    """The run, after its search; nothing is trained from scratch."""
    start_s = time.monotonic()
    with run.working():
        table = measure(run)
        find(run, Finder(run, fit_all(run, table), table, silent))
    sys.stderr.write(f"{run.folder.name}: {time.monotonic() - start_s:.0f} s\n")
    return run


def told(run: Run, name: str, how: str, true: dict[str, float]) -> dict[str, Any]:
    """A row of the table of searches."""
    choice, limit_ms = read_choice(run.folder / "networks" / run.role), run.config.limit_ms
    assert limit_ms is not None
    two = read_devices(run)
    return {
        "searched for": name,
        "how": how,
        "search_s": round(run.timings[f"search {run.role}"], 1),
        "latency_of_limit": round(choice.latency_ms / limit_ms, 3),
        "true_test_percent": true[choice.architecture],
        "pairs_percent": None if two is None else two.pairs_percent,
    }


def elsewhere(run: Run, table: CostTable, name: str, true: dict[str, float]) -> dict[str, Any]:
    """A row for what was found for the first device, on another."""
    architecture = read_choice(run.folder / "networks" / run.role).architecture
    known = dict(zip(table.frame["architecture"], table.costs().tolist(), strict=True))
    return {
        "searched for": name,
        "how": f"found for {FIRST}",
        "search_s": 0.0,
        "latency_of_limit": round(known[architecture] / float(np.median(table.costs())), 3),
        "true_test_percent": true[architecture],
        "pairs_percent": None,
    }


def _text(value: object) -> str:
    return "-" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
