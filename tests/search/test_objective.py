"""The costs' term is cost over median, has the right sign, and the multipliers find limits in few steps."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from chronas.errors import DataError, UsageError
from chronas.search import Cost, Objective, ObjectiveConfig, Relaxation
from chronas.spaces import Space, make_space

SPACE = make_space("darts")
NAMES = ("latency_ms", "energy_mj", "peak_memory_mib")


def additive(space: Space, scale: float = 1.0, seed: int = 0) -> Cost:
    slope = torch.linspace(0.1, 1.0, space.encoding_length)[
        torch.randperm(space.encoding_length, generator=torch.Generator().manual_seed(seed))
    ]

    def cost(codes: Tensor) -> Tensor:
        return scale * (codes @ slope + 1.0)

    return Cost(cost, float(cost(torch.from_numpy(space.encode(space.sample(200, seed=0)))).median()))


def latency(scale: float = 1.0) -> dict[str, Cost]:
    return {"latency_ms": additive(SPACE, scale)}


def several(count: int = 3) -> dict[str, Cost]:
    """Costs of other gradients and of scales that lie orders of magnitude apart."""
    return {name: additive(SPACE, 10.0**-seed, seed) for seed, name in enumerate(NAMES[:count])}


def weighted(weight: float, costs: Mapping[str, Cost]) -> Objective:
    return Objective(ObjectiveConfig(weights={"latency_ms": weight}), costs)


def alphas(seed: int = 0) -> Tensor:
    return (0.1 * torch.randn(28, 8, generator=torch.Generator().manual_seed(seed))).requires_grad_()


def test_descending_on_the_term_makes_networks_cheaper() -> None:
    parameters = alphas()
    objective = weighted(1.0, latency())
    before = objective.expected(Relaxation(SPACE, parameters), torch.Generator().manual_seed(0))
    slope = torch.autograd.grad(
        objective.term(Relaxation(SPACE, parameters), torch.Generator().manual_seed(0)), parameters
    )[0]
    assert float(slope.abs().max()) > 0
    after = objective.expected(Relaxation(SPACE, parameters.detach() - slope.sign()), torch.Generator().manual_seed(0))
    assert after["latency_ms"] < 0.9 * before["latency_ms"]


def test_one_weight_means_the_same_in_milliseconds_and_in_microseconds() -> None:
    parameters = alphas()
    gradients = []
    for scale in (1.0, 1000.0):
        term = weighted(0.5, latency(scale)).term(Relaxation(SPACE, parameters), torch.Generator().manual_seed(0))
        gradients.append(torch.autograd.grad(term, parameters)[0])
    torch.testing.assert_close(gradients[0], gradients[1])


def test_weights_scale_the_term_and_add_to_limits_and_to_each_other() -> None:
    costs = several(2)
    relaxation = Relaxation(SPACE, alphas())
    limits = {name: 0.8 * cost.median for name, cost in costs.items()}

    def term(weights: dict[str, float], limits: dict[str, float]) -> float:
        objective = Objective(ObjectiveConfig(weights=weights, limits=limits), costs)
        return float(objective.term(relaxation, torch.Generator().manual_seed(0)).detach())

    one, other = term({"latency_ms": 1.0}, {}), term({"energy_mj": 1.0}, {})
    assert term({"latency_ms": 2.0}, {}) == pytest.approx(2 * one)
    assert term({"latency_ms": 1.0, "energy_mj": 3.0}, {}) == pytest.approx(one + 3 * other)
    alone = sum(term({}, {name: limit}) for name, limit in limits.items())
    assert term({"latency_ms": 1.0}, limits) == pytest.approx(one + alone)


def test_without_a_limit_there_is_no_multiplier_and_without_either_no_term() -> None:
    objective = Objective(ObjectiveConfig(weights={"latency_ms": 0.0}), latency())
    assert not objective.active
    objective.ascend(Relaxation(SPACE, alphas()))
    assert objective.multipliers == {}
    generator = torch.Generator().manual_seed(0)
    before = generator.get_state()
    assert Objective(ObjectiveConfig(), {}).record(Relaxation(SPACE, alphas()), generator) == {}
    assert torch.equal(generator.get_state(), before)


def test_what_is_recorded_is_named_by_its_cost() -> None:
    costs = several(2)
    objective = Objective(ObjectiveConfig(limits={"energy_mj": costs["energy_mj"].median}), costs)
    record = objective.record(Relaxation(SPACE, alphas()), torch.Generator().manual_seed(0))
    assert set(record) == {
        *("expected_latency_ms", "expected_energy_mj", "mode_latency_ms", "mode_energy_mj"),
        "multiplier.energy_mj",
    }
    mode = Relaxation(SPACE, alphas()).mode()
    code = torch.from_numpy(SPACE.encode([mode]))
    assert record["mode_energy_mj"] == pytest.approx(float(costs["energy_mj"].predict(code)))
    for name, cost in costs.items():
        assert record[f"expected_{name}"] == pytest.approx(cost.median, rel=0.1)


def test_the_price_of_an_architecture_is_what_the_weights_make_of_its_costs() -> None:
    costs = several(2)
    objective = Objective(ObjectiveConfig(weights={"latency_ms": 2.0, "energy_mj": 0.5}), costs)
    medians = {name: cost.median for name, cost in costs.items()}
    assert objective.cost_penalty(medians) == pytest.approx(2.5)
    assert objective.cost_penalty({**medians, "energy_mj": 3 * medians["energy_mj"]}) == pytest.approx(3.5)
    assert Objective(ObjectiveConfig(), costs).cost_penalty(medians) == 0.0


def modes_against_a_task_that_likes_costly_networks(
    objective: Objective, costs: Mapping[str, Cost], steps: int
) -> dict[str, list[float]]:
    """Each cost of the mode after each of some steps on a loss that falls with every cost."""
    generator, parameters = torch.Generator().manual_seed(0), alphas()
    optimiser = torch.optim.Adam([parameters], 0.03, betas=(0.5, 0.999))
    modes: dict[str, list[float]] = {name: [] for name in costs}
    for _ in range(steps):
        relaxation = Relaxation(SPACE, parameters)
        code = relaxation.marginals()[None]
        task_loss = -0.05 * sum(cost.predict(code)[0] / cost.median for cost in costs.values())
        optimiser.zero_grad()
        (task_loss + objective.term(relaxation, generator)).backward()
        optimiser.step()
        objective.ascend(Relaxation(SPACE, parameters.detach()))
        assert all(multiplier >= 0.0 for multiplier in objective.multipliers.values())
        for name, value in objective.mode(Relaxation(SPACE, parameters.detach())).items():
            modes[name].append(value)
    return modes


@pytest.mark.parametrize("share", [0.7, 0.9])
def test_the_multiplier_meets_a_limit_in_few_steps_against_a_task_that_likes_slow_networks(share: float) -> None:
    costs = latency()
    limit_ms = share * costs["latency_ms"].median
    objective = Objective(ObjectiveConfig(limits={"latency_ms": limit_ms}), costs)
    modes = modes_against_a_task_that_likes_costly_networks(objective, costs, 300)["latency_ms"]
    late = torch.tensor(modes[100:])
    assert float((late - limit_ms).abs().max()) <= 0.12 * limit_ms
    assert min(modes[-20:]) <= limit_ms


@pytest.mark.parametrize("count", [2, 3])
def test_two_and_three_limits_are_met_together(count: int) -> None:
    """Each cost has another slope, so keeping one limit keeps none of the others."""
    costs = several(count)
    limits = {name: 0.85 * cost.median for name, cost in costs.items()}
    objective = Objective(ObjectiveConfig(limits=limits), costs)
    modes = modes_against_a_task_that_likes_costly_networks(objective, costs, 300)
    relative = torch.tensor([[value / limits[name] for value in modes[name]] for name in costs])
    assert float(relative[:, 150:].mean(dim=1).max()) <= 1.03
    assert bool((relative[:, -40:] <= 1.0).all(dim=0).any()), "no step at which all limits are kept at once"
    assert all(multiplier > 0 for multiplier in objective.multipliers.values())
    alone = Objective(ObjectiveConfig(limits={"latency_ms": limits["latency_ms"]}), costs)
    others = modes_against_a_task_that_likes_costly_networks(alone, costs, 300)
    assert all(min(others[name][-40:]) > limits[name] for name in costs if name != "latency_ms")


def test_the_penalty_answers_a_violation_that_the_multiplier_has_not_seen_yet() -> None:
    """The augmented Lagrangian's term at the first step: rho * v * (E / L - 1); without rho it is nothing."""
    costs, relaxation = latency(), Relaxation(SPACE, alphas())
    limit_ms = 0.5 * costs["latency_ms"].median
    values = {}
    for penalty in (0.0, 1.0, 3.0):
        config = ObjectiveConfig(limits={"latency_ms": limit_ms}, penalty=penalty)
        objective = Objective(config, costs)
        values[penalty] = float(objective.term(relaxation, torch.Generator().manual_seed(0)).detach())
        violation = objective.violations(relaxation)["latency_ms"]
        assert violation > 0
        objective.ascend(relaxation)
        assert objective.multipliers["latency_ms"] == pytest.approx(config.multiplier_rate * violation)
    assert values[0.0] == 0.0
    assert values[3.0] == pytest.approx(3 * values[1.0])
    assert values[1.0] > 0


def test_limits_that_hold_anyway_leave_the_multipliers_at_zero() -> None:
    costs = several()
    objective = Objective(ObjectiveConfig(limits={name: 10 * cost.median for name, cost in costs.items()}), costs)
    for _ in range(5):
        objective.ascend(Relaxation(SPACE, alphas()))
    assert objective.multipliers == dict.fromkeys(NAMES, 0.0)
    term = objective.term(Relaxation(SPACE, parameters := alphas()), torch.Generator())
    assert not torch.autograd.grad(term, parameters)[0].any()


def test_what_cannot_be_computed_is_refused() -> None:
    with pytest.raises(UsageError, match="on latency_ms needs a fitted predictor of it, got none"):
        Objective(ObjectiveConfig(limits={"latency_ms": 3.0}), {})
    with pytest.raises(UsageError, match="on energy_mj needs a fitted predictor of it, got latency_ms"):
        Objective(ObjectiveConfig(weights={"energy_mj": 3.0}), latency())
    for median in (0.0, float("nan"), float("inf")):
        with pytest.raises(UsageError, match="median"):
            weighted(1.0, {"latency_ms": Cost(additive(SPACE).predict, median)})
    for wrong in (
        {"weights": {"latency_ms": -1.0}},
        {"weights": {"latency_ms": float("nan")}},
        {"limits": {"latency_ms": 0.0}},
        {"limits": {"latency_ms": float("inf")}},
        {"samples": 0},
        {"penalty": -1.0},
        {"other": 1},
    ):
        with pytest.raises(ValidationError):
            ObjectiveConfig.model_validate(wrong)
    nowhere = weighted(1.0, {"latency_ms": Cost(lambda codes: codes.sum(1) / 0, 1.0)})
    with pytest.raises(DataError, match="latency_ms that is not a finite number"):
        nowhere.term(Relaxation(SPACE, alphas()), torch.Generator())
