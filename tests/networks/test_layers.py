"""Networks of a chain of blocks: the published size, what each block computes, and what a size changes."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn

from chronas.networks import ChainNetwork, build, count, plan, set_drop_path
from chronas.networks.layers import BLOCKS, ChainPlan, LayerPlan, make_block
from chronas.spaces import NetworkSize, make_space

SPACE = make_space("fbnet")
SMALL = NetworkSize(input_shape=(3, 16, 16), outputs=5, width=4, depth=1)
# FBNet-C, table 3 of the paper and https://github.com/facebookresearch/mobile-vision (fbnet_c).
FBNET_C = [0, 3, 8, 0, 0, 7, 6, 7, 3, 7, 6, 7, 7, 7, 7, 7, 6, 7, 7, 7, 7, 3]


def network(choices: list[int], size: NetworkSize) -> ChainNetwork:
    built = build(SPACE.architecture(choices), size)
    assert isinstance(built, ChainNetwork)
    return built


def test_fbnet_c_has_the_published_parameters_and_macs() -> None:
    """The paper says 5.5 M and 375 M; it leaves the first convolution of blocks without expansion out."""
    size = SPACE.sizes["imagenet"]
    counts = count(network(FBNET_C, size), size.input_shape)
    assert counts.parameters / 1e6 == pytest.approx(5.5, abs=0.1)
    assert counts.macs / 1e6 == pytest.approx(375, rel=0.03)


@pytest.mark.parametrize("name", [*BLOCKS, "skip"])
@pytest.mark.parametrize(("channels", "stride"), [(8, 1), (12, 1), (8, 2), (12, 2)])
def test_a_block_has_the_weights_that_its_name_says(name: str, channels: int, stride: int) -> None:
    block = make_block(LayerPlan(name, 8, channels, stride))
    convolutions = [layer for layer in block.modules() if isinstance(layer, nn.Conv2d)]
    assert block.eval()(torch.randn(2, 8, 7, 6)).shape == (2, channels, -(-7 // stride), -(-6 // stride))
    sizes = [tuple(layer.weight.shape) for layer in convolutions]
    if name == "skip":
        assert sizes == ([] if (channels, stride) == (8, 1) else [(channels, 8, 1, 1)])
        return
    parts = name.split("_")
    kernel, inner, groups = int(parts[0][1:]), 8 * int(parts[1][1:]), int(parts[2][1:]) if len(parts) > 2 else 1
    assert sizes == [(inner, 8 // groups, 1, 1), (inner, 1, kernel, kernel), (channels, inner // groups, 1, 1)]
    assert [layer.stride[0] for layer in convolutions] == [1, stride, 1]


def test_two_groups_hear_of_each_other() -> None:
    """Without the shuffle, the first half of the channels would never change the second."""
    block = make_block(LayerPlan("k3_e1_g2", 8, 8, 1)).eval()
    images = torch.randn(1, 8, 6, 6)
    changed = images.clone()
    changed[:, :4] += 1.0
    difference = (block(changed) - changed - (block(images) - images)).abs().amax(dim=(0, 2, 3))
    assert (difference[4:] > 0).all()


def test_a_block_that_keeps_the_shape_is_added_to_its_input_and_another_is_not() -> None:
    images = torch.randn(1, 8, 6, 6)
    for channels, stride in itertools.product((8, 12), (1, 2)):
        block = make_block(LayerPlan("k5_e3", 8, channels, stride)).eval()
        with torch.no_grad():
            for weight in block.project.parameters():
                weight.zero_()
        assert torch.equal(block(images), images) is ((channels, stride) == (8, 1)), (channels, stride)


def test_a_skip_that_keeps_the_shape_is_no_step_at_all() -> None:
    names = [name for name, _ in network([8] * 22, SMALL).blocks.named_modules() if name.count(".") == 0 and name]
    empty = [name for name in names if not len(list(network([8] * 22, SMALL).blocks[int(name)].children()))]
    assert len(empty) == 15 + 1  # three of each of the five stages of four, and the first layer


def test_depth_repeats_blocks_and_width_scales_channels() -> None:
    size = SMALL.model_copy(update={"depth": 3, "width": 8})
    blueprint = plan(SPACE.sample(1, seed=0)[0], size)
    assert isinstance(blueprint, ChainPlan)
    once = plan(SPACE.sample(1, seed=0)[0], SMALL)
    assert isinstance(once, ChainPlan)
    assert [layer.block for layer in blueprint.layers[::3]] == [layer.block for layer in once.layers]
    assert all(layer.stride == 1 and layer.channels_in == layer.channels_out for layer in blueprint.layers[1::3])
    assert [layer.stride for layer in blueprint.layers[::3]] == [layer.stride for layer in once.layers]
    assert [layer.channels_out for layer in blueprint.layers[::12]] == [8, 12, 16, 32, 56, 92]
    assert (once.head_channels, blueprint.head_channels) == (376, 752)


def test_drop_path_drops_residual_branches_in_training_alone() -> None:
    built = network([2] * 22, SMALL)
    images = torch.randn(4, 3, 16, 16)
    before = built.eval()(images)
    set_drop_path(built, 0.9)
    assert torch.equal(built.eval()(images), before)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        outputs = [built.train()(images) for _ in range(2)]
    assert not torch.equal(*outputs)
