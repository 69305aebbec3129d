"""Random search: networks drawn uniformly, each trained briefly on the deployed skeleton, best first.

The baseline that differentiable search has to beat at equal time (Li and Talwalkar, arXiv 1902.07638). With limits,
only networks that are predicted inside them are drawn. With weights, best is the smallest sum of the share of
validation images that are wrong and of each weight * predicted cost / its table's median.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from pydantic import Field

from chronas.errors import UsageError
from chronas.files import read_json, write_json
from chronas.networks import build
from chronas.progress import Progress
from chronas.search.derive import Candidate, amounts_text, excess, out_of_reach, require_costs
from chronas.search.objective import Objective
from chronas.search.searcher import Found, Searcher, SearcherConfig, Task, check_same, skip_connections
from chronas.spaces import Architecture
from chronas.training import Recipe, train

SCHEMA = "chronas.random-search/1"
CHUNK = 256
STREAM = 1  # its own draws: those of the seed alone are the networks that a table of the same seed measures
DRAWS = 64 * CHUNK  # drawn in a row outside the limit before giving up


class RandomConfig(SearcherConfig):
    """Settings of random search; it ends when either budget is spent."""

    architectures: int = Field(default=16, ge=1, le=100_000, description="networks to train, at most")
    seconds: float | None = Field(default=None, gt=0, description="time for all trainings; at least one is done")
    epochs: int = Field(default=5, ge=1, le=10_000, description="of each brief training")
    batch: int = Field(default=96, ge=2, le=65_536, description="images of a step")
    learning_rate: float = Field(default=0.025, gt=0, le=10, description="at first; falls to zero on a cosine")
    crop_padding: int = Field(default=4, ge=0, le=64, description="pixels around an image before a random crop")
    flip: bool = Field(default=True, description="mirror every second image")

    @classmethod
    def digits(cls) -> Self:
        """Briefer than a fair verdict needs, for 8x8 digits."""
        return cls(architectures=8, epochs=4, batch=64, learning_rate=0.1, crop_padding=1, flip=False)

    @classmethod
    def cifar10_cpu(cls) -> Self:
        """Briefer than a fair verdict needs, for some thousand 32x32 images on a CPU."""
        return cls(architectures=8, epochs=3, learning_rate=0.1)

    def recipe(self) -> Recipe:
        """The brief training, without the regularisation that only long ones need."""
        return Recipe(
            epochs=self.epochs,
            batch=self.batch,
            learning_rate=self.learning_rate,
            auxiliary_weight=0.0,
            drop_path=0.0,
            crop_padding=self.crop_padding,
            flip=self.flip,
            cutout=0,
        )


@dataclass(frozen=True)
class Trained:
    """A candidate that was trained, and what the search minimises: its share of wrong images plus the costs' price."""

    candidate: Candidate
    value: float


class RandomFound(Found):
    """Networks that were drawn and trained; there is no supernet to score others with."""

    def __init__(self, history: list[dict[str, Any]], trained: Sequence[Trained]) -> None:
        self.history = history
        self._trained = sorted(trained, key=lambda each: each.value)

    def candidates(self, limits: Mapping[str, float]) -> Iterator[Candidate]:
        """What was trained, best first, all predicted inside the limits; raises as `Found.candidates`."""
        found = [each.candidate for each in self._trained]
        require_costs(found[0].predicted, limits)
        inside = [each for each in found if each.excess(limits) == 0]
        if not inside:
            nearest = min(found, key=lambda each: each.excess(limits))
            raise UsageError(
                f"of {len(found)} random networks none is predicted within {amounts_text(limits)}; the nearest is "
                f"predicted at {amounts_text({name: nearest.predicted[name] for name in limits})}: search with these "
                f"limits, or give at least that"
            )
        yield from inside

    def score(self, architectures: Sequence[Architecture]) -> None:
        """None: nothing was learned about networks that were not trained."""


class RandomSearch(Searcher):
    """Draw, train briefly, keep the best."""

    name: ClassVar[str] = "random"
    Config: ClassVar[type[RandomConfig]] = RandomConfig

    def __init__(self, config: RandomConfig | None = None) -> None:
        self.config = config or RandomConfig()

    def _search(self, task: Task, objective: Objective, progress: Progress) -> RandomFound:
        path = task.folder / "search.json"
        identity: dict[str, Any] = {
            "searcher": self.name,
            "config": self.config.model_dump(mode="json"),
            **task.identity(),
        }
        history: list[dict[str, Any]] = []
        if path.exists():
            saved = read_json(path, SCHEMA)
            check_same(saved["identity"], identity, path)
            history = saved["history"]
        trained: list[Trained] = []
        for number, candidate in enumerate(_draw(task)):
            if number >= len(history):
                if self._spent(history):
                    break
                history.append(self._train(task, candidate, history, progress))
                write_json(path, SCHEMA, {"identity": identity, "history": history})
            wrong = 1.0 - history[number]["validation_accuracy"] / 100.0
            trained.append(Trained(candidate, wrong + objective.price(candidate.predicted)))
        return RandomFound(history, trained)

    def _spent(self, history: list[dict[str, Any]]) -> bool:
        """Whether another network would be one too many, or would probably not end in time."""
        times_s = [row["seconds"] for row in history]
        late = self.config.seconds is not None and times_s and sum(times_s) + max(times_s) > self.config.seconds
        return bool(late) or len(history) >= self.config.architectures

    def _train(
        self, task: Task, candidate: Candidate, history: list[dict[str, Any]], progress: Progress
    ) -> dict[str, Any]:
        number, spent_s, start_s = len(history), sum(row["seconds"] for row in history), time.perf_counter()

        def inner(step: str, done: int, total: int, note: str) -> None:  # noqa: ARG001 - a `Progress`
            at, end = number * total + done, self.config.architectures * total
            if self.config.seconds is not None:
                end = math.ceil(self.config.seconds)
                at = min(int(spent_s + time.perf_counter() - start_s), end)
            progress("search", at, end, f"network {number + 1}, {note}")

        training = train(
            build(candidate.architecture, task.skeleton, seed=task.seed),
            task.search_train,
            task.search_validation,
            task.normalisation,
            self.config.recipe(),
            folder=task.folder / f"network-{number:04d}",
            seed=task.seed,
            progress=inner,
        )
        return {
            "epoch": number + 1,
            "train_loss": training.history[-1]["train_loss"],
            "validation_accuracy": training.best_validation_accuracy,
            **{f"expected_{name}": value for name, value in candidate.predicted.items()},
            "skip_connections": skip_connections(candidate.architecture),
            "mode": str(candidate.architecture),
            "seconds": time.perf_counter() - start_s,
        }


def _draw(task: Task) -> Iterator[Candidate]:
    """Distinct architectures, uniform over those predicted inside the limits, in an order that the seed alone decides.

    Raises:
        UsageError: `DRAWS` in a row were outside the limits or drawn before.
    """
    generator = np.random.default_rng([task.seed, STREAM])
    limits = task.objective.limits
    log_p = -math.log(task.space.size)
    seen: set[Architecture] = set()
    nearest: dict[str, float] = {}
    missed = 0
    while missed < DRAWS:
        drawn = [task.space.draw(generator) for _ in range(CHUNK)]
        costs = task.predict(drawn)
        missed += CHUNK
        nearest = min([nearest, *costs] if nearest else costs, key=lambda each: excess(each, limits))
        for architecture, predicted in zip(drawn, costs, strict=True):
            if architecture not in seen and excess(predicted, limits) == 0:
                seen.add(architecture)
                missed = 0
                yield Candidate(architecture, log_p, predicted)
    if not limits:
        return
    if not seen:
        raise out_of_reach(task.space.name, limits, nearest)
    raise UsageError(
        f"of {DRAWS} random architectures of {task.space.name} none more is predicted within {amounts_text(limits)}: "
        f"raise the limits or ask for fewer than {len(seen) + 1} architectures"
    )
