"""An edge has its operations, normalised pools among them, and computes those that are active, shared ones once."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from chronas.spaces import make_space
from chronas.supernets.mixture import MixedEdge, mixture
from chronas.supernets.state import State

NAMES = make_space("darts").decisions[0].relaxed


def an_edge() -> MixedEdge:
    torch.manual_seed(0)
    return MixedEdge(NAMES, 8, 1, even=True)


def node(edges: list[MixedEdge], weights: Tensor, active: list[int], x: Tensor) -> Tensor:
    state = State(x)
    rows = [row.unbind() for row in weights.unbind()]
    return mixture([term for edge, row in zip(edges, rows, strict=True) for term in edge(state, row, active)])


def test_a_node_is_the_weighted_sum_of_all_operations_of_its_edges() -> None:
    edges, x, weights = [an_edge(), an_edge()], torch.randn(4, 8, 6, 6), torch.rand(2, len(NAMES))
    wanted = sum(weights[e, o] * op(x) for e, edge in enumerate(edges) for o, op in enumerate(edge.operations))
    torch.testing.assert_close(node(edges, weights, list(range(1, len(NAMES))), x), wanted, rtol=1e-4, atol=1e-4)


def test_operations_that_are_not_active_are_not_computed() -> None:
    """One whose weights are not numbers would spoil the node, whatever its own weight."""
    edge, active = an_edge(), [NAMES.index("skip_connect"), NAMES.index("sep_conv_5x5")]
    for o, operation in enumerate(edge.operations):
        for parameter in operation.parameters() if o not in active else ():
            parameter.data.fill_(torch.nan)
    weights = torch.zeros(1, len(NAMES))
    assert bool(node([edge], weights, active, torch.randn(2, 8, 4, 4)).isfinite().all())
    assert not bool(
        node([edge], weights, [*active, NAMES.index("dil_conv_3x3")], torch.randn(2, 8, 4, 4)).isfinite().all()
    )


def test_what_has_no_weights_is_computed_once_for_all_edges_that_leave_a_state() -> None:
    edges, called, pool = [an_edge(), an_edge()], [], NAMES.index("max_pool_3x3")
    for edge in edges:
        edge.operations[pool].register_forward_hook(lambda *_: called.append(pool))
    node(edges, torch.rand(2, len(NAMES)), [pool], torch.randn(2, 8, 4, 4))
    assert called == [pool]


def test_pools_are_normalised_and_batch_norms_have_no_scale() -> None:
    norms = [m for m in an_edge().operations[NAMES.index("max_pool_3x3")].modules() if isinstance(m, nn.BatchNorm2d)]
    assert len(norms) == 1
    assert not any(norm.affine for norm in an_edge().modules() if isinstance(norm, nn.BatchNorm2d))
