"""The fast supernet is the plain one: outputs and both gradients, in every space of cells, at even and odd sizes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from chronas.search import Relaxation
from chronas.spaces import SPACES, CellTopology, NetworkSize, Space, make_space
from chronas.supernets import build_supernet, discrete_weights
from chronas.supernets.cells import CellSupernet
from parallel_cell import PARALLEL_CELL
from plain_supernet import PlainSupernet

Mixed = Callable[[], tuple[Tensor, Tensor | None]]
SPACES_OF_CELLS = [
    *(space for space in map(make_space, SPACES) if isinstance(space.topology, CellTopology)),
    PARALLEL_CELL,
]


def both(space: Space, pixels: int, partial_channels: int) -> tuple[CellSupernet, PlainSupernet]:
    depth = 3 if space.name == "darts" else 1
    size = NetworkSize(input_shape=(3, pixels, pixels), outputs=10, width=8, depth=depth)
    fast = build_supernet(space, size, partial_channels=partial_channels, seed=1)
    assert isinstance(fast, CellSupernet)
    generator = torch.Generator().manual_seed(3)
    for weight in fast.parameters():  # norms that say something, and no symmetry of first weights
        weight.data += 0.2 * torch.randn(weight.shape, generator=generator)
    return fast, PlainSupernet(fast)


def answer(supernet: nn.Module, mixed: Mixed, logits: Sequence[Tensor], size: int) -> tuple[Tensor, ...]:
    """Output and all gradients of a loss on six images."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(6, 3, size, size, generator=generator).to(logits[0].dtype)
    output = supernet(images, *mixed())
    loss = functional.cross_entropy(output, torch.arange(6))
    return output, *torch.autograd.grad(loss, [*logits, *supernet.parameters()], materialize_grads=True)


@pytest.mark.parametrize("space", SPACES_OF_CELLS, ids=lambda space: space.name)
@pytest.mark.parametrize("partial_channels", [1, 4])
@pytest.mark.parametrize("size", [8, 7])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
def test_outputs_and_both_gradients_are_those_of_the_plain_formulation(
    space: Space, partial_channels: int, size: int, dtype: torch.dtype
) -> None:
    nets = [net.to(dtype) for net in both(space, size, partial_channels)]
    shape = (len(space.decisions), len(space.decisions[0].relaxed))
    generator = torch.Generator().manual_seed(1)
    logits = [
        torch.randn(each, generator=generator).to(dtype).requires_grad_()
        for each in ((shape, shape[:1]) if partial_channels > 1 else (shape,))
    ]

    def mixed() -> tuple[Tensor, Tensor | None]:
        relaxation = Relaxation(space, *logits)
        return relaxation.operation_weights(), relaxation.edge_weights()

    found, wanted = (answer(net, mixed, logits, size) for net in nets)
    tolerance = 1e-4 if dtype == torch.float32 else 1e-11
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance * float(other.detach().abs().max()))


@pytest.mark.parametrize("space", SPACES_OF_CELLS, ids=lambda space: space.name)
@pytest.mark.parametrize("partial_channels", [1, 4])
def test_one_architecture_is_that_of_the_plain_formulation(space: Space, partial_channels: int) -> None:
    """Nodes of one edge or of no convolution, and cells without some operation anywhere."""
    nets = [net.double() for net in both(space, 8, partial_channels)]
    for architecture in space.sample(4, seed=0):
        weights, edges = discrete_weights(architecture)
        given = weights.double(), edges.double().requires_grad_()
        found, wanted = (answer(net, lambda given=given: given, given[1:], 8) for net in nets)
        for one, other in zip(found, wanted, strict=True):
            torch.testing.assert_close(one, other)


def test_the_gradient_of_logits_is_the_same_where_weights_are_constants() -> None:
    """The step of the logits lets no graph have a way to the weights."""
    space = make_space("darts")
    fast, _ = both(space, 8, 1)
    weights = torch.rand(len(space.decisions), len(space.decisions[0].relaxed)).requires_grad_()
    images = torch.randn(4, 3, 8, 8)
    (wanted,) = torch.autograd.grad(fast(images, weights).square().sum(), weights)
    (found,) = torch.autograd.grad(fast.requires_grad_(False)(images, weights).square().sum(), weights)
    torch.testing.assert_close(found, wanted)
