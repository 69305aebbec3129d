"""BilevelLoop on weights and alphas in turn: the state of a bilevel search and its two steps.

Each step is lean: the alphas' step computes no weight's gradient, the weights' step none of the alphas'. Each takes the
next batch of its own loader. An operation whose weight in the mixture is zero is not computed, and has no gradient.

What is here is DARTS. A method is a subclass that overrides what differs: `begin_epoch`, `draw`, `mixture`,
`alphas_loss`, `costs_term`, `weights_loss`, `step`, `relaxation`, `update`.

Letters: `D` decisions, `O` relaxed options.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from chronas.data import Augment, Batches
from chronas.search.gradient.config import BilevelConfig
from chronas.search.gradient.distributed import synced_batches
from chronas.search.gradient.hypergradient import SgdStep, first_order, gradients_of, second_order
from chronas.search.objective import Objective
from chronas.search.relaxation import Relaxation, listed, padded
from chronas.search.searcher import Task, check_finite, skip_connections
from chronas.spaces import Architecture
from chronas.supernets import Supernet, build_supernet, discrete_weights

INITIAL_SPREAD = 1e-3  # standard deviation of the first alphas: quark0/darts, cnn/model_search.py

Batch = tuple[Tensor, Tensor]


class Mixture(NamedTuple):
    """What a supernet is given beside images.

    Attributes:
        operations: [D, O] weights of operations.
        edges: [D] weights of edges, or None.
        computed: [D, O] the operations to compute and to have a gradient; None for those of a weight that is not zero.
    """

    operations: Tensor
    edges: Tensor | None = None
    computed: Tensor | None = None


class Means:
    """Running means by name."""

    def __init__(self) -> None:
        self._sums: dict[str, tuple[float, int]] = {}

    def add(self, name: str, value: float) -> None:
        """Count a value in."""
        total, count = self._sums.get(name, (0.0, 0))
        self._sums[name] = total + value, count + 1

    def get(self, name: str) -> float | None:
        """The mean, or None where there was no value."""
        total, count = self._sums.get(name, (0.0, 0))
        return total / count if count else None


class BilevelLoop:
    """What a bilevel search changes while it runs; `checkpoint` saves and restores it.

    Attributes:
        supernet: the shared weights.
        alphas: [D, O], and [D] with edge normalisation; no optimiser of weights sees them.
        weights_optimiser: SGD.
        alphas_optimiser: Adam.
        train: batches for the weights.
        validation: batches for the alphas.
        generator: draws the architectures of the costs' term, and what a method draws.
        objective: the costs' term with its multipliers.
        history: a JSON object for each epoch done.
        state: tensors by name that a method keeps beside these; they are in each checkpoint.
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
        """A supernet with its first weights; `partial_channels` as in `build_supernet`."""
        config = self.config
        size = self.task.size.model_copy(update={"width": config.width, "depth": config.depth})
        return build_supernet(self.task.space, size, partial_channels=partial_channels, seed=self.task.seed)

    def take(self, supernet: Supernet) -> None:
        """Go on with this supernet and a new optimiser of its weights."""
        self.supernet = supernet
        self.weights = list(supernet.parameters())
        self.weights_optimiser = torch.optim.SGD(
            self.weights,
            self.config.learning_rate,
            momentum=self.config.momentum,
            weight_decay=self.config.weight_decay,
            foreach=True,
        )

    # ---- what a method may override, in the order of calls

    def reshape(self) -> None:
        """Before a checkpoint's tensors come in: have the shapes that its history and `state` tell; nothing here."""

    def begin_epoch(self) -> None:
        """Set the epoch's learning rate, on a cosine; where a method has stages, they change here."""
        self._set_learning_rate(len(self.history))
        self._means = Means()

    def warming_up(self) -> bool:
        """Whether the alphas stay in this epoch."""
        return len(self.history) < self.config.warmup_epochs

    def step(self) -> None:
        """One step of the alphas, unless the warm-up lasts, and one of the weights, each on its next batch."""
        batch = next(self.train)
        if not self.warming_up():
            self._step_alphas(batch, next(self.validation))
        self._step_weights(batch)

    def draw(self) -> None:
        """Draw what is random in a step, so that all losses of the step see the same; nothing here."""

    def mixture(self) -> Mixture:
        """What operations and edges weigh in this step, differentiable in the alphas."""
        relaxation = self.relaxation()
        return Mixture(relaxation.operation_weights(), relaxation.edge_weights())

    def alphas_loss(self, batch: Batch) -> Tensor:
        """[] what the alphas' step descends on, costs aside, on a validation batch."""
        return self.loss(batch, self.mixture(), "validation")

    def costs_term(self) -> Tensor:
        """[] what costs add to the alphas' loss, where they have a part in the search."""
        return self.objective.term(self.relaxation(), self.generator)

    def weights_loss(self, batch: Batch) -> Tensor:
        """[] what the weights' step descends on, on a training batch."""
        with torch.no_grad():
            mixed = self.mixture()
        return self.loss(batch, Mixture(mixed.operations, mixed.edges), "train")

    def relaxation(self) -> Relaxation:
        """The distribution that the alphas stand for now: costs are expected under it, candidates derived from it."""
        return Relaxation(self.task.space, *self.alphas)

    # ---- what a method may call

    def loss(self, batch: Batch, mixed: Mixture, kind: Literal["train", "validation"] | None = None) -> Tensor:
        """Cross-entropy [] of the supernet; counted into the epoch's means where it has a kind.

        Where processes share the batch, the mean of what each of them gets is meant.

        Raises:
            DivergedError: it is counted and no longer finite.
        """
        group, whole = self.task.group, len(batch[1])
        images, labels = (each[group.part(whole)] for each in batch)
        with synced_batches(self.supernet, group, whole):
            predicted = self.supernet(images, mixed.operations, mixed.edges, computed=mixed.computed)
        loss = functional.cross_entropy(predicted, labels) * (group.size * len(labels) / whole)
        if kind is not None:
            right = (predicted.argmax(1) == labels).sum()
            told = group.total(torch.stack([loss.detach().double() / group.size, right.double() / whole]))
            value, accuracy = told.tolist()
            check_finite(value, f"{kind} loss", len(self.history) + 1, self._learning_rate())
            self._means.add(f"{kind}_loss", value)
            self._means.add(f"{kind}_accuracy", 100.0 * accuracy)
        return loss

    @property
    def operation_alphas(self) -> Tensor:
        """[D, O] the alphas of operations, with a softmax of zero where a decision has fewer options."""
        return padded(self.task.space, self.alphas[0])

    def edge_weights(self) -> Tensor | None:
        """[D] what edges weigh now; None without edge normalisation."""
        return self.relaxation().edge_weights() if self.config.edge_normalisation else None

    def discrete(self, architecture: Architecture) -> Mixture:
        """What makes the supernet compute one architecture."""
        operations, edges = discrete_weights(architecture)
        return Mixture(operations, edges if self.config.edge_normalisation else None)

    def update(
        self, optimiser: torch.optim.Optimizer, parameters: Sequence[Tensor], gradients: Sequence[Tensor | None]
    ) -> None:
        """One step of an optimiser; the gradients of weights are clipped, and what has none stays as it is."""
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
        if optimiser is self.weights_optimiser:
            torch.nn.utils.clip_grad_norm_(parameters, self.config.gradient_clip, foreach=True)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)

    def descend_alphas(self, objective: Objective, steps: int) -> Iterator[int]:
        """Steps of the alphas alone, on another objective and with a fresh optimiser; tells the number of each."""
        self.objective = objective
        self.alphas_optimiser.state.clear()
        self._set_learning_rate(max(len(self.history) - 1, 0))  # second order looks ahead by it
        for step in range(steps):
            self._step_alphas(next(self.train), next(self.validation))
            yield step + 1

    @contextmanager
    def unmoved(self) -> Iterator[None]:
        """Leave alphas, batches, random numbers and the objective of a search that is done as they were before."""
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
        """That of an epoch 0.., on a cosine."""
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
        """Write the epoch into the history."""
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
