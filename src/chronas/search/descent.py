"""Descent on weights and logits in turn: the state of a bilevel search and its two steps.

Each step is lean: the logits' step computes no weight's gradient, the weights' step none of the logits'. Each takes the
next batch of its own loader. An operation whose softmax weight is zero in float32 is not computed, and has no slope.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from chronas.data import Augment, Batches
from chronas.search.config import BilevelConfig
from chronas.search.hypergradient import SgdStep, first_order, second_order
from chronas.search.objective import Objective
from chronas.search.relaxation import Relaxation
from chronas.search.searcher import Task, check_finite, skip_connections
from chronas.supernets import build_supernet

INITIAL_SPREAD = 1e-3  # standard deviation of the first logits: quark0/darts, cnn/model_search.py

Batch = tuple[Tensor, Tensor]


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


class Descent:
    """What a bilevel search changes while it runs; `checkpoint` saves and restores it.

    Attributes:
        supernet: the shared weights.
        logits: [D, O], and [D] with edge normalisation; no optimiser of weights sees them.
        weights_optimiser: SGD.
        logits_optimiser: Adam.
        train: batches for the weights.
        validation: batches for the logits.
        generator: draws the architectures of the costs' term.
        objective: the costs' term with its multipliers.
        history: a JSON object for each epoch done.
    """

    def __init__(self, task: Task, config: BilevelConfig, objective: Objective) -> None:
        self.task, self.config, self.objective = task, config, objective
        self.history: list[dict[str, Any]] = []
        self.generator = torch.Generator().manual_seed(task.seed)
        skeleton = task.skeleton.model_copy(update={"width": config.width, "depth": config.depth})
        self.supernet = build_supernet(task.space, skeleton, partial_channels=config.partial_channels, seed=task.seed)
        self.weights = list(self.supernet.parameters())
        shapes: list[tuple[int, ...]] = [(len(task.space.decisions), len(task.space.decisions[0].relaxed))]
        shapes += [shapes[0][:1]] if config.edge_normalisation else []
        self.logits = [
            (INITIAL_SPREAD * torch.randn(shape, generator=self.generator)).requires_grad_() for shape in shapes
        ]
        self.weights_optimiser = torch.optim.SGD(
            self.weights,
            config.learning_rate,
            momentum=config.momentum,
            weight_decay=config.weight_decay,
            foreach=True,
        )
        self.logits_optimiser = torch.optim.Adam(
            self.logits,
            config.logits_learning_rate,
            betas=(config.logits_beta_1, config.logits_beta_2),
            weight_decay=config.logits_weight_decay,
        )
        augment = Augment(crop_padding=config.crop_padding, flip=config.flip)
        self.train, self.validation = (
            Batches(images, config.batch, task.normalisation, seed=2 * task.seed + part, augment=augment)
            for part, images in enumerate((task.search_train, task.search_validation))
        )
        self._means = Means()

    def relaxation(self) -> Relaxation:
        """The distribution that the logits stand for now."""
        return Relaxation(self.task.space, *self.logits)

    def begin_epoch(self) -> None:
        """Set the epoch's learning rate, on a cosine."""
        progress = (1 + math.cos(math.pi * len(self.history) / self.config.epochs)) / 2
        low, high = self.config.final_learning_rate, self.config.learning_rate
        for group in self.weights_optimiser.param_groups:
            group["lr"] = low + (high - low) * progress
        self._means = Means()

    def step(self) -> None:
        """One step of the logits, unless the warm-up lasts, and one of the weights, each on its next batch."""
        batch = next(self.train)
        if len(self.history) >= self.config.warmup_epochs:
            self._step_logits(batch, next(self.validation))
        self._step_weights(batch)

    def _step_logits(self, train_batch: Batch, validation_batch: Batch) -> None:
        def train_loss() -> Tensor:
            return self._loss(train_batch, self.relaxation())

        def validation_loss() -> Tensor:
            relaxation = self.relaxation()
            loss = self._loss(validation_batch, relaxation, "validation")
            return loss + self.objective.term(relaxation, self.generator) if self.objective.active else loss

        if self.config.order == 1:
            gradients = first_order(validation_loss, self.logits)
        else:
            gradients = second_order(validation_loss, train_loss, self.weights, self.logits, self._sgd_step())
        self._apply(self.logits_optimiser, self.logits, gradients)
        self.objective.ascend(self.relaxation())

    def _step_weights(self, batch: Batch) -> None:
        fixed = Relaxation(self.task.space, *(logits.detach() for logits in self.logits))
        loss = self._loss(batch, fixed, "train")
        gradients = torch.autograd.grad(loss, self.weights, materialize_grads=True)
        self._apply(self.weights_optimiser, self.weights, gradients)

    def _apply(
        self, optimiser: torch.optim.Optimizer, parameters: Sequence[Tensor], gradients: Sequence[Tensor]
    ) -> None:
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
        if optimiser is self.weights_optimiser:
            torch.nn.utils.clip_grad_norm_(parameters, self.config.gradient_clip, foreach=True)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)

    def _loss(self, batch: Batch, relaxation: Relaxation, kind: str | None = None) -> Tensor:
        """Cross-entropy [] of the mixture; counted into the epoch's means where it has a kind."""
        images, labels = batch
        predicted = self.supernet(images, relaxation.operation_weights(), relaxation.edge_weights())
        loss = functional.cross_entropy(predicted, labels)
        if kind is not None:
            value = float(loss.detach())
            check_finite(value, f"{kind} loss", len(self.history) + 1, self._learning_rate())
            self._means.add(f"{kind}_loss", value)
            self._means.add(f"{kind}_accuracy", 100.0 * float((predicted.argmax(1) == labels).float().mean()))
        return loss

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
                "logits": self.logits[0].tolist(),
                "edge_logits": self.logits[1].tolist() if self.config.edge_normalisation else None,
            }
        )
