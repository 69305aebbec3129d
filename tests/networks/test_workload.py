"""The layers of networks: those of slots add up to those of built networks, and their MACs to the counts."""

from __future__ import annotations

import pytest
from torch import nn

from chronas.networks import Layer, Workload, build, count, space_works, workload
from chronas.spaces import NetworkSize, make_space

SIZES = {
    "darts-cifar": ("darts", NetworkSize(input_shape=(3, 32, 32), outputs=10, width=8, depth=5)),
    "darts-imagenet": ("darts", NetworkSize(input_shape=(3, 64, 64), outputs=12, width=6, depth=5, stem="imagenet")),
    "nasbench201": ("nasbench201", NetworkSize(input_shape=(3, 32, 32), outputs=10, width=16, depth=5)),
    "fbnet": ("fbnet", NetworkSize(input_shape=(3, 32, 32), outputs=10, width=16, depth=1)),
    "fbnet-imagenet": ("fbnet", NetworkSize(input_shape=(3, 50, 50), outputs=10, width=8, depth=2, stem="imagenet")),
    "odd-size": ("nasbench201", NetworkSize(input_shape=(1, 13, 10), outputs=3, width=4, depth=2)),
}


def added(space, size: NetworkSize, architecture) -> Workload:
    work = space_works(space, size)[()]
    total = work.base
    for slot, code in zip(work.slots, space.encode([architecture])[0], strict=True):
        total = total.plus(slot, int(code))
    return total.layers


@pytest.mark.parametrize("case", SIZES)
def test_the_layers_of_slots_add_up_to_those_of_the_built_network(case: str) -> None:
    name, size = SIZES[case]
    space = make_space(name)
    for architecture in space.sample(6, seed=2):
        built = workload(build(architecture, size), size.input_shape)
        assert added(space, size, architecture) == built


@pytest.mark.parametrize("case", SIZES)
def test_the_macs_of_layers_are_those_of_the_network(case: str) -> None:
    name, size = SIZES[case]
    for architecture in make_space(name).sample(4, seed=3):
        network = build(architecture, size)
        layers = workload(network, size.input_shape)
        macs = sum(layer.macs * times for layer, times in layers.items() if layer.kind == "convolution")
        assert macs == count(network, size.input_shape).macs


def test_nasbench201_has_few_different_layers() -> None:
    space = make_space("nasbench201")
    work = space_works(space, space.sizes["cifar10"])[()]
    base, slots = work.base.layers, [slot.layers for slot in work.slots]
    assert len({layer for layers in (base, *slots) for layer in layers}) == 18
    pooling = Layer("pooling", 32, 32, (3, 3), (1, 1), (16, 16), (16, 16), 32)
    assert slots[space.slots.index((0, space.decisions[0].options.index("avg_pool_3x3")))][pooling] == 5
    assert [layer for layer in base if layer.is_global] == [
        Layer("pooling", 64, 64, (8, 8), (8, 8), (8, 8), (1, 1), 64)
    ]


def test_a_layer_that_nothing_uses_counts() -> None:
    space = make_space("nasbench201")
    size = space.sizes["cifar10"]
    dead = space.parse("|nor_conv_3x3~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|")
    without = space.parse("|none~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|")
    layers = [workload(build(one, size), size.input_shape) for one in (dead, without)]
    assert sum((layers[0] - layers[1]).values()) == 15


def test_a_fully_connected_layer_is_a_convolution_of_one_pixel() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 5))
    assert workload(network, (3, 2, 2)) == {Layer("convolution", 12, 5, (1, 1), (1, 1), (1, 1), (1, 1)): 1}


def test_of_a_layer_of_another_kind_the_macs_are_known() -> None:
    [layer] = workload(nn.Sequential(nn.ConvTranspose2d(3, 4, 2, bias=False)), (3, 8, 8))
    assert (layer.kind, layer.name, layer.macs) == ("other", "ConvTranspose2d", 3 * 8 * 8 * 4 * 2 * 2)
