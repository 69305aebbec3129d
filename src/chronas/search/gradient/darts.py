"""DARTS: descend on the weights of a supernet and on its alphas in turn (Liu et al., arXiv 1806.09055).

Where we differ from the original code: the derived cell is that of the final alphas, not of those at the start of the
last epoch; each step takes the next validation batch without restarting the loader; a term of costs may be added to
the validation loss (DESIGN 7 and 8 in short: exact gradient, one weight for every table, limits with learned
multipliers).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import torch

from chronas.data import every_batch
from chronas.errors import OutOfReachError, UsageError
from chronas.progress import Progress, silent
from chronas.records import Trial, amounts_text
from chronas.search.derive import candidates
from chronas.search.gradient import checkpoints
from chronas.search.gradient.config import BilevelConfig
from chronas.search.gradient.descend import descend
from chronas.search.gradient.loop import BilevelLoop
from chronas.search.objective import Objective
from chronas.search.searcher import Searcher, SearchResult, Task, WarmStart
from chronas.spaces import Architecture

LOOKED_AT = 8  # candidates of each rung of a front
SCORED = 500  # images of a batch in scoring; large, as batch norms use the batch's statistics


class BilevelResult(SearchResult):
    """A supernet with its alphas."""

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
        """The most probable candidates of each rung, the alphas taken down the ladder; the supernet says how accurate.

        By quality the candidates of a looser rung stand above those of a tighter one, and the probable above others.
        """
        task = self._loop.task
        found: dict[Architecture, tuple[Trial, float]] = {}
        with self._loop.unmoved():
            for rung, relaxation in enumerate(descend(self._loop, limits, progress), 1):
                try:
                    best = list(itertools.islice(candidates(relaxation, task.costs, limits[-rung]), LOOKED_AT))
                except OutOfReachError:  # nothing was found that is this cheap and lets images through
                    if not found:
                        raise
                    continue
                for place, each in enumerate(best):
                    found.setdefault(each.architecture, (each, -rung - place / LOOKED_AT))
        return [
            replace(candidate, quality=quality, score=accuracy, origin=self._origin)
            for (candidate, quality), accuracy in zip(found.values(), self.score(list(found)), strict=True)
        ]

    def score(self, architectures: Sequence[Architecture]) -> list[float]:
        """Validation accuracy in percent of each, with the shared weights and the statistics of each batch."""
        return [self._accuracy(architecture) for architecture in architectures]

    def _accuracy(self, architecture: Architecture) -> float:
        task, supernet = self._loop.task, self._loop.supernet
        mixed = self._loop.discrete(architecture)
        data = task.needed_images()
        images = data.validation
        batch = -(-len(images) // -(-len(images) // SCORED))
        correct = 0
        with torch.no_grad():
            for pixels, labels in every_batch(images, batch, data.normalisation):
                correct += int((supernet(pixels, mixed.operations, mixed.edges).argmax(1) == labels).sum())
        return 100.0 * correct / len(images)


class Darts(Searcher):
    """First and second order. Another method on this loop is a subclass with its `Config` and its `loop`."""

    name: ClassVar[str] = "darts"
    Config: ClassVar[type[BilevelConfig]] = BilevelConfig
    config: BilevelConfig
    loop: ClassVar[type[BilevelLoop]] = BilevelLoop
    warm_start: ClassVar[WarmStart | None] = WarmStart(
        checkpoints.FILE, frozenset({"width", "depth", "partial_channels"})
    )
    differentiable: ClassVar[bool] = True

    def __init__(self, config: BilevelConfig | None = None) -> None:
        """Take the settings, the paper's where none are given.

        Raises:
            UsageError: the warm-up leaves the alphas no epoch.
        """
        self.config = config or self.Config()
        if self.config.warmup_epochs >= self.config.epochs:
            raise UsageError(
                f"a warm-up of {self.config.warmup_epochs} epochs leaves the alphas none of {self.config.epochs}: "
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
        task.group.require_same(len(loop.history), "epochs in the folder")  # nobody writes before all have read
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
        task.group.wait()  # for the first one's file
        return BilevelResult(loop, self.name)

    def _note(self, loop: BilevelLoop) -> str:
        last = loop.history[-1] if loop.history else {}
        accuracy = last.get("validation_accuracy")
        parts = [f"epoch {len(loop.history) + 1} of {self.config.epochs}"]
        parts += [f"validation {accuracy:.1f} %"] if accuracy is not None else []
        expected = {name: last[f"expected_{name}"] for name in loop.task.costs if f"expected_{name}" in last}
        parts += [f"expected {amounts_text(expected)}"] if expected else []
        return ", ".join(parts)
