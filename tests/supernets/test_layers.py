"""A supernet of layers is the deployed network for one architecture, a sum of blocks for a mixture, and no more."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from chronas.errors import UsageError
from chronas.networks import ChainNetwork, build
from chronas.search import Relaxation
from chronas.spaces import Architecture, NetworkSize, Space, make_space
from chronas.supernets import Supernet, build_supernet, discrete_weights
from chronas.supernets.layers import LayerSupernet
from short_chain import SHORT_CHAIN

CASES = [(SHORT_CHAIN, 1), (SHORT_CHAIN, 2), (make_space("fbnet"), 1)]
IDS = ["short", "short-twice", "fbnet"]


def size(depth: int = 1, size: int = 8, width: int = 8) -> NetworkSize:
    return NetworkSize(input_shape=(3, size, size), outputs=10, width=width, depth=depth)


def images(size: int = 8) -> Tensor:
    return torch.randn(6, 3, size, size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def a_supernet(space: Space = SHORT_CHAIN, depth: int = 1, pixels: int = 8) -> LayerSupernet:
    supernet = build_supernet(space, size(depth, pixels), seed=1).double()
    assert isinstance(supernet, LayerSupernet)
    return supernet


def copy(source: nn.Module, target: nn.Module) -> None:
    """All weights in order, norms with scale and shift that say something; running statistics stay."""
    with torch.no_grad():
        for one, other in zip(source.parameters(), target.parameters(), strict=True):
            if one.dim() == 1:
                one += 0.1 * torch.randn(one.shape, generator=torch.Generator().manual_seed(2), dtype=one.dtype)
            other.copy_(one)


def with_weights_of(supernet: LayerSupernet, architecture: Architecture, frame: NetworkSize) -> nn.Module:
    network = build(architecture, frame, seed=9).double()
    assert isinstance(network, ChainNetwork)
    copy(supernet.stem, network.stem)
    copy(supernet.head, network.head)
    copy(supernet.classifier, network.classifier)
    for d, (layer, choice) in enumerate(zip(supernet.layers, architecture.choices, strict=True)):
        assert choice is not None
        copy(layer.options[choice], network.blocks[d * frame.depth : (d + 1) * frame.depth])
    return network.train()


@pytest.mark.parametrize(("space", "depth"), CASES, ids=IDS)
@pytest.mark.parametrize("pixels", [8, 7])
def test_one_architecture_of_a_supernet_is_the_deployed_network(space: Space, depth: int, pixels: int) -> None:
    """In training mode, so that both normalise by the batch; two architectures, so that weights are shared."""
    supernet = a_supernet(space, depth, pixels)
    for architecture in space.sample(4, seed=0):
        network = with_weights_of(supernet, architecture, size(depth, pixels))
        found = supernet(images(pixels), discrete_weights(architecture)[0].double())
        torch.testing.assert_close(found, network(images(pixels)), rtol=1e-5, atol=1e-5)


def test_a_layer_is_the_weighted_sum_of_its_blocks() -> None:
    supernet, weights = a_supernet(), torch.rand(4, 4, dtype=torch.float64)
    state = supernet.stem(images())
    for row, layer in zip(weights, supernet.layers, strict=True):
        state = sum(row[o] * block(state) for o, block in enumerate(layer.options))
    expected = supernet.classifier(supernet.head(state).flatten(1))
    torch.testing.assert_close(supernet(images(), weights), expected)


def computed_blocks(supernet: LayerSupernet, weights: Tensor, computed: Tensor | None = None) -> list[tuple[int, int]]:
    """(layer, block) of all that are run, in order."""
    called: list[tuple[int, int]] = []
    hooks = [
        block.register_forward_hook(lambda *_, place=(d, o): called.append(place))
        for d, layer in enumerate(supernet.layers)
        for o, block in enumerate(layer.options)
    ]
    supernet(images(), weights, computed=computed)
    for hook in hooks:
        hook.remove()
    return called


def test_only_blocks_with_a_weight_are_computed() -> None:
    supernet, architecture = a_supernet(), SHORT_CHAIN.parse("0312")
    weights = discrete_weights(architecture)[0].double()
    assert computed_blocks(supernet, weights) == [(0, 0), (1, 3), (2, 1), (3, 2)]
    weights[1] = torch.tensor([0.5, 0.0, 0.2, 0.0])
    assert computed_blocks(supernet, weights) == [(0, 0), (1, 0), (1, 2), (2, 1), (3, 2)]


@pytest.mark.parametrize("name", ["short-chain", "nasbench201"])
def test_a_gate_of_zero_has_a_slope_where_it_is_computed_and_changes_nothing(name: str) -> None:
    """Its gradient is what the loss gains by the other operation: that of the mixture at this point."""
    space = SHORT_CHAIN if name == "short-chain" else make_space(name)
    supernet: Supernet = build_supernet(space, size(), seed=1).double()
    gates = discrete_weights(space.sample(1, seed=3)[0])[0].double().requires_grad_()
    pair = gates.detach().bool() | gates.detach().roll(1, dims=1).bool()
    plain, gated = supernet(images(), gates), supernet(images(), gates, computed=pair)
    torch.testing.assert_close(gated, plain)
    everything = supernet(images(), gates, computed=torch.ones_like(pair))
    (gradient,) = torch.autograd.grad(gated.square().sum(), gates)
    (whole,) = torch.autograd.grad(everything.square().sum(), gates)
    torch.testing.assert_close(gradient, whole * pair)
    assert int(gradient.ne(0).sum()) > len(space.decisions)


@pytest.mark.parametrize(("space", "depth"), CASES, ids=IDS)
def test_every_logit_and_weight_has_a_gradient(space: Space, depth: int) -> None:
    supernet = a_supernet(space, depth)
    logits = torch.randn(len(space.decisions), len(space.decisions[0].options), dtype=torch.float64).requires_grad_()
    output = supernet(images(), Relaxation(space, logits).operation_weights())
    assert output.shape == (6, 10)
    gradients = torch.autograd.grad(output.square().sum(), [logits, *supernet.parameters()])
    assert all(bool(gradient.isfinite().all()) for gradient in gradients)
    assert bool(gradients[0].ne(0).all())


def test_edge_weights_scale_what_a_layer_gives() -> None:
    supernet, weights = a_supernet(), torch.rand(4, 4, dtype=torch.float64)
    edges = torch.tensor([0.3, 1.0, 2.0, 0.7], dtype=torch.float64)
    torch.testing.assert_close(supernet(images(), weights, edges), supernet(images(), weights * edges[:, None]))


def test_statistics_are_those_of_the_batch_and_norms_keep_their_scale() -> None:
    supernet = a_supernet()
    names = list(supernet.state_dict())
    assert not any("running" in name for name in names)
    norms = [module for module in supernet.modules() if isinstance(module, nn.BatchNorm2d)]
    assert all(norm.affine for norm in norms)
    weights = torch.rand(4, 4, dtype=torch.float64)
    torch.testing.assert_close(supernet.eval()(images(), weights), supernet.train()(images(), weights))


def test_partial_channels_are_refused() -> None:
    with pytest.raises(UsageError, match="partial channels of 1/4 are for cells.*short-chain"):
        build_supernet(SHORT_CHAIN, size(), partial_channels=4)


def test_seed_decides_the_weights_and_torch_is_left_alone() -> None:
    before = torch.get_rng_state()
    first, again, other = (build_supernet(SHORT_CHAIN, size(), seed=seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not all(torch.equal(first[key], other[key]) for key in first)
