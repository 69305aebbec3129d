"""An edge computes its formula: the weighted sum of its operations, on all channels or on the first C / K."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from chronas.spaces import make_space
from chronas.supernets.mixture import Mixture

NAMES = make_space("darts").decisions[0].relaxed
ACTIVE = list(range(1, len(NAMES)))


def an_edge(stride: int = 1, partial_channels: int = 1) -> Mixture:
    torch.manual_seed(0)
    return Mixture(NAMES, 8, stride, partial_channels, even=False)


@pytest.mark.parametrize("stride", [1, 2])
def test_mixture_is_the_weighted_sum_of_its_operations(stride: int) -> None:
    edge, x, weights = an_edge(stride), torch.randn(4, 8, 7, 7), torch.rand(len(NAMES))
    expected = sum(weights[o] * edge.operations[o](x) for o in range(len(NAMES)))
    torch.testing.assert_close(edge(x, weights, ACTIVE), expected)


def test_operations_that_are_not_active_are_not_computed() -> None:
    edge, called = an_edge(), []
    for number, operation in enumerate(edge.operations):
        operation.register_forward_hook(lambda *_, number=number: called.append(number))
    edge(torch.randn(2, 8, 4, 4), torch.rand(len(NAMES)), [3, 5])
    assert called == [3, 5]


@pytest.mark.parametrize("stride", [1, 2])
def test_partial_channels_send_the_others_around_and_shuffle_both(stride: int) -> None:
    edge, x, weights = an_edge(stride, partial_channels=4), torch.randn(4, 8, 7, 7), torch.rand(len(NAMES))
    around = x[:, 2:] if stride == 1 else nn.functional.max_pool2d(x[:, 2:], 2, 2, ceil_mode=True)
    worked = sum(weights[o] * edge.operations[o](x[:, :2]) for o in range(len(NAMES)))
    before = torch.cat([worked, around], dim=1)
    shuffled = before[:, [0, 2, 4, 6, 1, 3, 5, 7]]  # channel g * 2 + i comes to i * 4 + g
    torch.testing.assert_close(edge(x, weights, ACTIVE), shuffled)


def test_pools_are_normalised_and_batch_norms_have_no_scale() -> None:
    norms = [m for m in an_edge().operations[NAMES.index("max_pool_3x3")].modules() if isinstance(m, nn.BatchNorm2d)]
    assert len(norms) == 1
    assert not any(norm.affine for norm in an_edge().modules() if isinstance(norm, nn.BatchNorm2d))
