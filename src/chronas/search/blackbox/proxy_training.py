"""Proxy training: architectures are trained separately for a short time, which is costly but has no weight sharing.

The trained network is the deployed one, or a smaller one that is informative after a few seconds on one core: with
fewer channels and cells, images averaged over squares, and fewer images. Several are trained at a time, each in its own
process with its share of the threads, because operations this small gain little from threads.
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
from chronas.search.objective import Evaluator, Score, Steps, unheard
from chronas.search.searcher import SearcherConfig, Task
from chronas.spaces import Architecture, NetworkSize, Space
from chronas.training import Recipe, accuracy_and_loss, train

UNUSED = {
    "patience",
    "distill_weight",
    "temperature",
    "trivial_augment",
}  # by proxy trainings; journals of earlier versions lack them
ALONE_S = 1.0  # interval at which a process checks whether its parent still runs


class ProxyConfig(SearcherConfig):
    """Settings of proxy training, which a task's own evaluator does not use."""

    epochs: int = Field(default=5, ge=1, le=10_000, description="epochs of each proxy training")
    batch: int = Field(default=96, ge=2, le=65_536, description="images of a step")
    learning_rate: float = Field(default=0.025, gt=0, le=10, description="initial; falls to zero on a cosine")
    crop_padding: int = Field(default=4, ge=0, le=64, description="pixels around an image before a random crop")
    flip: bool = Field(default=True, description="mirror every second image")
    images: int | None = Field(default=None, ge=2, description="number of training images (stratified); default: all")
    width: int | None = Field(default=None, ge=1, le=1024, description="channels in training; default: as deployed")
    depth: int | None = Field(default=None, ge=1, le=200, description="cells in training; default: as deployed")
    image_stride: int = Field(default=1, ge=1, le=16, description="side of squares to average images over, in pixels")
    workers: int = Field(default=1, ge=1, le=1024, description="trainings at a time, each in its own process")

    def recipe(self) -> Recipe:
        """The recipe of proxy training, without the regularisation that only long trainings need."""
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
    """The common data of all trainings, which a process gets once."""

    size: NetworkSize
    train: tuple[Tensor, Tensor]
    validation: tuple[Tensor, Tensor]
    normalisation: Normalisation
    recipe: Recipe
    folder: Path
    seed: int
    threads: int


class ProxyTraining(Evaluator):
    """Trains each architecture in its own folder, where an interrupted training resumes."""

    def __init__(self, task: Task, config: ProxyConfig) -> None:
        """Create smaller images if they are wanted.

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
            "recipe": self._setup.recipe.model_dump(mode="json", exclude=UNUSED),
            "size": self._setup.size.model_dump(mode="json"),
            "images": [each.checksum() for each in images],
            "seed": self._setup.seed,
        }

    def identity(self) -> str:
        """The recipe, the size and the images."""
        return self._identity

    def evaluate(self, architectures: Sequence[Architecture], progress: Steps = unheard) -> list[Score]:
        """The best validation accuracy of each architecture, and its last training loss; raises as `train`."""
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
        """End the processes; interrupted trainings resume from their folders another time."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None


@dataclass(frozen=True)
class _Heard:
    """A training's progress as part of an evaluation's."""

    progress: Steps
    before: int

    def __call__(self, _step: str, done: int, _total: int, note: str) -> None:
        self.progress(self.before + done, note)


def train_proxy(setup: ProxySetup, architecture: Architecture, progress: Progress = silent) -> Score:
    """Train one architecture and return its score; raises as `train`."""
    images, validation = Images(*setup.train), Images(*setup.validation)
    network = build(architecture, setup.size, seed=setup.seed)
    folder = setup.folder / f"network-{fingerprint(str(architecture))}"
    training = train(
        network, images, validation, setup.normalisation, setup.recipe, folder=folder, seed=setup.seed,
        progress=progress,
    )  # fmt: skip
    assert training.best_validation_accuracy is not None
    loss = training.history[training.best_epoch - 1].get("validation_loss")
    if loss is None:  # trained by an older version
        loss = accuracy_and_loss(network, validation, setup.normalisation).loss
    return Score(training.best_validation_accuracy, training.history[-1]["train_loss"], loss)


def _shrunk(images: Images, stride: int) -> Images:
    """Images averaged over squares of `stride` pixels, including incomplete squares at the far borders."""
    if stride == 1:
        return images
    pixels = functional.avg_pool2d(images.pixels.float(), stride, ceil_mode=True)
    return Images(pixels.round().to(torch.uint8), images.labels)


@contextlib.contextmanager
def _without_script() -> Iterator[None]:
    """Start processes without running the caller's script again, because it may have no guard against that."""
    script = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = script


_given: tuple[Space, ProxySetup] | None = None  # set in a process that trains


def _begin(space: str, setup: ProxySetup) -> None:
    """Initialise a new process with the common data of its trainings."""
    global _given  # noqa: PLW0603 - the common data of a pool's processes
    _given = unpacked(space)[0], setup
    torch.set_num_threads(setup.threads)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this process when its parent was killed, because nobody would use its trainings."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    while os.getppid() == parent.pid:
        time.sleep(ALONE_S)
    os._exit(1)


def _train_here(text: str) -> Score:
    assert _given is not None
    space, setup = _given
    return train_proxy(setup, space.parse(text))
