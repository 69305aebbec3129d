"""Pair tables, graph networks, trees, Gaussian processes and ensembles on costs that tell them apart."""

from __future__ import annotations

import builtins

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from chronas.errors import UsageError
from chronas.predictors import Predictor, Scores, load_predictor, make_predictor, predictor_class
from chronas.predictors.gaussian_process import KernelConfig, neighbourhoods
from chronas.predictors.stacking import StackedConfig
from chronas.spaces import Space, make_space
from predictors_here import HERE

SPACE = make_space("nasbench201")
SIZE = SPACE.sizes["cifar10"]
RESTS = [name for name in ("lpm", "graph", "boosted", "gp", "pairs") if name in HERE]


def critical_path(count: int) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """A device that computes edges side by side: the slowest path from input to output counts."""
    architectures = SPACE.sample(count, seed=0)
    edge_ms = np.array([0.0, 0.1, 1.0, 2.5, 1.5])
    costs = []
    for architecture in architectures:
        e = [edge_ms[choice] for choice in architecture.choices]
        costs.append(5 + max(e[3], e[0] + e[4], e[1] + e[5], e[0] + e[2] + e[5]))
    return SPACE.encode(architectures), np.array(costs)


def fitted(name: str, space: Space, codes: NDArray[np.float32], costs: NDArray[np.float64]) -> Predictor:
    predictor = make_predictor(name, space, space.sizes[next(iter(space.sizes))])
    predictor.fit(codes, costs, seed=0)
    return predictor


@pytest.mark.parametrize("name", RESTS)
def test_a_critical_path_is_learned_better_than_by_a_look_up_table(name: str) -> None:
    codes, costs = critical_path(700)
    scores = [
        Scores.of(costs[400:], fitted(each, SPACE, codes[:400], costs[:400]).predict(codes[400:]).mean)
        for each in (name, "lookup")
    ]
    assert scores[0].rmse < 0.9 * scores[1].rmse


def test_the_pair_table_holds_what_neighbours_cost_together() -> None:
    """FBNet blocks that follow each other and are alike cost less; no look-up table of single blocks can tell."""
    space = make_space("fbnet")
    codes = space.encode(space.sample(900, seed=0))
    choices = codes.reshape(len(codes), len(space.decisions), -1).argmax(axis=2)
    costs = 30.0 + choices.sum(axis=1) / 10 - (choices[:, 1:] == choices[:, :-1]).sum(axis=1)
    pairs, lookup = (
        Scores.of(costs[700:], fitted(name, space, codes[:700], costs[:700]).predict(codes[700:]).mean)
        for name in ("pairs", "lookup")
    )
    assert pairs.rmse < 0.9 * lookup.rmse


@pytest.mark.parametrize("space", ["nasbench201", "fbnet", "darts"])
def test_neighbourhoods_are_a_sum_over_pairs_of_neighbours(space: str) -> None:
    found = make_space(space)
    x = torch.rand(found.encoding_length, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    shared = torch.stack(
        [x[o : o + len(d.options)].square().sum() for o, d in zip(found.offsets, found.decisions, strict=True)]
    )
    ends = {}
    if space == "fbnet":
        ends = {d: {d, d + 1} for d in range(len(found.decisions))}
    else:
        for cell in found.topology.cells:  # type: ignore[union-attr]
            ends |= {cell.decision(e): {(cell.name, end) for end in edge} for e, edge in enumerate(cell.edges)}
    pairs = [(a, b) for a in ends for b in range(a) if ends[a] & ends[b]]
    expected = sum(float((shared[a] + shared[b]) ** 2) for a, b in pairs)
    weights = neighbourhoods(found)
    got = float((weights @ x.square()).square().sum())
    scale = len(pairs) * 2 / len(found.decisions)  # the trace of the form, which its weights are divided by
    assert got * scale == pytest.approx(expected, rel=1e-9)


def test_leaving_a_network_out_really_leaves_it_out() -> None:
    """The unseen prediction of a network does not move when its own cost does, the scale staying as it is."""
    codes, costs = critical_path(60)
    costs = costs + np.random.default_rng(0).standard_normal(60) * 0.3
    predictor = make_predictor("gp", SPACE, SIZE, KernelConfig(scale="linear"))
    unseen = predictor.learn(torch.from_numpy(codes).double(), torch.from_numpy(costs), 0).out_of_fold  # type: ignore[attr-defined]
    errors = np.abs(unseen.numpy() - costs)
    others, own = np.arange(1, 60), np.arange(1)
    predictor.fit(codes[others], costs[others], seed=0)
    assert float(predictor.predict(codes[own]).mean[0]) == pytest.approx(float(unseen[0]), abs=0.5 * np.median(errors))


def test_a_gaussian_process_keeps_as_many_networks_as_it_may() -> None:
    codes, costs = critical_path(60)
    predictor = make_predictor("gp", SPACE, SIZE, KernelConfig(rows=20))
    predictor.fit(codes, costs, seed=0)
    assert predictor._state["codes"].shape == (20, 30)


@pytest.mark.parametrize(
    "names", [("lpm", "macs"), ("lpm", "boosted"), ("lpm", "ensemble"), ("gp", "gp")], ids="-".join
)
def test_an_ensemble_refuses_what_it_cannot_weigh(names: tuple[str, ...]) -> None:
    predictor = make_predictor("ensemble", SPACE, SIZE, StackedConfig(predictors=names))
    with pytest.raises(UsageError, match="cannot be part of a differentiable ensemble|takes each predictor once"):
        predictor.fit(*critical_path(40), seed=0)


def test_an_ensemble_is_a_mean_that_leans_to_the_better_predictor() -> None:
    codes, costs = critical_path(260)
    predictor = make_predictor("ensemble", SPACE, SIZE, StackedConfig(predictors=("pairs", "gp")))
    predictor.fit(codes[:200], costs[:200], seed=0)
    shares = predictor._state["shares"]
    assert float(shares.sum()) == pytest.approx(1.0) and bool((shares >= 0).all())
    means = [fitted(name, SPACE, codes[:200], costs[:200]).predict(codes[200:]).mean for name in ("pairs", "gp")]
    mixed = shares.numpy() @ np.stack(means)
    np.testing.assert_allclose(predictor.predict(codes[200:]).mean, mixed, rtol=1e-6)


def test_trees_without_their_package_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"boosted cannot be fitted: .*LightGBM.*pip install 'chronas\[boosted\]'"):
        make_predictor("boosted", SPACE, SIZE).fit(*critical_path(40), seed=0)


def test_saved_trees_are_read_without_their_package(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    if predictor_class("boosted").unavailable() is not None:
        pytest.skip("lightgbm is not installed: there are no trees to save")
    codes, costs = critical_path(300)
    predictor = fitted("boosted", SPACE, codes, costs)
    predictor.save(tmp_path / "trees.safetensors")
    real = builtins.__import__

    def without(name: str, *others: object) -> object:
        if name == "lightgbm":
            raise ImportError(name)
        return real(name, *others)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", without)
    loaded = load_predictor(tmp_path / "trees.safetensors")
    assert loaded.predict(codes).mean.tobytes() == predictor.predict(codes).mean.tobytes()


@pytest.mark.parametrize("name", HERE)
def test_no_architecture_at_all_has_no_prediction(name: str) -> None:
    codes, costs = critical_path(60)
    predictor = fitted(name, SPACE, codes, costs)
    assert predictor.predict(codes[:0]).mean.shape == (0,)
