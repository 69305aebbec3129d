"""Predictors find out which architectures share a number in a table, from the rows themselves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import kendalltau

from chronas.predictors import CompleteTable, fit_and_report, load_predictor, make_predictor
from chronas.predictors.rows import represented, shared_equivalence
from chronas.spaces import make_space
from chronas.tables import CostTable, shipped_files

SPACE = make_space("nasbench201")


@pytest.fixture(scope="module")
def table() -> CostTable:
    return CostTable.load(shipped_files()["nasbench201-cifar10-onnxruntime-cpu"])


@pytest.fixture(scope="module")
def isomorphic_ms(table: CostTable) -> np.ndarray:
    """The costs of the table, with one number for all isomorphic cells."""
    by_cell = dict(zip(table.architectures(), table.costs(), strict=True))
    return np.array([by_cell[cell.canonical()] for cell in by_cell])


def rows_of(table: CostTable, count: int) -> tuple[np.ndarray, np.ndarray]:
    order = np.random.default_rng(0).permutation(len(table))
    return order[:count], order[count : count + 4000]


def test_the_equivalence_that_rows_share_is_found(table: CostTable, isomorphic_ms: np.ndarray) -> None:
    codes, (some, _) = SPACE.encode(table.architectures()), rows_of(table, 900)
    assert shared_equivalence(SPACE, codes[some], isomorphic_ms[some]) == "canonical"
    assert shared_equivalence(SPACE, codes[some], table.costs()[some]) == "pruned", "graphs were measured once"
    noisy = table.costs()[some] * np.random.default_rng(1).uniform(0.99, 1.01, len(some))
    assert shared_equivalence(SPACE, codes[some], noisy) == ""
    whole = np.maximum(1, table.costs()[some].round())
    assert shared_equivalence(SPACE, codes[some], whole) == "", "whole milliseconds are equal by luck"
    assert shared_equivalence(SPACE, codes[some[:9]], isomorphic_ms[some[:9]]) == ""


def test_representatives_are_encoded_and_mixtures_stay() -> None:
    cells = SPACE.sample(30, seed=3)
    codes = SPACE.encode(cells)
    assert np.array_equal(represented(SPACE, codes, "canonical"), SPACE.encode([cell.canonical() for cell in cells]))
    assert np.array_equal(represented(SPACE, codes, "pruned"), SPACE.encode([cell.pruned() for cell in cells]))
    mixed = np.full((2, SPACE.encoding_length), 0.2, dtype=np.float32)
    assert np.array_equal(represented(SPACE, mixed, "canonical"), mixed)
    assert represented(SPACE, codes, "") is codes


@pytest.mark.parametrize("name", ["lpm", "gp", "boosted"])
def test_one_number_for_isomorphic_cells_is_learned_as_well_as_a_number_each(
    name: str, table: CostTable, isomorphic_ms: np.ndarray
) -> None:
    codes, (some, others) = SPACE.encode(table.architectures()), rows_of(table, 900)
    kendall = []
    for costs in (table.costs(), isomorphic_ms):
        predictor = make_predictor(name, SPACE, table.provenance.size)
        predictor.fit(codes[some], costs[some], seed=0)
        kendall.append(kendalltau(predictor.predict(codes[others]).mean, costs[others]).statistic)
    assert kendall[1] >= kendall[0] - 0.02


def test_the_equivalence_is_saved_and_gradients_pass(
    table: CostTable, isomorphic_ms: np.ndarray, tmp_path: Path
) -> None:
    codes, (some, others) = SPACE.encode(table.architectures()), rows_of(table, 300)
    predictor = make_predictor("lookup", SPACE, table.provenance.size)
    predictor.fit(codes[some], isomorphic_ms[some], seed=0)
    predictor.save(tmp_path / "p.safetensors")
    loaded = load_predictor(tmp_path / "p.safetensors")
    assert loaded.equivalence == predictor.equivalence == "canonical"
    wanted = predictor.predict(codes[others]).mean
    assert np.array_equal(loaded.predict(codes[others]).mean, wanted)
    same = represented(SPACE, codes[others], "canonical")
    assert np.array_equal(loaded.predict(same).mean, wanted), "isomorphic cells have one prediction"
    given = torch.from_numpy(codes[others[:5]]).double().requires_grad_()
    cost = loaded.cost(given)
    assert cost.detach().numpy() == pytest.approx(wanted[:5])
    cost.sum().backward()
    assert given.grad is not None and bool((given.grad != 0).any())


def test_a_complete_table_is_its_own_predictor(table: CostTable, tmp_path: Path) -> None:
    predictor, report = fit_and_report(CompleteTable, table)
    codes = SPACE.encode(table.architectures())
    assert np.array_equal(predictor.predict(codes).mean, table.costs())
    assert report.scores.mape_percent == 0 and report.scores.kendall == pytest.approx(1)
    predictor.save(tmp_path / "p.safetensors")
    assert np.array_equal(load_predictor(tmp_path / "p.safetensors").predict(codes[:99]).mean, table.costs()[:99])
    assert not predictor.differentiable
