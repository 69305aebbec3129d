"""Accuracy and latency of trained networks in float32 and in int8, side by side.

    python benchmarks/int8.py [--epochs 20] [--only "photos, convolutions"]

Networks are trained on digits (8 x 8 pixels) and on 600 made photos of five classes (`write_photos`; 1,000 others to
test), then exported in both forms by `chronas.export`. Both files are tested and timed by `chronas.compare`, in ONNX
Runtime and OpenVINO, one thread, batch 1. Prints a row for each network, and last one line of JSON.

Bar: int8 costs at most one point of accuracy, and networks for photos are faster in ONNX Runtime on a CPU with VNNI.
Networks for digits do not count for the second: their latency is mostly that of starting each step.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

import chronas
from chronas.data import write_photos
from chronas.devices import device_class
from chronas.spaces import Architecture, make_space

DEVICES = ("onnxruntime-cpu", "openvino-cpu")


@dataclass(frozen=True)
class Case:
    """A network and its data."""

    data: str
    network: str
    recipe: str
    width: int
    depth: int = 3
    pixels: int | None = None


CASES = {
    "digits, cells": Case("digits", "nasbench201", "digits-small", 16),
    "digits, DARTS cells": Case("digits", "darts", "digits-small", 16),
    "photos, convolutions": Case("photos", "", "photos", 32, pixels=64),
    "photos, cells": Case("photos", "nasbench201", "photos", 32, 1, pixels=32),
}


def convolutions(width: int, classes: int) -> nn.Module:
    """Five convolutions of 3 x 3 with batch norm."""
    layers: list[nn.Module] = []
    before = 3
    for channels, stride in ((width, 2), (2 * width, 2), (3 * width, 2), (4 * width, 2), (4 * width, 1)):
        layers += [nn.Conv2d(before, channels, 3, stride, 1, bias=False), nn.BatchNorm2d(channels), nn.ReLU()]
        before = channels
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, classes))


def trained(case: Case, data: Any, epochs: int, seed: int) -> chronas.api.TrainedModel:
    """The network of a case after its training."""
    recipe = chronas.training.make_recipe(case.recipe).model_copy(update={"epochs": epochs})
    network: nn.Module | Architecture
    size = None
    if case.network:
        network = make_space(case.network).sample(1, seed=3)[0]
        size = data.size(width=case.width, depth=case.depth)
    else:
        torch.manual_seed(seed)
        network = convolutions(case.width, data.classes)
    return chronas.train(network, data, size=size, recipe=recipe, seed=seed, progress=False)


def vnni() -> bool | None:
    """Whether the CPU has VNNI; None if the system does not say."""
    path = Path("/proc/cpuinfo")
    return "vnni" in path.read_text() if path.exists() else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1, help="of the trainings")
    parser.add_argument("--only", nargs="*", choices=CASES, default=list(CASES))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    devices = [name for name in DEVICES if device_class(name).unavailable() is None]
    answer: dict[str, dict[str, float]] = {}
    for name in options.only:
        with tempfile.TemporaryDirectory() as folder:
            case = CASES[name]
            if case.data == "photos":
                write_photos(Path(folder) / "photos", train=600, test=1000, seed=1)
                data = chronas.load_data(Path(folder) / "photos", image_size=case.pixels, progress=False)
            else:
                data = chronas.load_data(case.data, progress=False)
            model = trained(case, data, options.epochs, options.seed)
            out = Path(folder) / "exported"
            model.export(out, calibration=data)
            files = {"float32": str(out / "model.onnx"), "int8": str(out / "model.int8.onnx")}
            found = chronas.compare(files, devices, data=data, progress=False).frame.to_dicts()
        rows = {(row["network"], row["device"]): row for row in found}
        accuracies = [rows[kind, devices[0]]["accuracy"] for kind in files]
        answer[name] = {"float32_percent": accuracies[0], "int8_percent": accuracies[1]}
        words = []
        for device in devices:
            before, after = (rows[kind, device]["latency_ms"] for kind in files)
            answer[name] |= {f"{device}_ms": before, f"{device}_int8_ms": after, f"{device}_ratio": after / before}
            words.append(f"{device} {before:.3f} -> {after:.3f} ms ({after / before:.2f})")
        print(f"{name:<21} {accuracies[0]:6.2f} % -> {accuracies[1]:6.2f} %   {'   '.join(words)}", flush=True)
    has_vnni = vnni()
    accurate = all(row["float32_percent"] - row["int8_percent"] <= 1 for row in answer.values())
    counted = [row for name, row in answer.items() if CASES[name].data == "photos"]
    faster = not has_vnni or all(row[f"{devices[0]}_ratio"] < 1 for row in counted)
    rounded = {name: {key: round(value, 4) for key, value in row.items()} for name, row in answer.items()}
    print(json.dumps({"benchmark": "int8", "vnni": has_vnni, "networks": rounded, "met": accurate and faster}))


if __name__ == "__main__":
    main()
