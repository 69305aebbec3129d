"""A search over shared weights that another search has trained begins with exactly these, and with nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from chronas.errors import DataError, MismatchError, UsageError
from chronas.files import read_json
from chronas.search import SEARCHERS, Objective, SearchResult, Task, make_searcher, searcher_class
from chronas.search.blackbox.bayesian import BayesianConfig
from chronas.search.blackbox.loop import SCHEMA, BlackBoxResult
from chronas.search.gradient import checkpoints
from chronas.search.gradient.darts import BilevelResult
from chronas.search.gradient.loop import BilevelConfig, BilevelLoop

MakeTask = Callable[..., Task]
SMALL = {"epochs": 2, "architectures": 12, "batch": 64, "width": 8, "depth": 1, "warmup_epochs": 0, "crop_padding": 0}
# `elastic` is for other spaces: tests/cli/test_elastic.py and tests/search/test_elastic.py
LEARNING = [name for name in SEARCHERS if searcher_class(name).warm_start is not None and name != "elastic"]
WITH_SUPERNET = [name for name in LEARNING if searcher_class(name).warm_start.file.endswith(".safetensors")]
WITHOUT = [name for name in SEARCHERS if searcher_class(name).warm_start is None]
CONFIG = BilevelConfig(epochs=3, width=8, depth=1, crop_padding=1, learning_rate=0.1)


def search(name: str, task: Task, **changes: Any) -> SearchResult:
    """Search with small settings; with those for trained weights where the task has some."""
    given = {key: SMALL[key] for key in SMALL.keys() & searcher_class(name).Config.model_fields}
    config = searcher_class(name).Config.model_validate(given)
    config = (config if task.warm_start is None else config.for_warm_start()).model_copy(update=changes)
    return make_searcher(name, config).search(task)


def again(task: Task, source: Task, name: str, **changes: Any) -> Task:
    """The task of a search that begins with the weights of the source's."""
    return replace(task, warm_start=source.folder / searcher_class(name).warm_start.file, **changes)


def descent_of(task: Task, config: BilevelConfig = CONFIG) -> BilevelLoop:
    return BilevelLoop(task, config, Objective(task.objective, task.costs))


@pytest.fixture
def source(make_task: MakeTask) -> Task:
    return make_task("nasbench201", folder="source", weight=1.0)


@pytest.fixture
def other(make_task: MakeTask) -> Task:
    return make_task("nasbench201", folder="other", limit_ms=3.5)


def test_a_gradient_search_begins_with_the_weights_and_with_new_logits_and_optimisers(
    source: Task, other: Task
) -> None:
    found = search("darts", source)
    task = again(other, source, "darts")
    loop, fresh = descent_of(task), descent_of(other)
    networks = task.space.sample(5, seed=3)
    assert BilevelResult(loop, "darts").score(networks) != found.score(networks)
    assert task.warm_start is not None
    checkpoints.adopt(loop, task.warm_start)
    assert BilevelResult(loop, "darts").score(networks) == found.score(networks)
    assert torch.equal(loop.alphas[0], fresh.alphas[0])
    assert loop.history == []
    assert not loop.alphas_optimiser.state
    assert not loop.weights_optimiser.state


@pytest.mark.parametrize(
    "name", [name for name in WITH_SUPERNET if "architectures" in searcher_class(name).Config.model_fields]
)
def test_a_sampling_search_trains_nothing_and_judges_by_the_same_weights(name: str, source: Task, other: Task) -> None:
    if name == "optuna":
        pytest.importorskip("optuna", reason="the extra baselines is not installed")
    found = search(name, source)
    told: list[str] = []
    config = searcher_class(name).Config.model_validate(
        {key: value for key, value in SMALL.items() if key in searcher_class(name).Config.model_fields}
    )
    searched = make_searcher(name, config).search(again(other, source, name), lambda *words: told.append(words[3]))
    networks = source.space.sample(5, seed=3)
    assert searched.score(networks) == found.score(networks)
    assert told
    assert not [note for note in told if "supernet" in note]
    assert next(iter(searched.candidates({"latency_ms": 3.5}))).costs["latency_ms"] <= 3.5


@pytest.mark.parametrize("name", LEARNING)
def test_every_searcher_leaves_what_it_has_learnt_and_begins_with_it(name: str, source: Task, other: Task) -> None:
    if name == "optuna":
        pytest.importorskip("optuna", reason="the extra baselines is not installed")
    search(name, source)
    before = {path: path.read_bytes() for path in source.folder.rglob("*") if path.is_file()}
    assert source.folder / searcher_class(name).warm_start.file in before
    searched = search(name, again(other, source, name))
    limits = {"latency_ms": 3.5}
    assert next(iter(searched.candidates(limits))).violation(limits) == 0
    assert {path: path.read_bytes() for path in source.folder.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("name", WITHOUT)
def test_a_searcher_without_shared_weights_refuses_them(name: str, source: Task, other: Task) -> None:
    search("darts", source)
    with pytest.raises(UsageError, match=f"searcher {name} has no warm start"):
        search(name, again(other, source, "darts"))


def test_bayesian_optimisation_goes_on_from_networks_that_were_trained_for_other_costs(
    source: Task, make_task: MakeTask
) -> None:
    search("bayesian", source)
    rows = read_json(source.folder / "search.json", SCHEMA)["history"]
    task = again(make_task("nasbench201", folder="cheap", weight=0.2), source, "bayesian")
    searched = search("bayesian", task)
    own = [row["mode"] for row in read_json(task.folder / "search.json", SCHEMA)["history"]]
    assert len(own) == 4  # a third of the twelve
    assert not set(own) & {row["mode"] for row in rows}
    assert isinstance(searched, BlackBoxResult)
    known = {str(each.architecture): each for each in searched.trials}
    assert {row["mode"]: row["validation_accuracy"] for row in rows}.items() <= {
        text: each.score for text, each in known.items()
    }.items()
    assert len(known) == len(own) + len(rows)
    penalties = [task.predict([source.space.parse(row["mode"])])[0]["latency_ms"] for row in rows]
    assert [known[row["mode"]].costs["latency_ms"] for row in rows] == pytest.approx(penalties)


def test_a_third_search_knows_what_the_first_two_have_learnt(source: Task, make_task: MakeTask) -> None:
    search("bayesian", source)
    second = again(make_task("nasbench201", folder="second", weight=0.2), source, "bayesian")
    found = search("bayesian", second)
    third = again(make_task("nasbench201", folder="third", weight=0.5), second, "bayesian")
    last = search("bayesian", third)
    assert isinstance(found, BlackBoxResult)
    assert isinstance(last, BlackBoxResult)
    before, after = ({str(each.architecture) for each in one.trials} for one in (found, last))
    assert len(before) == 12 + 4
    assert before < after
    assert len(after) == len(before) + 4


def test_a_third_search_begins_with_the_supernet_that_the_first_trained(source: Task, make_task: MakeTask) -> None:
    found = search("evolution", source)
    second = again(make_task("nasbench201", folder="second", weight=0.2), source, "evolution")
    search("evolution", second)
    last = search("evolution", again(make_task("nasbench201", folder="third", weight=0.5), second, "evolution"))
    networks = source.space.sample(5, seed=3)
    assert last.score(networks) == found.score(networks)


@pytest.mark.parametrize("size", ["width", "depth"])
def test_networks_that_were_trained_as_deployed_are_none_of_another_size(size: str, source: Task, other: Task) -> None:
    search("bayesian", source, width=None, depth=None)
    larger = other.size.model_copy(update={size: 2 * getattr(other.size, size)})
    with pytest.raises(MismatchError, match=rf"size\.{size} = "):
        search("bayesian", again(other, source, "bayesian", size=larger), width=None, depth=None)
    search("bayesian", replace(source, folder=source.folder / "small"))
    known = again(other, replace(source, folder=source.folder / "small"), "bayesian", size=larger)
    assert search("bayesian", known).history, "what is trained is as small as before, whatever is deployed"


def test_accuracies_that_somebody_gave_are_not_taken_for_trainings(source: Task, other: Task) -> None:
    search("bayesian", replace(source, evaluate=lambda networks: [50.0] * len(networks)))
    with pytest.raises(MismatchError, match="evaluate = function"):
        search("bayesian", again(other, source, "bayesian"))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda content: content["history"][0].pop("mode"), "no whole journal of a search"),
        (lambda content: content["history"].append(None), "no whole journal of a search"),
        (lambda content: content.pop("identity"), "is not from a search"),
    ],
    ids=["row", "kind", "identity"],
)
def test_a_damaged_journal_is_one_line(
    change: Callable[[dict[str, Any]], object], expected: str, source: Task, other: Task
) -> None:
    search("bayesian", source)
    path = source.folder / "search.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match=expected):
        search("bayesian", again(other, source, "bayesian"))


def test_networks_that_were_trained_in_another_way_are_one_line(source: Task, other: Task) -> None:
    search("bayesian", source)
    with pytest.raises(MismatchError, match=r"config\.epochs = 2, but 3"):
        search("bayesian", again(other, source, "bayesian"), epochs=3)


def test_weights_that_an_evaluator_would_not_ask_are_refused(source: Task, other: Task) -> None:
    search("evolution", source)
    with pytest.raises(UsageError, match="uses the given evaluator"):
        search("evolution", again(other, source, "evolution", evaluate=lambda networks: [50.0] * len(networks)))


@pytest.mark.parametrize("name", ["darts", "evolution"])
@pytest.mark.parametrize(
    ("changes", "expected"),
    [({"width": 16}, r"config\.width = 8, but 16"), ({"depth": 2}, r"config\.depth = 1, but 2")],
    ids=["width", "depth"],
)
def test_a_supernet_of_another_size_is_one_line(
    name: str, changes: dict[str, int], expected: str, source: Task, other: Task
) -> None:
    search(name, source)
    with pytest.raises(MismatchError, match=expected):
        search(name, again(other, source, name), **changes)


def test_a_supernet_of_other_channels_is_one_line(source: Task, other: Task) -> None:
    search("drnas", source)
    with pytest.raises(MismatchError, match="other shapes than these settings give"):
        search("drnas", again(other, source, "drnas"), partial_channels=4)


@pytest.mark.parametrize("name", ["darts", "evolution"])
def test_weights_that_learnt_other_images_are_one_line(name: str, source: Task, other: Task) -> None:
    search(name, source)
    swapped = again(
        other,
        source,
        name,
        images=replace(source.images, train=source.images.validation, validation=source.images.train),
    )
    with pytest.raises(MismatchError, match="search_train"):
        search(name, swapped)


def test_weights_of_another_space_are_one_line(source: Task, make_task: MakeTask) -> None:
    search("darts", source)
    with pytest.raises(MismatchError, match="space = nasbench201, but darts is asked for"):
        search("darts", again(make_task("darts", folder="other"), source, "darts"))


@pytest.mark.parametrize("name", ["darts", "evolution"])
def test_a_file_that_is_no_checkpoint_is_one_line(name: str, source: Task, other: Task) -> None:
    search(name, source)
    wrong = again(other, source, "evolution" if name == "darts" else "darts")
    assert wrong.warm_start is not None
    wrong.warm_start.write_bytes(b"not a checkpoint")
    with pytest.raises(DataError, match="no safetensors file"):
        search(name, wrong)


def test_a_search_goes_on_from_its_own_checkpoint_and_only_over_the_weights_that_it_began_with(
    source: Task, other: Task
) -> None:
    search("darts", source)
    task = again(other, source, "darts")
    whole = search("darts", replace(task, folder=task.folder / "whole"), epochs=2)

    def stop(step: str, done: int, total: int, note: str) -> None:
        if "epoch 2" in note:
            raise KeyboardInterrupt

    config = BilevelConfig.model_validate({key: SMALL[key] for key in SMALL.keys() & BilevelConfig.model_fields})
    with pytest.raises(KeyboardInterrupt):
        make_searcher("darts", config).search(task, stop)
    resumed = search("darts", task, epochs=2)
    assert resumed.history == whole.history
    search("darts", replace(source, folder=source.folder / "more", seed=1))
    with pytest.raises(MismatchError, match="warm_start"):
        search("darts", replace(task, warm_start=source.folder / "more" / checkpoints.FILE), epochs=2)


def test_a_finished_search_that_is_loaded_again_scores_by_its_trained_weights(source: Task) -> None:
    networks = source.space.sample(5, seed=3)
    assert search("evolution", source).score(networks) == search("evolution", source).score(networks)


def test_settings_for_searching_again_are_a_third_without_a_warm_up_and_the_same_where_nothing_is_trained() -> None:
    config = BilevelConfig(epochs=50, warmup_epochs=15).for_warm_start()
    assert (config.epochs, config.warmup_epochs) == (17, 0)
    assert BilevelConfig(epochs=1).for_warm_start().epochs == 1
    staged = searcher_class("drnas").Config().for_warm_start()
    assert staged.model_dump(include={"partial_channels", "later_partial_channels", "warmup_epochs"}) == {
        "partial_channels": 2,
        "later_partial_channels": (),
        "warmup_epochs": 0,
    }
    sampling = searcher_class("evolution").Config()
    assert sampling.for_warm_start() == sampling
    timed = BayesianConfig(architectures=30, seconds=90.0)
    assert (timed.for_warm_start().architectures, timed.for_warm_start().seconds) == (10, 30.0)
    assert BayesianConfig(architectures=30).for_warm_start().seconds is None
