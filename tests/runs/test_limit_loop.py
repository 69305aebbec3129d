from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest

from chronas.errors import LimitMissedError, OutOfReachError, UsageError
from chronas.predictors import predictor_class
from chronas.progress import Progress, silent
from chronas.records import Estimate, Trial
from chronas.runs import selection as searching
from chronas.runs.network_costs import NetworkCosts
from chronas.runs.run import Run
from chronas.runs.selection import Choice, choose, search
from chronas.search import (
    ObjectiveConfig,
    RerankConfig,
    Reranker,
    SearchResult,
    make_searcher,
    searcher_class,
)
from chronas.spaces import Architecture, make_space
from tiny_run import tiny_config

SPACE = make_space("nasbench201")
NETWORKS = SPACE.sample(8, 0)
LIMIT_MS = 10.0
GOAL_MS = 9.8  # what is left of it by the reserve


class Known(SearchResult):
    """Candidates with known predictions, the most probable first; notes the limits that it was asked for."""

    def __init__(
        self, predicted_ms: Sequence[float], reachable_ms: float = 0.0, predicted_mj: Sequence[float] | None = None
    ) -> None:
        self.history = []
        self.asked_ms: list[float | None] = []
        self.asked: list[dict[str, float]] = []
        both = zip(predicted_ms, predicted_mj or [1.0] * len(predicted_ms), strict=True)
        self._all = [
            Trial(NETWORKS[n], {"latency_ms": ms, "energy_mj": mj}, log_probability=-float(n))
            for n, (ms, mj) in enumerate(both)
        ]
        self._reachable_ms = reachable_ms

    def candidates(self, limits: Mapping[str, float]) -> Iterator[Trial]:
        limit_ms = limits.get("latency_ms")
        self.asked_ms.append(limit_ms)
        self.asked.append(dict(limits))
        if limit_ms is not None and limit_ms < self._reachable_ms:
            raise OutOfReachError(f"the fastest is predicted at {self._reachable_ms} ms")
        return (c for c in self._all if c.violation(limits) == 0)

    def contenders(self, limits: Sequence[Mapping[str, float]], progress: Progress = silent) -> list[Trial]:
        raise NotImplementedError

    def score(self, architectures: Sequence[Architecture]) -> None:
        return None


class Clock:
    """Instead of a device: the upper ends of each network's intervals are known, latency and maybe energy."""

    def __init__(self, high_ms: dict[Architecture, float], high_mj: dict[Architecture, float]) -> None:
        self.high_ms = high_ms
        self.high_mj = high_mj
        self.measured: list[Architecture] = []

    def __call__(
        self, run: Run, name: str, architectures: Sequence[Architecture], progress: object
    ) -> dict[str, NetworkCosts]:
        self.measured += architectures
        return {str(a): self._costs(a) for a in self.measured}

    def _costs(self, architecture: Architecture) -> NetworkCosts:
        ms, mj = self.high_ms[architecture], self.high_mj.get(architecture)
        others = {} if mj is None else {"energy_mj": Estimate(mj - 0.5, mj - 1, mj, "mJ")}
        return {"latency_ms": Estimate(ms - 0.5, ms - 1, ms, "ms"), **others}


class Quiet:
    """As much of a run as choosing needs."""

    def timed(self, step: str) -> AbstractContextManager[None]:
        return nullcontext()


FIRST = RerankConfig(candidates=1)


def chosen(
    found: Known,
    high_ms: Sequence[float],
    limit_ms: float | None,
    monkeypatch: pytest.MonkeyPatch,
    high_mj: Sequence[float] = (),
    limit_mj: float | None = None,
) -> tuple[Choice, Clock]:
    clock = Clock(dict(zip(NETWORKS, high_ms, strict=False)), dict(zip(NETWORKS, high_mj, strict=False)))
    monkeypatch.setattr(searching, "costs_of", clock)
    run: Run = Quiet()  # type: ignore[assignment]
    limits = {name: limit for name, limit in (("latency_ms", limit_ms), ("energy_mj", limit_mj)) if limit is not None}
    return choose(run, "limit", Reranker(found, FIRST), limits), clock


def test_without_a_limit_the_first_candidate_is_taken_whatever_it_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Known([50.0, 1.0])
    choice, clock = chosen(found, [70.0, 1.0], None, monkeypatch)
    assert choice.trial.architecture == NETWORKS[0]
    assert choice.costs["latency_ms"].high == 70.0
    assert choice.tried == ()
    assert found.asked_ms == [None]
    assert clock.measured == [NETWORKS[0]]


def test_the_upper_end_of_the_interval_decides_and_may_lie_on_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    choice, _ = chosen(Known([9.0]), [LIMIT_MS], LIMIT_MS, monkeypatch)
    assert choice.costs["latency_ms"].high == LIMIT_MS
    assert choice.tried == ()


def test_each_miss_tightens_the_limit_by_its_error_until_one_keeps_it(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Known([9.0, 8.0, 7.0, 5.0])
    choice, clock = chosen(found, [12.0, 12.5, 9.5, 6.0], LIMIT_MS, monkeypatch)
    # 9.0 predicted, 12.0 measured: next at most 9 * 9.8 / 12 = 7.35; so 8.0 is passed over and 7.0 keeps the limit.
    assert clock.measured == [NETWORKS[0], NETWORKS[2]]
    assert found.asked_ms == [10.0, pytest.approx(9.0 * GOAL_MS / 12.0)]
    assert choice.trial.costs["latency_ms"] == 7.0
    assert choice.tried == ("latency predicted 9.000 ms, measured up to 12.000 ms",)


def test_the_third_candidate_is_met_after_two_misses(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Known([9.0, 7.3, 5.7])
    choice, clock = chosen(found, [12.0, 12.5, 9.8], LIMIT_MS, monkeypatch)
    assert found.asked_ms == [10.0, pytest.approx(9.0 * GOAL_MS / 12.0), pytest.approx(7.3 * GOAL_MS / 12.5)]
    assert clock.measured == NETWORKS[:3]
    assert choice.trial.architecture == NETWORKS[2]
    assert len(choice.tried) == 2


def test_a_candidate_with_little_to_spare_gives_way_to_one_with_more(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Known([9.9, 9.0])
    choice, clock = chosen(found, [9.99, 9.1], LIMIT_MS, monkeypatch)
    assert clock.measured == NETWORKS[:2]
    assert found.asked_ms == [10.0, pytest.approx(9.9 * GOAL_MS / 9.99)]
    assert choice.trial.architecture == NETWORKS[1]


def test_a_candidate_with_little_to_spare_is_taken_where_no_other_keeps_the_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    choice, clock = chosen(Known([9.9, 9.0]), [9.99, 10.2], LIMIT_MS, monkeypatch)
    assert clock.measured == NETWORKS[:2]
    assert choice.trial.architecture == NETWORKS[0]
    assert choice.tried == ()
    choice, _ = chosen(Known([9.9], reachable_ms=9.8), [9.99], LIMIT_MS, monkeypatch)
    assert choice.trial.architecture == NETWORKS[0]


def test_a_limit_that_stays_is_not_widened_by_a_prediction_above_it(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Known([10.0, 10.0, 8.0, 7.7])
    chosen(found, [10.1, 10.1, 10.1, 9.0], LIMIT_MS, monkeypatch)
    asked = [limit for limit in found.asked_ms if limit is not None]
    assert asked == sorted(asked, reverse=True)
    assert asked[1] == pytest.approx(10.0 * GOAL_MS / 10.1)


def test_four_misses_end_in_one_line_that_lists_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Known([9.0, 8.8, 8.6, 8.4, 8.2, 8.0])
    with pytest.raises(LimitMissedError) as error:
        chosen(found, [10.01, 10.01, 10.01, 10.01, 1.0, 1.0], LIMIT_MS, monkeypatch)
    assert len(found.asked_ms) == 4
    message = str(error.value)
    assert message.startswith("no architecture within 10 ms: latency predicted 9.000 ms, measured up to 10.010 ms; ")
    assert message.count("measured up to") == 4
    assert error.value.exit_code == 1


def test_the_search_for_another_ends_where_nothing_is_predicted_inside_the_tightened_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(LimitMissedError, match=r"measured up to 20\.000 ms$"):
        chosen(Known([9.0], reachable_ms=6.0), [20.0], LIMIT_MS, monkeypatch)
    with pytest.raises(LimitMissedError, match=r"measured up to 20\.000 ms$"):
        chosen(Known([9.0, 9.5]), [20.0, 1.0], LIMIT_MS, monkeypatch)


def test_a_limit_below_anything_is_wrong_use_and_says_what_is_reachable(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OutOfReachError, match=r"fastest is predicted at 6\.0 ms"):
        chosen(Known([9.0], reachable_ms=6.0), [20.0], 1.0, monkeypatch)


def test_no_candidate_at_all_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(LimitMissedError, match="none is predicted inside"):
        chosen(Known([]), [], LIMIT_MS, monkeypatch)


def test_each_of_two_limits_is_tightened_by_its_own_error_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Known([9.0, 8.0, 7.0], predicted_mj=[18.0, 17.0, 11.0])
    choice, clock = chosen(found, [9.1, 9.1, 9.1], LIMIT_MS, monkeypatch, [30.0, 30.0, 19.0], 20.0)
    # The energy was 18 predicted and 30 measured: next at most 18 * 19.6 / 30 = 11.76. The latency was right.
    assert found.asked == [{"latency_ms": 10.0, "energy_mj": 20.0}, {"latency_ms": 10.0, "energy_mj": 11.76}]
    assert clock.measured == [NETWORKS[0], NETWORKS[2]]
    assert choice.trial.architecture == NETWORKS[2]
    assert choice.tried == ("energy predicted 18.000 mJ, measured up to 30.000 mJ",)


def test_a_network_inside_one_limit_and_outside_the_other_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Known([9.0, 8.0], predicted_mj=[18.0, 17.0])
    with pytest.raises(LimitMissedError) as error:
        chosen(found, [9.1, 9.1], LIMIT_MS, monkeypatch, [30.0, 30.0], 20.0)
    assert str(error.value) == (
        "no architecture within 10 ms and 20 mJ: energy predicted 18.000 mJ, measured up to 30.000 mJ"
    )
    with pytest.raises(LimitMissedError, match="latency predicted 9.* ms and energy predicted 18.* mJ"):
        chosen(found, [19.1, 9.1], LIMIT_MS, monkeypatch, [30.0, 30.0], 20.0)


def test_a_prediction_below_zero_tightens_the_limit_it_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Predictors are not clamped: a degenerate network may be predicted below zero, and no limit can be."""
    found = Known([-0.2, 9.0, 8.0])
    choice, clock = chosen(found, [12.0, 12.0, 9.0], LIMIT_MS, monkeypatch)
    assert found.asked_ms == [10.0, pytest.approx(10 * GOAL_MS / 12)]
    assert clock.measured == [NETWORKS[0], NETWORKS[2]]
    assert choice.trial.architecture == NETWORKS[2]


def test_a_cost_that_is_known_exactly_needs_nothing_to_spare(monkeypatch: pytest.MonkeyPatch) -> None:
    def exact(run: Run, name: str, architectures: Sequence[Architecture], progress: object) -> dict[str, NetworkCosts]:
        latency = Estimate(LIMIT_MS, LIMIT_MS, LIMIT_MS, "ms", source="table")
        return {str(a): {"latency_ms": latency} for a in architectures}

    monkeypatch.setattr(searching, "costs_of", exact)
    run: Run = Quiet()  # type: ignore[assignment]
    choice = choose(run, "limit", Reranker(Known([9.9, 5.0]), FIRST), {"latency_ms": LIMIT_MS})
    assert choice.trial.architecture == NETWORKS[0]


def test_a_predictor_without_a_gradient_cannot_search_with_latency(
    finished: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from chronas.runs import fit_all, measure

    predictors = fit_all(finished, measure(finished))
    monkeypatch.setattr(type(predictors["latency_ms"]), "differentiable", False)
    for objective in (ObjectiveConfig(weights={"latency_ms": 0.5}), ObjectiveConfig(limits={"latency_ms": 3.0})):
        with pytest.raises(
            UsageError, match="predictor lookup is not differentiable, and searcher darts is gradient-based"
        ):
            search(finished, "never", objective, predictors)
    assert not (finished.folder / "search" / "never").exists()


def test_a_run_of_a_predictor_without_a_gradient_is_refused_before_anything_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predictor_class("lookup"), "differentiable", False)
    with pytest.raises(UsageError, match=r"lookup is not differentiable, and searcher darts .* with latency"):
        Run.create(tmp_path / "run", tiny_config(), command="x")
    assert not (tmp_path / "run").exists()
    monkeypatch.setattr(predictor_class("lookup"), "unavailable", lambda: "it needs trees")
    with pytest.raises(UsageError, match="lookup cannot be fitted: it needs trees"):
        Run.create(tmp_path / "run", tiny_config(latency_weight=0.0), command="x")
    assert not (tmp_path / "run").exists()


def test_a_search_by_samples_needs_no_gradient_and_finds_the_same(
    finished: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from chronas.runs import fit_all, measure

    predictors = fit_all(finished, measure(finished))
    searcher = make_searcher("random", searcher_class("random").Config(architectures=3, epochs=1, width=4, depth=3))
    objective = ObjectiveConfig(weights={"latency_ms": 0.5})
    with_it = search(finished, "with", objective, predictors, searcher=searcher)
    monkeypatch.setattr(type(predictors["latency_ms"]), "differentiable", False)
    without = search(finished, "without", objective, predictors, searcher=searcher)
    assert [row["mode"] for row in without.history] == [row["mode"] for row in with_it.history]
    assert all(row["expected_latency_ms"] > 0 for row in without.history)


def test_the_searchs_images_are_halves_of_the_training_images_and_no_others(finished: Run) -> None:
    weights, logits = finished.search_split
    training, validation = finished.training_split
    assert len(weights) + len(logits) == len(training)
    assert abs(len(weights) - len(logits)) <= 1
    assert len(training) + len(validation) == len(finished.data.train) == tiny_config().data_limit
    rows = [row.tobytes() for part in (weights, logits, validation) for row in part.pixels.flatten(1).numpy()]
    assert sorted(rows) == sorted(row.tobytes() for row in finished.data.train.pixels.flatten(1).numpy())


def test_a_smaller_share_judges_and_the_rest_trains(finished: Run) -> None:
    run = Run(finished.folder, finished.config.model_copy(update={"search_validation_share": 0.2}), "x")
    weights, judging = run.search_split
    whole = len(run.training_split[0])
    assert len(judging) == pytest.approx(0.2 * whole, abs=len(set(judging.labels.tolist())))
    assert len(weights) + len(judging) == whole
    task = run.task("x", ObjectiveConfig(), {})
    assert (len(task.images.train), len(task.images.validation)) == (len(weights), len(judging))
