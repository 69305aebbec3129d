"""A run is a folder: its config, and the results of each step. Nothing in it is overwritten without notice.

run = Run.create(Path("runs/mine"), config, command="chronas run ...")
run = Run.open(Path("runs/mine"))
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import torch
from filelock import FileLock, Timeout

from chronas.arguments import path_of
from chronas.data import Dataset, Images, Normalisation, load_dataset, split
from chronas.devices import Device, OfflineConfig, make_device
from chronas.errors import MismatchError, UsageError
from chronas.files import read_as, sha256, whole_folder, write_json
from chronas.measurement import make_meter
from chronas.predictors import Predictor, needed_for_folds, predictor_class
from chronas.registry import import_path
from chronas.runs import initial_weights
from chronas.runs.config import (
    REGISTRIES,
    DataFacts,
    Facts,
    RunConfig,
    RunParts,
    differences,
    require_registered,
    require_usable,
    versions,
)
from chronas.runs.fitted_size import read_fitted_size
from chronas.runs.folder import RunFolder
from chronas.runs.initial_weights import InitialWeights, initial_of_space
from chronas.runs.teacher import require_same, teacher_of
from chronas.runs.warm_start import REUSED, require_again, same_predictor, take_along, warm_start_file_of
from chronas.search import Cost, ObjectiveConfig, Searcher, SearchImages, Task, make_searcher
from chronas.spaces import NetworkSize, Space, make_space
from chronas.tables import CostTable
from chronas.training import SINGLE_PROCESS, Recipe, Teacher
from chronas.units import LATENCY, cost_word

SCHEMA = "chronas.run/2"
DATA_SCHEMA = "chronas.data/1"
RecipeOf = Callable[[str, int], Recipe]  # from the data's name and number of training images
FOLDS = 5  # of a predictor's report


class Run(RunFolder):
    """A run folder and its config; each step reads the results of earlier steps and writes its own.

    Attributes:
        folder: folder of the run.
        config: all settings.
        command: the command line that repeats the run.
        parts: a user's own objects for names in the config.
        group: processes that share its gradient-based searches; the first one does everything else, see
            `help_searches`.
    """

    def __init__(self, folder: Path, config: RunConfig, command: str, parts: RunParts | None = None) -> None:
        super().__init__(folder)
        self.config = config
        self.command = command
        self.parts = parts or RunParts()
        self.group = SINGLE_PROCESS

    @classmethod
    def create(
        cls,
        folder: Path,
        config: RunConfig,
        *,
        command: str,
        table: CostTable | None = None,
        source: Run | None = None,
        parts: RunParts | None = None,
        recipe_of: RecipeOf | None = None,
    ) -> Run:
        """Begin a run, or resume the one in `folder` if its config is the same.

        Detectable errors are raised before anything is written.

        Args:
            folder: folder of the run.
            config: all settings.
            command: the command line that repeats it.
            table: costs to use instead of measuring them.
            source: a run whose trained supernet or networks are a warm start; it is not changed.
            parts: a user's own objects; the config has their names.
            recipe_of: chooses the recipe, from name and number of training images; None: the config's.

        Raises:
            UsageError: the folder has a run with another config, table or source, or other files; or the source is not
                usable.
            MismatchError: the table belongs to another space, size, device or cost.
            ChronasError: the data or the settings of the search are not usable.
        """
        folder = path_of(folder, "folder")
        if folder.exists() and not folder.is_dir():
            raise UsageError(f"{folder} is a file, a run needs a folder: choose another --out")
        if (folder / "run.json").exists():
            run = cls.open(folder, parts)
            config = run._with_recipe(config, recipe_of)
            if run.config != config:
                changed = differences(run.config, config)
                raise UsageError(
                    f"{folder} holds a run with other settings ({changed}); choose another --out, or go on with "
                    f"it: chronas resume {folder}"
                )
            run._require_same_data()
            run._take(table)
            if run.facts.reused != (None if source is None else sha256(warm_start_file_of(source))):
                raise UsageError(f"{folder} holds a run that reuses another one; choose another --out")
            return run
        if folder.exists() and any(folder.iterdir()):
            raise UsageError(f"{folder} is not empty and holds no run; choose another --out")
        run = cls(folder, config, command, parts)
        config = run.config = run._with_recipe(config, recipe_of)
        run._check(table)
        if source is not None:
            require_again(source, config)
            run.searcher.require_warm_start(run.task("again", ObjectiveConfig(), {}, warm_start_file_of(source)))
        created = datetime.now(UTC).isoformat(timespec="seconds")
        sources = {kind: import_path(each) for kind in REGISTRIES if (each := getattr(run.parts, kind)) is not None}
        known = run.data_facts
        with whole_folder(folder) as unfinished:
            same = source is not None and same_predictor(source, config, table)
            reused = None if source is None else take_along(source, unfinished, predictor=same)
            teacher = None if run.teacher is None else run.teacher.checksum
            told = (command, created, versions(), run.device.fingerprint(), config.model_dump(mode="json"))
            init = None if run.initial is None else run.initial.given.checksum
            facts = Facts(*told, reused, sources, teacher, init)
            write_json(unfinished / "run.json", SCHEMA, asdict(facts))
            write_json(unfinished / "data.json", DATA_SCHEMA, asdict(known))
            if table is not None:
                table.save(unfinished / "costs.parquet")
        return run

    def _with_recipe(self, config: RunConfig, recipe_of: RecipeOf | None) -> RunConfig:
        """A config with the recipe for this run's data."""
        if recipe_of is None:
            return config
        return config.model_copy(update={"recipe": recipe_of(*self.images_for_recipes)})

    @property
    def images_for_recipes(self) -> tuple[str, int]:
        """Name of the data and number of its training images, on which the choice of a recipe may depend."""
        return self.data_facts.name, self.data_facts.train

    def _check(self, table: CostTable | None) -> None:
        """Raise detectable errors before anything is measured."""
        searcher, predictor = self.searcher, self.predictor
        searcher.require(self.space)
        if not self.config.retrain and not searcher.gives_weights:
            raise UsageError(
                f"searcher {searcher.name} gives no trained weights, so --no-retrain leaves nothing: take the searcher "
                "elastic, or leave it out"
            )
        if self.config.by_hand and self.recorded:
            raise UsageError("a network written by hand is measured beside: --by-hand needs the device here")
        if (reason := predictor.unavailable()) is not None:
            raise UsageError(f"predictor {predictor.name} cannot be fitted: {reason}")
        for cost in [*self.config.objective.asked, *([LATENCY] if self.config.front is not None else [])]:
            require_usable(predictor, type(searcher), cost_word(cost))
        needed = needed_for_folds(predictor.minimum, FOLDS)
        if table is None and self.config.networks < needed:
            raise UsageError(
                f"predictor {predictor.name} needs {needed} measured networks, got --networks {self.config.networks}"
            )
        _ = self.size, self.search_split, self.teacher, self.initial  # these fail if the data does not fit
        if not self.recorded:
            for cost in self.config.costs:
                make_meter(cost, self.device, self.size)  # fails if this machine cannot measure the cost
        if table is not None:
            self.require(table)

    def require(self, table: CostTable) -> None:
        """Check that a table has this run's space, size and device, and all costs of its limits and weights.

        Raises:
            MismatchError: the table belongs to another space, size or device.
            DataError: the table lacks a cost with a limit or weight.
        """
        table.require(space=self.space, size=self.size, device=self.device, cost="latency_ms")
        for cost in self.config.costs:
            table.of(cost)

    def _take(self, table: CostTable | None) -> None:
        """Store a given table as the run's own, which must not have another one."""
        path = self.folder / "costs.parquet"
        if table is None:
            return
        if not path.exists():
            table.save(path)
        elif not CostTable.load(path, self.space).frame.equals(table.frame):
            raise UsageError(f"{self.folder} holds a run with another table than the given one; choose another --out")

    @classmethod
    def open(cls, folder: Path, parts: RunParts | None = None) -> Run:
        """The run in a folder.

        Args:
            folder: folder of the run.
            parts: the user's own objects of the run.

        Raises:
            DataError: there is no run, or its `run.json` is damaged.
            NotRegisteredError: the run has a user's own objects that are neither given nor registered.
        """
        folder = path_of(folder, "folder")
        facts = read_as(folder / "run.json", SCHEMA, Facts, oldest=1)
        require_registered(folder, facts, parts or RunParts())
        return cls(folder, RunConfig.from_json(facts.config, parts), facts.command, parts)

    @property
    def facts(self) -> Facts:
        """The content of `run.json`."""
        return read_as(self.folder / "run.json", SCHEMA, Facts, oldest=1)

    @functools.cached_property
    def reused(self) -> Run | None:
        """The copied part of the run that this one reuses; None without one.

        Raises:
            DataError: the copied files are missing.
        """
        return None if self.facts.reused is None else Run.open(self.folder / REUSED)

    @functools.cached_property
    def space(self) -> Space:
        """The search space."""
        return self.parts.space or make_space(self.config.space)

    @functools.cached_property
    def device(self) -> Device:
        """The device to measure."""
        return self.parts.device or make_device(self.config.device, self.config.device_config)

    @functools.cached_property
    def searcher(self) -> Searcher:
        """The search algorithm with its settings."""
        return self.parts.searcher or make_searcher(self.config.searcher, self.config.searcher_config)

    @property
    def predictor(self) -> type[Predictor]:
        """The class of the predictor."""
        return self.parts.predictor or predictor_class(self.config.predictor)

    @property
    def recorded(self) -> bool:
        """Whether the device is not here and known only by the given table, so that nothing is measured."""
        return isinstance(self.config.device_config, OfflineConfig)

    @functools.cached_property
    def data(self) -> Dataset:
        """The data set, decoded."""
        config, given = self.config, self.parts.data
        return load_dataset(
            config.data if given is None else given,
            limit=config.data_limit, image_size=config.image_size, seed=config.seed,
        )  # fmt: skip

    @functools.cached_property
    def teacher(self) -> Teacher | None:
        """The network that trainings learn from too; raises as `teacher_of` and `require_same`."""
        if self.config.teacher is None:
            return None
        source = self.config.teacher if self.parts.teacher is None else self.parts.teacher
        known = self.facts.teacher if (self.folder / "run.json").exists() else None
        return require_same(teacher_of(source, self.data, self.normalisation), known, self.folder)

    @functools.cached_property
    def initial(self) -> InitialWeights | None:
        """The weights that trainings and supernets begin with; raises as `initial_of_space` and `require_same`."""
        if self.config.init is None:
            return None
        known = self.facts.init if (self.folder / "run.json").exists() else None
        found = initial_of_space(self.config.init, self.space, self.size, seed=self.config.seed)
        return initial_weights.require_same(found, known, self.folder)

    @functools.cached_property
    def normalisation(self) -> Normalisation:
        """Mean and standard deviation of the training images' channels."""
        return Normalisation.of(self.data.train)

    @functools.cached_property
    def training_split(self) -> tuple[Images, Images]:
        """Training images for gradient steps, and images for choosing the best checkpoint.

        The data's own validation split does the latter, if there is one.
        """
        if self.data.validation is not None:
            return self.data.train, self.data.validation
        return split(self.data.train, self.config.validation_share, seed=self.config.seed)

    @functools.cached_property
    def search_split(self) -> tuple[Images, Images]:
        """The search's images, at most `search_images` of those for gradient steps: (for weights, for comparison)."""
        images, wanted = self.training_split[0], self.config.search_images
        if wanted is not None and wanted < len(images):
            _, images = split(images, wanted / len(images), seed=self.config.seed + 2)
        return split(images, self.config.search_validation_share, seed=self.config.seed + 1)

    @functools.cached_property
    def data_facts(self) -> DataFacts:
        """Name, shape [C, H, W], classes and image counts of the data, if possible from `data.json` without
        decoding.
        """
        path = self.folder / "data.json"
        if path.exists():
            return read_as(path, DATA_SCHEMA, DataFacts)
        return self._facts_of_data()

    def _facts_of_data(self) -> DataFacts:
        data = self.data
        given = "" if self.parts.data is None else f"{data.train.checksum()} {data.test.checksum()}"
        validation = 0 if data.validation is None else len(data.validation)
        counts = (len(data.train), len(data.test))
        return DataFacts(data.name, data.shape, data.classes, *counts, given, validation, data.notes)

    def _require_same_data(self) -> None:
        """Check that given images are those with which the run was begun.

        Raises:
            MismatchError: the images differ.
        """
        if self.parts.data is not None and self._facts_of_data() != self.data_facts:
            raise MismatchError(f"{self.folder} holds a run on other images than those given; choose another folder")

    @property
    def size(self) -> NetworkSize:
        """The size of the deployed network: the config's, or the one that the step `fit_size` chose."""
        fitted = read_fitted_size(self)
        scale = self.config.size if fitted is None else fitted.size
        size = scale.for_data(self.data_facts.shape, self.data_facts.classes)
        self.space.topology.check(self.space, size)
        return size

    def task(
        self, name: str, objective: ObjectiveConfig, costs: Mapping[str, Cost], trained: Path | None = None
    ) -> Task:
        """The task of a search under `search/<name>`; `trained` is the file for a warm start."""
        return Task(
            space=self.space,
            size=self.size,
            images=SearchImages(*self.search_split, self.normalisation),
            costs=costs,
            objective=objective,
            folder=self.folder / "search" / name,
            seed=self.config.seed,
            evaluate=self.parts.evaluate,
            warm_start=trained,
        )

    @property
    def role(self) -> Literal["limit", "latency-term", "weight-0"]:
        """The role of the run's own search: "limit", "latency-term" with a weight on any cost, or "weight-0"."""
        if self.config.limits:
            return "limit"
        return "latency-term" if self.config.weights else "weight-0"

    @contextmanager
    def working(self) -> Iterator[None]:
        """Keep other processes out of this folder, and compute with the config's number of threads.

        The kernel frees the lock when this process dies.

        Raises:
            UsageError: another process works here.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.folder / ".lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise UsageError(f"another process works in {self.folder}; wait for it or choose another --out") from None
        threads = torch.get_num_threads()
        torch.set_num_threads(self.config.threads)
        try:
            yield
        finally:
            torch.set_num_threads(threads)
            lock.release()
