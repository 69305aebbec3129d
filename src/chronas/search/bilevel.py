"""DARTS: descend on the weights of a supernet and on its logits in turn (Liu et al., arXiv 1806.09055).

Where we differ from the original code: the derived cell is that of the final logits, not of those at the start of the
last epoch; each step takes the next validation batch without restarting the loader; a term of costs may be added to
the validation loss (DESIGN 7 and 8 in short: exact gradient, one weight for every table, limits with learned
multipliers).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import torch

from chronas.data import every_batch
from chronas.errors import OutOfReachError, UsageError
from chronas.progress import Progress, silent
from chronas.search import checkpoint
from chronas.search.config import BilevelConfig
from chronas.search.derive import Candidate, Contender, amounts_text, candidates
from chronas.search.descent import Descent
from chronas.search.ladder import descend
from chronas.search.objective import Objective
from chronas.search.searcher import Found, Searcher, Task
from chronas.spaces import Architecture

LOOKED_AT = 8  # candidates of each rung of a front
SCORED = 500  # images of a batch in scoring; large, as batch norms use the batch's statistics


class BilevelFound(Found):
    """A supernet with its logits."""

    def __init__(self, descent: Descent) -> None:
        self.history = descent.history
        self._descent = descent
        with torch.no_grad():
            self._relaxation = descent.relaxation()

    def candidates(self, limits: Mapping[str, float]) -> Iterator[Candidate]:
        """Architectures by falling probability, all predicted inside the limits; raises as `Found.candidates`."""
        return candidates(self._relaxation, self._descent.task.costs, limits)

    def contenders(self, limits: Sequence[Mapping[str, float]], progress: Progress = silent) -> list[Contender]:
        """The most probable candidates of each rung, the logits taken down the ladder; the supernet says how accurate.

        By quality the candidates of a looser rung stand above those of a tighter one, and the probable above others.
        """
        task = self._descent.task
        found: dict[Architecture, tuple[Candidate, float]] = {}
        with self._descent.unmoved():
            for rung, relaxation in enumerate(descend(self._descent, limits, progress), 1):
                try:
                    best = list(itertools.islice(candidates(relaxation, task.costs, limits[-rung]), LOOKED_AT))
                except OutOfReachError:  # nothing was found that is this cheap and lets images through
                    if not found:
                        raise
                    continue
                for place, each in enumerate(best):
                    found.setdefault(each.architecture, (each, -rung - place / LOOKED_AT))
        return [
            Contender(candidate, quality, accuracy)
            for (candidate, quality), accuracy in zip(found.values(), self.score(list(found)), strict=True)
        ]

    def score(self, architectures: Sequence[Architecture]) -> list[float]:
        """Validation accuracy in percent of each, with the shared weights and the statistics of each batch."""
        return [self._accuracy(architecture) for architecture in architectures]

    def _accuracy(self, architecture: Architecture) -> float:
        task, supernet = self._descent.task, self._descent.supernet
        mixed = self._descent.discrete(architecture)
        images = task.search_validation
        batch = -(-len(images) // -(-len(images) // SCORED))
        correct = 0
        with torch.no_grad():
            for pixels, labels in every_batch(images, batch, task.normalisation):
                correct += int((supernet(pixels, mixed.operations, mixed.edges).argmax(1) == labels).sum())
        return 100.0 * correct / len(images)


class Darts(Searcher):
    """First and second order. Another method on this loop is a subclass with its `Config` and its `descent`."""

    name: ClassVar[str] = "darts"
    Config: ClassVar[type[BilevelConfig]] = BilevelConfig
    config: BilevelConfig
    descent: ClassVar[type[Descent]] = Descent
    learnt_file: ClassVar[str | None] = checkpoint.FILE
    learnt_settings: ClassVar[frozenset[str]] = frozenset({"width", "depth", "partial_channels"})
    by_gradient: ClassVar[bool] = True

    def __init__(self, config: BilevelConfig | None = None) -> None:
        """Take the settings, the paper's where none are given.

        Raises:
            UsageError: the warm-up leaves the logits no epoch.
        """
        self.config = config or self.Config()
        if self.config.warmup_epochs >= self.config.epochs:
            raise UsageError(
                f"a warm-up of {self.config.warmup_epochs} epochs leaves the logits none of {self.config.epochs}: "
                f"give at most {self.config.epochs - 1}"
            )

    def _search(self, task: Task, objective: Objective, progress: Progress) -> BilevelFound:
        identity: dict[str, Any] = {
            "searcher": self.name,
            "config": self.config.model_dump(mode="json"),
            **task.identity(),
        }
        descent = self.descent(task, self.config, objective)
        if task.trained is not None:
            checkpoint.adopt(descent, task.trained)
        checkpoint.restore(descent, task.folder, identity)
        task.group.require_same(len(descent.history), "epochs in the folder")  # nobody writes before all have read
        steps = descent.train.steps_per_epoch
        while len(descent.history) < self.config.epochs:
            descent.begin_epoch()
            for step in range(steps):
                descent.step()
                done = len(descent.history) * steps + step + 1
                progress("search", done, self.config.epochs * steps, self._note(descent))
            descent.end_epoch()
            if task.group.first:
                checkpoint.save(descent, task.folder, identity)
        task.group.wait()  # for the first one's file
        return BilevelFound(descent)

    def _note(self, descent: Descent) -> str:
        last = descent.history[-1] if descent.history else {}
        accuracy = last.get("validation_accuracy")
        parts = [f"epoch {len(descent.history) + 1} of {self.config.epochs}"]
        parts += [f"validation {accuracy:.1f} %"] if accuracy is not None else []
        expected = {name: last[f"expected_{name}"] for name in descent.task.costs if f"expected_{name}" in last}
        parts += [f"expected {amounts_text(expected)}"] if expected else []
        return ", ".join(parts)
