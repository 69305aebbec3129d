"""The base class of searchers: a searcher takes a task and returns a result."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self, cast

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from chronas.data import Images, Normalisation, split
from chronas.errors import DataError, MismatchError, UsageError
from chronas.files import sha256, upgraded
from chronas.networks import GivenWeights, load_state
from chronas.progress import Progress, silent
from chronas.records import Trial
from chronas.search import SEARCHERS
from chronas.search.checks import check_same
from chronas.search.objective import Cost, Objective, ObjectiveConfig, ScoreFunction, evaluator_identity, predicted
from chronas.spaces import Architecture, NetworkSize, Space
from chronas.training import SINGLE_PROCESS, ProcessGroup

DATA_KEYS = ("input_shape", "outputs", "stem")  # fields of a size that trained weights depend on
PROBES = 16  # random architectures whose costs identify the predictor in a checkpoint


@dataclass(frozen=True)
class SearchImages:
    """The images of a search.

    Attributes:
        train: images to train weights.
        validation: images to compare architectures; none of them is in `train`.
        normalisation: normalisation of both.
    """

    train: Images
    validation: Images
    normalisation: Normalisation

    @classmethod
    def of(cls, images: Images, validation_share: float = 0.5, seed: int = 0) -> SearchImages:
        """Training images, split at random: a share of each class is for comparing architectures."""
        train, validation = split(images, validation_share, seed=seed)
        return cls(train, validation, Normalisation.of(images))


@dataclass(frozen=True)
class Task:
    """The task of a search.

    Attributes:
        space: the search space.
        size: size of the deployed network; a supernet has its own width and depth.
        folder: folder for checkpoints.
        images: images to learn from; None if an evaluator scores architectures.
        costs: predictable costs by name: "latency_ms", "energy_mj", "peak_memory_mib" or a user's own, whose name ends
            in its unit; empty to search by accuracy alone.
        objective: weights and limits of the costs.
        seed: seed of everything random.
        evaluate: scores architectures, for searchers that use it: a user's function, a table, or the evaluator of
            another search; None: the searcher's own.
        keep_scores: whether to go on with the scores of a search in the folder whose evaluator was another.
        warm_start: file of another search with shared weights or trained networks to start from, with the same space,
            images and trained size; None for a cold start.
        init: weights of a file that a supernet begins with, for searchers that take them; None: random ones.
        group: processes that search together, each with its part of every batch; the result equals that of one process
            up to rounding.
    """

    space: Space
    size: NetworkSize
    folder: Path
    images: SearchImages | None = None
    costs: Mapping[str, Cost] = field(default_factory=dict)
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    seed: int = 0
    evaluate: ScoreFunction | None = None
    keep_scores: bool = False
    warm_start: Path | None = None
    init: GivenWeights | None = None
    group: ProcessGroup = SINGLE_PROCESS

    def identity(self) -> dict[str, Any]:
        """The facts that a checkpoint must match, as JSON."""
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
            **({} if self.init is None else {"init": self.init.checksum}),
        }

    def needed_images(self) -> SearchImages:
        """The images, for a searcher that needs them.

        Raises:
            UsageError: the task has no images.
        """
        if self.images is None:
            raise UsageError("this search learns from images, and the task has none: give images, or an evaluator")
        return self.images

    def predict(self, architectures: Sequence[Architecture]) -> list[dict[str, float]]:
        """Each predicted cost of each architecture, by name, in its unit.

        Raises:
            DataError: a prediction is not a finite number.
        """
        with torch.no_grad():
            columns = predicted(self.costs, torch.from_numpy(self.space.encode(architectures)))
        values = {name: column.tolist() for name, column in columns.items()}
        return [{name: column[row] for name, column in values.items()} for row in range(len(architectures))]

    def _costs_identity(self) -> dict[str, dict[str, float]]:
        """Each cost's median, and its mean over a few random architectures, which identify its predictor."""
        probed = self.predict(self.space.sample(PROBES, seed=0))
        return {
            name: {"median": cost.median, "mean": sum(row[name] for row in probed) / PROBES}
            for name, cost in self.costs.items()
        }


class SearchResult(ABC):
    """The result of a search.

    Attributes:
        history: one row for each epoch (for black-box searchers, each architecture). All have `epoch`, `train_loss`,
            `validation_accuracy` in percent and `skip_connections`, with None for unknown values, and `expected_<cost>`
            (`expected_latency_ms`) for each predictable cost.
    """

    history: list[dict[str, Any]]

    @abstractmethod
    def candidates(self, limits: Mapping[str, float]) -> Iterator[Trial]:
        """Architectures, best first, all predicted inside every limit; limits by name of the cost, in its unit.

        Raises:
            UsageError: a limit has no predictor.
            OutOfReachError: a limit is below all reachable costs; the message says what is reachable.
        """

    @abstractmethod
    def contenders(self, limits: Sequence[Mapping[str, float]], progress: Progress = silent) -> list[Trial]:
        """The trials to choose a front from, including the best ones inside each limit; may search further.

        Args:
            limits: a sequence of limits, tightest first, by name of the cost, in its unit; each admits everything that
                the one before admits.
            progress: called after each step.

        Raises:
            UsageError: a limit has no predictor.
            OutOfReachError: a limit is below all reachable costs.
        """

    @abstractmethod
    def score(self, architectures: Sequence[Architecture]) -> list[float] | None:
        """Validation accuracy in percent of each architecture by the search's supernet; None without a supernet."""

    def weights(self, architecture: Architecture) -> dict[str, Tensor] | None:  # noqa: ARG002 - for nested supernets
        """Trained weights for an architecture's network, by name; None, the default, if the search has none.

        Running statistics of batch norms are those of a new network.
        """
        return None


class SearcherConfig(BaseModel):
    """Settings of a searcher; the defaults are the published ones."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def for_warm_start(self) -> Self:
        """Settings for a search that starts from the weights of a search with these settings; the same by default."""
        return self


def _checkpoint_identity(path: Path) -> Any:
    return load_state(path)[1].get("identity")


@dataclass(frozen=True)
class WarmStart:
    """The file with which a later search can start: a trained supernet, or a journal of trained networks.

    Attributes:
        file: name of the file in the folder of the search.
        keys: fields of the config that must be equal in both searches.
        as_deployed: fields of the size that must be equal if the config's field of that name is None.
        identity: reads the identity of the search from a file; raises `DataError` if it cannot be read.
    """

    file: str
    keys: frozenset[str]
    as_deployed: tuple[str, ...] = ()
    identity: Callable[[Path], Any] = _checkpoint_identity


class Searcher(ABC):
    """An algorithm that finds architectures. A subclass sets the class variables and implements `_search`.

    Attributes:
        name: the key in `SEARCHERS`.
        Config: class of its settings.
        differentiable: whether it is gradient-based: several processes can share its batches, and predictors of costs
            need a gradient.
        weight_sharing: whether architectures are compared with shared weights; otherwise each is trained separately.
        needs_partial_channels: whether its supernet passes part of the channels around the operations.
        gives_weights: whether its results give trained weights for the networks that it finds.
        takes_weights: whether it can begin with the weights of a file.
        warm_start: the file for warm starts of later searches; None if there is none.
        config: the settings.
    """

    name: ClassVar[str]
    Config: ClassVar[type[SearcherConfig]]
    differentiable: ClassVar[bool] = False
    weight_sharing: ClassVar[bool] = True
    needs_partial_channels: ClassVar[bool] = False
    gives_weights: ClassVar[bool] = False
    takes_weights: ClassVar[bool] = False
    warm_start: ClassVar[WarmStart | None] = None
    config: SearcherConfig

    def __init__(self, config: SearcherConfig | None = None) -> None:
        """Store the settings, by default those of the searcher's own `Config`."""
        self.config = config or self.Config()

    @classmethod
    def require(cls, space: Space) -> None:
        """Check that the searcher can search a space.

        Raises:
            UsageError: it cannot.
        """
        if cls.needs_partial_channels and not space.topology.partial_channels:
            raise UsageError(
                f"searcher {cls.name} passes part of the channels around the operations, which the supernet of space "
                f"{space.name} cannot: choose another space, or a searcher such as darts"
            )

        if cls.differentiable and not space.topology.mixtures:
            raise UsageError(
                f"searcher {cls.name} mixes the options of a decision, which the supernet of space {space.name} "
                "cannot: choose another space, or a searcher such as elastic or bayesian"
            )

    @classmethod
    def require_shared(cls, processes: int) -> None:
        """Check that several processes can share the searcher's work.

        Raises:
            UsageError: it cannot use more than one process.
        """
        if processes > 1 and not cls.differentiable:
            raise UsageError(
                f"searcher {cls.name} cannot share its work among {processes} processes: start one, or choose "
                "a gradient-based searcher, such as darts"
            )

    def search(self, task: Task, progress: Progress = silent) -> SearchResult:
        """Search, or resume from the last checkpoint in the task's folder; a finished search is only loaded.

        With `task.warm_start`, it starts from the weights or trials of another search; all else is as in a new search.

        Args:
            task: the task of the search.
            progress: called after every step.

        Raises:
            UsageError: settings do not fit together, the space is not supported, or there are more processes than it
                can use.
            DivergedError: a loss is not finite.
            MismatchError: images have another shape than the size, or a checkpoint belongs to another task.
            DataError: a checkpoint is damaged, the disk is full, or a prediction is not finite.
        """
        self.require(task.space)
        for images in () if task.images is None else (task.images.train, task.images.validation):
            if images.shape != task.size.input_shape:
                raise MismatchError(f"the size has images {task.size.input_shape}, the data {images.shape}")
        self.require_shared(task.group.size)
        if task.init is not None and not self.takes_weights:
            raise UsageError(
                f"searcher {self.name} begins with random weights, so {task.init.name} does nothing: choose a searcher "
                "such as elastic, or leave it out"
            )
        if task.warm_start is not None:
            self.require_warm_start(task)
        objective = Objective(task.objective, task.costs)
        return self._search(task, objective, progress)

    def require_warm_start(self, task: Task) -> None:
        """Check that the file `task.warm_start` is usable; its costs and objective do not matter.

        Raises:
            UsageError: the searcher cannot use a warm start, or not together with the task's evaluator.
            DataError: the file is missing, damaged, or not from a search.
            MismatchError: the file belongs to another space, other images or another supernet.
        """
        assert task.warm_start is not None
        ours = self.warm_start
        if ours is None or task.evaluate is not None:
            why = "has no warm start" if ours is None else "uses the given evaluator"
            raise UsageError(
                f"searcher {self.name} {why}, so {task.warm_start} cannot serve it: choose another searcher, such as "
                f"bayesian or darts, or leave the warm start out"
            )
        saved = upgraded(ours.identity(task.warm_start))
        if not isinstance(saved, dict):
            raise DataError(f"{task.warm_start} is not from a search: give a file of a search by {self.name}")
        wanted = task.identity()
        kept = {key: wanted[key] for key in ("space", "search_train", "search_validation")}
        deployed = [key for key in ours.as_deployed if getattr(self.config, key) is None]
        kept["size"] = {key: wanted["size"][key] for key in (*DATA_KEYS, *deployed)}
        kept["evaluate"] = None
        kept["config"] = self.config.model_dump(mode="json", include=set(ours.keys))
        check_same(_alike(saved, kept), kept, task.warm_start)

    @abstractmethod
    def _search(self, task: Task, objective: Objective, progress: Progress) -> SearchResult:
        """Search for a task that has been checked."""


def skip_connections(architecture: Architecture) -> int:
    """The number of skip connections in an architecture; a high number indicates a collapsed DARTS search."""
    names = [architecture.operation(decision) for decision in range(len(architecture.choices))]
    known = architecture.space.topology.operations
    return sum(name in known and known[name].identity for name in names if name is not None)


def _alike(saved: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    """The values in `saved` for the keys of `wanted`, at every depth."""
    found = {key: saved.get(key) for key in wanted}
    return {
        key: _alike(value, wanted[key]) if isinstance(value, dict) and isinstance(wanted[key], dict) else value
        for key, value in found.items()
    }


# ----
# Searchers by name, class or object.


def searcher_class(name: str) -> type[Searcher]:
    """The class of a name in `SEARCHERS`.

    Raises:
        UsageError: there is no such searcher.
    """
    found = SEARCHERS[name]
    return type(found) if isinstance(found, Searcher) else cast("type[Searcher]", found)


def make_searcher(searcher: str | Searcher, config: BaseModel | None = None) -> Searcher:
    """The searcher of a name in `SEARCHERS`, with the given or default settings; a `Searcher` is returned unchanged.

    Raises:
        UsageError: there is no such searcher, the config is of another one, or its settings do not fit together.
    """
    if isinstance(searcher, Searcher):
        if config is not None and config != searcher.config:
            raise UsageError(f"searcher {searcher.name} is given as an object, which has its config: give its name")
        return searcher
    found = searcher_class(searcher)
    if config is not None and not isinstance(config, found.Config):
        raise UsageError(f"searcher {searcher} takes a {found.Config.__name__}, got a {type(config).__name__}")
    return found(config)
