"""A small pickle of HW-NAS-Bench's layout, made of random numbers or of the published ones."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np

from chronas.spaces import make_space

DATASETS = {"cifar10": 10, "cifar100": 100, "ImageNet16-120": 120}
DEVICE_METRICS = ("edgegpu_latency", "edgegpu_energy", "raspi4_latency", "pixel3_latency", "eyeriss_latency")
FBNET = (*DEVICE_METRICS, "eyeriss_energy", "fpga_latency", "fpga_energy")
CELLS = (*FBNET, "edgetpu_latency", "eyeriss_arithmetic_intensity")


def official(count: int = 40, seed: int = 0) -> dict[str, Any]:
    """Content of the layout: `count` cells of NAS-Bench-201, every third without the Edge TPU, and all blocks."""
    random = np.random.default_rng(seed)
    space = make_space("nasbench201")
    cells: dict[str, Any] = {}
    for dataset, classes in DATASETS.items():
        cells[dataset] = {metric: random.uniform(1, 20, count).tolist() for metric in CELLS}
        cells[dataset]["edgetpu_latency"] = np.where(np.arange(count) % 3 == 2, -1, random.uniform(1, 2, count))
        texts = [str(space.from_index(index)) for index in range(count)]
        cells[dataset]["config"] = [
            {"name": "infer.tiny", "C": 16, "N": 5, "arch_str": text, "num_classes": classes} for text in texts
        ]
    costs = {metric: {key: float(random.uniform(0.1, 3)) for key in sorted(every_key())} for metric in FBNET}
    return {"nasbench201": cells, "fbnet": costs}


def write(content: object, path: Path) -> Path:
    """Pickle it as the official file is."""
    path.write_bytes(pickle.dumps(content))
    return path


def every_key() -> set[str]:
    """All keys of both data sets."""
    stops = [0, 1, 5, 9, 13, 17, 21, 22]
    widths = [16, 24, 32, 64, 112, 184, 352]
    keys: set[str] = set()
    for side, stride, strides, header, classes in (
        (32, 1, [1, 1, 2, 2, 1, 2, 1], 1504, 100),
        (224, 2, [1, 2, 2, 2, 1, 2, 1], 1984, 1000),
    ):
        keys.add(f"ConvNorm_H{side}_W{side}_Cin3_Cout16_kernel3_stride{stride}_group1")
        side, before = side // stride, 16
        for stage, width in enumerate(widths):
            for layer in range(stops[stage], stops[stage + 1]):
                step = strides[stage] if layer == stops[stage] else 1
                shape = f"H{side}_W{side}_Cin{before}_Cout{width}"
                for kernel in (3, 5):
                    for expansion, groups in ((1, 1), (1, 2), (3, 1), (6, 1)):
                        rest = f"exp{expansion}_kernel{kernel}_stride{step}_group{groups}"
                        keys.add(f"ConvBlock_{shape}_{rest}")
                keys.add(f"Skip_{shape}_stride{step}")
                side, before = side // step, width
        keys.add(f"ConvNorm_H{side}_W{side}_Cin352_Cout{header}_kernel1_stride1_group1")
        keys.add(f"AvgP_H{side}_W{side}_Cin{header}_Cout{header}_kernel{side}_stride1")
        keys.add(f"FC_Cin{header}_Cout{classes}")
    return keys
