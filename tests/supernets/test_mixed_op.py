"""An edge has its operations, normalised pools among them, and computes those that are active, shared ones once."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn

from chronas.spaces import make_space
from chronas.supernets.kernels import BatchStandardise
from chronas.supernets.mixed_op import MixedEdge, SharedInputs, edge_outputs, mixture

NAMES = make_space("darts").decisions[0].relaxed


def an_edge(stride: int = 1, size: int = 6) -> MixedEdge:
    return MixedEdge(NAMES, 8, stride, even=size % 2 == 0)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def node(edges: list[MixedEdge], weights: Tensor, active: Sequence[Sequence[int]], x: Tensor) -> Tensor:
    """As if all edges that leave a state came into one node."""
    return mixture(edge_outputs(edges, SharedInputs(x, BatchStandardise()), weights, active))


def plain(edges: list[MixedEdge], weights: Tensor, active: Sequence[Sequence[int]], x: Tensor) -> Tensor:
    return sum(
        weights[e, o] * edge.operations[o](x)
        for e, (edge, chosen) in enumerate(zip(edges, active, strict=True))
        for o in chosen
    )


@pytest.mark.parametrize("size", [6, 7])
@pytest.mark.parametrize("stride", [1, 2])
def test_a_node_is_the_weighted_sum_of_all_operations_of_its_edges(size: int, stride: int) -> None:
    edges, x, weights = [an_edge(stride, size), an_edge(stride, size)], torch.randn(4, 8, size, size), torch.rand(2, 8)
    active = [list(range(1, len(NAMES)))] * 2
    torch.testing.assert_close(node(edges, weights, active, x), plain(edges, weights, active, x), rtol=1e-4, atol=1e-4)


def test_edges_that_leave_a_state_may_compute_different_operations() -> None:
    """Each subset of the edges has sums of its own, and what brings nothing has no part in the node."""
    edges, x = [an_edge(), an_edge(), an_edge()], torch.randn(4, 8, 6, 6)
    names = [["sep_conv_3x3", "dil_conv_5x5"], ["dil_conv_5x5", "max_pool_3x3", "dil_conv_3x3"], ["sep_conv_3x3"]]
    active = [[NAMES.index(name) for name in each] for each in names]
    weights = torch.randn(3, len(NAMES)).requires_grad_()
    found, wanted = node(edges, weights, active, x), plain(edges, weights, active, x)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)
    gradient = torch.randn_like(found)
    parameters = [weights, *(each for edge in edges for each in edge.parameters())]
    gradients = [torch.autograd.grad(each, parameters, gradient, materialize_grads=True) for each in (found, wanted)]
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3)


def test_operations_that_are_not_active_are_not_computed() -> None:
    """One whose weights are not numbers would spoil the node, whatever its own weight."""
    edge, active = an_edge(), [NAMES.index("skip_connect"), NAMES.index("sep_conv_5x5")]
    for o, operation in enumerate(edge.operations):
        for parameter in operation.parameters() if o not in active else ():
            parameter.data.fill_(torch.nan)
    weights = torch.zeros(1, len(NAMES))
    assert bool(node([edge], weights, [active], torch.randn(2, 8, 4, 4)).isfinite().all())
    spoilt = [*active, NAMES.index("dil_conv_3x3")]
    assert not bool(node([edge], weights, [spoilt], torch.randn(2, 8, 4, 4)).isfinite().all())


def test_what_has_no_weights_is_computed_once_for_all_edges_that_leave_a_state() -> None:
    edges, called, pool = [an_edge(), an_edge()], [], NAMES.index("max_pool_3x3")
    for edge in edges:
        edge.operations[pool].register_forward_hook(lambda *_: called.append(pool))
    node(edges, torch.rand(2, len(NAMES)), [[pool]] * 2, torch.randn(2, 8, 4, 4))
    assert called == [pool]


def test_pools_are_normalised_and_batch_norms_have_no_scale() -> None:
    norms = [m for m in an_edge().operations[NAMES.index("max_pool_3x3")].modules() if isinstance(m, nn.BatchNorm2d)]
    assert len(norms) == 1
    assert not any(norm.affine for norm in an_edge().modules() if isinstance(norm, nn.BatchNorm2d))
