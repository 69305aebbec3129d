"""The contract of searchers on all that come with chronas, in spaces of cells, of layers and of nested networks."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from chronas.errors import UsageError
from chronas.search import SEARCHERS, ObjectiveConfig, Searcher, make_searcher, searcher_class
from chronas.spaces import Space, make_space
from chronas.testing import SearcherContract
from short_chain import SHORT_CHAIN

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
SEARCHED_SPACES = {
    **{name: make_space(name) for name in ("darts", "nasbench201", "mobilenetv3")},
    "chain": SHORT_CHAIN,
}


def small(name: str) -> Searcher:
    config = searcher_class(name).Config
    return make_searcher(name, config.model_validate({key: SMALL[key] for key in SMALL.keys() & config.model_fields}))


def searches(name: str, space: Space) -> bool:
    """Whether a searcher says that it can search a space."""
    searcher, topology = searcher_class(name), space.topology
    partial = topology.partial_channels or not searcher.needs_partial_channels
    mixed = topology.mixtures or not searcher.differentiable
    return partial and mixed and (topology.nested or name != "elastic")


PAIRS = list(itertools.product(SEARCHERS, SEARCHED_SPACES))
SEARCHED = [(name, space) for name, space in PAIRS if searches(name, SEARCHED_SPACES[space])]
REFUSED = [pair for pair in PAIRS if pair not in SEARCHED]


class OurContract(SearcherContract):
    """What searchers that come with chronas promise beyond the contract."""

    def test_two_epochs_or_architectures_are_two_rows(self, searched: object) -> None:
        assert [row["epoch"] for row in searched.result.history] == [1, 2]
        assert all(row["skip_connections"] <= 22 for row in searched.result.history)


def suite_of(name: str, space: str) -> type[SearcherContract]:
    made = {"searcher": staticmethod(lambda: small(name)), "space": SEARCHED_SPACES[space]}
    return type(f"Test_{name}_{space}", (OurContract,), made)


for pair in SEARCHED:
    globals()["Test_{}_{}".format(*pair)] = suite_of(*pair)


@pytest.mark.parametrize(("name", "space"), REFUSED, ids=map("-".join, REFUSED))
def test_a_space_that_cannot_be_searched_is_refused_before_anything_is_written(
    name: str, space: str, tmp_path: Path
) -> None:
    task = suite_of(name, space)().task(tmp_path / "task")
    with pytest.raises(
        UsageError, match=f"searcher {name} (passes part of the channels around|mixes|needs nested weights)"
    ):
        small(name).search(task)
    assert not (tmp_path / "task").exists()


def test_each_space_can_be_searched_by_some_searcher_and_each_searcher_searches_some_space() -> None:
    assert {space for _, space in SEARCHED} == set(SEARCHED_SPACES)
    assert {name for name, _ in SEARCHED} == set(SEARCHERS)


@pytest.mark.parametrize("name", SEARCHERS)
def test_a_config_of_another_class_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="takes a"):
        make_searcher(name, ObjectiveConfig())


def test_an_unknown_searcher_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean pc-darts"):
        make_searcher("pcdarts")
