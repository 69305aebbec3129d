"""DARTS: alternate gradient steps on the weights of a supernet and on its alphas (Liu et al., arXiv 1806.09055).

We differ from the original code in three points. The derived cell is that of the final alphas, not of those at the
start of the last epoch. Each step takes the next validation batch, without restarting the loader. A cost term may be
added to the validation loss, with exact gradients, weights relative to the table's median, and limits with learned
multipliers.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import torch

from chronas.errors import OutOfReachError, UsageError
from chronas.progress import Progress, silent
from chronas.records import Trial, amounts_text
from chronas.search.derive import candidates
from chronas.search.gradient import checkpoints
from chronas.search.gradient.descend import descend
from chronas.search.gradient.loop import BilevelConfig, BilevelLoop, PCDartsConfig
from chronas.search.objective import Objective, accuracy_of
from chronas.search.searcher import Searcher, SearchResult, Task, WarmStart
from chronas.spaces import Architecture

CANDIDATES_PER_LIMIT = 8  # candidates for each limit of a front


class BilevelResult(SearchResult):
    """A trained supernet with its alphas."""

    def __init__(self, loop: BilevelLoop, origin: str) -> None:
        self.history = loop.history
        self._loop, self._origin = loop, origin
        with torch.no_grad():
            self._relaxation = loop.relaxation()

    def candidates(self, limits: Mapping[str, float]) -> Iterator[Trial]:
        """Architectures by falling probability, predicted inside the limits; raises as `SearchResult.candidates`."""
        for each in candidates(self._relaxation, self._loop.task.costs, limits):
            yield replace(each, origin=self._origin)

    def contenders(self, limits: Sequence[Mapping[str, float]], progress: Progress = silent) -> list[Trial]:
        """The most probable candidates for each limit, with alphas adapted to it; the supernet scores accuracy.

        Quality is higher for looser limits, and for more probable candidates of one limit.
        """
        task = self._loop.task
        found: dict[Architecture, tuple[Trial, float]] = {}
        with self._loop.unmoved():
            for level, relaxation in enumerate(descend(self._loop, limits, progress), 1):
                try:
                    within = candidates(relaxation, task.costs, limits[-level])
                    best = list(itertools.islice(within, CANDIDATES_PER_LIMIT))
                except OutOfReachError:  # no connected architecture this cheap was found
                    if not found:
                        raise
                    continue
                for place, each in enumerate(best):
                    found.setdefault(each.architecture, (each, -level - place / CANDIDATES_PER_LIMIT))
        return [
            replace(candidate, quality=quality, score=accuracy, origin=self._origin)
            for (candidate, quality), accuracy in zip(found.values(), self.score(list(found)), strict=True)
        ]

    def score(self, architectures: Sequence[Architecture]) -> list[float]:
        """Validation accuracy in percent of each architecture, with shared weights and the statistics of each batch."""
        return [self._accuracy(architecture) for architecture in architectures]

    def _accuracy(self, architecture: Architecture) -> float:
        images, supernet = self._loop.task.needed_images(), self._loop.supernet
        mixed = self._loop.discrete(architecture)
        return accuracy_of(
            lambda pixels: supernet(pixels, mixed.operations, mixed.edges), images.validation, images.normalisation
        )


class Darts(Searcher):
    """First and second order. Another method on this loop is a subclass with its own `Config` and `loop`."""

    name: ClassVar[str] = "darts"
    Config: ClassVar[type[BilevelConfig]] = BilevelConfig
    config: BilevelConfig
    loop: ClassVar[type[BilevelLoop]] = BilevelLoop
    warm_start: ClassVar[WarmStart | None] = WarmStart(
        checkpoints.FILE, frozenset({"width", "depth", "partial_channels"})
    )
    differentiable: ClassVar[bool] = True

    def __init__(self, config: BilevelConfig | None = None) -> None:
        """Store the settings; the defaults are the paper's.

        Raises:
            UsageError: the warm-up leaves no epoch for the alphas.
        """
        self.config = config or self.Config()
        if self.config.warmup_epochs >= self.config.epochs:
            raise UsageError(
                f"a warm-up of {self.config.warmup_epochs} epochs leaves none of {self.config.epochs} for the alphas: "
                f"give at most {self.config.epochs - 1}"
            )

    def _search(self, task: Task, objective: Objective, progress: Progress) -> BilevelResult:
        identity: dict[str, Any] = {
            "searcher": self.name,
            "config": self.config.model_dump(mode="json"),
            **task.identity(),
        }
        loop = self.loop(task, self.config, objective)
        if task.warm_start is not None:
            checkpoints.adopt(loop, task.warm_start)
        checkpoints.restore(loop, task.folder, identity)
        task.group.require_same(len(loop.history), "epochs in the folder")  # no process writes before all have read
        steps = loop.train.steps_per_epoch
        while len(loop.history) < self.config.epochs:
            loop.begin_epoch()
            for step in range(steps):
                loop.step()
                done = len(loop.history) * steps + step + 1
                progress("search", done, self.config.epochs * steps, self._note(loop))
            loop.end_epoch()
            if task.group.first:
                checkpoints.save(loop, task.folder, identity)
        task.group.wait()  # for the file of the first process
        return BilevelResult(loop, self.name)

    def _note(self, loop: BilevelLoop) -> str:
        last = loop.history[-1] if loop.history else {}
        accuracy = last.get("validation_accuracy")
        parts = [f"epoch {len(loop.history) + 1} of {self.config.epochs}"]
        parts += [f"validation {accuracy:.1f} %"] if accuracy is not None else []
        expected = {name: last[f"expected_{name}"] for name in loop.task.costs if f"expected_{name}" in last}
        parts += [f"expected {amounts_text(expected)}"] if expected else []
        return ", ".join(parts)


class PCDarts(Darts):
    """PC-DARTS: partial channels, edge normalisation and a warm-up (Xu et al., arXiv 1907.05737).

    The loop is DARTS's; the settings differ. As in the published code, the first C / K channels go through the
    operations and the others bypass them. Unlike there, the derived cell is that of the final alphas. If every edge of
    a node is kept (NAS-Bench-201), there is nothing to normalise and edge weights are one. The method is for cells:
    blocks in a chain of layers change the number of channels, so no channel can bypass them.
    """

    name: ClassVar[str] = "pc-darts"
    Config: ClassVar[type[BilevelConfig]] = PCDartsConfig
    needs_partial_channels: ClassVar[bool] = True
