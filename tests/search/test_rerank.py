"""A choice among candidates follows alphas, supernet and penalty together, and no prediction too close to a limit."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import pytest

from chronas.progress import Progress, silent
from chronas.records import Trial
from chronas.search import RerankConfig, Reranker, SearchResult, Task, make_searcher
from chronas.search.gradient.loop import BilevelConfig
from chronas.spaces import Architecture, make_space

NETWORKS = make_space("nasbench201").sample(12, 0)
LIMITS = {"latency_ms": 10.0, "energy_mj": 5.0}


class Scored(SearchResult):
    """Candidates by falling probability, with known accuracies; notes what was scored."""

    def __init__(self, accuracies: Sequence[float] | None, costs: Sequence[tuple[float, float]] | None = None) -> None:
        self.history = []
        self.scored: list[Architecture] = []
        self._accuracies = accuracies
        both = costs or [(1.0, 1.0)] * (12 if accuracies is None else len(accuracies))
        self._all = [
            Trial(NETWORKS[n], {"latency_ms": ms, "energy_mj": mj}, log_probability=-float(n))
            for n, (ms, mj) in enumerate(both)
        ]

    def candidates(self, limits: Mapping[str, float]) -> Iterator[Trial]:
        return (each for each in self._all if each.violation(limits) == 0)

    def contenders(self, limits: Sequence[Mapping[str, float]], progress: Progress = silent) -> list[Trial]:
        raise NotImplementedError

    def score(self, architectures: Sequence[Architecture]) -> list[float] | None:
        if self._accuracies is None:
            return None
        self.scored += architectures
        return [self._accuracies[NETWORKS.index(architecture)] for architecture in architectures]


def places(reranker: Reranker, limits: Mapping[str, float] = {}, excluded: Sequence[Architecture] = ()) -> list[int]:
    """The candidates' numbers in the order of the choice."""
    return [NETWORKS.index(each.architecture) for each in reranker.ranked(limits, excluded)]


def test_the_smallest_mean_rank_is_chosen_and_of_equals_the_searchs_first() -> None:
    """Ranks by probability 1 2 3 4 5, by accuracy 5 1 3 2 4: means 3, 1.5, 3, 3, 4.5."""
    reranker = Reranker(Scored([50.0, 90.0, 70.0, 80.0, 60.0]), RerankConfig())
    judged = reranker.ranked({})
    assert [NETWORKS.index(each.architecture) for each in judged] == [1, 0, 2, 3, 4]
    assert [each.rank for each in judged] == [1.5, 3.0, 3.0, 3.0, 4.5]
    assert [each.place for each in judged] == [2, 1, 3, 4, 5]
    assert [each.score for each in judged] == [90.0, 50.0, 70.0, 80.0, 60.0]


def test_equal_accuracies_leave_the_searchs_own_order() -> None:
    assert places(Reranker(Scored([70.0] * 5), RerankConfig())) == [0, 1, 2, 3, 4]


def test_with_weights_the_price_is_judged_too() -> None:
    """By probability 1 2 3, by accuracy 2 1 3, by penalty 3 2 1: means 2, 1.67, 2.33; without it 0 and 1 tie."""
    found = Scored([80.0, 90.0, 70.0], [(3.0, 1.0), (2.0, 1.0), (1.0, 1.0)])
    assert places(Reranker(found, RerankConfig())) == [0, 1, 2]
    dear = Reranker(found, RerankConfig(), penalty=lambda costs: costs["latency_ms"])
    assert places(dear) == [1, 0, 2]


def test_only_so_many_candidates_are_judged_and_one_is_not_scored() -> None:
    found = Scored([50.0, 60.0, 70.0, 99.0])
    assert places(Reranker(found, RerankConfig(candidates=3))) == [0, 1, 2]
    alone = Scored([50.0, 99.0])
    (only,) = Reranker(alone, RerankConfig(candidates=1)).ranked({})
    assert (only.architecture, math.isnan(only.score), alone.scored) == (NETWORKS[0], True, [])


def test_a_searcher_without_shared_weights_keeps_its_own_order() -> None:
    judged = Reranker(Scored(None), RerankConfig(candidates=4)).ranked({})
    assert [NETWORKS.index(each.architecture) for each in judged] == [0, 1, 2, 3]
    assert all(math.isnan(each.score) for each in judged)


def deviating(latency: float, energy: float) -> Callable[[Sequence[Architecture]], list[dict[str, float]]]:
    return lambda architectures: [{"latency_ms": latency, "energy_mj": energy} for _ in architectures]


@pytest.mark.parametrize(
    ("margin", "entered"), [(0.0, [0, 1, 2, 3]), (1.0, [1, 2, 3]), (2.0, [2, 3]), (3.0, [3])], ids=str
)
def test_no_candidate_is_closer_to_any_limit_than_the_margin(margin: float, entered: list[int]) -> None:
    """Deviations are 0.5 ms and 0.2 mJ; each network but the last stays clear of one limit only."""
    found = Scored([50.0, 60.0, 70.0, 80.0], [(9.9, 1.0), (1.0, 4.7), (8.9, 1.0), (1.0, 1.0)])
    reranker = Reranker(found, RerankConfig(margin=margin), deviations=deviating(0.5, 0.2))
    judged = reranker.ranked(LIMITS)
    assert sorted(NETWORKS.index(each.architecture) for each in judged) == entered
    assert {each.margin for each in judged} == {margin}


def test_where_none_keeps_the_margin_those_inside_are_judged_and_say_so() -> None:
    found = Scored([50.0, 60.0], [(9.9, 1.0), (9.8, 1.0)])
    judged = Reranker(found, RerankConfig(margin=5.0), deviations=deviating(0.5, 0.2)).ranked(LIMITS)
    assert len(judged) == 2
    assert {each.margin for each in judged} == {0.0}


def test_a_candidate_outside_a_limit_never_enters_whatever_its_accuracy() -> None:
    found = Scored([50.0, 99.0, 60.0], [(1.0, 1.0), (10.1, 1.0), (1.0, 1.0)])
    assert sorted(places(Reranker(found, RerankConfig()), LIMITS)) == [0, 2]


def test_what_was_scored_is_remembered_and_what_is_excluded_is_passed_over() -> None:
    found = Scored([50.0, 90.0, 70.0])
    reranker = Reranker(found, RerankConfig())
    assert places(reranker)[0] == 1
    assert places(reranker, excluded=[NETWORKS[1]]) == [0, 2]
    assert found.scored == NETWORKS[:3]
    assert reranker.ranked({}, NETWORKS) == []


def test_the_choice_of_a_real_search_is_feasible_and_judged_by_its_supernet(make_task: Callable[..., Task]) -> None:
    config = BilevelConfig(epochs=8, width=4, depth=1, learning_rate=0.05, warmup_epochs=1, crop_padding=0, flip=False)
    task = make_task("nasbench201", limit_ms=3.5)
    found = make_searcher("darts", config).search(task)
    told: list[int] = []
    reranker = Reranker(
        found,
        RerankConfig(candidates=16),
        deviations=lambda architectures: [{"latency_ms": 0.2}] * len(architectures),
        progress=lambda step, done, total, note: told.append(done),
    )
    judged = reranker.ranked(task.objective.limits)
    assert len(judged) == 16
    assert told == list(range(1, 17))
    assert all(each.costs["latency_ms"] + 0.2 <= 3.5 for each in judged)
    assert found.score([each.architecture for each in judged]) == [each.score for each in judged]
    accuracies = [each.score for each in judged]
    assert accuracies[0] >= sorted(accuracies)[len(accuracies) // 2], "the choice is among the better half"
    assert judged[0].place < 16
