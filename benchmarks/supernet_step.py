"""How long a bilevel step takes and what memory it needs, beside the original repositories and beside our own oracle.

    python benchmarks/supernet_step.py --method darts --batch 16 --reference ../darts/cnn
    python benchmarks/supernet_step.py --method darts-second-order --batch 16 --reference ../darts/cnn
    python benchmarks/supernet_step.py --method pc-darts --batch 32 --reference ../PC-DARTS

`--reference` is the folder of a checkout that holds model_search.py and architect.py (https://github.com/quark0/darts,
https://github.com/yuhuixu1993/PC-DARTS); without it the other side is the plain formulation of tests/plain_supernet.py
in our own loop. The checkout's code runs as it is, with `.cuda()` made to do nothing; a step is that of its
train_search.py: alphas, then weights, gradients clipped. Ours is `BilevelLoop.step`. Both have C = 16, 8 cells, 32x32
images, float32 and the same two batches, ready made, again and again.

The sides take turns, step by step, in one process; the answer is the median of the pairs' ratios, by wall clock
and by CPU time of the process. Each side's peak memory is VmHWM of a process of its own after two steps. Bars: darts
2.8 times and 0.8 of the memory, second order 2.2, PC-DARTS 1.9. Prints each pair and, last, one line of JSON.
"""

from __future__ import annotations

import argparse
import importlib
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import torch
from torch import Tensor, nn

from chronas.data import Images, Normalisation
from chronas.search import SearchImages, Task
from chronas.search.gradient.loop import BilevelConfig, BilevelLoop, PCDartsConfig
from chronas.search.objective import Objective
from chronas.spaces import NetworkSize, make_space

CLASSES, SIZE = 10, 32
MEMORY_BAR = 0.8
TESTS = Path(__file__).resolve().parents[1] / "tests"

Batch = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Method:
    """What is compared: our settings, whether the original looks ahead, and the bar of the speedup."""

    config: BilevelConfig
    unrolled: bool
    bar: float


METHODS = {
    "darts": Method(BilevelConfig(), unrolled=False, bar=2.8),
    "darts-second-order": Method(BilevelConfig(order=2), unrolled=True, bar=2.2),
    "pc-darts": Method(PCDartsConfig(warmup_epochs=0), unrolled=False, bar=1.9),
}


def batch(size: int, seed: int) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(size, 3, SIZE, SIZE, generator=generator)
    return images, torch.randint(CLASSES, (size,), generator=generator)


def ours(method: Method, batches: tuple[Batch, Batch]) -> BilevelLoop:
    """The loop of a search, its loaders replaced by the two batches."""
    pixels = len(batches[0][1])
    images = Images(torch.zeros(pixels, 3, SIZE, SIZE, dtype=torch.uint8), torch.arange(pixels) % CLASSES)
    normalisation = Normalisation(mean=(0.0,) * 3, std=(1.0,) * 3)
    size = NetworkSize(input_shape=(3, SIZE, SIZE), outputs=CLASSES, width=16, depth=8)
    nowhere = Path(tempfile.gettempdir())  # no step writes
    task = Task(make_space("darts"), size, nowhere, SearchImages(images, images, normalisation))
    loop = BilevelLoop(task, method.config.model_copy(update={"batch": pixels}), Objective(task.objective, {}))
    loop.begin_epoch()
    for name, each in zip(("train", "validation"), batches, strict=True):
        setattr(loop, name, itertools.repeat(each))
    return loop


def oracle(method: Method, batches: tuple[Batch, Batch]) -> BilevelLoop:
    """Our loop on the plain formulation, with the same weights."""
    sys.path.insert(0, str(TESTS))
    plain = importlib.import_module("plain_supernet")
    loop = ours(method, batches)
    loop.take(plain.PlainSupernet(loop.supernet))
    return loop


def original(folder: Path, method: Method, batches: tuple[Batch, Batch]) -> Callable[[], None]:
    """A step of the checkout's train_search.py."""
    for kind in (Tensor, nn.Module):
        kind.cuda = lambda self, *_, **__: self  # type: ignore[method-assign]
    sys.path.insert(0, str(folder.resolve()))
    config = method.config
    loss = nn.CrossEntropyLoss()
    torch.manual_seed(0)
    model = importlib.import_module("model_search").Network(16, CLASSES, 8, loss).train()
    optimiser = torch.optim.SGD(
        model.parameters(), config.learning_rate, momentum=config.momentum, weight_decay=config.weight_decay
    )
    settings = SimpleNamespace(
        momentum=config.momentum,
        weight_decay=config.weight_decay,
        arch_learning_rate=config.alphas_learning_rate,
        arch_weight_decay=config.alphas_weight_decay,
    )
    architect = importlib.import_module("architect").Architect(model, settings)
    train, validation = batches

    def step() -> None:
        architect.step(*train, *validation, config.learning_rate, optimiser, unrolled=method.unrolled)
        optimiser.zero_grad()
        loss(model(train[0]), train[1]).backward()
        nn.utils.clip_grad_norm_(model.parameters(), config.gradient_clip)
        optimiser.step()

    return step


def stepper(side: str, options: argparse.Namespace) -> Callable[[], None]:
    method, batches = METHODS[options.method], (batch(options.batch, 1), batch(options.batch, 2))
    if side == "ours":
        return ours(method, batches).step
    return oracle(method, batches).step if side == "oracle" else original(options.reference, method, batches)


def timed(step: Callable[[], None]) -> tuple[float, float]:
    """Wall-clock and CPU seconds of a step."""
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    step()
    return time.perf_counter() - wall_s, time.process_time() - cpu_s


def peak_mib() -> float:
    """VmHWM of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def peak_of(side: str) -> float:
    """The peak of a process of its own, with the same options."""
    command = [sys.executable, *sys.argv, "--memory-of", side]
    answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return float(answer.splitlines()[-1])


def compare(options: argparse.Namespace) -> dict[str, object]:
    other = "oracle" if options.reference is None else "original"
    sides = {side: stepper(side, options) for side in ("ours", other)}
    for step in sides.values():
        step()
    ratios, seconds = [], []
    for pair in range(options.pairs):
        taken = {side: timed(step) for side, step in sides.items()}
        seconds.append((taken["ours"][1], taken[other][1]))
        ratios.append([theirs / own for own, theirs in zip(taken["ours"], taken[other], strict=True)])
        each = ", ".join(f"{side} {wall:.2f} s (CPU {cpu:.2f})" for side, (wall, cpu) in taken.items())
        print(f"pair {pair + 1}: {each}, ratio {ratios[-1][0]:.2f} (CPU {ratios[-1][1]:.2f})", flush=True)
    speedup, cpu_speedup = (round(statistics.median(column), 2) for column in zip(*ratios, strict=True))
    own_s, other_s = (round(statistics.median(column), 3) for column in zip(*seconds, strict=True))
    own_mib, other_mib = peak_of("ours"), peak_of(other)
    return {
        "benchmark": "supernet_step",
        "method": options.method,
        "against": other,
        "batch": options.batch,
        "threads": options.threads,
        "speedup": speedup,
        "cpu_speedup": cpu_speedup,
        "cpu_s": [own_s, other_s],
        "peak_mib": [round(own_mib), round(other_mib)],
        "memory": round(own_mib / other_mib, 2),
        "met": speedup >= METHODS[options.method].bar and own_mib <= MEMORY_BAR * other_mib,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--method", choices=METHODS, default="darts")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--reference", type=Path)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--memory-of", choices=["ours", "oracle", "original"], help="only this side's peak, in MiB")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    warnings.simplefilter("ignore")  # the originals call torch as it was in 2018
    if options.memory_of is None:
        print(json.dumps(compare(options)))
        return
    step = stepper(options.memory_of, options)
    for _ in range(2):
        step()
    print(peak_mib())


if __name__ == "__main__":
    main()
