"""The loop of a bilevel search: alternate gradient steps on weights and on alphas.

The alphas' step computes no gradients of weights, and the weights' step none of alphas. Each takes the next batch of
its own loader. An operation with weight zero in the mixture is not computed and has no gradient.

The base class is DARTS. Another method is a subclass that overrides some of `begin_epoch`, `draw`, `mixture`,
`alphas_loss`, `costs_term`, `weights_loss`, `step`, `relaxation`, `update`.

Letters: `D` decisions, `O` relaxed options.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple, Self

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from chronas.data import Augment, Batches
from chronas.search.checks import check_finite
from chronas.search.gradient.distributed import synced_batches
from chronas.search.gradient.hypergradient import SgdStep, first_order, gradients_of, second_order
from chronas.search.objective import Objective
from chronas.search.relaxation import Relaxation, listed, padded
from chronas.search.searcher import SearcherConfig, Task, skip_connections
from chronas.spaces import Architecture
from chronas.supernets import Supernet, build_supernet, discrete_weights

INITIAL_SPREAD = 1e-3  # standard deviation of the first alphas: quark0/darts, cnn/model_search.py

Batch = tuple[Tensor, Tensor]


class Mixture(NamedTuple):
    """The inputs of a supernet besides images.

    Attributes:
        operations: [D, O] weights of operations.
        edges: [D] weights of edges, or None.
        computed: [D, O] mask of the operations to compute and to get gradients; None: those with a nonzero weight.
    """

    operations: Tensor
    edges: Tensor | None = None
    computed: Tensor | None = None


class Means:
    """Running means by name."""

    def __init__(self) -> None:
        self._sums: dict[str, tuple[float, int]] = {}

    def add(self, name: str, value: float) -> None:
        """Add a value."""
        total, count = self._sums.get(name, (0.0, 0))
        self._sums[name] = total + value, count + 1

    def get(self, name: str) -> float | None:
        """The mean, or None without values."""
        total, count = self._sums.get(name, (0.0, 0))
        return total / count if count else None


class BilevelLoop:
    """The state of a bilevel search; `checkpoints` saves and restores it.

    Attributes:
        supernet: the shared weights.
        alphas: [D, O], and [D] with edge normalisation; not part of the weights' optimiser.
        weights_optimiser: SGD.
        alphas_optimiser: Adam.
        train: batches for the weights.
        validation: batches for the alphas.
        generator: random generator for the cost term and for the method.
        objective: the cost term with its multipliers.
        history: a row for each finished epoch.
        state: further tensors of a method, by name; they are in each checkpoint.
    """

    def __init__(self, task: Task, config: BilevelConfig, objective: Objective) -> None:
        self.task, self.config, self.objective = task, config, objective
        self.history: list[dict[str, Any]] = []
        self.state: dict[str, Tensor] = {}
        self.generator = torch.Generator().manual_seed(task.seed)
        self.take(self.new_supernet(config.partial_channels))
        widest = max(len(decision.relaxed) for decision in task.space.decisions)
        shapes: list[tuple[int, ...]] = [(len(task.space.decisions), widest)]
        shapes += [shapes[0][:1]] if config.edge_normalisation else []
        self.alphas = [
            (INITIAL_SPREAD * torch.randn(shape, generator=self.generator)).requires_grad_() for shape in shapes
        ]
        self.alphas_optimiser = torch.optim.Adam(
            self.alphas,
            config.alphas_learning_rate,
            betas=(config.alphas_beta_1, config.alphas_beta_2),
            weight_decay=config.alphas_weight_decay,
        )
        augment, images = Augment(crop_padding=config.crop_padding, flip=config.flip), task.needed_images()
        self.train, self.validation = (
            Batches(each, config.batch, images.normalisation, seed=2 * task.seed + part, augment=augment)
            for part, each in enumerate((images.train, images.validation))
        )
        self._means = Means()

    def new_supernet(self, partial_channels: int) -> Supernet:
        """A supernet with initial weights; `partial_channels` as in `build_supernet`."""
        config = self.config
        size = self.task.size.model_copy(update={"width": config.width, "depth": config.depth})
        return build_supernet(self.task.space, size, partial_channels=partial_channels, seed=self.task.seed)

    def take(self, supernet: Supernet) -> None:
        """Continue with this supernet and a new optimiser of its weights."""
        self.supernet = supernet
        self.weights = list(supernet.parameters())
        self.weights_optimiser = torch.optim.SGD(
            self.weights,
            self.config.learning_rate,
            momentum=self.config.momentum,
            weight_decay=self.config.weight_decay,
            foreach=True,
        )

    # ---- methods to override, in the order of calls

    def reshape(self) -> None:
        """Before a checkpoint's tensors are loaded, set the shapes for its history and `state`; nothing here."""

    def begin_epoch(self) -> None:
        """Set the epoch's learning rate, on a cosine; a method with stages changes them here."""
        self._set_learning_rate(len(self.history))
        self._means = Means()

    def warming_up(self) -> bool:
        """Whether the alphas stay fixed in this epoch."""
        return len(self.history) < self.config.warmup_epochs

    def step(self) -> None:
        """One step of the alphas, except during the warm-up, and one of the weights, each on its next batch."""
        batch = next(self.train)
        if not self.warming_up():
            self._step_alphas(batch, next(self.validation))
        self._step_weights(batch)

    def draw(self) -> None:
        """Draw the random numbers of a step, so that all its losses use the same ones; nothing here."""

    def mixture(self) -> Mixture:
        """The weights of operations and edges in this step, differentiable in the alphas."""
        relaxation = self.relaxation()
        return Mixture(relaxation.operation_weights(), relaxation.edge_weights())

    def alphas_loss(self, batch: Batch) -> Tensor:
        """[] the loss of the alphas' step without costs, on a validation batch."""
        return self.loss(batch, self.mixture(), "validation")

    def costs_term(self) -> Tensor:
        """[] the cost term of the alphas' loss, if costs have a part in the search."""
        return self.objective.term(self.relaxation(), self.generator)

    def weights_loss(self, batch: Batch) -> Tensor:
        """[] the loss of the weights' step, on a training batch."""
        with torch.no_grad():
            mixed = self.mixture()
        return self.loss(batch, Mixture(mixed.operations, mixed.edges), "train")

    def relaxation(self) -> Relaxation:
        """The distribution of the present alphas, for expected costs and derived candidates."""
        return Relaxation(self.task.space, *self.alphas)

    # ---- methods for subclasses to call

    def loss(self, batch: Batch, mixed: Mixture, kind: Literal["train", "validation"] | None = None) -> Tensor:
        """Cross-entropy [] of the supernet; with a `kind`, it is added to the epoch's means.

        If processes share the batch, the result is scaled so that its mean over processes is the loss of the batch.

        Raises:
            DivergedError: it has a kind and is not finite.
        """
        group, whole = self.task.group, len(batch[1])
        images, labels = (each[group.part(whole)] for each in batch)
        with synced_batches(self.supernet, group, whole):
            predicted = self.supernet(images, mixed.operations, mixed.edges, computed=mixed.computed)
        loss = functional.cross_entropy(predicted, labels) * (group.size * len(labels) / whole)
        if kind is not None:
            right = (predicted.argmax(1) == labels).sum()
            total = group.total(torch.stack([loss.detach().double() / group.size, right.double() / whole]))
            value, accuracy = total.tolist()
            check_finite(value, f"{kind} loss", len(self.history) + 1, self._learning_rate())
            self._means.add(f"{kind}_loss", value)
            self._means.add(f"{kind}_accuracy", 100.0 * accuracy)
        return loss

    @property
    def operation_alphas(self) -> Tensor:
        """[D, O] the alphas of operations; columns that a decision lacks have a softmax of zero."""
        return padded(self.task.space, self.alphas[0])

    def edge_weights(self) -> Tensor | None:
        """[D] the present weights of edges; None without edge normalisation."""
        return self.relaxation().edge_weights() if self.config.edge_normalisation else None

    def discrete(self, architecture: Architecture) -> Mixture:
        """The mixture with which the supernet computes one architecture."""
        operations, edges = discrete_weights(architecture)
        return Mixture(operations, edges if self.config.edge_normalisation else None)

    def update(
        self, optimiser: torch.optim.Optimizer, parameters: Sequence[Tensor], gradients: Sequence[Tensor | None]
    ) -> None:
        """One step of an optimiser: gradients of weights are clipped, parameters without a gradient stay unchanged."""
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
        if optimiser is self.weights_optimiser:
            torch.nn.utils.clip_grad_norm_(parameters, self.config.gradient_clip, foreach=True)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)

    def descend_alphas(self, objective: Objective, steps: int) -> Iterator[int]:
        """Steps of the alphas only, on another objective with a fresh optimiser; yields the number of each step."""
        self.objective = objective
        self.alphas_optimiser.state.clear()
        self._set_learning_rate(max(len(self.history) - 1, 0))  # for the look-ahead of second order
        for step in range(steps):
            self._step_alphas(next(self.train), next(self.validation))
            yield step + 1

    @contextmanager
    def unmoved(self) -> Iterator[None]:
        """Restore alphas, batches, random numbers and the objective of a finished search after the block."""
        alphas = [each.detach().clone() for each in self.alphas]
        generator, objective = self.generator.get_state(), self.objective
        loaders = {loader: loader.state() for loader in (self.train, self.validation)}
        try:
            yield
        finally:
            for now, before in zip(self.alphas, alphas, strict=True):
                now.data.copy_(before)
            self.generator.set_state(generator)
            self.objective = objective
            for loader, state in loaders.items():
                loader.restore(state)

    # ---- the two steps

    def _step_alphas(self, train_batch: Batch, validation_batch: Batch) -> None:
        self.draw()

        def train_loss() -> Tensor:
            return self.loss(train_batch, self.mixture())

        def validation_loss() -> Tensor:
            loss = self.alphas_loss(validation_batch)
            return loss + self.costs_term() if self.objective.active else loss

        if self.config.order == 1:
            gradients = first_order(validation_loss, self.weights, self.alphas, self.task.group)
        else:
            gradients = second_order(
                validation_loss, train_loss, self.weights, self.alphas, self._sgd_step(), self.task.group
            )
        self.update(self.alphas_optimiser, self.alphas, gradients)
        self.objective.ascend(self.relaxation())

    def _step_weights(self, batch: Batch) -> None:
        self.draw()
        gradients = gradients_of(self.weights_loss(batch), self.weights, self.task.group)
        self.update(self.weights_optimiser, self.weights, gradients)

    def _set_learning_rate(self, epoch: int) -> None:
        """Set the learning rate of an epoch (counted from 0), on a cosine."""
        progress = (1 + math.cos(math.pi * epoch / self.config.epochs)) / 2
        low, high = self.config.final_learning_rate, self.config.learning_rate
        for group in self.weights_optimiser.param_groups:
            group["lr"] = low + (high - low) * progress

    def _learning_rate(self) -> float:
        rate: float = self.weights_optimiser.param_groups[0]["lr"]
        return rate

    def _sgd_step(self) -> SgdStep:
        buffers = [self.weights_optimiser.state.get(weight, {}).get("momentum_buffer") for weight in self.weights]
        return SgdStep(self._learning_rate(), self.config.momentum, self.config.weight_decay, buffers)

    def end_epoch(self) -> None:
        """Add the epoch to the history."""
        relaxation = self.relaxation()
        mode = relaxation.mode()
        self.history.append(
            {
                "epoch": len(self.history) + 1,
                "train_loss": self._means.get("train_loss"),
                "train_accuracy": self._means.get("train_accuracy"),
                "validation_loss": self._means.get("validation_loss"),
                "validation_accuracy": self._means.get("validation_accuracy"),
                **self.objective.record(relaxation, self.generator),
                "entropy": float(relaxation.entropy().detach()),
                "skip_connections": skip_connections(mode),
                "mode": str(mode),
                "alphas": listed(self.task.space, self.alphas[0]),
                "edge_alphas": self.alphas[1].tolist() if self.config.edge_normalisation else None,
            }
        )


# ----
# Settings of the bilevel searchers; the defaults are those of the papers.

AGAIN = 3  # with trained weights, a search takes a third of the epochs; benchmarks/another_device.py tries other shares


class BilevelConfig(SearcherConfig):
    """Settings of a search that alternates steps of weights and alphas; the defaults are DARTS's for CIFAR-10.

    Source: https://github.com/quark0/darts, cnn/train_search.py.
    """

    epochs: int = Field(default=50, ge=1, le=10_000, description="passes over the search's training images")
    batch: int = Field(default=64, ge=2, le=65_536, description="images of a step, of weights and of alphas")
    width: int = Field(default=16, ge=2, le=1024, description="channels of the supernet's first cells (C)")
    depth: int = Field(default=8, ge=1, le=200, description="cells of the supernet (nasbench201: cells in each stage)")
    order: Literal[1, 2] = Field(
        default=1, description="2 looks ahead by one step of the weights; about three times slower"
    )
    partial_channels: int = Field(default=1, ge=1, le=64, description="one in this many channels enters operations")
    edge_normalisation: bool = Field(default=False, description="learn a weight for each edge of a node")
    warmup_epochs: int = Field(default=0, ge=0, le=10_000, description="first epochs, in which the alphas stay fixed")
    learning_rate: float = Field(default=0.025, gt=0, le=10, description="of SGD on the weights, initial")
    final_learning_rate: float = Field(default=0.001, ge=0, le=10, description="of SGD on the weights, final; cosine")
    momentum: float = Field(default=0.9, ge=0, lt=1, description="of SGD on the weights")
    weight_decay: float = Field(default=3e-4, ge=0, le=1, description="of the weights")
    gradient_clip: float = Field(default=5.0, gt=0, le=1e6, description="largest norm of the weights' gradient")
    alphas_learning_rate: float = Field(default=3e-4, gt=0, le=10, description="of Adam on the alphas")
    alphas_beta_1: float = Field(default=0.5, ge=0, lt=1, description="of Adam on the alphas")
    alphas_beta_2: float = Field(default=0.999, ge=0, lt=1, description="of Adam on the alphas")
    alphas_weight_decay: float = Field(default=1e-3, ge=0, le=1, description="of the alphas")
    crop_padding: int = Field(default=4, ge=0, le=64, description="pixels around an image before a random crop")
    flip: bool = Field(default=True, description="mirror every second image")

    def for_warm_start(self) -> Self:
        """Settings with trained shared weights: a third of the epochs, and no warm-up, which is not needed then."""
        return self.model_copy(update={"epochs": -(-self.epochs // AGAIN), "warmup_epochs": 0})


class PCDartsConfig(BilevelConfig):
    """Settings of PC-DARTS; the defaults are the paper's for CIFAR-10.

    Source: https://github.com/yuhuixu1993/PC-DARTS, train_search.py.
    """

    batch: int = Field(default=256, ge=2, le=65_536, description="images of a step, of weights and of alphas")
    partial_channels: int = Field(default=4, ge=1, le=64, description="one in this many channels enters operations")
    edge_normalisation: bool = Field(default=True, description="learn a weight for each edge of a node")
    warmup_epochs: int = Field(default=15, ge=0, le=10_000, description="first epochs, in which the alphas stay fixed")
    learning_rate: float = Field(default=0.1, gt=0, le=10, description="of SGD on the weights, initial")
    final_learning_rate: float = Field(default=0.0, ge=0, le=10, description="of SGD on the weights, final; cosine")
    alphas_learning_rate: float = Field(default=6e-4, gt=0, le=10, description="of Adam on the alphas")
