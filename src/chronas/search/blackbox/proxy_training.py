"""Architectures trained briefly: what each is worth by itself, dear and without the bias of shared weights.

The network that is trained is the deployed one, or a smaller one that a few seconds of one core say something about:
fewer channels and cells, images averaged over squares, some of the images once. Several are trained at a time, each in
a process of its own with its share of the threads, as operations this small gain little from threads.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from chronas.data import Images, Normalisation, limited
from chronas.errors import UsageError
from chronas.files import fingerprint
from chronas.networks import build
from chronas.progress import Progress, silent
from chronas.registry import packed, unpacked
from chronas.search.evaluators import Evaluator, Score, Steps, unheard
from chronas.search.searcher import SearcherConfig, Task
from chronas.spaces import Architecture, NetworkSize, Space
from chronas.training import Recipe, judge, train

ALONE_S = 1.0  # after which a process looks whether the one that began it is there


class ProxyConfig(SearcherConfig):
    """Settings of brief trainings; a task's own evaluator does without."""

    epochs: int = Field(default=5, ge=1, le=10_000, description="of each brief training")
    batch: int = Field(default=96, ge=2, le=65_536, description="images of a step")
    learning_rate: float = Field(default=0.025, gt=0, le=10, description="at first; falls to zero on a cosine")
    crop_padding: int = Field(default=4, ge=0, le=64, description="pixels around an image before a random crop")
    flip: bool = Field(default=True, description="mirror every second image")
    images: int | None = Field(default=None, ge=2, description="so many training images only (stratified); all")
    width: int | None = Field(default=None, ge=1, le=1024, description="channels of what is trained; as deployed")
    depth: int | None = Field(default=None, ge=1, le=200, description="cells of what is trained; as deployed")
    image_stride: int = Field(default=1, ge=1, le=16, description="images are averaged over squares of so many pixels")
    workers: int = Field(default=1, ge=1, le=1024, description="trainings at a time, each in a process of its own")

    def recipe(self) -> Recipe:
        """The brief training, without the regularisation that only long ones need."""
        return Recipe(
            epochs=self.epochs,
            batch=self.batch,
            learning_rate=self.learning_rate,
            auxiliary_weight=0.0,
            drop_path=0.0,
            crop_padding=self.crop_padding,
            flip=self.flip,
            cutout=0,
        )


class ProxySetup(NamedTuple):
    """All that trainings share, as a process is given it once."""

    size: NetworkSize
    train: tuple[Tensor, Tensor]
    validation: tuple[Tensor, Tensor]
    normalisation: Normalisation
    recipe: Recipe
    folder: Path
    seed: int
    threads: int


class ProxyTraining(Evaluator):
    """Trains each architecture in a folder of its own, where a training that was stopped goes on."""

    def __init__(self, task: Task, config: ProxyConfig) -> None:
        """Make the smaller images, if they are to be smaller.

        Raises:
            UsageError: the images are too small for the stride.
        """
        self._config, self._space = config, task.space
        height, width = task.size.input_shape[1:]
        if config.image_stride > min(height, width):
            raise UsageError(f"images of {height}x{width} pixels have no squares of {config.image_stride}")
        data = task.needed_images()
        some = data.train
        if config.images is not None and config.images < len(some):
            some = limited(some, config.images, seed=task.seed)
        images = [_shrunk(each, config.image_stride) for each in (some, data.validation)]
        shape = images[0].shape
        frame = {"width": config.width, "depth": config.depth}
        size = task.size.model_copy(
            update={"input_shape": shape, **{key: value for key, value in frame.items() if value is not None}}
        )
        self._setup = ProxySetup(
            size=size,
            train=(images[0].pixels, images[0].labels),
            validation=(images[1].pixels, images[1].labels),
            normalisation=data.normalisation,
            recipe=config.recipe(),
            folder=task.folder,
            seed=task.seed,
            threads=max(1, torch.get_num_threads() // config.workers),
        )
        self._identity = f"brief training {fingerprint(self._facts(images))}"
        self._pool: ProcessPoolExecutor | None = None
        self.steps = config.epochs * -(-len(some) // config.batch)

    def _facts(self, images: Sequence[Images]) -> dict[str, Any]:
        return {
            "recipe": self._setup.recipe.model_dump(mode="json"),
            "size": self._setup.size.model_dump(mode="json"),
            "images": [each.checksum() for each in images],
            "seed": self._setup.seed,
        }

    def identity(self) -> str:
        """The recipe, the frame and the images."""
        return self._identity

    def evaluate(self, architectures: Sequence[Architecture], progress: Steps = unheard) -> list[Score]:
        """The best validation accuracy of each, and its last training loss; raises as `train`."""
        found = []
        for each in self._trained([str(architecture) for architecture in architectures], progress):
            found.append(each)
            progress(len(found) * self.steps, f"validation {each.accuracy:.1f} %")
        return found

    def _trained(self, texts: Sequence[str], progress: Steps) -> Iterator[Score]:
        if self._config.workers == 1:
            for number, text in enumerate(texts):
                yield train_proxy(self._setup, self._space.parse(text), _Heard(progress, number * self.steps))
            return
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                self._config.workers,
                mp_context=multiprocessing.get_context("spawn"),
                initializer=_begin,
                initargs=(packed(self._space), self._setup),
            )
        with _without_script():
            found = self._pool.map(_train_here, texts)
        yield from found

    def close(self) -> None:
        """End the processes; what they were at goes on from its folder another time."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None


@dataclass(frozen=True)
class _Heard:
    """A training's progress as part of an assessment's."""

    progress: Steps
    before: int

    def __call__(self, _step: str, done: int, _total: int, note: str) -> None:
        self.progress(self.before + done, note)


def train_proxy(setup: ProxySetup, architecture: Architecture, progress: Progress = silent) -> Score:
    """Train one architecture and see what it has learned; raises as `train`."""
    images, validation = Images(*setup.train), Images(*setup.validation)
    network = build(architecture, setup.size, seed=setup.seed)
    folder = setup.folder / f"network-{fingerprint(str(architecture))}"
    training = train(
        network, images, validation, setup.normalisation, setup.recipe, folder=folder, seed=setup.seed,
        progress=progress,
    )  # fmt: skip
    assert training.best_validation_accuracy is not None
    loss = training.history[training.best_epoch - 1].get("validation_loss")
    if loss is None:  # an older version has trained it
        loss = judge(network, validation, setup.normalisation).loss
    return Score(training.best_validation_accuracy, training.history[-1]["train_loss"], loss)


def _shrunk(images: Images, stride: int) -> Images:
    """Images averaged over squares of `stride` pixels, cut ones at the far borders included."""
    if stride == 1:
        return images
    pixels = functional.avg_pool2d(images.pixels.float(), stride, ceil_mode=True)
    return Images(pixels.round().to(torch.uint8), images.labels)


@contextlib.contextmanager
def _without_script() -> Iterator[None]:
    """Begin processes that do not run the caller's script once more, as they would: it may have no guard against it."""
    script = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = script


_given: tuple[Space, ProxySetup] | None = None  # of a process that trains


def _begin(space: str, setup: ProxySetup) -> None:
    """In a new process: keep what all its trainings share."""
    global _given  # noqa: PLW0603 - how a pool's processes get what all their work shares
    _given = unpacked(space)[0], setup
    torch.set_num_threads(setup.threads)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this process when the one that began it was killed: nobody would ever fetch what it trains."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    while os.getppid() == parent.pid:
        time.sleep(ALONE_S)
    os._exit(1)


def _train_here(text: str) -> Score:
    assert _given is not None
    space, setup = _given
    return train_proxy(setup, space.parse(text))
