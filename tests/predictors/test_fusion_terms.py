"""The terms against counts made by hand from the text of architectures, and their gradients."""

from __future__ import annotations

import ast
import re

import pytest
import torch

from chronas.predictors.features import terms
from chronas.spaces import NetworkSize, make_space

SIZE = NetworkSize(input_shape=(3, 8, 8), outputs=10, width=4, depth=5)
PLAIN = ("max_pool_3x3", "avg_pool_3x3", "skip_connect")


def by_hand(architecture: object, name: str) -> list[float]:
    """The terms of one DARTS cell, by loops over its edges; skip_connect has weights where it halves the image."""
    pairs = ast.literal_eval(re.search(rf"{name}=(\[.*?\])", str(architecture))[1])  # type: ignore[index]
    edges = []
    for number, (operation, source) in enumerate(pairs):
        halved = name == "reduce" and source < 2
        weighted = "conv" in operation or (operation == "skip_connect" and halved)
        edges.append(("weighted" if weighted else operation, source, 2 + number // 2))
    kinds = ["weighted", *PLAIN]
    found: list[float] = []
    for states in (range(2), range(2, 5)):
        leaving = [{kind for kind, source, _ in edges if source == state} for state in states]
        found.append(sum(bool(kinds) for kinds in leaving))
        found.append(sum(bool(kinds - {"weighted"}) for kinds in leaving))
        found.extend(sum(kind in kinds for kinds in leaving) for kind in kinds)
    for first, one in enumerate(kinds):
        for two in kinds[first:]:
            met = [node for node in range(2, 6) if sorted(k for k, _, d in edges if d == node) == sorted([one, two])]
            found.append(len(met))
            found.append(sum(any(k == "weighted" and s == node for k, s, _ in edges) for node in met))
    return found


def test_the_terms_of_darts_are_those_counted_by_hand() -> None:
    space = make_space("darts")
    architectures = space.sample(60, seed=4)
    found = terms(space, SIZE, torch.from_numpy(space.encode(architectures)).double())
    for architecture, row in zip(architectures, found, strict=True):
        expected = by_hand(architecture, "normal") + by_hand(architecture, "reduce")
        assert sorted(row.tolist()) == pytest.approx(sorted(expected)), "the same counts, in whatever order of kinds"
        assert sum(row.tolist()) > 20


def test_a_term_changes_where_the_sum_over_slots_does_not() -> None:
    """Twice the same pooling of one state is done once; of two states, twice."""
    space = make_space("darts")
    text = (
        "Genotype(normal=[('max_pool_3x3', 0), ('skip_connect', 1), ('max_pool_3x3', {}), ('skip_connect', {}), "
        "('skip_connect', 0), ('skip_connect', 1), ('skip_connect', 0), ('skip_connect', 1)], "
        "normal_concat=range(2, 6), reduce=[('skip_connect', 0), ('skip_connect', 1), ('skip_connect', 0), "
        "('skip_connect', 1), ('skip_connect', 0), ('skip_connect', 1), ('skip_connect', 0), ('skip_connect', 1)], "
        "reduce_concat=range(2, 6))"
    )
    codes = torch.from_numpy(space.encode([space.parse(text.format(0, 1)), space.parse(text.format(1, 0))])).double()
    same, other = terms(space, SIZE, codes)
    assert (other - same).abs().sum() >= 1


@pytest.mark.parametrize("name", ["darts", "nasbench201"])
def test_gradients_are_exact(name: str) -> None:
    space = make_space(name)
    codes = torch.rand(2, space.encoding_length, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    torch.autograd.gradcheck(lambda x: terms(space, SIZE, x), codes.requires_grad_())
    whole = torch.from_numpy(space.encode(space.sample(2, seed=0))).double()
    torch.autograd.gradcheck(lambda x: terms(space, SIZE, x), whole.requires_grad_())
