"""A nested supernet that begins with the weights of a file, and the order of its channels then."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor

from chronas.errors import MismatchError
from chronas.networks import GivenWeights, MobileNetwork, build, read_weights, save_state
from chronas.spaces import NetworkSize, Space, make_space
from chronas.supernets import ElasticSupernet, build_supernet
from foreign_weights import as_ofa, published_lite0, with_random_norms

SIZE = NetworkSize(input_shape=(3, 24, 20), outputs=5, width=8, depth=1, stem="small")
SPACES = [make_space(name) for name in ("mobilenetv3", "mobilenetv3-plain", "efficientnet-lite")]
every_space = pytest.mark.parametrize("space", SPACES, ids=lambda space: space.name)
BLOCK = 2  # with an expansion


def a_supernet(space: Space, seed: int, size: NetworkSize = SIZE) -> ElasticSupernet:
    supernet = build_supernet(space, size, seed=seed)
    assert isinstance(supernet, ElasticSupernet)
    return supernet


def images(count: int = 4) -> Tensor:
    return torch.randn(count, *SIZE.input_shape, generator=torch.Generator().manual_seed(0))


def given(tensors: Mapping[str, Tensor]) -> GivenWeights:
    return GivenWeights("a.pth", "0", {name: tensor.clone() for name, tensor in tensors.items()})


def largest(space: Space, size: NetworkSize = SIZE, seed: int = 7) -> MobileNetwork:
    network = with_random_norms(build(a_supernet(space, 0, size).largest, size, seed=seed))
    assert isinstance(network, MobileNetwork)
    return network


@every_space
def test_the_largest_network_computes_as_its_file_after_sorting(space: Space) -> None:
    network, supernet = largest(space), a_supernet(space, 1)
    found = supernet.start_from(given(network.state_dict()))
    assert (found.left, found.unused) == ({}, ())
    whole = build(supernet.largest, SIZE).eval()
    whole.load_state_dict(supernet.weights_of(supernet.largest, statistics=True))
    with torch.no_grad():
        assert torch.allclose(whole(images()), network(images()), atol=1e-5)
        assert torch.allclose(supernet.logits(images(), supernet.largest), network.train()(images()), atol=1e-5)
    before, after = (
        each.get_parameter(f"blocks.{BLOCK}.project.0.weight").abs().sum(dim=(0, 2, 3))
        for each in (network, supernet.network)
    )
    assert torch.allclose(after, before.sort(descending=True).values)


@every_space
def test_a_smaller_expansion_keeps_the_most_important_channels(space: Space) -> None:
    network, supernet = largest(space), a_supernet(space, 1)
    supernet.start_from(given(network.state_dict()))
    choices = list(supernet.largest.choices)
    block = BLOCK + len(supernet.topology.scaling) - 1  # decision of the block
    name = space.decisions[block].options[choices[block] or 0]
    choices[block] = space.decisions[block].options.index(name.replace("e6", "e3"))
    weights = supernet.weights_of(space.architecture(choices), statistics=True)
    weight = network.get_parameter(f"blocks.{BLOCK}.project.0.weight")
    kept = weights[f"blocks.{BLOCK}.project.0.weight"]
    expected = weight.abs().sum(dim=(0, 2, 3)).topk(kept.shape[1]).values
    assert torch.allclose(kept.abs().sum(dim=(0, 2, 3)), expected)
    assert not weights[f"blocks.{BLOCK}.depthwise.1.running_mean"].any()  # another number of channels
    assert torch.equal(weights["stem.1.running_mean"], network.get_buffer("stem.1.running_mean"))


def test_an_ofa_checkpoint_gives_all_its_parts_and_stays_in_its_order(tmp_path: Path) -> None:
    space = SPACES[0]
    source, supernet = a_supernet(space, 1), a_supernet(space, 2)
    source.network.get_parameter("features.0.bias").data.zero_()
    generator = torch.Generator().manual_seed(2)
    for matrix in source.transforms.values():
        matrix.data += 0.1 * torch.randn(matrix.shape, generator=generator)
    torch.save({"state_dict": as_ofa(source.network.state_dict(), source.transforms)}, tmp_path / "ofa.pth")
    found = supernet.start_from(read_weights(tmp_path / "ofa.pth"))
    assert (found.owner, found.nested, found.left, found.unused) == ("Once-for-All", True, {}, ())
    for architecture in (source.smallest, source.largest, *space.sample(4, seed=3)):
        with torch.no_grad():
            assert torch.equal(supernet.logits(images(), architecture), source.logits(images(), architecture))


def test_an_ofa_checkpoint_of_another_width_is_refused_by_name(tmp_path: Path) -> None:
    source = a_supernet(SPACES[0], 1)
    source.network.get_parameter("features.0.bias").data.zero_()
    state = as_ofa(source.network.state_dict(), source.transforms)
    supernet = a_supernet(SPACES[0], 2, SIZE.model_copy(update={"width": 16}))
    with pytest.raises(MismatchError, match=r"\('first_conv.conv.weight' in the file\) should be \[16, 3, 3, 3\], got"):
        supernet.start_from(given(state))
    with pytest.raises(MismatchError, match="has no tensor for"):
        a_supernet(SPACES[1], 2).start_from(given({n: t for n, t in state.items() if "blocks.20." not in n}))


def test_the_checkpoint_of_a_search_is_taken_with_its_matrices(tmp_path: Path) -> None:
    source, supernet = a_supernet(SPACES[2], 1), a_supernet(SPACES[2], 2)
    source.transforms["3_3"].data += 0.5
    state = {f"mean.{name}": tensor for name, tensor in source.state_dict().items()}
    save_state(tmp_path / "elastic.safetensors", {**state, "optimiser.0.step": torch.zeros(1)}, {"identity": {}})
    found = supernet.start_from(read_weights(tmp_path / "elastic.safetensors"))
    assert (found.owner, found.nested, found.unused) == ("a supernet of chronas", True, ())
    assert all(torch.equal(tensor, supernet.state_dict()[name]) for name, tensor in source.state_dict().items())


def test_lite0_and_its_parts_come_from_the_published_file() -> None:
    size = SPACES[2].sizes["cifar10"]
    supernet = a_supernet(SPACES[2], 0, size)
    found = supernet.start_from(read_weights(published_lite0()))
    assert found.words.endswith("; classifier new (10 classes, the file has 1000)")
    assert found.words.startswith("294 of 296 tensors from ")
    weights = supernet.weights_of(supernet.smallest)
    build(supernet.smallest, size).load_state_dict(weights)
