from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from chronas.errors import UsageError
from chronas.networks import build, count
from chronas.spaces import NetworkSize, make_space

SMALL = {
    "darts": NetworkSize(input_shape=(3, 32, 32), outputs=10, width=8, depth=5),
    "nasbench201": NetworkSize(input_shape=(3, 32, 32), outputs=10, width=16, depth=1),
}


class Branches(nn.Module):
    """A network in which a tensor waits while a branch runs, with a step that nothing reads."""

    def __init__(self) -> None:
        super().__init__()
        self.wide = nn.Conv2d(2, 6, 1)
        self.narrow = nn.Conv2d(6, 2, 1)
        self.unread = nn.Conv2d(2, 1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.unread(x)
        return self.narrow(F.relu(self.wide(x))) + x


class Functional(nn.Module):
    """A network that keeps its weights itself and reads one of them twice."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3, 3, 1, 1))
        self.register_buffer("scale", torch.ones(3, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.conv2d(F.conv2d(x, self.weight), weight=self.weight) * self.scale


class Layers(nn.Module):
    """A network that is one function."""

    def __init__(self, function: object) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(x)


@pytest.mark.parametrize("name", SMALL)
def test_macs_are_those_that_torch_counts_while_it_runs(name: str) -> None:
    for architecture in make_space(name).sample(3, seed=5):
        network = build(architecture, SMALL[name]).eval()
        with FlopCounterMode(display=False) as counter:
            network(torch.zeros(1, 3, 32, 32))
        counts = count(network, (3, 32, 32))
        assert 2 * counts.macs == counter.get_total_flops()
        assert counts.parameters == sum(weight.numel() for weight in network.parameters())


def test_the_auxiliary_head_is_not_counted() -> None:
    architecture = make_space("darts").sample(1, seed=0)[0]
    plain = build(architecture, SMALL["darts"])
    network = build(architecture, SMALL["darts"], auxiliary=True)
    assert sum(w.numel() for w in network.parameters()) > sum(w.numel() for w in plain.parameters())
    assert count(network, (3, 32, 32)) == count(plain, (3, 32, 32))


def test_peak_of_a_chain_is_the_largest_input_and_output() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 1, 3, stride=2, padding=1))
    pixels, numbers = 8 * 8, 4 + 4
    assert count(network, (3, 8, 8)).peak_activation_bytes == pixels * numbers * 4


def test_a_tensor_that_waits_is_alive_and_a_step_that_nothing_reads_counts() -> None:
    counts = count(Branches(), (2, 4, 4))
    assert counts.peak_activation_bytes == 4 * 4 * (2 + 6 + 6) * 4
    assert counts.macs == 4 * 4 * (2 * 6 + 6 * 2 + 2)
    assert counts.parameters == (2 * 6 + 6) + (6 * 2 + 2) + (2 + 1)


def test_memory_grows_with_the_batch_and_macs_do_not() -> None:
    network = build(make_space("darts").sample(1, seed=1)[0], SMALL["darts"])
    one, five = (count(network, (3, 32, 32), batch=batch) for batch in (1, 5))
    assert five.peak_activation_bytes == 5 * one.peak_activation_bytes
    assert (five.macs, five.parameters) == (one.macs, one.parameters)


def test_weights_that_a_network_keeps_itself_are_counted_once() -> None:
    counts = count(Functional(), (3, 5, 5))
    assert counts.parameters == 9
    assert counts.macs == 2 * 9 * 25
    assert counts.peak_activation_bytes == 2 * 3 * 25 * 4


def test_counting_changes_neither_modes_nor_weights_nor_random_state() -> None:
    network = build(make_space("darts").sample(1, seed=2)[0], SMALL["darts"]).train()
    network.stem[0].eval()
    modes = [module.training for module in network.modules()]
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    random = torch.get_rng_state()
    count(network, (3, 32, 32))
    assert [module.training for module in network.modules()] == modes
    assert all(torch.equal(tensor, state[name]) for name, tensor in network.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (nn.Conv2d(3, 4, 9), r"does not fit images of 3x8x8 \(.*\): use larger ones"),
        (nn.Linear(5, 5), "does not fit images"),
        (Layers(lambda x: x.permute(1, 0, 2, 3)), "for no images"),
        (Layers(lambda x: x[:, :, 8:]), "for no images"),
    ],
)
def test_networks_that_cannot_be_counted_are_refused_in_one_line(network: nn.Module, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        count(network, (3, 8, 8))
    assert "\n" not in str(caught.value)


def test_a_batch_without_images_is_refused() -> None:
    with pytest.raises(UsageError, match="at least one image, got 0"):
        count(nn.ReLU(), (3, 8, 8), batch=0)
