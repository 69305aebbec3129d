"""How the estimated accelerators rank networks against HW-NAS-Bench's columns, and Eyeriss against its chip's figures.

    python benchmarks/accelerators.py [--data ../shared/data]

Nothing is fitted to the columns. Besides the defaults, settings are shown that could as well have been chosen. Prints
tables and, last, one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import polars as pl
from scipy.stats import kendalltau, spearmanr

from chronas.devices import AnalyticalDevice
from chronas.devices.eyeriss import Eyeriss, EyerissConfig, Nest, best_mapping
from chronas.devices.fpga import Fpga, FpgaConfig
from chronas.spaces import make_space

Settings = dict[str, float]
BUSES: Settings = {"input_bus": 1, "filter_bus": 4, "sum_bus": 4}
EYERISS: dict[str, Settings] = {
    "pooling_as_convolution": {},
    "the chip's buses": BUSES,
    "the chip's buses, link 60 MHz": BUSES | {"link_mhz": 60},
    "the chip's buses, link 90 MHz": BUSES | {"link_mhz": 90},
    "link 60 MHz": {"link_mhz": 60},
    "link 90 MHz": {"link_mhz": 90},
    "DRAM at 320 pJ a word": {"dram_pj": 320},
    "buffer of 54 KiB": {"buffer_kib": 54},
}
FPGA: dict[str, Settings] = {
    "default": {},
    "64 x 14 lanes": {"lanes_out": 64, "lanes_in": 14},
    "30 x 30 lanes": {"lanes_out": 30, "lanes_in": 30},
    "16 x 56 lanes": {"lanes_out": 16, "lanes_in": 56},
    "64 x 7 lanes": {"lanes_out": 64, "lanes_in": 7},
    "100 MHz": {"mhz": 100},
    "200 MHz": {"mhz": 200},
    "1.2 GB/s (one port)": {"gigabytes_per_s": 1.2},
    "12.8 GB/s": {"gigabytes_per_s": 12.8},
}
# (name, images, nest, groups, processing latency in ms) of JSSC's Tables V and VI, at 200 MHz.
ALEXNET = [
    ("AlexNet conv1", 4, Nest(96, 3, (11, 11), (4, 4), (55, 55)), 1, 16.5),
    ("AlexNet conv2", 4, Nest(128, 48, (5, 5), (1, 1), (27, 27)), 2, 39.2),
    ("AlexNet conv3", 4, Nest(384, 256, (3, 3), (1, 1), (13, 13)), 1, 21.8),
    ("AlexNet conv4", 4, Nest(192, 192, (3, 3), (1, 1), (13, 13)), 2, 16.0),
    ("AlexNet conv5", 4, Nest(128, 192, (3, 3), (1, 1), (13, 13)), 2, 10.0),
]
VGG = [
    (f"VGG-16 conv{name}", 3, Nest(filters, channels, (3, 3), (1, 1), (size, size)), 1, ms)
    for name, filters, channels, size, ms in (
        ("1-1", 64, 3, 224, 38.0),
        ("1-2", 64, 64, 224, 810.6),
        ("2-1", 128, 64, 112, 405.3),
        ("3-1", 256, 128, 56, 204.0),
        ("3-2", 256, 256, 56, 408.1),
        ("4-1", 512, 256, 28, 105.1),
        ("4-2", 512, 512, 28, 210.0),
        ("5-1", 512, 512, 14, 48.3),
    )
]


def ranked(device: AnalyticalDevice, table: pl.DataFrame) -> dict[str, float]:
    """Kendall and Spearman of latency and energy with the columns, and the medians."""
    space = make_space("nasbench201")
    architectures = [space.parse(text) for text in table["arch_str"]]
    start_s = time.perf_counter()
    costs = device.costs(architectures, space.sizes["cifar10"])
    answer = {"seconds": time.perf_counter() - start_s}
    for cost in device.estimates:
        theirs = table[f"cifar10_{device.name}_{cost}"].to_numpy()
        answer[f"{cost} kendall"] = float(kendalltau(costs[cost], theirs).statistic)
        answer[f"{cost} spearman"] = float(spearmanr(costs[cost], theirs).statistic)
        answer[f"{cost} over theirs"] = float(np.median(costs[cost] / theirs))
    return answer


def fbnet_kendall(device: AnalyticalDevice, table: pl.DataFrame) -> float:
    """Kendall of latency with the column of HW-NAS-Bench's FBNet space, CIFAR-100."""
    space = make_space("fbnet")
    codes = table.select(f"l{number}" for number in range(len(space.decisions)))
    architectures = [space.architecture(row) for row in codes.iter_rows()]
    ours = device.costs(architectures, space.sizes["cifar100"])["latency_ms"]
    return float(kendalltau(ours, table[f"{device.name}_ms"].to_numpy()).statistic)


def chip() -> dict[str, tuple[float, float]]:
    """Measured and estimated milliseconds of the chip, with its buses."""
    config = EyerissConfig.model_validate(BUSES)
    return {
        name: (ms, images * groups * best_mapping(nest, config).cycles / (config.mhz * 1e3))
        for name, images, nest, groups, ms in ALEXNET + VGG
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    data = parser.parse_args().data
    cells = pl.read_parquet(data / "nasbench201" / "hw_nas_bench.parquet")
    devices: dict[str, AnalyticalDevice] = {"eyeriss, plain": Eyeriss(EyerissConfig())}
    for name, settings in EYERISS.items():
        config = EyerissConfig.model_validate(settings | {"pooling_as_convolution": True})
        devices[f"eyeriss, {name}"] = Eyeriss(config)
    for name, settings in FPGA.items():
        devices[f"fpga, {name}"] = Fpga(FpgaConfig.model_validate(settings))
    answer: dict[str, object] = {}
    heads = "latency: Kendall  ours/theirs   energy: Kendall  ours/theirs      s"
    print(f"{'NAS-Bench-201, CIFAR-10, 15,625 cells':44}{heads}")
    for name, device in devices.items():
        found = ranked(device, cells)
        latency, energy = (
            f"{found[f'{cost} kendall']:16.3f}{found[f'{cost} over theirs']:13.2f}" for cost in device.estimates
        )
        print(f"{name:44}{latency}  {energy}{found['seconds']:7.2f}", flush=True)
        answer[name] = found
    blocks = pl.read_parquet(data / "fbnet" / "latency_help.parquet")
    print("\nFBNet, CIFAR-100, 5,000 networks: Kendall of latency")
    for estimated in (Eyeriss(EyerissConfig()), Fpga(FpgaConfig())):
        answer[f"fbnet, {estimated.name}"] = fbnet_kendall(estimated, blocks)
        print(f"{estimated.name:44}{answer[f'fbnet, {estimated.name}']:16.3f}")
    print(f"\n{'Eyeriss, the chip':24}measured ms  estimated ms  ratio")
    for name, (measured_ms, estimated_ms) in chip().items():
        print(f"{name:24}{measured_ms:11.1f}{estimated_ms:14.1f}{estimated_ms / measured_ms:7.2f}")
    answer["chip"] = chip()
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
