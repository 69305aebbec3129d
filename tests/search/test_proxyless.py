"""ProxylessNAS: what a step draws, which alphas it moves, and that the others' probabilities stay."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from torch import Tensor, nn

from chronas.predictors import make_predictor
from chronas.search import Cost, Objective, Task, make_searcher
from chronas.search.gradient.proxyless import (
    Proxyless,
    ProxylessConfig,
    ProxylessLoop,
    gates,
    one_path,
    shifted,
    two_paths,
)
from chronas.spaces import Architecture, make_space
from chronas.supernets import Supernet
from short_chain import SHORT_CHAIN

MakeTask = Callable[..., Task]
DRAWS = 3_000
SMALL = ProxylessConfig(
    epochs=3,
    warmup_epochs=1,
    batch=64,
    width=8,
    learning_rate=0.1,
    alphas_learning_rate=0.1,
    crop_padding=0,
    flip=False,
)


def some_logits(rows: int = 3, options: int = 4) -> Tensor:
    return torch.randn(rows, options, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_one_path_is_drawn_from_the_softmax() -> None:
    alphas, draws = some_logits(), generator()
    paths = torch.stack([one_path(alphas, draws) for _ in range(DRAWS)])
    assert bool((paths.sum(dim=2) == 1).all())
    torch.testing.assert_close(paths.mean(dim=0), alphas.softmax(dim=1), atol=0.04, rtol=0)


def test_two_paths_are_drawn_without_replacement() -> None:
    """P(i and j) = p_i p_j / (1 - p_i) + p_i p_j / (1 - p_j), of which P(i) is the sum over j."""
    alphas, draws = some_logits(), generator()
    pairs = torch.stack([two_paths(alphas, draws) for _ in range(DRAWS)])
    assert bool((pairs.sum(dim=2) == 2).all())
    p = alphas.softmax(dim=1)
    joint = p[:, :, None] * p[:, None, :] * (1 / (1 - p)[:, :, None] + 1 / (1 - p)[:, None, :])
    expected = joint.sum(dim=2) - joint.diagonal(dim1=1, dim2=2)
    torch.testing.assert_close(pairs.double().mean(dim=0), expected, atol=0.04, rtol=0)


def test_a_layer_that_has_decided_still_draws_two() -> None:
    alphas = torch.tensor([[200.0, 0.0, 0.0], [0.0, 0.0, 300.0]])
    pair = two_paths(alphas, generator())
    assert pair.sum(dim=1).tolist() == [2, 2]
    assert pair[0, 0]
    assert pair[1, 2]


def test_gates_are_open_for_one_of_the_pair_by_its_softmax() -> None:
    alphas, draws = some_logits(), generator()
    pair = torch.tensor([[True, True, False, False], [False, True, False, True], [True, False, False, True]])
    among = alphas.masked_fill(~pair, -torch.inf)
    drawn = torch.stack([gates(among, one_path(among, draws)) for _ in range(DRAWS)])
    assert set(drawn.unique().tolist()) == {0.0, 1.0}
    assert bool((drawn.sum(dim=2) == 1).all())
    expected = among.softmax(dim=1)
    torch.testing.assert_close(drawn.mean(dim=0), expected, atol=0.04, rtol=0)


def test_the_gates_slope_goes_to_the_pair_through_its_softmax() -> None:
    """The paper's formula: dL/da_i = sum over the pair of dL/dg_j p_j (delta_ij - p_i)."""
    alphas = some_logits().requires_grad_()
    pair = torch.tensor([[True, True, False, False], [False, True, False, True], [True, False, False, True]])
    slopes = torch.randn(3, 4, generator=generator(1), dtype=torch.float64)
    among = alphas.masked_fill(~pair, -torch.inf)
    (found,) = torch.autograd.grad((gates(among, one_path(among, generator())) * slopes).sum(), alphas)
    p = among.detach().softmax(dim=1)
    expected = p * (slopes - (p * slopes).sum(dim=1, keepdim=True))
    torch.testing.assert_close(found, expected)
    assert bool(found[~pair].eq(0).all())
    assert bool(found[pair].ne(0).all())


@pytest.mark.parametrize("moved_elsewhere", [False, True], ids=["pair-alone", "all-moved"])
def test_after_a_step_the_others_have_their_probabilities(*, moved_elsewhere: bool) -> None:
    """Also where momentum or decay has moved what was not drawn."""
    before = some_logits()
    pair = two_paths(before, generator())
    step = torch.randn(3, 4, generator=generator(2), dtype=torch.float64)
    after = shifted(before + step * (torch.ones_like(pair) if moved_elsewhere else pair), before, pair)
    old, new = before.softmax(dim=1), after.softmax(dim=1)
    torch.testing.assert_close(new[~pair], old[~pair])
    ratios = (after - before - step)[pair].reshape(3, 2)
    torch.testing.assert_close(ratios[:, 0], ratios[:, 1])
    assert bool((new - old)[pair].abs().gt(1e-3).all())


# ---- steps on a real network


def a_descent(task: Task, **settings: float) -> ProxylessLoop:
    loop = ProxylessLoop(task, SMALL.model_copy(update=settings), Objective(task.objective, task.costs))
    loop.begin_epoch()
    return loop


def blocks_run(loop: ProxylessLoop, step: Callable[[], None]) -> list[list[int]]:
    """For each layer the blocks that a step computes."""
    called: list[list[int]] = [[] for _ in SHORT_CHAIN.decisions]
    hooks = [
        block.register_forward_hook(lambda *_, d=d, o=o: called[d].append(o))
        for d, layer in enumerate(loop.supernet.layers)
        for o, block in enumerate(layer.options)
    ]
    step()
    for hook in hooks:
        hook.remove()
    return [sorted(each) for each in called]


def changed(before: list[Tensor], after: list[Tensor]) -> list[bool]:
    return [not torch.equal(old, new) for old, new in zip(before, after, strict=True)]


def test_a_step_of_the_weights_trains_one_path_and_nothing_else(make_task: MakeTask) -> None:
    """What was not drawn neither decays nor goes on by its momentum."""
    loop = a_descent(make_task(SHORT_CHAIN), weight_decay=0.1, warmup_epochs=1)
    for _ in range(6):
        weights = {name: value.clone() for name, value in loop.supernet.named_parameters()}
        alphas = [each.clone() for each in loop.alphas]
        run = blocks_run(loop, loop.step)
        assert [len(each) for each in run] == [1, 1, 1, 1]
        assert not any(changed(alphas, loop.alphas))
        for name, value in loop.supernet.named_parameters():
            part, number, *rest = name.split(".")
            on_path = part != "layers" or int(rest[1]) in run[int(number)]
            assert torch.equal(value, weights[name]) != on_path, name


def test_a_step_of_the_logits_moves_the_two_blocks_that_it_computes(make_task: MakeTask) -> None:
    loop = a_descent(make_task(SHORT_CHAIN, weight=1.0), alphas_beta_1=0.5, alphas_weight_decay=0.01)
    for _ in range(6):
        weights, before = [each.clone() for each in loop.weights], loop.alphas[0].detach().clone()
        batches = next(loop.train), next(loop.validation)
        run = blocks_run(loop, lambda batches=batches: loop._step_alphas(*batches))
        assert [len(each) for each in run] == [2, 2, 2, 2]
        assert not any(changed(weights, loop.weights))
        moved = loop.alphas[0].detach() != before
        assert [row.nonzero().flatten().tolist() for row in moved] == run
        old, new = before.softmax(dim=1), loop.alphas[0].detach().softmax(dim=1)
        torch.testing.assert_close(new[~moved], old[~moved])


class Shuffled(nn.Module):
    """Gives each image what a block gives the one before it: the same numbers, of no use."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block

    def forward(self, x: Tensor) -> Tensor:
        mixed: Tensor = self.block(x).roll(1, dims=0)
        return mixed


class Planted(ProxylessLoop):
    """Only block 2 of the second layer is of use."""

    def new_supernet(self, partial_channels: int) -> Supernet:
        supernet = super().new_supernet(partial_channels)
        options = supernet.layers[1].options
        for number in (0, 1, 3):
            options[number] = Shuffled(options[number])
        return supernet


class PlantedProxyless(Proxyless):
    """Proxyless on it."""

    loop = Planted


def test_the_block_that_is_of_use_is_found(make_task: MakeTask) -> None:
    config = SMALL.model_copy(update={"epochs": 25, "warmup_epochs": 10, "batch": 32})
    found = PlantedProxyless(config).search(make_task(SHORT_CHAIN))
    shares = torch.tensor(found.history[-1]["alphas"]).softmax(dim=1)[1]
    assert float(shares[2]) > 0.5
    assert next(found.candidates({})).architecture.choices[1] == 2


def test_it_learns_digits_and_under_a_large_weight_ends_at_the_cheapest_network(make_task: MakeTask) -> None:
    searcher = make_searcher("proxyless", SMALL.model_copy(update={"epochs": 20, "batch": 32}))
    free, pressed = (searcher.search(make_task(SHORT_CHAIN, folder=f"{each}", weight=each)) for each in (0.0, 5.0))
    for found in (free, pressed):
        accuracies = found.score([next(found.candidates({})).architecture])
        assert accuracies is not None
        assert accuracies[0] > 25  # of ten classes
    expected_ms, free_ms = (found.history[-1]["expected_latency_ms"] for found in (pressed, free))
    cheapest_ms = min(each.costs["latency_ms"] for each in pressed.candidates({}))
    assert next(pressed.candidates({})).costs["latency_ms"] == cheapest_ms
    assert expected_ms < 1.1 * cheapest_ms < 0.8 * free_ms


class Stopped(Exception):
    """Ends a search in the middle."""


def test_a_search_that_was_stopped_goes_on_to_the_same_bits(make_task: MakeTask) -> None:
    def stop(step: str, done: int, total: int, note: str) -> None:
        if done == 8:
            raise Stopped

    searcher = make_searcher("proxyless", SMALL)
    straight = searcher.search(make_task(SHORT_CHAIN, folder="straight", limit_ms=2.0))
    task = make_task(SHORT_CHAIN, folder="stopped", limit_ms=2.0)
    with pytest.raises(Stopped):
        searcher.search(task, stop)
    resumed = searcher.search(task)
    assert resumed.history == straight.history
    assert straight.history[-1]["multiplier.latency_ms"] > 0
    architectures = SHORT_CHAIN.sample(5, seed=0)
    assert resumed.score(architectures) == straight.score(architectures)


# ---- FBNet, with the latencies of a Raspberry Pi 4 as HW-NAS-Bench has them


FBNET = make_space("fbnet")
FEW = SMALL.model_copy(update={"epochs": 5, "batch": 96, "width": 4, "alphas_learning_rate": 0.5})


def recovered_ms(blocks: dict[str, Any], architecture: Architecture) -> float:
    """A sum of blocks that owes nothing to a predictor of ours."""
    parts = zip(blocks["layer_op_ms_minus_skip"], architecture.choices, strict=True)
    return float(blocks["base_ms"] + sum(row[choice] for row, choice in parts if choice is not None and choice < 8))


@pytest.fixture
def raspberry(shared_data: Path) -> dict[str, Cost]:
    """A look-up table learned from 5,000 architectures of HW-NAS-Bench."""
    known = pl.read_parquet(shared_data / "fbnet" / "latency_help.parquet")
    architectures = [FBNET.architecture(row) for row in known.select(f"l{layer}" for layer in range(22)).rows()]
    predictor = make_predictor("lookup", FBNET, FBNET.sizes["cifar100"])
    predictor.fit(FBNET.encode(architectures), known["raspi4_ms"].to_numpy(), seed=0)
    return {"latency_ms": Cost(predictor.cost, predictor.median)}


def test_on_fbnet_each_weight_lowers_the_latency_of_a_raspberry_pi(
    make_task: MakeTask, raspberry: dict[str, Cost]
) -> None:
    expected_ms = []
    for weight in (0.0, 2.0, 20.0):
        task = replace(make_task(FBNET, folder=f"weight-{weight}", weight=weight), costs=raspberry)
        found = make_searcher("proxyless", FEW).search(task)
        expected_ms.append(found.history[-1]["expected_latency_ms"])
    assert expected_ms == sorted(expected_ms, reverse=True)
    assert expected_ms[-1] < 0.8 * expected_ms[0]


def test_on_fbnet_a_limit_that_a_quarter_keeps_is_kept(
    make_task: MakeTask, raspberry: dict[str, Cost], shared_data: Path
) -> None:
    limit_ms = float(pl.read_parquet(shared_data / "fbnet" / "latency_help.parquet")["raspi4_ms"].quantile(0.25) or 0.0)
    found = make_searcher("proxyless", FEW).search(replace(make_task(FBNET, limit_ms=limit_ms), costs=raspberry))
    candidates = list(itertools.islice(found.candidates({"latency_ms": limit_ms}), 20))
    blocks = json.loads((shared_data / "fbnet" / "lut_recovered.json").read_text())["luts"]["raspi4"]
    real_ms = [recovered_ms(blocks, each.architecture) for each in candidates]
    assert real_ms == pytest.approx([each.costs["latency_ms"] for each in candidates], rel=1e-6)
    assert len(real_ms) == 20
    assert max(real_ms) <= limit_ms
    assert max(row["multiplier.latency_ms"] for row in found.history) > 0
    assert found.history[-1]["expected_latency_ms"] < found.history[0]["expected_latency_ms"]
