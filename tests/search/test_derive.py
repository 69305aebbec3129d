"""Candidates come best first and inside the limit, wherever it lies; one out of reach is refused with what is."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from chronas.errors import OutOfReachError, UsageError
from chronas.search import Cost, Relaxation, candidates
from chronas.search.derive import Climb
from chronas.spaces import SPACES, Space, make_space

MIXED_SPACES = [name for name in sorted(SPACES) if make_space(name).topology.mixtures]


def sharp(space: Space, seed: int = 0) -> Relaxation:
    shape = len(space.decisions), len(space.decisions[0].relaxed)
    return Relaxation(space, 3.0 * torch.randn(shape, generator=torch.Generator().manual_seed(seed)))


def slope_of(space: Space, seed: int = 1) -> Tensor:
    return 0.1 + torch.rand(space.encoding_length, generator=torch.Generator().manual_seed(seed))


def additive(space: Space, *names: str) -> dict[str, Cost]:
    """Additive costs of different slopes, of the latency alone where no names are given."""
    return {name: _additive(slope_of(space, seed)) for seed, name in enumerate(names or ("latency_ms",), 1)}


def _additive(slope: Tensor) -> Cost:
    return Cost(lambda codes: codes @ slope + 1.0, median=1.0)


def ms(limit_ms: float) -> dict[str, float]:
    return {"latency_ms": limit_ms}


def cheapest(space: Space, seed: int = 1) -> float:
    """Exact minimum of the additive cost: each group on its own."""
    slope, total = slope_of(space, seed), 1.0
    for group in space.groups:
        total += min(
            sum(
                float(slope[space.offsets[d] + c])
                for d, c in zip(group.decisions, choices, strict=True)
                if c is not None
            )
            for choices in space.assignments(group)
        )
    return total


@pytest.mark.parametrize("name", MIXED_SPACES)
def test_without_a_limit_the_most_probable_come_in_order(name: str) -> None:
    space = make_space(name)
    relaxation = sharp(space)
    found = list(itertools.islice(candidates(relaxation, additive(space), {}), 600))
    most = [(each, log_p) for each, log_p in relaxation.best(700) if each.connected()]
    assert [(each.architecture, each.log_probability) for each in found] == most[:600]
    first = found[0]
    latency = additive(space)["latency_ms"].predict(torch.from_numpy(space.encode([first.architecture])))
    assert first.costs == {"latency_ms": pytest.approx(float(latency[0]))}
    assert next(candidates(relaxation, {}, {})).costs == {}


@pytest.mark.parametrize("name", MIXED_SPACES)
@pytest.mark.parametrize("share", [0.001, 0.05, 0.3, 0.8])
def test_every_candidate_is_inside_any_reachable_limit_and_they_come_best_first(name: str, share: float) -> None:
    space = make_space(name)
    relaxation, cost = sharp(space), additive(space)
    mode_ms = next(candidates(relaxation, cost, {})).costs["latency_ms"]
    limit_ms = cheapest(space) + share * (mode_ms - cheapest(space))
    found = list(itertools.islice(candidates(relaxation, cost, ms(limit_ms)), 40))
    assert found
    assert all(each.costs["latency_ms"] <= limit_ms for each in found)
    assert len({each.architecture for each in found}) == len(found)
    log_p = [each.log_probability for each in found]
    assert log_p == sorted(log_p, reverse=True)
    assert log_p[0] == pytest.approx(relaxation.log_probability(found[0].architecture), abs=1e-4)


@pytest.mark.parametrize("share", [None, 0.3])
def test_a_cell_that_lets_no_image_through_is_never_derived(share: float | None) -> None:
    """However probable and cheap it is: under a limit a short search comes to cells of nothing."""
    space = make_space("nasbench201")
    alphas = torch.zeros(len(space.decisions), len(space.decisions[0].relaxed))
    alphas[:, space.decisions[0].options.index("none")] = 5.0
    relaxation, slope = Relaxation(space, alphas), slope_of(space)
    slope[::5] = 0.0  # nothing costs nothing
    cost = {"latency_ms": _additive(slope)}
    assert not relaxation.mode().connected()
    least = min(each.costs["latency_ms"] for each in candidates(relaxation, cost, {}))
    limits = {} if share is None else ms(least / (1 - share))
    found = list(itertools.islice(candidates(relaxation, cost, limits), 50))
    assert found
    assert all(each.architecture.connected() for each in found)
    if share is not None:
        with pytest.raises(OutOfReachError, match="are disconnected: give higher limits"):
            next(candidates(relaxation, cost, ms(0.99 * least)))


def test_the_first_candidate_is_the_best_inside_of_a_whole_space() -> None:
    space = make_space("nasbench201")
    relaxation, cost = sharp(space), additive(space)
    costs = sorted(each.costs["latency_ms"] for each in candidates(relaxation, cost, {}))
    for rank in (0, 20, 300, 5000):
        limit_ms = costs[rank]
        inside = (each for each in candidates(relaxation, cost, {}) if each.costs["latency_ms"] <= limit_ms)
        assert next(candidates(relaxation, cost, ms(limit_ms))) == next(inside)


def test_a_tight_limit_far_from_the_mode_still_gets_a_probable_architecture() -> None:
    """Against the exact optimum of the additive problem, by dynamic programming over a fine grid of milliseconds."""
    space = make_space("darts")
    relaxation, slope = sharp(space), slope_of(space)
    mode_ms = next(candidates(relaxation, additive(space), {})).costs["latency_ms"]
    limit_ms = cheapest(space) + 0.2 * (mode_ms - cheapest(space))
    steps = 4000
    best = torch.full((steps + 1,), -torch.inf, dtype=torch.float64)
    best[0] = 0.0
    for g, group in enumerate(space.groups):
        following = torch.full_like(best, -torch.inf)
        numbers = torch.zeros(len(space.assignments(group)), len(space.groups), dtype=torch.long)
        numbers[:, g] = torch.arange(len(numbers))
        others = relaxation.log_probabilities(torch.zeros(1, len(space.groups), dtype=torch.long))[0]
        alone = relaxation.log_probabilities(numbers) - others
        for choices, log_p in zip(space.assignments(group), alone.tolist(), strict=True):
            taken = [space.offsets[d] + c for d, c in zip(group.decisions, choices, strict=True) if c is not None]
            units = int(float(slope[taken].sum()) / (limit_ms - 1.0) * steps)
            if units <= steps:
                shifted = best[: steps + 1 - units] + log_p
                following[units:] = torch.maximum(following[units:], shifted)
        best = following
    bound = float(best.max()) + float(others)
    assert next(candidates(relaxation, additive(space), ms(limit_ms))).log_probability >= bound - 3.0


@pytest.mark.parametrize("name", MIXED_SPACES)
def test_a_limit_below_everything_says_what_is_reachable(name: str) -> None:
    space = make_space(name)
    with pytest.raises(OutOfReachError, match=f"within 0.5 ms; the nearest .* predicted at {cheapest(space):.4g} ms"):
        next(candidates(sharp(space), additive(space), ms(0.5)))


def test_a_climb_ends_although_a_prediction_depends_on_the_place_in_the_batch() -> None:
    """The first row is over the limit whatever it is, all others are inside: each step would lead back to the mode."""
    asked: list[int] = []

    def cost(codes: Tensor) -> Tensor:
        asked.append(len(codes))
        assert len(asked) < 1000, "the climb goes round and round"
        return torch.cat([torch.full((1,), 2.0), torch.ones(len(codes) - 1)])

    climb = Climb(sharp(make_space("nasbench201")), {"latency_ms": Cost(cost, 1.0)}, ms(1.5))
    climb.run()
    assert climb.inside
    assert climb.nearest == {"latency_ms": 1.0}


def test_a_limit_needs_a_predictor() -> None:
    with pytest.raises(UsageError, match="needs a fitted predictor"):
        next(candidates(sharp(make_space("darts")), {}, ms(3.0)))


@pytest.mark.parametrize("name", MIXED_SPACES)
@pytest.mark.parametrize("names", [("latency_ms", "energy_mj"), ("latency_ms", "energy_mj", "carbon_g")], ids=len)
@pytest.mark.parametrize("share", [0.0, 0.3, 0.8])
def test_every_candidate_keeps_all_limits_at_once(name: str, names: tuple[str, ...], share: float) -> None:
    """The limits lie between the mode and the best of 1,000 random architectures, where there is just that one."""
    space = make_space(name)
    relaxation, costs = sharp(space), additive(space, *names)
    mode = next(candidates(relaxation, costs, {})).costs
    codes = torch.from_numpy(space.encode(space.sample(1000, seed=0)))
    drawn = torch.stack([cost.predict(codes) for cost in costs.values()])
    low = drawn[:, (drawn / drawn.median(dim=1, keepdim=True).values).sum(dim=0).argmin()].tolist()
    limits = {cost: value + share * max(mode[cost] - value, 0.0) for cost, value in zip(names, low, strict=True)}
    found = list(itertools.islice(candidates(relaxation, costs, limits), 20))
    assert found
    assert all(each.costs[cost] <= limit for each in found for cost, limit in limits.items())
    assert all(each.violation(limits) == 0 for each in found)
    log_p = [each.log_probability for each in found]
    assert log_p == sorted(log_p, reverse=True)


def test_the_first_candidate_inside_two_limits_is_the_best_of_a_whole_space() -> None:
    space = make_space("nasbench201")
    relaxation, costs = sharp(space), additive(space, "latency_ms", "energy_mj")
    everything = list(candidates(relaxation, costs, {}))
    for share in (0.02, 0.2, 0.6):
        limits = {cost: sorted(each.costs[cost] for each in everything)[int(share * len(everything))] for cost in costs}
        inside = [each for each in everything if all(each.costs[cost] <= limits[cost] for cost in costs)]
        assert next(candidates(relaxation, costs, limits)) == inside[0]
        outside = [each for each in everything if each.violation(limits) > 0]
        assert len(inside) + len(outside) == len(everything)


def test_limits_that_exclude_each_other_say_what_comes_nearest_to_both() -> None:
    """One cost is high where the other is low: each limit can be kept, both cannot."""
    space = make_space("nasbench201")
    slope = slope_of(space)
    groups = len(space.groups)
    costs = {
        "latency_ms": Cost(lambda codes: codes @ slope, 1.0),
        "energy_mj": Cost(lambda codes: 1.2 * groups - codes @ slope, 1.0),
    }
    limits = {"latency_ms": 3.0, "energy_mj": 3.0}
    for name in costs:
        assert next(candidates(sharp(space), costs, {name: 3.0})).costs[name] <= 3.0
    with pytest.raises(
        OutOfReachError, match=r"within 3 ms and 3 mJ; the nearest .* at .* ms and .* mJ: give limits above"
    ):
        next(candidates(sharp(space), costs, limits))


def test_a_limit_on_one_cost_is_kept_whatever_the_unit_of_the_other_is() -> None:
    """The climb weighs violations, not units: a latency of nanoseconds does not drown the energy."""
    space = make_space("nasbench201")
    costs = additive(space, "latency_ms", "energy_mj")
    mode = next(candidates(sharp(space), costs, {})).costs
    limits = {name: cheapest(space, seed) + 0.3 * (mode[name] - 1) for seed, name in enumerate(costs, 1)}
    found = next(candidates(sharp(space), costs, limits))
    predict = costs["latency_ms"].predict
    scaled = {**costs, "latency_ms": Cost(lambda codes: 1e6 * predict(codes), 1e6)}
    again = next(candidates(sharp(space), scaled, {**limits, "latency_ms": 1e6 * limits["latency_ms"]}))
    assert again.architecture == found.architecture
