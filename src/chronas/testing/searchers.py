"""The contract of a searcher: candidates within limits, history, determinism, and going on from its folder."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import pytest
import torch

from chronas.data import load_dataset
from chronas.errors import MismatchError, MissingExtraError, OutOfReachError, UsageError
from chronas.search import Cost, ObjectiveConfig, Searcher, SearchImages, SearchResult, Task
from chronas.spaces import NetworkSize, Space, make_space

LIMITS = ("latency_ms", "energy_mj")


@dataclass(frozen=True, eq=False)
class Searched:
    """A finished search, and the counts that its progress reported."""

    task: Task
    result: SearchResult
    progress: list[int]


class SearcherContract:
    """Checks of one searcher in one space, on 128 images of digits with two additive costs.

    Attributes:
        searcher: function that makes the searcher, with settings for a search of seconds.
        space: the space to search.
        size: size of the networks; images are 1x8x8 in ten classes.
    """

    searcher: ClassVar[Callable[[], Searcher]]
    space: ClassVar[Space] = make_space("nasbench201")
    size: ClassVar[NetworkSize] = NetworkSize(input_shape=(1, 8, 8), outputs=10, width=4, depth=1)

    def made(self) -> Searcher:
        """A new searcher."""
        return type(self).searcher()

    @classmethod
    def task(cls, folder: Path) -> Task:
        """A search within two limits that about half of the architectures keep."""
        images = SearchImages.of(load_dataset("digits").train, 0.5, 0)
        costs = {name: cls._additive(seed) for seed, name in enumerate(LIMITS)}
        return Task(
            space=cls.space,
            size=cls.size,
            images=replace(
                images,
                train=images.train.subset(torch.arange(128)),
                validation=images.validation.subset(torch.arange(100)),
            ),
            costs=costs,
            objective=ObjectiveConfig(
                weights={"latency_ms": 0.5}, limits={name: 1.05 * cost.median for name, cost in costs.items()}
            ),
            folder=folder,
            seed=0,
        )

    @classmethod
    def _additive(cls, seed: int) -> Cost:
        slope = 0.1 + torch.rand(cls.space.encoding_length, generator=torch.Generator().manual_seed(seed))
        sample = cls.space.sample(min(100, cls.space.cardinality), seed=0)
        costs = torch.from_numpy(cls.space.encode(sample)) @ slope
        return Cost(lambda codes: codes @ slope, float(costs.median()))

    @pytest.fixture(scope="class")
    @classmethod
    def searched(cls, tmp_path_factory: pytest.TempPathFactory) -> Searched:
        """A finished search."""
        torch.set_num_threads(1)
        task = cls.task(tmp_path_factory.mktemp("search"))
        progress: list[int] = []

        def report(step: str, done: int, total: int, note: str) -> None:  # noqa: ARG001 - the signature of `Progress`
            progress.append(done)

        try:
            return Searched(task, cls.searcher().search(task, report), progress)
        except MissingExtraError as error:
            pytest.skip(str(error))

    def test_history_is_json_and_counts_epochs_or_architectures(self, searched: Searched) -> None:
        """Rows are numbered from 1, and have the expected costs that reports draw."""
        history = searched.result.history
        assert history
        assert json.loads(json.dumps(history, allow_nan=False)) == history
        assert [row["epoch"] for row in history] == list(range(1, len(history) + 1))
        for row in history:
            assert all(row[f"expected_{cost}"] > 0 for cost in LIMITS)
            assert row["train_loss"] is None or row["train_loss"] > 0
            assert row["skip_connections"] >= 0
        assert 0 <= history[-1]["validation_accuracy"] <= 100

    def test_candidates_are_inside_and_come_in_the_same_order_again(self, searched: Searched) -> None:
        """Every candidate keeps every limit by its predicted costs."""
        limits = searched.task.objective.limits
        first, again = (list(itertools.islice(searched.result.candidates(limits), 5)) for _ in range(2))
        assert first
        assert first == again
        assert all(each.architecture.space is self.space for each in first)
        assert all(each.costs[cost] <= limit for each in first for cost, limit in limits.items())
        assert all(each.log_probability < 0 for each in first)

    def test_a_limit_below_everything_is_refused(self, searched: Searched) -> None:
        """The error gives what can be reached; a cost that is unknown is wrong use."""
        with pytest.raises(OutOfReachError, match="within 0.001 mJ.* nearest .*predicted at"):
            next(searched.result.candidates({"energy_mj": 1e-3}))
        with pytest.raises(UsageError, match="of peak_memory_mib, got latency_ms, energy_mj"):
            next(searched.result.candidates({"peak_memory_mib": 1e3}))

    def test_scores_are_percentages_of_a_supernet_or_absent(self, searched: Searched) -> None:
        """Searchers that share weights score architectures."""
        scores = searched.result.score(self.space.sample(2, seed=1))
        assert (scores is not None) is self.made().weight_sharing
        assert scores is None or (len(scores) == 2 and all(0 <= score <= 100 for score in scores))

    def test_progress_only_goes_forward(self, searched: Searched) -> None:
        """Counts never fall."""
        assert searched.progress
        assert searched.progress == sorted(searched.progress)

    def test_the_same_seed_finds_the_same_again(self, searched: Searched, tmp_path: Path) -> None:
        """Histories are equal but for seconds."""
        again = self.made().search(replace(searched.task, folder=tmp_path))
        rows = [[{**row, "seconds": None} for row in each.history] for each in (searched.result, again)]
        assert rows[0] == rows[1]
        assert next(again.candidates({})) == next(searched.result.candidates({}))

    def test_a_finished_search_is_loaded_and_another_is_refused(self, searched: Searched) -> None:
        """The folder of a search is of one task."""
        assert self.made().search(searched.task).history == searched.result.history
        with pytest.raises(MismatchError, match="seed"):
            self.made().search(replace(searched.task, seed=1))

    def test_images_of_another_shape_are_refused(self, tmp_path: Path) -> None:
        """Size and images must agree."""
        other = self.size.model_copy(update={"input_shape": (3, 32, 32)})
        with pytest.raises(MismatchError, match="images"):
            self.made().search(replace(self.task(tmp_path), size=other))
