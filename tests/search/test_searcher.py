"""A task knows what it is, a checkpoint of another one is told apart, and a search that diverges is stopped."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from chronas.errors import DataError, DivergedError, MismatchError
from chronas.search import Cost, ObjectiveConfig, TableEvaluator, Task
from chronas.search.checks import check_finite, check_same
from chronas.search.searcher import skip_connections
from chronas.spaces import make_space
from chronas.spaces.darts import GENOTYPES

MakeTask = Callable[..., Task]
PATH = Path("search.safetensors")
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.floats(0.1, 10.0),
    lambda inner: st.dictionaries(st.text("abc", min_size=1, max_size=3), inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(st.text("abc", min_size=1, max_size=3), plain, max_size=4)


@given(content=objects)
def test_what_went_through_json_is_the_same(content: dict[str, Any]) -> None:
    check_same(json.loads(json.dumps(content)), content, PATH)


@given(content=objects, key=st.text("xyz", min_size=1, max_size=3), value=st.integers() | st.text())
def test_something_more_on_either_side_is_another_search(content: dict[str, Any], key: str, value: object) -> None:
    for saved, wanted in ((content | {key: value}, content), (content, content | {key: value})):
        with pytest.raises(MismatchError, match=f"search with {key} ="):
            check_same(saved, wanted, PATH)


def test_a_difference_deep_inside_is_named_by_its_path() -> None:
    saved = {"config": {"inner": {"epochs": 3, "rate": 0.1}}, "seed": 0}
    wanted = {"config": {"inner": {"epochs": 4, "rate": 0.1}}, "seed": 0}
    with pytest.raises(MismatchError, match=r"config\.inner\.epochs = 3, but 4 is asked for.* new folder"):
        check_same(saved, wanted, PATH)


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [(1.0, 1.0 + 1e-7, True), (1.0, 1.001, False), (0.0, 1e-9, False), (1, 2, False), (None, 1.0, False)],
)
def test_floats_may_differ_by_rounding_alone(old: object, new: object, *, same: bool) -> None:
    if same:
        check_same({"cost": old}, {"cost": new}, PATH)
        return
    with pytest.raises(MismatchError, match="cost"):
        check_same({"cost": old}, {"cost": new}, PATH)


def test_every_part_of_a_task_that_changes_its_result_is_in_its_identity(make_task: MakeTask, tmp_path: Path) -> None:
    task = make_task("nasbench201", weight=1.0)
    latency = task.costs["latency_ms"]
    faster = replace(latency, predict=lambda codes: 1.5 * latency.predict(codes))
    fewer = task.images.train.subset(torch.arange(100))
    weights = tmp_path / "weights.safetensors"
    weights.write_bytes(b"some")
    changes: dict[str, dict[str, Any]] = {
        "space": {"space": make_space("darts"), "costs": {}},
        "size": {"size": task.size.model_copy(update={"outputs": 11})},
        "search_train": {"images": replace(task.images, train=fewer)},
        "search_validation": {"images": replace(task.images, validation=fewer)},
        "objective": {"objective": ObjectiveConfig(weights={"latency_ms": 2.0})},
        "costs": {"costs": {"latency_ms": faster}},
        "seed": {"seed": 5},
        "evaluate": {"evaluate": TableEvaluator({"a": 1.0})},
        "warm_start": {"warm_start": weights},
    }
    identity = task.identity()
    assert identity == json.loads(json.dumps(identity))
    assert set(changes) == set(identity)
    for key, change in changes.items():
        assert replace(task, **change).identity()[key] != identity[key], key
    doubled = replace(task, costs={"latency_ms": replace(latency, median=2 * latency.median)})
    assert doubled.identity() != identity
    assert replace(task, folder=tmp_path / "elsewhere").identity() == identity
    some = replace(task, warm_start=weights).identity()
    weights.write_bytes(b"others")
    assert replace(task, warm_start=weights).identity() != some


def test_labels_that_are_swapped_are_another_task(make_task: MakeTask) -> None:
    task = make_task("nasbench201")
    images = task.images.train
    swapped = replace(task, images=replace(task.images, train=type(images)(images.pixels, images.labels.flip(0))))
    assert swapped.identity()["search_train"] != task.identity()["search_train"]


def test_a_predictor_without_finite_costs_is_refused_before_anything_is_trained(make_task: MakeTask) -> None:
    nowhere = Cost(lambda codes: codes.sum(dim=1) * float("nan"), 1.0)
    task = replace(make_task("nasbench201"), costs={"latency_ms": nowhere})
    with pytest.raises(DataError, match="not a finite number"):
        task.identity()


@pytest.mark.parametrize(("name", "count"), [("DARTS_V1", 6), ("DARTS_V2", 5), ("PC_DARTS_cifar", 1)])
def test_skip_connections_are_those_that_one_reads_in_a_genotype(name: str, count: int) -> None:
    assert GENOTYPES[name].count("skip_connect") == count
    assert skip_connections(make_space("darts").parse(GENOTYPES[name])) == count


def test_skips_of_layers_count_as_well() -> None:
    """A chain that collapses is all `skip`."""
    assert skip_connections(make_space("fbnet").parse(str([8] * 20 + [0, 1]))) == 20


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_loss_that_is_no_number_ends_the_search_with_advice(value: float) -> None:
    check_finite(1e30, "train loss", 3, 0.1)
    with pytest.raises(DivergedError, match=r"the train loss became .* in epoch 3: lower the learning rate \(0.1\)"):
        check_finite(value, "train loss", 3, 0.1)
