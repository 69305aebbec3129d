"""Folding and exporting: the same logits, fewer steps, and no word of where they came from."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from chronas.devices.compiled import NOTES, exported, folded
from chronas.networks import build
from chronas.spaces import NetworkSize, make_space


def lively(network: nn.Module) -> nn.Module:
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for norm in network.modules():
            if isinstance(norm, nn.BatchNorm2d):
                norm.running_mean.normal_(0, 0.3, generator=generator)
                norm.running_var.uniform_(0.3, 3, generator=generator)
                norm.weight.uniform_(0.5, 1.5, generator=generator)
                norm.bias.normal_(0, 0.3, generator=generator)
    return network.eval().requires_grad_(requires_grad=False)


@pytest.mark.parametrize("space", ["darts", "nasbench201"])
def test_a_folded_network_gives_the_same_logits_in_fewer_steps(space: str) -> None:
    size = NetworkSize(input_shape=(3, 17, 16), outputs=5, width=4, depth=3)
    images = torch.randn(2, 3, 17, 16, generator=torch.Generator().manual_seed(1))
    for architecture in make_space(space).sample(3, seed=2):
        network = lively(build(architecture, size))
        expected = network(images)
        norms = sum(isinstance(layer, nn.BatchNorm2d) for layer in network.modules())
        program = exported(folded(network), images)
        torch.testing.assert_close(program.module()(images), expected, rtol=1e-4, atol=1e-4)
        left = sum("batch_norm" in str(node.target) for node in program.graph.nodes)
        assert left < norms / 2
        assert not any(note in node.meta for node in program.graph.nodes for note in NOTES)


def test_a_convolution_that_others_read_too_keeps_its_batch_norm_apart() -> None:
    class Forked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.convolution = nn.Conv2d(3, 4, 1)
            self.norm = nn.BatchNorm2d(4)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            features = self.convolution(images)
            return features + self.norm(features)

    network = lively(Forked())
    images = torch.randn(2, 3, 5, 5, generator=torch.Generator().manual_seed(1))
    expected = network(images)
    torch.testing.assert_close(folded(network)(images), expected)


def test_dead_edges_leave_no_steps() -> None:
    size = NetworkSize(input_shape=(3, 8, 8), outputs=4, width=4, depth=1)
    images = torch.zeros(1, 3, 8, 8)
    steps = []
    for dead in ("nor_conv_3x3", "none"):
        text = f"|{dead}~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|"
        network = lively(build(make_space("nasbench201").parse(text), size))
        steps.append(
            [str(node.target) for node in exported(folded(network), images).graph.nodes if node.op != "placeholder"]
        )
    assert steps[0] == steps[1]
