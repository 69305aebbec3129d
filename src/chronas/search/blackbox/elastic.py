"""One supernet with nested weights for all limits and devices: Once-for-All and BigNAS.

Cai et al., https://arxiv.org/abs/1908.09791; Yu et al., https://arxiv.org/abs/2003.11142. Each step trains the largest
network on the labels, and the smallest and some random ones on the largest one's answers to the same images (sandwich
rule and in-place distillation). Then regularised evolution searches the networks within the limits by the accuracy of
their parts of the supernet. A found network inherits its weights, so its training is short.

We differ in some points: the weights that are kept are a running mean; batch norms use the statistics of large batches
of validation images for scoring; augmentation and optimiser are those of the recipe `photos`. The defaults are ours,
for some hundred to some thousand images on a CPU.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from chronas.data import Augment, Batches, ColorJitter, CropScale, Rotation, TrivialAugment, spread_batches
from chronas.errors import UsageError
from chronas.records import Trial
from chronas.search.blackbox.evolution import evolve
from chronas.search.blackbox.loop import BlackBoxConfig, BlackBoxSearcher, Proposals
from chronas.search.blackbox.trained_supernet import TrainedSupernet
from chronas.search.checks import check_finite
from chronas.search.feasible import FeasibleSet
from chronas.search.objective import SCORED, Score, Steps, unheard
from chronas.search.searcher import SearcherConfig, Task, WarmStart
from chronas.spaces import Architecture, Space
from chronas.supernets import ElasticSupernet, build_supernet
from chronas.training import Recipe

FILE = "elastic.safetensors"
STREAM = 3  # for random networks; 1 is for proposals, 2 for single paths
TIMED = 2  # steps to time before the number of epochs is fixed
AGAIN = 3  # a search with a warm start evaluates a third as many
SAVE_EVERY_S = 20.0  # least time between two checkpoints


class ElasticSupernetConfig(SearcherConfig):
    """Settings of a nested supernet and its training."""

    epochs: int = Field(default=100, ge=1, le=10_000, description="passes over the search's training images")
    minutes: float = Field(
        default=0.0,
        ge=0,
        le=100_000,
        description="time for them: fixes the epochs after two steps; 0: as many as given",
    )
    batch: int = Field(default=32, ge=2, le=65_536, description="images of a step")
    random_networks: int = Field(default=2, ge=0, le=64, description="random networks of a step, beside the two ends")
    learning_rate: float = Field(default=2e-3, gt=0, le=10, description="of AdamW, highest; falls to zero on a cosine")
    warmup: float = Field(default=0.1, ge=0, lt=1, description="share of all steps in which the learning rate rises")
    weight_decay: float = Field(default=0.02, ge=0, le=1, description="decoupled weight decay of AdamW")
    gradient_clip: float = Field(default=5.0, gt=0, le=1e6, description="largest norm of the gradient")
    ema: float = Field(default=0.99, ge=0, lt=1, description="decay of the running mean of weights that is kept")
    label_smoothing: float = Field(default=0.1, ge=0, lt=1, description="share of the target spread over all classes")
    crop_padding: int = Field(default=0, ge=0, le=64, description="pixels around an image before a random crop")
    flip: bool = Field(default=True, description="mirror every second image")
    cutout: int = Field(default=0, ge=0, le=512, description="side of the square that is set to the mean, in pixels")
    crop_scale: CropScale = 0.6
    rotation: Rotation = 10.0
    color_jitter: ColorJitter = 0.2
    trivial_augment: TrivialAugment = False


class ElasticConfig(BlackBoxConfig, ElasticSupernetConfig):
    """Settings of a search in a nested supernet."""

    architectures: int = Field(default=200, ge=1, le=1_000_000, description="architectures to evaluate, at most")
    population: int = Field(default=30, ge=1, le=100_000, description="architectures that are alive at one time")
    sample: int = Field(default=10, ge=1, le=100_000, description="of them that compete to be a parent, with repeats")

    def for_warm_start(self) -> Self:
        """Settings with a trained supernet: a third of the architectures."""
        return self.model_copy(update={"architectures": max(1, self.architectures // AGAIN)})


class Elastic(BlackBoxSearcher):
    """Evolution on the scores of a nested supernet."""

    name: ClassVar[str] = "elastic"
    Config: ClassVar[type[ElasticConfig]] = ElasticConfig
    config: ElasticConfig
    gives_weights: ClassVar[bool] = True
    takes_weights: ClassVar[bool] = True
    warm_start: ClassVar[WarmStart | None] = WarmStart(FILE, frozenset(ElasticSupernetConfig.model_fields))

    @classmethod
    def require(cls, space: Space) -> None:
        """As `Searcher.require`; the space needs nested weights."""
        super().require(space)
        if not space.topology.nested:
            raise UsageError(
                f"searcher {cls.name} needs nested weights, which space {space.name} has not: choose a space such as "
                "mobilenetv3, or another searcher, such as bayesian"
            )

    def _own_evaluator(self, task: Task) -> NestedSupernet:
        return NestedSupernet(task, self.config)

    def _proposals(self, feasible: FeasibleSet) -> Proposals:
        return evolve(feasible, self.config.population, self.config.sample)

    def _ranked(self, feasible: FeasibleSet, trials: list[Trial]) -> list[Trial]:  # noqa: ARG002
        """By value; of equal ones the lower validation loss."""
        return sorted(trials, key=lambda each: (each.value, each.losses))


class NestedSupernet(TrainedSupernet):
    """Trains a nested supernet once, in the task's folder, and scores and gives parts of it.

    In its history, `train_loss` is that of the largest network.
    """

    words: ClassVar[str] = "nested supernet"
    settings: ClassVar[type[ElasticSupernetConfig]] = ElasticSupernetConfig
    file: ClassVar[str] = FILE

    def __init__(self, task: Task, config: ElasticSupernetConfig) -> None:
        """Create the supernet, without training it.

        Raises:
            UsageError: the task has no images, or its size does not fit the space.
            MismatchError: the weights to begin with have other names or shapes.
        """
        super().__init__(task, config)
        self._config = config
        supernet = build_supernet(task.space, task.size, seed=task.seed)
        assert isinstance(supernet, ElasticSupernet)  # `Elastic.require` has checked the space
        if task.init is not None:
            supernet.start_from(task.init)
        self.supernet, self.mean = supernet, copy.deepcopy(supernet)
        self._weights: list[Tensor] = list(supernet.parameters())
        self._means: list[Tensor] = list(self.mean.parameters())
        self._optimiser = torch.optim.AdamW(
            self._weights, config.learning_rate, weight_decay=config.weight_decay, foreach=True
        )
        images = task.needed_images()
        augment = Augment(**{name: getattr(config, name) for name in Augment.model_fields})
        self._batches = Batches(images.train, config.batch, images.normalisation, seed=2 * task.seed, augment=augment)
        self._smallest, self._largest = supernet.smallest, supernet.largest
        self._epochs = config.epochs

    @property
    def preparation(self) -> int:  # type: ignore[override]
        """The number of training steps; with a time for them, known after the first ones."""
        return self._epochs * self._batches.steps_per_epoch

    @property
    def _networks(self) -> Mapping[str, nn.Module]:
        return {"supernet": self.supernet, "mean": self.mean}

    def _identity(self) -> dict[str, Any]:
        init = self._task.init
        return super()._identity() | ({} if init is None else {"init": init.checksum})

    def prepare(self, progress: Steps = unheard) -> None:
        """Train the supernet, or resume from the last checkpoint, with the same bits on a CPU.

        With a time for the training, the number of epochs is fixed once, by the first steps, and kept in the
        checkpoint.

        Raises:
            DivergedError: the loss is no longer finite.
            MismatchError: the folder belongs to another supernet.
            DataError: the checkpoint is damaged, or cannot be written.
        """
        if not self.history and not self._restore() and self._config.minutes:
            self._fix_epochs()
        steps, saved_s = self._batches.steps_per_epoch, time.monotonic()
        while (epoch := len(self.history)) < self._epochs:
            generator = np.random.default_rng([self._task.seed, STREAM, epoch])
            rate, loss = self._set_learning_rate(epoch * steps), 0.0
            for step in range(epoch * steps, (epoch + 1) * steps):
                self._set_learning_rate(step)
                loss += self._step(generator) / steps
                self._follow(step)
                progress(step + 1, f"supernet, epoch {epoch + 1} of {self._epochs}, loss {loss:.2f}")
            self.history.append({"epoch": epoch + 1, "train_loss": loss, "learning_rate": rate})
            if time.monotonic() - saved_s > SAVE_EVERY_S or len(self.history) == self._epochs:
                self._save()
                saved_s = time.monotonic()
        if not (self._task.folder / FILE).exists():
            self._save()  # also after a warm start, so that a third search can start from this folder

    def weights(self, architecture: Architecture) -> dict[str, Tensor]:
        """The weights of an architecture, by name in its network; see `ElasticSupernet.weights_of`."""
        self.prepare()
        return self.mean.weights_of(architecture)

    def _fix_epochs(self) -> None:
        """Set the number of epochs by the time of a step, on copies, so that the training itself begins anew."""
        config, task = self._config, self._task
        trial = NestedSupernet(task, config.model_copy(update={"minutes": 0.0}))
        generator = np.random.default_rng([task.seed, STREAM])
        trial._step(generator)  # the first step prepares kernels
        began_s = time.perf_counter()
        for _ in range(TIMED):
            trial._step(generator)
        step_s = (time.perf_counter() - began_s) / TIMED
        self._epochs = max(1, int(60.0 * config.minutes / step_s / self._batches.steps_per_epoch))

    def _set_learning_rate(self, step: int) -> float:
        config = self._config
        plan = Recipe(learning_rate=config.learning_rate, warmup=config.warmup)
        return self._set_rate(plan.learning_rate_at(step / max(1, self.preparation)))

    def _step(self, generator: np.random.Generator) -> float:
        """One optimiser step on the next batch; returns the loss of the largest network."""
        images, labels = next(self._batches)
        images = images.contiguous(memory_format=torch.channels_last)
        self._optimiser.zero_grad(set_to_none=True)
        logits = self.supernet.logits(images, self._largest)
        loss = functional.cross_entropy(logits, labels, label_smoothing=self._config.label_smoothing)
        loss.backward()  # type: ignore[no-untyped-call]
        answers = logits.detach().softmax(dim=1)
        drawn = [self._task.space.draw(generator) for _ in range(self._config.random_networks)]
        for architecture in (self._smallest, *drawn):
            functional.cross_entropy(self.supernet.logits(images, architecture), answers).backward()  # type: ignore[no-untyped-call]
        check_finite(float(loss.detach()), "train loss", len(self.history) + 1, self._config.learning_rate)
        used = [weight for weight in self._weights if weight.grad is not None]
        torch.nn.utils.clip_grad_norm_(used, self._config.gradient_clip, foreach=True)
        self._optimiser.step()
        return float(loss.detach())

    def _follow(self, step: int) -> None:
        """Move the running mean towards the weights; in the first steps it is the mean of all steps."""
        share = max(1.0 - self._config.ema, 1.0 / (1.0 + step))
        with torch.no_grad():
            torch._foreach_lerp_(self._means, self._weights, share)

    def _score(self, architecture: Architecture) -> Score:
        images = self._task.needed_images()
        count, right, loss = len(images.validation), 0, 0.0
        with torch.no_grad():
            for pixels, labels in spread_batches(images.validation, SCORED, images.normalisation):
                logits = self.mean.logits(pixels.contiguous(memory_format=torch.channels_last), architecture)
                right += int((logits.argmax(1) == labels).sum())
                loss += float(functional.cross_entropy(logits, labels, reduction="sum"))
        return Score(100.0 * right / count, validation_loss=loss / count)

    def _save(self) -> None:
        state = self._optimiser.state
        tensors = {
            f"optimiser.{number}.{key}": value
            for number, weight in enumerate(self._weights)
            for key, value in state.get(weight, {}).items()
        }
        self._write(tensors, {"epochs": self._epochs})

    def _restore(self) -> bool:
        """Load the last checkpoint, or that of a warm start; False if there is none."""
        found = self._read(["epochs"])
        if found is None:
            return False
        tensors, content = found
        for name, value in tensors.items():
            kind, _, rest = name.partition(".")
            if kind == "optimiser":
                number, _, key = rest.partition(".")
                self._optimiser.state[self._weights[int(number)]][key] = value
        self._epochs = content["epochs"]
        return True
