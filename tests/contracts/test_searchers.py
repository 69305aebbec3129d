"""One suite over every searcher and every space: what a search promises must hold for all of them."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from chronas.data import Normalisation, load_dataset, split
from chronas.errors import MismatchError, MissingExtraError, OutOfReachError, UsageError
from chronas.search import (
    SEARCHERS,
    ObjectiveConfig,
    SearchCost,
    Searcher,
    SearchImages,
    SearchResult,
    Task,
    make_searcher,
    searcher_class,
)
from chronas.spaces import SPACES, NetworkSize, Space, make_space

SMALL = {
    "epochs": 2,
    "architectures": 2,
    "batch": 64,
    "width": 8,
    "depth": 1,
    "warmup_epochs": 0,
    "crop_padding": 0,
    "flip": False,
}


def small(name: str) -> Searcher:
    config = searcher_class(name).Config
    return make_searcher(name, config.model_validate({key: SMALL[key] for key in SMALL.keys() & config.model_fields}))


def additive(space: Space, seed: int) -> SearchCost:
    slope = 0.1 + torch.rand(space.encoding_length, generator=torch.Generator().manual_seed(seed))
    costs = torch.from_numpy(space.encode(space.sample(100, seed=0))) @ slope
    return SearchCost(lambda codes: codes @ slope, float(costs.median()))


def a_task(space_name: str, folder: Path) -> Task:
    space = make_space(space_name)
    images = load_dataset("digits").train
    train, validation = split(images, 0.5, seed=0)
    costs = {"latency_ms": additive(space, seed=0), "energy_mj": additive(space, seed=1)}
    return Task(
        space=space,
        size=NetworkSize(input_shape=(1, 8, 8), outputs=10, width=4, depth=1),
        images=SearchImages(
            train.subset(torch.arange(128)), validation.subset(torch.arange(100)), Normalisation.of(images)
        ),
        costs=costs,
        objective=ObjectiveConfig(
            weights={"latency_ms": 0.5}, limits={name: 1.05 * cost.median for name, cost in costs.items()}
        ),
        folder=folder,
        seed=0,
    )


def searches(name: str, space_name: str) -> bool:
    """Whether a searcher says that it can search a space."""
    return make_space(space_name).topology.partial_channels or not searcher_class(name).needs_partial_channels


PAIRS = list(itertools.product(SEARCHERS, SPACES))
SEARCHED = [pair for pair in PAIRS if searches(*pair)]
REFUSED = [pair for pair in PAIRS if not searches(*pair)]


@pytest.fixture(scope="module", params=SEARCHED, ids="-".join)
def searched(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Task, SearchResult, list[int]]:
    name, space_name = request.param
    torch.set_num_threads(1)
    task, seen = a_task(space_name, tmp_path_factory.mktemp(f"{name}-{space_name}")), []
    try:
        found = small(name).search(task, lambda step, done, total, note: seen.append(done) or None)
    except MissingExtraError as error:
        pytest.skip(str(error))
    return name, task, found, seen


def test_history_is_json_and_has_what_reports_draw(searched: tuple[str, Task, SearchResult, list[int]]) -> None:
    _, _, found, _ = searched
    assert json.loads(json.dumps(found.history, allow_nan=False)) == found.history
    assert [row["epoch"] for row in found.history] == [1, 2]
    for row in found.history:
        assert row["train_loss"] is None or row["train_loss"] > 0
        assert all(row[f"expected_{cost}"] > 0 for cost in ("latency_ms", "energy_mj"))
        assert 0 <= row["skip_connections"] <= 22
    assert 0 <= found.history[-1]["validation_accuracy"] <= 100


def test_candidates_are_inside_and_come_in_the_same_order_again(
    searched: tuple[str, Task, SearchResult, list[int]],
) -> None:
    _, task, found, _ = searched
    limits = task.objective.limits
    assert set(limits) == {"latency_ms", "energy_mj"}
    first, again = (list(itertools.islice(found.candidates(limits), 5)) for _ in range(2))
    assert first
    assert first == again
    assert all(each.architecture.space is task.space for each in first)
    assert all(each.costs[cost] <= limit for each in first for cost, limit in limits.items())
    assert all(each.log_probability < 0 for each in first)


def test_a_limit_below_everything_is_refused(searched: tuple[str, Task, SearchResult, list[int]]) -> None:
    with pytest.raises(OutOfReachError, match="within 0.001 mJ.* nearest .*predicted at"):
        next(searched[2].candidates({"energy_mj": 1e-3}))
    with pytest.raises(UsageError, match="of peak_memory_mib, got latency_ms, energy_mj"):
        next(searched[2].candidates({"peak_memory_mib": 1e3}))


def test_scores_are_percentages_of_a_supernet_or_absent(searched: tuple[str, Task, SearchResult, list[int]]) -> None:
    name, task, found, _ = searched
    scores = found.score(task.space.sample(2, seed=1))
    assert (scores is not None) is searcher_class(name).weight_sharing
    assert scores is None or (len(scores) == 2 and all(0 <= score <= 100 for score in scores))


def test_progress_only_goes_forward(searched: tuple[str, Task, SearchResult, list[int]]) -> None:
    assert searched[3]
    assert searched[3] == sorted(searched[3])


def test_the_same_seed_finds_the_same_again(
    searched: tuple[str, Task, SearchResult, list[int]], tmp_path: Path
) -> None:
    name, task, found, _ = searched
    again = small(name).search(replace(task, folder=tmp_path))
    rows = [[{**row, "seconds": None} for row in each.history] for each in (found, again)]
    assert rows[0] == rows[1]
    assert next(again.candidates({})) == next(found.candidates({}))


def test_a_finished_search_is_loaded_and_another_is_refused(
    searched: tuple[str, Task, SearchResult, list[int]],
) -> None:
    name, task, found, _ = searched
    assert small(name).search(task).history == found.history
    with pytest.raises(MismatchError, match="seed"):
        small(name).search(replace(task, seed=1))


@pytest.mark.parametrize(("name", "space_name"), REFUSED, ids=map("-".join, REFUSED))
def test_a_space_that_cannot_be_searched_is_refused_before_anything_is_written(
    name: str, space_name: str, tmp_path: Path
) -> None:
    with pytest.raises(
        UsageError, match=f"searcher {name} sends a part of the channels around .* space {space_name} cannot"
    ):
        small(name).search(a_task(space_name, tmp_path / "task"))
    assert not (tmp_path / "task").exists()


def test_each_space_can_be_searched_by_some_searcher_and_each_searcher_searches_some_space() -> None:
    assert {space_name for _, space_name in SEARCHED} == set(SPACES)
    assert {name for name, _ in SEARCHED} == set(SEARCHERS)


@pytest.mark.parametrize("name", SEARCHERS)
def test_images_of_another_shape_and_other_configs_are_refused(name: str, tmp_path: Path) -> None:
    task = a_task("darts", tmp_path)
    other = task.size.model_copy(update={"input_shape": (3, 32, 32)})
    with pytest.raises(MismatchError, match="images"):
        small(name).search(replace(task, size=other))
    with pytest.raises(UsageError, match="takes a"):
        make_searcher(name, ObjectiveConfig())


def test_an_unknown_searcher_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean pc-darts"):
        make_searcher("pcdarts")
