"""Features tell how images get through an architecture's cells, and nothing that its graph does not have."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kendalltau
from torch import nn

from chronas.networks import build, space_counts
from chronas.search.blackbox.surrogate import architecture_features, capacity_features
from chronas.spaces import NetworkSize, make_space

SIZE = NetworkSize(input_shape=(3, 8, 8), outputs=10, width=4, depth=1)
SPACE = make_space("nasbench201")
ONE = "nor_conv_1x1"


def paths_of(text: str) -> list[float]:
    return architecture_features(SPACE, SIZE, [SPACE.parse(text)])[0, -6:].tolist()


@pytest.mark.parametrize(
    ("text", "count", "plain", "mean", "longest", "shortest", "gain"),
    [
        ("|nor_conv_3x3~0|+|none~0|none~1|+|skip_connect~0|nor_conv_1x1~1|none~2|", 2, 1, 1, 2, 0, 13),
        ("|nor_conv_3x3~0|+|nor_conv_1x1~0|avg_pool_3x3~1|+|none~0|none~1|nor_conv_3x3~2|", 2, 0, 2, 2, 2, 48),
        ("|none~0|+|none~0|nor_conv_3x3~1|+|none~0|nor_conv_3x3~1|nor_conv_3x3~2|", 0, 0, 0, 0, 0, 0),
        (f"|{ONE}~0|+|{ONE}~0|{ONE}~1|+|{ONE}~0|{ONE}~1|{ONE}~2|", 4, 0, 2, 3, 1, 18),
    ],
    ids=["residual", "two-deep", "severed", "full"],
)  # fmt: skip
def test_paths_are_counted_by_the_weights_that_they_pass(
    text: str, count: int, plain: int, mean: float, longest: int, shortest: int, gain: float
) -> None:
    expected = [np.log1p(count), np.log1p(plain), mean, longest, shortest, np.log1p(gain)]
    assert paths_of(text) == pytest.approx(expected)


def test_gain_orders_cells_as_synflow_does_on_their_networks() -> None:
    architectures = [each for each in SPACE.sample(60, seed=3) if paths_of(str(each))[0] > 0]
    scores = []
    for architecture in architectures:
        network = build(architecture, SIZE, seed=0).eval()
        with torch.no_grad():
            for module in network.modules():
                if isinstance(module, nn.Conv2d):
                    nn.init.kaiming_normal_(module.weight, generator=torch.Generator().manual_seed(0))
            for parameter in network.parameters():
                parameter.abs_()
            scores.append(float(network(torch.ones(1, 3, 8, 8)).sum()))
    gains = capacity_features(SPACE, architecture_features(SPACE, SIZE, architectures))[:, 1]
    assert kendalltau(gains, scores).statistic > 0.85  # the count of paths alone: 0.7


@given(st.integers(0, 15_624))
@settings(max_examples=50, deadline=None)
def test_the_same_graph_has_the_same_traits(index: int) -> None:
    architecture = SPACE.from_index(index)
    one, other = architecture_features(SPACE, SIZE, [architecture, architecture.pruned()])
    np.testing.assert_array_equal(one, other)


def test_architectures_of_different_size_differ_by_macs_and_parameters() -> None:
    form = space_counts(SPACE, SIZE)
    architectures = [each.pruned() for each in SPACE.sample(20, seed=0)]
    codes = SPACE.encode(architectures)
    found = architecture_features(SPACE, SIZE, architectures)
    np.testing.assert_allclose(found[:, -8:-6], np.log(np.stack([form.macs(codes), form.parameters(codes)], axis=1)))


@pytest.mark.parametrize("name", ["darts", "fbnet"])
def test_other_spaces_have_traits_that_tell_architectures_apart(name: str) -> None:
    space = make_space(name)
    stem = {"input_shape": (3, 32, 32), "width": 16, "depth": 1} if name == "fbnet" else {}
    size = SIZE.model_copy(update=stem)
    found = architecture_features(space, size, space.sample(40, seed=1))
    assert np.isfinite(found).all()
    assert len(np.unique(found, axis=0)) == 40
