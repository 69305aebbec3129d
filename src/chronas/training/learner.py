"""A network with its optimiser: one step of gradient descent by a recipe.

learner = Learner(network, recipe, seed=0)
loss, correct, count = learner.step(next(batches), number=0, total=100)
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel

from chronas.training.distillation import Teacher, distillation_loss
from chronas.training.process_group import SINGLE_PROCESS, ProcessGroup
from chronas.training.recipe import Recipe

ADAM_BETA_2 = 0.999  # PyTorch's default
MIXUP = 2  # stream of the shares of mixup; the loader has 0 and 1


class Learner:
    """A network in training.

    Attributes:
        network: the network; images [B, C, H, W] -> logits [B, classes], or a tuple of these and an auxiliary head's.
        optimiser: its optimiser.
        average: the running mean of its weights; None without one.
    """

    def __init__(
        self,
        network: nn.Module,
        recipe: Recipe,
        *,
        seed: int,
        teacher: Teacher | None = None,
        group: ProcessGroup = SINGLE_PROCESS,
    ) -> None:
        self.network, self._teacher = network, teacher
        self.optimiser = optimiser_of(list(network.parameters()), recipe)
        self.average = running_mean(network, recipe.ema) if recipe.ema else None
        self._recipe, self._seed, self._group = recipe, seed, group

    @property
    def kept(self) -> nn.Module:
        """The network whose weights are judged and kept: the running mean, if there is one."""
        return self.network if self.average is None else self.average.module

    def step(self, batch: tuple[Tensor, Tensor], number: int, total: int) -> tuple[float, int, int]:
        """One step: loss (NaN if loss or gradient is not finite), number correct, and number of images.

        Args:
            batch: the whole batch: normalised images [B, C, H, W] and labels [B]; a process takes its part of it.
            number: number of the step, from 0.
            total: all steps of the training, for the learning rate.
        """
        self.optimiser.param_groups[0]["lr"] = self._recipe.learning_rate_at(number / total)
        found = self._descend(batch, mixed_share(self._recipe.mixup, self._seed, number))
        if self.average is not None:
            self.average.update_parameters(self.network)
        return found

    def _descend(self, batch: tuple[Tensor, Tensor], share: float) -> tuple[float, int, int]:
        parameters, group, recipe = self.optimiser.param_groups[0]["params"], self._group, self._recipe
        whole, others = len(batch[1]), batch[1].flip(0)
        if share < 1.0:  # with the batch in reverse, which is in random order already
            batch = batch[0].lerp(batch[0].flip(0), 1.0 - share), batch[1]
        pixels, labels, others = (tensor[group.part(whole)].to(parameters[0].device) for tensor in (*batch, others))
        output = self.network(pixels.to(memory_format=torch.channels_last))
        logits, auxiliary = output if isinstance(output, tuple) else (output, None)
        entropy = partial(functional.cross_entropy, label_smoothing=recipe.label_smoothing, reduction="sum")

        def error(logits: Tensor) -> Tensor:
            own = entropy(logits, labels) / whole
            return own if share == 1.0 else share * own + (1.0 - share) * entropy(logits, others) / whole

        loss = error(logits)
        if self._teacher is not None:
            told = self._teacher.logits(pixels).to(logits)
            distilled = distillation_loss(logits, told, recipe.temperature) / whole
            loss = (1.0 - recipe.distill_weight) * loss + recipe.distill_weight * distilled
        descended = loss if auxiliary is None else loss + recipe.auxiliary_weight * error(auxiliary)
        self.optimiser.zero_grad(set_to_none=True)
        descended.backward()  # type: ignore[no-untyped-call]
        group.add_up([parameter.grad for parameter in parameters if parameter.grad is not None])
        norm = torch.nn.utils.clip_grad_norm_(parameters, recipe.gradient_clip, foreach=True)
        if not norm.isfinite():
            return float("nan"), 0, whole
        self.optimiser.step()
        total = group.total(torch.stack([loss.detach().double(), (logits.argmax(dim=1) == labels).sum()]))
        return float(total[0]), int(total[1]), whole


def optimiser_of(parameters: list[nn.Parameter], recipe: Recipe) -> torch.optim.Optimizer:
    """The optimiser of a recipe for some parameters."""
    if recipe.optimizer == "adamw":
        betas = (recipe.momentum, ADAM_BETA_2)
        return torch.optim.AdamW(
            parameters, recipe.learning_rate, betas, weight_decay=recipe.weight_decay, foreach=True
        )
    return torch.optim.SGD(
        parameters, recipe.learning_rate, momentum=recipe.momentum, weight_decay=recipe.weight_decay, foreach=True
    )


def running_mean(network: nn.Module, decay: float) -> AveragedModel:
    """A copy of a network whose weights and buffers follow the network's by an exponential mean.

    In the first steps the mean is over all steps so far, so that random weights do not stay in it.
    """

    def follow(mean: Tensor, now: Tensor, steps: Tensor | int) -> Tensor:
        if not mean.is_floating_point():
            return now
        return mean.lerp(now, max(1.0 - decay, 1.0 / (1.0 + float(steps))))

    return AveragedModel(network, avg_fn=follow, use_buffers=True)


def mixed_share(alpha: float, seed: int, step: int) -> float:
    """The share of an image in its mixture with another, for mixup (arXiv:1710.09412); 1 without it."""
    return float(np.random.default_rng([seed, MIXUP, step]).beta(alpha, alpha)) if alpha else 1.0


@contextmanager
def drawn_from(seed: int, epoch: int, device: torch.device) -> Iterator[None]:
    """Seed torch's own generators from `seed` and `epoch` for the block, and restore them afterwards."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(int(np.random.SeedSequence((seed, epoch)).generate_state(1, np.uint64)[0] >> np.uint64(1)))
        yield
