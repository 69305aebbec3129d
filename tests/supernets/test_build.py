"""A supernet has the published size, holds every architecture of its space, and leaves torch's generator alone."""

from __future__ import annotations

import pytest
import torch

from chronas.errors import UsageError
from chronas.search import Relaxation
from chronas.spaces import SPACES, CellTopology, NetworkSize, Space, make_space
from chronas.supernets import Supernet, build_supernet, discrete_weights

ALL_SPACES = [name for name in sorted(SPACES) if isinstance(make_space(name).topology, CellTopology)]


def small(height: int = 8, width: int = 8, depth: int = 3) -> NetworkSize:
    return NetworkSize(input_shape=(1, height, height), outputs=10, width=width, depth=depth)


def relaxed(space: Space) -> torch.Tensor:
    return torch.randn(len(space.decisions), len(space.decisions[0].relaxed)).requires_grad_()


def parameters(supernet: Supernet) -> int:
    return sum(parameter.numel() for parameter in supernet.parameters())


def test_sizes_are_those_that_the_published_searches_log() -> None:
    """On CIFAR-10 DARTS logs "param size = 1.930618MB" and PC-DARTS "param size = 0.299578MB"."""
    space = make_space("darts")
    cifar = NetworkSize(input_shape=(3, 32, 32), outputs=10, width=16, depth=8)
    assert parameters(build_supernet(space, cifar)) == 1_930_618
    assert parameters(build_supernet(space, cifar, partial_channels=4)) == 299_578


@pytest.mark.parametrize("name", ALL_SPACES)
@pytest.mark.parametrize("partial_channels", [1, 4])
@pytest.mark.parametrize("height", [8, 7])
def test_every_logit_and_weight_has_a_gradient(name: str, partial_channels: int, height: int) -> None:
    space = make_space(name)
    supernet = build_supernet(
        space, small(height, depth=1 if name == "nasbench201" else 3), partial_channels=partial_channels
    )
    logits, edge_logits = relaxed(space), torch.zeros(len(space.decisions), requires_grad=True)
    relaxation = Relaxation(space, logits, edge_logits)
    output = supernet(torch.randn(4, 1, height, height), relaxation.operation_weights(), relaxation.edge_weights())
    assert output.shape == (4, 10)
    gradients = torch.autograd.grad(output.square().sum(), [logits, *supernet.parameters()])
    assert all(bool(gradient.isfinite().all()) for gradient in gradients)
    assert bool(gradients[0].abs().sum(dim=1).gt(0).all())


@pytest.mark.parametrize("name", ALL_SPACES)
def test_a_discrete_architecture_computes_only_its_own_operations(name: str) -> None:
    space = make_space(name)
    supernet = build_supernet(space, small(depth=1 if name == "nasbench201" else 3))
    for architecture in space.sample(4, seed=0):
        operation_weights, edge_weights = discrete_weights(architecture)
        assert operation_weights.sum() == sum(choice is not None for choice in architecture.choices)
        assert edge_weights.sum() == pytest.approx(len(space.groups))
        output = supernet(torch.randn(4, 1, 8, 8), operation_weights)
        used = torch.autograd.grad(output.sum(), list(supernet.parameters()), allow_unused=True)
        assert output.shape == (4, 10)
        assert any(gradient is None for gradient in used)


def test_a_weight_of_one_on_one_operation_is_what_discrete_weights_say() -> None:
    space = make_space("nasbench201")
    supernet = build_supernet(space, small(depth=1))
    architecture = space.parse("|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|none~1|nor_conv_1x1~2|")
    sharp = Relaxation(space, 200.0 * discrete_weights(architecture)[0]).operation_weights()
    images = torch.randn(4, 1, 8, 8)
    torch.testing.assert_close(supernet(images, sharp), supernet(images, discrete_weights(architecture)[0]))


def test_a_cell_that_is_all_none_gives_zeros() -> None:
    space = make_space("nasbench201")
    nothing = space.parse("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|")
    output = build_supernet(space, small(depth=1))(torch.randn(4, 1, 8, 8), discrete_weights(nothing)[0])
    torch.testing.assert_close(output, output[:1].expand(4, 10))


def test_seed_decides_the_weights_and_torch_is_left_alone() -> None:
    before = torch.get_rng_state()
    space = make_space("darts")
    first, again, other = (build_supernet(space, small(), seed=seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not all(torch.equal(first[key], other[key]) for key in first)


def test_statistics_are_those_of_the_batch_also_in_eval() -> None:
    space = make_space("darts")
    supernet = build_supernet(space, small())
    assert not any("running" in name for name in supernet.state_dict())
    images, weights = torch.randn(4, 1, 8, 8), relaxed(space).detach().softmax(1)
    torch.testing.assert_close(supernet.eval()(images, weights), supernet.train()(images, weights))


@pytest.mark.parametrize(("width", "partial_channels"), [(10, 4), (4, 4)])
def test_a_width_that_partial_channels_cannot_divide_is_refused(width: int, partial_channels: int) -> None:
    with pytest.raises(UsageError, match=f"multiple of {partial_channels} and at least {2 * partial_channels}"):
        build_supernet(make_space("darts"), small(width=width), partial_channels=partial_channels)
