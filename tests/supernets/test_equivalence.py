"""A supernet that is set to one architecture computes what the deployed network computes with the same weights."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from chronas.networks import build
from chronas.spaces import SPACES, Architecture, CellTopology, NetworkSize, make_space
from chronas.supernets import Supernet, build_supernet, discrete_weights

NORMALISED_AFTER = {"max_pool_3x3", "avg_pool_3x3"}  # a supernet puts a batch norm behind pools, a network does not

CELL_SPACES = [name for name in SPACES if isinstance(make_space(name).topology, CellTopology)]


def without_pools(name: str, count: int) -> list[Architecture]:
    samples = make_space(name).sample(4000, seed=3)
    return [
        each for each in samples if not NORMALISED_AFTER & {str(each.operation(d)) for d in range(len(each.choices))}
    ][:count]


def kernels(module: nn.Module) -> list[nn.Parameter]:
    return [parameter for parameter in module.parameters() if parameter.dim() == 4]


def copy(source: nn.Module, target: nn.Module) -> None:
    """Kernels in order; the batch norms of both start as the identity."""
    with torch.no_grad():
        for one, other in zip(kernels(source), kernels(target), strict=True):
            other.copy_(one)


def with_weights_of(supernet: Supernet, architecture: Architecture, size: NetworkSize) -> nn.Module:
    network = build(architecture, size, seed=9)
    copy(supernet.stem, network.stem)
    network.classifier.load_state_dict(supernet.classifier.state_dict())
    ahead = len(architecture.space.decisions[0].unselectable)
    for kind, mixed, plain in zip(supernet.kinds, supernet.blocks, network.blocks, strict=True):
        if kind not in supernet.cells:
            copy(mixed, plain)
            continue
        copy(mixed.preprocess, plain.preprocess)
        cell = supernet.cells[kind]
        chosen = [
            (number, architecture.choices[cell.decision(number)])
            for number in range(len(cell.edges))
            if architecture.operation(cell.decision(number)) not in (None, "none")
        ]
        for edge, (number, choice) in zip(plain.edges, chosen, strict=True):
            assert choice is not None
            copy(mixed.edges[number].operations[ahead + choice], edge)
    return network


def images(size: int) -> Tensor:
    return torch.randn(6, 3, size, size, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", CELL_SPACES)
@pytest.mark.parametrize("pixels", [8, 7])
def test_one_architecture_of_a_supernet_is_the_deployed_network(name: str, pixels: int) -> None:
    """In training mode, so that both normalise by the batch: edges, strides, preprocessing and head must all agree."""
    size = NetworkSize(input_shape=(3, pixels, pixels), outputs=10, width=4, depth=1 if name == "nasbench201" else 3)
    supernet = build_supernet(make_space(name), size, seed=1)
    for architecture in without_pools(name, 4):
        network = with_weights_of(supernet, architecture, size)
        found = supernet(images(pixels), discrete_weights(architecture)[0])
        torch.testing.assert_close(found, network.train()(images(pixels)), rtol=1e-3, atol=1e-4)


def test_the_imagenet_stem_is_searched_on_as_well() -> None:
    space = make_space("darts")
    size = NetworkSize(input_shape=(3, 64, 64), outputs=10, width=4, depth=3, stem="imagenet")
    supernet = build_supernet(space, size, seed=1)
    (architecture,) = without_pools("darts", 1)
    network = with_weights_of(supernet, architecture, size)
    found = supernet(images(64), discrete_weights(architecture)[0])
    torch.testing.assert_close(found, network.train()(images(64)), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", CELL_SPACES)
def test_edge_weights_scale_what_an_edge_brings(name: str) -> None:
    """Weights of one are a plain sum; a factor on all edges is that factor on all operations."""
    space = make_space(name)
    size = NetworkSize(input_shape=(3, 8, 8), outputs=10, width=4, depth=1)
    supernet = build_supernet(space, size, seed=1)
    weights = torch.rand(
        len(space.decisions), len(space.decisions[0].relaxed), generator=torch.Generator().manual_seed(0)
    )
    ones = torch.ones(len(space.decisions))
    torch.testing.assert_close(supernet(images(8), weights, ones), supernet(images(8), weights))
    torch.testing.assert_close(supernet(images(8), weights, 0.3 * ones), supernet(images(8), 0.3 * weights))
