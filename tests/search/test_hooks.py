"""The bilevel loop lets other methods be written in a few lines: four of them, on the real loop.

They are here to hold the loop to that, not as faithful copies of their papers: PARSEC (arXiv 1902.05116) with FP-NAS's
number of samples by entropy (2011.10949), MS-DARTS (2108.09996), NA-DARTS's mean over neighbours (2105.06369) and
GOLD-NAS's one level and pruning (2007.03331).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar

import pytest
import torch
from torch import Tensor

from chronas.data import Images, load_dataset, split
from chronas.search import Relaxation, Task
from chronas.search.gradient.darts import Darts
from chronas.search.gradient.loop import Batch, BilevelConfig, BilevelLoop, Mixture
from parallel_cell import PARALLEL_CELL

MakeTask = Callable[..., Task]
CONFIG = BilevelConfig(
    epochs=10,
    width=8,
    depth=1,
    warmup_epochs=1,
    learning_rate=0.1,
    alphas_learning_rate=0.1,
    crop_padding=1,
    flip=False,
)


class ParsecDescent(BilevelLoop):
    """Discrete samples, weighed by how well each explains the batch; as many as the entropy asks for."""

    def draw(self) -> None:
        relaxation = self.relaxation()
        count = max(2, math.ceil(float(relaxation.entropy().detach())))
        self._numbers = relaxation.draw(count, self.generator)

    def _losses(self, batch: Batch, kind: str) -> Tensor:
        architectures = map(self.relaxation().architecture, self._numbers.tolist())
        return torch.stack([self.loss(batch, self.discrete(each), kind) for each in architectures])

    def _shares(self, batch: Batch, losses: Tensor) -> Tensor:
        return (-len(batch[1]) * losses).softmax(0)  # by the likelihood of the whole batch

    def weights_loss(self, batch: Batch) -> Tensor:
        losses = self._losses(batch, "train")
        return self._shares(batch, losses.detach()) @ losses

    def alphas_loss(self, batch: Batch) -> Tensor:
        with torch.no_grad():
            shares = self._shares(batch, self._losses(batch, "validation"))
        return -shares @ self.relaxation().log_probabilities(self._numbers)


class Parsec(Darts):
    name: ClassVar[str] = "parsec"
    loop = ParsecDescent


class MsDartsDescent(BilevelLoop):
    """The weights learn at the mean shift of the mixture among noisy copies of it."""

    def weights_loss(self, batch: Batch) -> Tensor:
        epsilon = 0.025 + 0.225 * len(self.history) / self.config.epochs
        with torch.no_grad():
            centre, edges = self.mixture()[:2]
            for _ in range(2):
                noise = torch.rand((3, *centre.shape), generator=self.generator)
                near = centre + epsilon * (2 * noise - 1)
                kernel = (-(near - centre).square().sum(dim=(1, 2)) / 2).exp()
                losses = torch.stack([self.loss(batch, Mixture(each, edges)) for each in near])
                shares = kernel * losses.softmax(0)
                centre = torch.einsum("n,ndo->do", shares / shares.sum(), near)
        return self.loss(batch, Mixture(centre, edges), "train")


class MsDarts(Darts):
    name: ClassVar[str] = "ms-darts"
    loop = MsDartsDescent


class NaDartsDescent(BilevelLoop):
    """The alphas' loss is the mean over the mixture and some neighbours, each with an edge half way to an operation."""

    def draw(self) -> None:
        decisions, options = self.alphas[0].shape
        edges, operations = (torch.randint(n, (3,), generator=self.generator) for n in (decisions, options))
        self._changed = torch.stack([edges, operations], dim=1).tolist()

    def alphas_loss(self, batch: Batch) -> Tensor:
        weights, edge_weights = self.mixture()[:2]
        losses = [self.loss(batch, Mixture(weights, edge_weights), "validation")]
        for edge, operation in self._changed:
            half, goal = torch.ones(len(weights), 1), torch.zeros_like(weights)
            half[edge], goal[edge, operation] = 0.5, 0.5
            losses.append(self.loss(batch, Mixture(half * weights + goal, edge_weights)))
        return torch.stack(losses).mean()


class NaDarts(Darts):
    name: ClassVar[str] = "na-darts"
    loop = NaDartsDescent


class GoldNasDescent(BilevelLoop):
    """One level: weights and alphas descend on the same batch; weak operations are pruned from epoch to epoch."""

    def begin_epoch(self) -> None:
        super().begin_epoch()
        kept = self.state.setdefault("kept", torch.ones(self.alphas[0].shape, dtype=torch.bool))
        weights = self.mixture().operations.detach()
        kept &= weights >= 0.05 * weights.max(dim=1, keepdim=True).values

    def mixture(self) -> Mixture:
        return Mixture(self.alphas[0].masked_fill(~self.state["kept"], -torch.inf).softmax(dim=1))

    def relaxation(self) -> Relaxation:
        return Relaxation(self.task.space, self.alphas[0].masked_fill(~self.state["kept"], -30.0))

    def step(self) -> None:
        loss = self.loss(next(self.train), self.mixture(), "train") + self.objective.term(
            self.relaxation(), self.generator
        )
        gradients = torch.autograd.grad(loss, [*self.weights, *self.alphas], materialize_grads=True)
        self.update(self.weights_optimiser, self.weights, gradients[: len(self.weights)])
        if not self.warming_up():
            self.update(self.alphas_optimiser, self.alphas, gradients[len(self.weights) :])


class GoldNas(Darts):
    name: ClassVar[str] = "gold-nas"
    loop = GoldNasDescent


METHODS = [Parsec, MsDarts, NaDarts, GoldNas]


class Stopped(Exception):
    """What a test ends a search with."""


@pytest.fixture(scope="module")
def halves() -> tuple[Images, Images]:
    train, validation = split(load_dataset("digits").train, 0.4, seed=0)
    return train.subset(torch.arange(512)), validation.subset(torch.arange(512))


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_a_method_of_a_few_lines_learns_and_goes_on_where_it_was_stopped(
    method: type[Darts], make_task: MakeTask, halves: tuple[Images, Images]
) -> None:
    def stop(step: str, done: int, total: int, note: str) -> None:
        if done > 33:
            raise Stopped

    def task(folder: str) -> Task:
        made = make_task(PARALLEL_CELL, folder=folder, weight=0.01)
        return replace(made, images=replace(made.images, train=halves[0], validation=halves[1]))

    straight = method(CONFIG).search(task("straight"))
    with pytest.raises(Stopped):
        method(CONFIG).search(task("stopped"), stop)
    resumed = method(CONFIG).search(task("stopped"))
    assert resumed.history == straight.history
    best = next(resumed.candidates({}))
    assert str(best.architecture) == "1111"
    scores = straight.score([best.architecture])
    assert scores is not None
    assert scores[0] > 35
    assert resumed.score([best.architecture]) == scores


def test_gold_nas_prunes_for_good(make_task: MakeTask, halves: tuple[Images, Images]) -> None:
    task = make_task(PARALLEL_CELL, weight=0.01)
    task = replace(task, images=replace(task.images, train=halves[0], validation=halves[1]))
    found = GoldNas(CONFIG).search(task)
    kept = found._loop.state["kept"].tolist()
    assert kept == [[False, True]] * 4
    assert found.history[-1]["validation_loss"] is None
