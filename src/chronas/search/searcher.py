"""The contract of a searcher: a task goes in, what was found comes out."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from pydantic import BaseModel, ConfigDict

from chronas.data import Images, Normalisation, split
from chronas.errors import DataError, DivergedError, MismatchError, UsageError
from chronas.files import sha256
from chronas.networks import load_state
from chronas.progress import Progress, silent
from chronas.records import Trial
from chronas.schemas import upgraded
from chronas.search.evaluators import ScoreFunction, evaluator_identity
from chronas.search.objective import Objective, ObjectiveConfig, SearchCost, predicted
from chronas.spaces import Architecture, NetworkSize, Space
from chronas.training import SINGLE_PROCESS, ProcessGroup

DATA_KEYS = ("input_shape", "outputs", "stem")  # of a size, which trained weights are for
PROBES = 16  # random architectures by whose costs a checkpoint knows its predictor
ROUNDING = 1e-5  # relative; float32 sums may differ by less between machines


@dataclass(frozen=True)
class SearchImages:
    """The images of a search.

    Attributes:
        train: that weights learn from.
        validation: by which architectures are compared; none of them is in `train`.
        normalisation: of both.
    """

    train: Images
    validation: Images
    normalisation: Normalisation

    @classmethod
    def of(cls, images: Images, validation_share: float = 0.5, seed: int = 0) -> SearchImages:
        """Training images, split at random: a share of each class compares architectures."""
        train, validation = split(images, validation_share, seed=seed)
        return cls(train, validation, Normalisation.of(images))


@dataclass(frozen=True)
class Task:
    """What to search for.

    Attributes:
        space: what can be chosen.
        size: of the deployed network; a supernet has its own width and depth.
        folder: where checkpoints go.
        images: to learn from; None where an evaluator says how good architectures are.
        costs: what can be predicted, by name: "latency_ms", "energy_mj", "peak_memory_mib" or one's own, which then has
            a unit of its own; none to search by accuracy alone.
        objective: how much the costs matter.
        seed: everything random follows from it.
        evaluate: what says how good architectures are, for searchers that ask for it: a user's function, a table, or
            the evaluator of another search; None: the searcher's own.
        warm_start: the file of another search with whose shared weights or trained networks this one begins, of the
            same space, images and size of what was trained; None: nothing is known yet.
        group: processes that search together, each with its part of every batch; the result is one process's to
            rounding.
    """

    space: Space
    size: NetworkSize
    folder: Path
    images: SearchImages | None = None
    costs: Mapping[str, SearchCost] = field(default_factory=dict)
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    seed: int = 0
    evaluate: ScoreFunction | None = None
    warm_start: Path | None = None
    group: ProcessGroup = SINGLE_PROCESS

    def identity(self) -> dict[str, Any]:
        """What a checkpoint must have been made with, as JSON."""
        return {
            "space": self.space.name,
            "size": self.size.model_dump(mode="json"),
            "search_train": None if self.images is None else self.images.train.checksum(),
            "search_validation": None if self.images is None else self.images.validation.checksum(),
            "costs": self._costs_identity(),
            "objective": self.objective.model_dump(mode="json"),
            "seed": self.seed,
            "evaluate": None if self.evaluate is None else evaluator_identity(self.evaluate),
            "warm_start": None if self.warm_start is None else sha256(self.warm_start),
        }

    def needed_images(self) -> SearchImages:
        """The images, for a searcher that cannot do without.

        Raises:
            UsageError: there are none.
        """
        if self.images is None:
            raise UsageError("this search learns from images, and the task has none: give images, or an evaluator")
        return self.images

    def predict(self, architectures: Sequence[Architecture]) -> list[dict[str, float]]:
        """Each predicted cost of each architecture, by name, in its unit.

        Raises:
            DataError: a predictor gave no finite number.
        """
        with torch.no_grad():
            columns = predicted(self.costs, torch.from_numpy(self.space.encode(architectures)))
        values = {name: column.tolist() for name, column in columns.items()}
        return [{name: column[row] for name, column in values.items()} for row in range(len(architectures))]

    def _costs_identity(self) -> dict[str, dict[str, float]]:
        """Each cost's median, and its mean over a few random architectures, by which predictors are told apart."""
        probed = self.predict(self.space.sample(PROBES, seed=0))
        return {
            name: {"median": cost.median, "mean": sum(row[name] for row in probed) / PROBES}
            for name, cost in self.costs.items()
        }


class SearchResult(ABC):
    """What a search gives back.

    Attributes:
        history: one JSON object an epoch (of searchers that sample: an architecture). All have `epoch`, `train_loss`,
            `validation_accuracy` in percent and `skip_connections`, where None stands for what was not looked at,
            and `expected_<cost>` (`expected_latency_ms`) for each cost that can be predicted.
    """

    history: list[dict[str, Any]]

    @abstractmethod
    def candidates(self, limits: Mapping[str, float]) -> Iterator[Trial]:
        """Architectures, best first, all predicted inside every limit: by the cost's name, in its unit.

        Raises:
            UsageError: a limit without a predictor.
            OutOfReachError: a limit below anything that is reachable; says what is.
        """

    @abstractmethod
    def contenders(self, limits: Sequence[Mapping[str, float]], progress: Progress = silent) -> list[Trial]:
        """What a front is chosen of, the best inside each of some limits among them; may search on.

        Args:
            limits: a ladder, tightest first, by the cost's name, in its unit; each allows what the one before does.
            progress: told of each step.

        Raises:
            UsageError: a limit without a predictor.
            OutOfReachError: a limit below anything that is reachable.
        """

    @abstractmethod
    def score(self, architectures: Sequence[Architecture]) -> list[float] | None:
        """Validation accuracy in percent of each by the search's own supernet; None where it has none."""


class SearcherConfig(BaseModel):
    """Settings of a searcher, by default the published ones."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def for_warm_start(self) -> Self:
        """Settings for another search over weights that a search with these has trained; the same by default."""
        return self


def _checkpoint_identity(path: Path) -> Any:
    return load_state(path)[1].get("identity")


@dataclass(frozen=True)
class WarmStart:
    """What a search leaves for another one to begin with: a trained supernet, or a journal of trained networks.

    Attributes:
        file: its name in the folder of the search.
        keys: the fields of the config that both searches must have the same.
        as_deployed: fields of the size that must be the same where the config's field of that name is None.
        identity: reads what a file says of its search; raises `DataError` where it cannot be read.
    """

    file: str
    keys: frozenset[str]
    as_deployed: tuple[str, ...] = ()
    identity: Callable[[Path], Any] = _checkpoint_identity


class Searcher(ABC):
    """An algorithm that finds architectures. A subclass sets the class variables and writes `_search`.

    Attributes:
        name: the key in `SEARCHERS`.
        Config: its settings.
        differentiable: whether it descends on batches, which several processes can share, and on costs, whose
            predictors then need a gradient.
        weight_sharing: whether architectures are compared with shared weights; else each is trained alone.
        needs_partial_channels: whether its supernet sends a part of the channels around the operations.
        warm_start: what it leaves for another search; None where it leaves nothing.
        config: the settings.
    """

    name: ClassVar[str]
    Config: ClassVar[type[SearcherConfig]]
    differentiable: ClassVar[bool] = False
    weight_sharing: ClassVar[bool] = True
    needs_partial_channels: ClassVar[bool] = False
    warm_start: ClassVar[WarmStart | None] = None
    config: SearcherConfig

    def __init__(self, config: SearcherConfig | None = None) -> None:
        """Take the settings, the defaults where none are given; each searcher takes its own `Config`."""
        self.config = config or self.Config()

    @classmethod
    def require(cls, space: Space) -> None:
        """Hold that it can search a space.

        Raises:
            UsageError: it cannot.
        """
        if cls.needs_partial_channels and not space.topology.partial_channels:
            raise UsageError(
                f"searcher {cls.name} sends a part of the channels around the operations, which the supernet of space "
                f"{space.name} cannot: choose another space, or a searcher such as darts"
            )

    @classmethod
    def require_shared(cls, processes: int) -> None:
        """Hold that so many processes can share its work.

        Raises:
            UsageError: it has no use for more than one.
        """
        if processes > 1 and not cls.differentiable:
            raise UsageError(
                f"searcher {cls.name} cannot share its work among {processes} processes: start one, or choose "
                "a searcher that descends by gradient, such as darts"
            )

    def search(self, task: Task, progress: Progress = silent) -> SearchResult:
        """Search, or go on from the last checkpoint in the task's folder; a finished search only loads it.

        With `task.warm_start` it begins with what another search has learnt, and all else is as in a new search.

        Args:
            task: what to search for.
            progress: told of every step.

        Raises:
            UsageError: settings that do not fit together, a space that it cannot search, or processes that it has no
                use for.
            DivergedError: a loss that is no longer finite.
            MismatchError: images of another shape than the size's, or a checkpoint of another task.
            DataError: a damaged checkpoint, a full disk, or a predictor that gives no finite number.
        """
        self.require(task.space)
        for images in () if task.images is None else (task.images.train, task.images.validation):
            if images.shape != task.size.input_shape:
                raise MismatchError(f"the size has images {task.size.input_shape}, the data {images.shape}")
        self.require_shared(task.group.size)
        if task.warm_start is not None:
            self.require_warm_start(task)
        objective = Objective(task.objective, task.costs)
        return self._search(task, objective, progress)

    def require_warm_start(self, task: Task) -> None:
        """Hold that what `task.warm_start` has learnt can serve; its costs and objective do not matter.

        Raises:
            UsageError: the searcher, or one with the task's evaluator, has no use for what another one has learnt.
            DataError: the checkpoint is missing, damaged, or none of a search.
            MismatchError: it is of another space, of other images or of another supernet.
        """
        assert task.warm_start is not None
        ours = self.warm_start
        if ours is None or task.evaluate is not None:
            why = "begins with nothing that is trained" if ours is None else "asks the given evaluator"
            raise UsageError(
                f"searcher {self.name} {why}, so {task.warm_start} cannot serve it: choose another searcher, such as "
                f"bayesian or darts, or leave what is trained out"
            )
        saved = upgraded(ours.identity(task.warm_start))
        if not isinstance(saved, dict):
            raise DataError(f"{task.warm_start} is of no search: give what a search by {self.name} has left")
        wanted = task.identity()
        kept = {key: wanted[key] for key in ("space", "search_train", "search_validation")}
        deployed = [key for key in ours.as_deployed if getattr(self.config, key) is None]
        kept["size"] = {key: wanted["size"][key] for key in (*DATA_KEYS, *deployed)}
        kept["evaluate"] = None
        kept["config"] = self.config.model_dump(mode="json", include=set(ours.keys))
        check_same(_alike(saved, kept), kept, task.warm_start)

    @abstractmethod
    def _search(self, task: Task, objective: Objective, progress: Progress) -> SearchResult:
        """Search a task that has been checked."""


def skip_connections(architecture: Architecture) -> int:
    """How many operations of an architecture are skip connections, by which a collapsed DARTS search is known."""
    names = [architecture.operation(decision) for decision in range(len(architecture.choices))]
    known = architecture.space.topology.operations
    return sum(name in known and known[name].identity for name in names if name is not None)


def _alike(saved: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    """What `saved` has of the keys of `wanted`, at every depth."""
    found = {key: saved.get(key) for key in wanted}
    return {
        key: _alike(value, wanted[key]) if isinstance(value, dict) and isinstance(wanted[key], dict) else value
        for key, value in found.items()
    }


def check_same(saved: dict[str, Any], wanted: dict[str, Any], path: Path) -> None:
    """Refuse a checkpoint of another task or of other settings.

    Raises:
        MismatchError: says which setting differs.
    """
    for key in sorted(saved.keys() | wanted.keys()):
        old, new = saved.get(key), wanted.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            check_same({f"{key}.{k}": v for k, v in old.items()}, {f"{key}.{k}": v for k, v in new.items()}, path)
        elif old != new and not (isinstance(old, float) and isinstance(new, float) and _close(old, new)):
            raise MismatchError(
                f"{path} is of a search with {key} = {old}, but {new} is asked for: "
                "use the same settings or a new folder"
            )


def _close(old: float, new: float) -> bool:
    return math.isclose(old, new, rel_tol=ROUNDING)


def check_finite(value: float, what: str, epoch: int, learning_rate: float) -> None:
    """Stop a search that diverged.

    Raises:
        DivergedError: the value is nan or infinite.
    """
    if not abs(value) < float("inf"):
        raise DivergedError(f"the {what} became {value} in epoch {epoch}: lower the learning rate ({learning_rate:g})")
