"""The contract of a searcher: a task goes in, what was found comes out."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from pydantic import BaseModel, ConfigDict

from chronas.data import Images, Normalisation
from chronas.errors import DataError, DivergedError, MismatchError, UsageError
from chronas.files import sha256
from chronas.networks import load_state
from chronas.progress import Progress, silent
from chronas.schemas import upgraded
from chronas.search.derive import Candidate, Contender
from chronas.search.evaluators import ScoreFunction, evaluator_identity
from chronas.search.objective import Objective, ObjectiveConfig, SearchCost, predicted
from chronas.spaces import Architecture, NetworkSize, Space
from chronas.training import SINGLE_PROCESS, ProcessGroup

IDENTITIES = ("skip_connect", "skip")  # of cells, and of layers, where it is one if the shape stays
PROBES = 16  # random architectures by whose costs a checkpoint knows its predictor
ROUNDING = 1e-5  # relative; float32 sums may differ by less between machines


@dataclass(frozen=True)
class Task:
    """What to search for, on which images.

    Attributes:
        space: what can be chosen.
        size: of the deployed network; a supernet has its own width and depth.
        search_train: images that weights learn from.
        search_validation: images that architectures are judged by; disjoint from `search_train`.
        normalisation: of both.
        costs: what can be predicted, by name: "latency_ms", "energy_mj", "peak_memory_mib" or one's own, which then has
            a unit of its own; none to search by accuracy alone.
        objective: how much the costs matter.
        folder: where checkpoints go.
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
    search_train: Images
    search_validation: Images
    normalisation: Normalisation
    costs: Mapping[str, SearchCost]
    objective: ObjectiveConfig
    folder: Path
    seed: int
    evaluate: ScoreFunction | None = None
    warm_start: Path | None = None
    group: ProcessGroup = SINGLE_PROCESS

    def identity(self) -> dict[str, Any]:
        """What a checkpoint must have been made with, as JSON."""
        return {
            "space": self.space.name,
            "size": self.size.model_dump(mode="json"),
            "search_train": self.search_train.checksum(),
            "search_validation": self.search_validation.checksum(),
            "costs": self._costs_identity(),
            "objective": self.objective.model_dump(mode="json"),
            "seed": self.seed,
            "evaluate": None if self.evaluate is None else evaluator_identity(self.evaluate),
            "warm_start": None if self.warm_start is None else sha256(self.warm_start),
        }

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
    def candidates(self, limits: Mapping[str, float]) -> Iterator[Candidate]:
        """Architectures, best first, all predicted inside every limit: by the cost's name, in its unit.

        Raises:
            UsageError: a limit without a predictor.
            OutOfReachError: a limit below anything that is reachable; says what is.
        """

    @abstractmethod
    def contenders(self, limits: Sequence[Mapping[str, float]], progress: Progress = silent) -> list[Contender]:
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
    """Settings of a searcher: the published ones by default, and smaller sets for a CPU."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @classmethod
    def digits(cls) -> Self:
        """Smaller settings for 8x8 digits on a CPU; a searcher that needs none keeps its defaults."""
        return cls()

    @classmethod
    def cifar10_cpu(cls) -> Self:
        """Smaller settings for some thousand 32x32 images on a CPU; as `digits`."""
        return cls()

    @classmethod
    def nasbench201(cls) -> Self:
        """Settings for NAS-Bench-201's networks on all of CIFAR-10; those of `cifar10_cpu` where none are known."""
        return cls.cifar10_cpu()

    def for_warm_start(self) -> Self:
        """Settings for another search over weights that a search with these has trained; the same by default."""
        return self


class Searcher(ABC):
    """An algorithm that finds architectures.

    Attributes:
        name: the key in `SEARCHERS`.
        Config: its settings.
        needs_partial_channels: whether its supernet sends a part of the channels around the operations.
        warm_start_file: where a search leaves what it has learnt for another one to begin with, a trained supernet or a
            journal of trained networks; None where it leaves nothing.
        warm_start_keys: the fields of the config that another search with that must have the same.
        differentiable: whether it descends on batches, which several processes can share, and on costs, whose
            predictors then need a gradient.
        supernet: whether architectures are judged with shared weights; else each is trained alone.
        config: the settings.
    """

    name: ClassVar[str]
    Config: ClassVar[type[SearcherConfig]]
    needs_partial_channels: ClassVar[bool] = False
    warm_start_file: ClassVar[str | None] = None
    warm_start_keys: ClassVar[frozenset[str]] = frozenset()
    differentiable: ClassVar[bool] = False
    supernet: ClassVar[bool] = True
    config: SearcherConfig

    @abstractmethod
    def __init__(self, config: SearcherConfig | None = None) -> None:
        """Take the settings, the defaults where none are given; each searcher takes its own `Config`."""

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
        for images in (task.search_train, task.search_validation):
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
        if self.warm_start_file is None or task.evaluate is not None:
            why = "begins with nothing that is trained" if self.warm_start_file is None else "asks the given evaluator"
            raise UsageError(
                f"searcher {self.name} {why}, so {task.warm_start} cannot serve it: choose another searcher, such as "
                f"bayesian or darts, or leave what is trained out"
            )
        saved = upgraded(self._warm_start_identity(task.warm_start))
        if not isinstance(saved, dict):
            raise DataError(f"{task.warm_start} is of no search: give what a search by {self.name} has left")
        wanted = task.identity()
        kept = {key: wanted[key] for key in ("space", "search_train", "search_validation")}
        kept["size"] = {key: wanted["size"][key] for key in self._warm_start_size()}
        kept["evaluate"] = None
        kept["config"] = self.config.model_dump(mode="json", include=set(self.warm_start_keys))
        check_same(_alike(saved, kept), kept, task.warm_start)

    def _warm_start_size(self) -> Sequence[str]:
        """What of the size another search with what this one has learnt must have the same."""
        return ("input_shape", "outputs", "stem")

    def _warm_start_identity(self, path: Path) -> Any:
        """What a file of another search says of the search; raises `DataError` where it cannot be read."""
        return load_state(path)[1].get("identity")

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
