"""A single-path supernet: it is trained by sampled paths and then scores architectures with its shared weights.

Uniform single paths (SPOS, Guo et al., arXiv 1904.00420): each step trains one architecture, drawn uniformly. Strict
fairness (FairNAS, Chu et al., arXiv 1907.01845): each step trains as many as a decision has options, such that each
option of each decision comes once, adds their gradients and moves the weights once. If a group keeps only some of its
decisions (DARTS), these are drawn uniformly, and each decision cycles through its options in random order, so that
counts differ by at most one.

We differ in some points. Weights that a step does not use stay unchanged, without momentum or decay. Batch norms use
the statistics of the batch; for scoring these are large validation batches, which replaces SPOS's recalibration pass.
Images may be averaged over squares before the supernet, which makes a step several times cheaper. The defaults are
those of NAS-Bench-201 for weight sharing by random paths (D-X-Y/AutoDL-Projects,
configs/nas-benchmark/algos/RANDOM.config); our learning rate falls to zero instead of 0.001.
"""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from chronas.data import Augment, Batches
from chronas.errors import UsageError
from chronas.search.blackbox.loop import BlackBoxConfig, BlackBoxSearcher
from chronas.search.blackbox.trained_supernet import TrainedSupernet
from chronas.search.checks import check_finite
from chronas.search.objective import Score, Steps, accuracy_of, unheard
from chronas.search.searcher import SearcherConfig, Task, WarmStart
from chronas.spaces import Architecture, Choice, Group, Space
from chronas.supernets import Supernet, build_supernet, discrete_weights

FILE = "paths.safetensors"
STREAM = 2  # for paths; 1 is for the proposals of a search


class SinglePathConfig(SearcherConfig):
    """Settings of a single-path supernet, which a task's own evaluator does not use."""

    epochs: int = Field(default=250, ge=1, le=10_000, description="passes over the search's training images")
    batch: int = Field(default=64, ge=2, le=65_536, description="images of a step")
    width: int = Field(default=16, ge=2, le=1024, description="channels of the supernet's first cells (C)")
    depth: int = Field(default=5, ge=1, le=200, description="cells of the supernet (nasbench201: cells in each stage)")
    image_stride: int = Field(default=1, ge=1, le=16, description="side of squares to average images over, in pixels")
    fair: bool = Field(default=False, description="train each option of each decision in each step (FairNAS)")
    learning_rate: float = Field(default=0.025, gt=0, le=10, description="of SGD, initial; falls to zero on a cosine")
    momentum: float = Field(default=0.9, ge=0, lt=1, description="momentum of SGD (Nesterov's, if above zero)")
    weight_decay: float = Field(default=5e-4, ge=0, le=1, description="decay of the weights that a step uses")
    gradient_clip: float = Field(default=5.0, gt=0, le=1e6, description="largest norm of the gradient")
    crop_padding: int = Field(default=4, ge=0, le=64, description="pixels around an image before a random crop")
    flip: bool = Field(default=True, description="mirror every second image")


class SinglePathSearchConfig(BlackBoxConfig, SinglePathConfig):
    """Settings of a search that scores architectures with a single-path supernet."""


class SinglePathSearcher(BlackBoxSearcher):
    """A black-box searcher whose own evaluator is a single-path supernet."""

    Config: ClassVar[type[SinglePathSearchConfig]] = SinglePathSearchConfig
    config: SinglePathSearchConfig
    warm_start: ClassVar[WarmStart | None] = WarmStart(FILE, frozenset(SinglePathConfig.model_fields))

    def __init__(self, config: SinglePathSearchConfig | None = None, supernet: Supernet | None = None) -> None:
        """Store the settings, and optionally a user's own supernet; a copy of it is trained."""
        super().__init__(config)
        self._supernet = supernet

    def _own_evaluator(self, task: Task) -> SinglePathSupernet:
        return SinglePathSupernet(task, self.config, self._supernet)


class SinglePathSupernet(TrainedSupernet):
    """Trains a supernet once, in the task's folder, and scores architectures with it."""

    words: ClassVar[str] = "supernet of paths"
    settings: ClassVar[type[SinglePathConfig]] = SinglePathConfig
    file: ClassVar[str] = FILE

    def __init__(self, task: Task, config: SinglePathConfig, supernet: Supernet | None = None) -> None:
        """Create the supernet, without training it.

        Args:
            task: space, size and images.
            config: settings of the supernet and its training.
            supernet: a user's own supernet, of which a copy is trained; width and depth of the config are then ignored.

        Raises:
            UsageError: the space has no supernet, or the images are too small for the stride.
        """
        space = task.space
        if config.fair and any(len(space.assignments(group)) != _free(space, group) for group in space.groups):
            raise UsageError(f"space {space.name} forbids some choices together, so fair paths do not exist")
        super().__init__(task, config)
        self._config = config
        channels, *sizes = task.size.input_shape
        if config.image_stride > min(sizes):
            raise UsageError(f"images of {sizes[0]}x{sizes[1]} pixels have no squares of {config.image_stride}")
        height, width = (-(-size // config.image_stride) for size in sizes)
        frame = {"input_shape": (channels, height, width), "width": config.width, "depth": config.depth}
        size = task.size.model_copy(update=frame)
        self.supernet = (
            build_supernet(task.space, size, seed=task.seed) if supernet is None else copy.deepcopy(supernet)
        )
        self._weights = list(self.supernet.parameters())
        self._optimiser = torch.optim.SGD(
            self._weights,
            config.learning_rate,
            momentum=config.momentum,
            weight_decay=config.weight_decay,
            nesterov=config.momentum > 0,
            foreach=True,
        )
        augment, images = Augment(crop_padding=config.crop_padding, flip=config.flip), task.needed_images()
        self._batches = Batches(images.train, config.batch, images.normalisation, seed=2 * task.seed, augment=augment)
        self.preparation = config.epochs * self._batches.steps_per_epoch

    @property
    def _networks(self) -> Mapping[str, nn.Module]:
        return {"supernet": self.supernet}

    def prepare(self, progress: Steps = unheard) -> None:
        """Train the supernet, or resume from the last epoch's checkpoint, with the same bits on a CPU.

        Raises:
            DivergedError: the loss is no longer finite.
            MismatchError: the folder belongs to another supernet.
            DataError: the checkpoint is damaged, or cannot be written.
        """
        if not self.history:
            self._restore()
        steps = self._batches.steps_per_epoch
        while (epoch := len(self.history)) < self._config.epochs:
            generator = np.random.default_rng([self._task.seed, STREAM, epoch])
            paths = fair_paths(self._task.space, generator) if self._config.fair else self._uniform(generator)
            rate, loss = self._set_learning_rate(epoch * steps), 0.0
            for step in range(epoch * steps, (epoch + 1) * steps):
                self._set_learning_rate(step)
                loss += self._step(next(paths)) / steps
                note = f"supernet, epoch {epoch + 1} of {self._config.epochs}"
                progress(step + 1, note)
            self.history.append({"epoch": epoch + 1, "train_loss": loss, "learning_rate": rate})
            self._save()
        if not (self._task.folder / FILE).exists():
            self._save()  # also after a warm start, so that a third search can start from this folder

    def _uniform(self, generator: np.random.Generator) -> Iterator[list[Architecture]]:
        while True:
            yield [self._task.space.draw(generator)]

    def _set_learning_rate(self, step: int) -> float:
        return self._set_rate(self._config.learning_rate * (1 + math.cos(math.pi * step / self.preparation)) / 2)

    def _step(self, paths: Sequence[Architecture]) -> float:
        """One optimiser step on the next batch along some paths; returns the mean loss."""
        images, labels = next(self._batches)
        images = self._shrunk(images)
        self._optimiser.zero_grad(set_to_none=True)
        total = 0.0
        for path in paths:
            loss = functional.cross_entropy(self.supernet(images, discrete_weights(path)[0]), labels)
            loss.backward()  # type: ignore[no-untyped-call]
            total += float(loss.detach())
        check_finite(total, "train loss", len(self.history) + 1, self._config.learning_rate)
        used = [weight for weight in self._weights if weight.grad is not None]
        torch.nn.utils.clip_grad_norm_(used, self._config.gradient_clip, foreach=True)
        self._optimiser.step()
        return total / len(paths)

    def _score(self, architecture: Architecture) -> Score:
        images, weights = self._task.needed_images(), discrete_weights(architecture)[0]
        return Score(
            accuracy_of(
                lambda pixels: self.supernet(self._shrunk(pixels), weights), images.validation, images.normalisation
            )
        )

    def _shrunk(self, images: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, C, H / stride, W / stride], rounded up."""
        stride = self._config.image_stride
        return images if stride == 1 else functional.avg_pool2d(images, stride, ceil_mode=True)

    def _save(self) -> None:
        state = self._optimiser.state
        momenta = {
            f"momentum.{number}": state[weight]["momentum_buffer"]
            for number, weight in enumerate(self._weights)
            if weight in state and state[weight]["momentum_buffer"] is not None
        }
        self._write(momenta, {})

    def _restore(self) -> None:
        found = self._read()
        if found is None:
            return
        for number, weight in enumerate(self._weights):
            if f"momentum.{number}" in found[0]:
                self._optimiser.state[weight]["momentum_buffer"] = found[0][f"momentum.{number}"]


def _free(space: Space, group: Group) -> int:
    """The number of assignments of a group if no choices were forbidden together."""
    kept = itertools.combinations(group.decisions, group.keep)
    return sum(math.prod(len(space.decisions[d].options) for d in each) for each in kept)


def fair_paths(space: Space, generator: np.random.Generator) -> Iterator[list[Architecture]]:
    """Endless lists of paths, one for each option of the largest decision; decisions cycle through their options."""
    decks: list[list[int]] = [[] for _ in space.decisions]

    def deal(d: int) -> int:
        if not decks[d]:
            decks[d] = generator.permutation(len(space.decisions[d].options)).tolist()
        return decks[d].pop()

    def path() -> Architecture:
        choices: list[Choice] = [None] * len(space.decisions)
        for group in space.groups:
            for d in generator.permutation(group.decisions)[: group.keep].tolist():
                choices[d] = deal(d)
        return space.architecture(choices)

    count = max(len(decision.options) for decision in space.decisions)
    while True:
        yield [path() for _ in range(count)]
