"""Networks that are trained side by side must not see each other's rows, and none its held-out ones."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from chronas.predictors.batched_training import Schedule, Weights, best_stage, train
from chronas.predictors.cv_ensemble import Rest, best_ridges, fit_ridges, safe_share
from chronas.predictors.features import Features
from chronas.predictors.lpm import initial_layers, outputs

COUNT, WIDTH, MEMBERS = 60, 6, 3
BLOCKS = torch.tensor([0, 0, 0, 1, 1, 1])


def inputs() -> Tensor:
    return torch.randn(COUNT, WIDTH, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def held_out() -> Tensor:
    return torch.arange(COUNT) % MEMBERS == torch.arange(MEMBERS)[:, None]


def trained(targets: Tensor, seen: Tensor, steps: int = 40, batch_rows: int = COUNT) -> tuple[Weights, Tensor]:
    layers = initial_layers(MEMBERS, WIDTH, 8, torch.Generator().manual_seed(1))
    schedule = Schedule(steps, batch_rows, learning_rate=0.02, weight_decay=0.1)
    generator = torch.Generator().manual_seed(3)
    rows = inputs().float()[None]
    return list(train(layers, outputs, rows, targets.float(), seen.float(), schedule=schedule, generator=generator))[-1]


@pytest.mark.parametrize("batch_rows", [COUNT, 12], ids=["all-rows", "batches"])
def test_a_network_learns_from_its_own_rows_alone(batch_rows: int) -> None:
    targets = inputs().prod(dim=1).expand(MEMBERS, COUNT).clone()
    before, _ = trained(targets, ~held_out(), batch_rows=batch_rows)
    changed = targets.clone()
    changed[0, held_out()[0]] += 100.0
    changed[2] *= -3
    after, _ = trained(changed, ~held_out(), batch_rows=batch_rows)
    for old, new in zip(before, after, strict=True):
        assert torch.equal(old[:2], new[:2])
    assert not torch.equal(before[0][2], after[0][2])


def test_training_lowers_the_error_and_tells_its_outputs_at_each_check() -> None:
    targets = (inputs()[:, 0] * inputs()[:, 1]).expand(MEMBERS, COUNT)
    layers = initial_layers(MEMBERS, WIDTH, 8, torch.Generator().manual_seed(1))
    rows = inputs().float()
    assert torch.equal(outputs(layers, rows.expand(MEMBERS, -1, -1)), torch.zeros(MEMBERS, COUNT))
    schedule, seen = Schedule(100, COUNT, learning_rate=0.03, weight_decay=0.0), torch.ones(MEMBERS, COUNT)
    checks = list(
        train(layers, outputs, rows[None], targets.float(), seen, schedule=schedule, generator=torch.Generator())
    )
    assert len(checks) == 17
    for layers_then, output in checks:
        torch.testing.assert_close(outputs(layers_then, rows.expand(MEMBERS, -1, -1)), output)
    errors = [float(((output - targets) ** 2).mean()) for _, output in checks]
    assert errors[-1] < 0.3 * errors[0]


def test_a_ridge_does_not_see_held_out_rows() -> None:
    codes, generator = inputs(), torch.Generator().manual_seed(2)
    targets = codes.sum(dim=1) + torch.randn(COUNT, generator=generator, dtype=torch.float64)
    targets = targets - targets.mean()
    before = fit_ridges(codes, 100 + targets, BLOCKS, held_out(), logarithmic=False)
    hidden = held_out()[1]
    targets[hidden] = targets[hidden].flip(0)  # the same mean and deviation, so the same scale
    after = fit_ridges(codes, 100 + targets, BLOCKS, held_out(), logarithmic=False)
    torch.testing.assert_close(before.coefficients[1], after.coefficients[1], rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(before.bases[1], after.bases[1], rtol=1e-5, atol=1e-7)
    assert (before.coefficients[0] - after.coefficients[0]).abs().max() > 1e-2
    assert (before.whole.values - after.whole.values).abs().max() > 1e-2


def test_a_share_is_the_best_one_where_outputs_are_right_and_none_where_they_are_luck() -> None:
    left = torch.randn(400, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    luck = torch.randn(400, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    assert safe_share(2 * left, left) == pytest.approx(0.5)
    assert safe_share(left / 9, left) == 1.0
    assert safe_share(-left, left) == safe_share(0 * left, left) == 0.0
    best = float(luck[:20] @ (left + 0.3 * luck)[:20] / (luck[:20] @ luck[:20]))
    assert 0 <= safe_share(luck[:20], (left + 0.3 * luck)[:20]) < best - 0.1


def stage_of(costs: Tensor, steps: int) -> tuple[float, float, bool]:
    """Error, share of the networks and scale of the best stage."""
    ridges = best_ridges(inputs(), costs, BLOCKS, held_out(), (False, True))
    left = ridges.scale.targets(costs) - ridges.predicted(inputs())
    eye = torch.eye(WIDTH, dtype=torch.float64)
    features = Features(eye[0] * 0, eye, (3, 3), torch.zeros(WIDTH, dtype=torch.bool))
    rest = Rest(inputs(), inputs(), features, costs, ridges.scale, left, held_out())
    initial = initial_layers(MEMBERS, WIDTH, 16, torch.Generator().manual_seed(0))
    schedule = Schedule(steps, COUNT, learning_rate=0.01, weight_decay=3.0)
    stage = best_stage(initial, outputs, inputs()[None], rest, schedule, torch.Generator())
    return stage.error, stage.share, ridges.scale.logarithmic


def test_networks_have_no_part_where_a_ridge_is_exact_and_the_scale_is_the_right_one() -> None:
    weights = torch.arange(1, WIDTH + 1, dtype=torch.float64) / 20
    additive = 30 + inputs() @ weights
    error, _, logarithmic = stage_of(additive, steps=20)
    assert error < 1e-3 and not logarithmic
    error, _, logarithmic = stage_of((inputs() @ weights).exp(), steps=20)
    assert error < 1e-3 and logarithmic


def test_networks_have_a_part_where_inputs_interact() -> None:
    error, share, _ = stage_of(30 + 3 * inputs()[:, 0] * inputs()[:, 1], steps=150)
    assert share > 0.3
    assert error < 0.9 * float((inputs()[:, 0] * inputs()[:, 1] * 3).std())
