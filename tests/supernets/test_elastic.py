"""A nested supernet computes each of its parts exactly, and gives its weights to a network of its own."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from chronas.errors import UsageError
from chronas.networks import build, count
from chronas.spaces import Architecture, NetworkSize, Space, make_space
from chronas.supernets import ElasticSupernet, build_supernet, discrete_weights

SIZE = NetworkSize(input_shape=(3, 24, 20), outputs=5, width=8, depth=1, stem="small")
SPACES = [make_space("mobilenetv3"), make_space("mobilenetv3-plain"), make_space("efficientnet-lite")]
every_space = pytest.mark.parametrize("space", SPACES, ids=lambda space: space.name)


def a_supernet(space: Space) -> ElasticSupernet:
    """With transforms of kernels that are no identities any more."""
    supernet = build_supernet(space, SIZE, seed=1)
    assert isinstance(supernet, ElasticSupernet)
    generator = torch.Generator().manual_seed(2)
    for matrix in supernet.transforms.values():
        matrix.data += 0.1 * torch.randn(matrix.shape, generator=generator)
    return supernet.double()


def images(count: int = 6) -> Tensor:
    return torch.randn(count, *SIZE.input_shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def networks(space: Space, supernet: ElasticSupernet) -> list[Architecture]:
    return [supernet.smallest, supernet.largest, *space.sample(6, seed=3)]


@every_space
def test_a_network_with_the_weights_of_its_part_gives_the_same_logits(space: Space) -> None:
    supernet = a_supernet(space)
    for architecture in networks(space, supernet):
        network = build(architecture, SIZE).double()
        network.load_state_dict(supernet.weights_of(architecture))
        network.train()  # batch norms with the statistics of the batch, as in the supernet
        with torch.no_grad():
            assert torch.allclose(network(images()), supernet.logits(images(), architecture), atol=1e-9)


@every_space
def test_the_form_of_all_supernets_computes_the_same(space: Space) -> None:
    supernet = a_supernet(space)
    architecture = space.sample(1, seed=4)[0]
    with torch.no_grad():
        found = supernet(images(), discrete_weights(architecture)[0].double())
        assert torch.equal(found, supernet.logits(images(), architecture))


def test_a_mixture_of_options_is_refused() -> None:
    supernet = a_supernet(SPACES[0])
    weights = discrete_weights(supernet.largest)[0].double()
    weights[2, :2] = 0.5
    with pytest.raises(UsageError, match="computes one option of each decision"):
        supernet(images(), weights)


def test_a_step_on_a_part_moves_that_part_alone() -> None:
    space, supernet = SPACES[1], a_supernet(SPACES[1])
    supernet.logits(images(), supernet.smallest).square().sum().backward()
    slope = supernet.network.get_parameter("blocks.1.depthwise.0.weight").grad
    assert slope is not None
    inner = build(supernet.smallest, SIZE).get_parameter("blocks.1.depthwise.0.weight").shape[0]
    assert slope[:inner].abs().sum() > 0
    assert slope[inner:].abs().sum() == 0
    assert slope[:inner, :, 0].abs().sum() == 0  # a kernel of 3 is in the centre of 7
    assert supernet.network.get_parameter("blocks.4.project.0.weight").grad is None  # a layer that is left out
    assert space.architecture(supernet.smallest.choices) == supernet.smallest


def test_the_ends_have_the_fewest_and_the_most_weights() -> None:
    space, supernet = SPACES[0], a_supernet(SPACES[0])
    counts = {each: count(build(each, SIZE), SIZE.input_shape) for each in networks(space, supernet)}
    for amount in ("macs", "parameters"):
        values = {each: getattr(found, amount) for each, found in counts.items()}
        assert min(values, key=lambda each: values[each]) == supernet.smallest
        assert max(values, key=lambda each: values[each]) == supernet.largest
    assert supernet.network.state_dict().keys() == build(supernet.largest, SIZE).state_dict().keys()
