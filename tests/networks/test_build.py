from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from torch import fx, nn

from chronas.errors import UsageError
from chronas.networks import build, count, is_even, plan, set_drop_path
from chronas.spaces import SPACES, NetworkSize, Space, make_space
from chronas.spaces.darts import GENOTYPES

DARTS = make_space("darts")
CIFAR = DARTS.sizes["cifar10"]
SMALL = NetworkSize(input_shape=(1, 8, 8), outputs=10, width=4, depth=3)


def small(space: Space) -> NetworkSize:
    """Three cells in a row, or what a space allows that chooses its depth itself."""
    return SMALL.model_copy(update={"depth": 1}) if space.topology.nested else SMALL


every_space = pytest.mark.parametrize("space", [make_space(name) for name in SPACES], ids=list(SPACES))


def _parameters(network: nn.Module) -> int:
    return sum(p.numel() for name, p in network.named_parameters() if not name.startswith("auxiliary"))


@pytest.mark.parametrize(
    ("genotype", "published_millions", "parameters"),
    [("DARTS_V1", 3.2, 3_169_414), ("DARTS_V2", 3.3, 3_349_342), ("PC_DARTS_cifar", 3.6, 3_634_678)],
)
def test_darts_networks_have_the_published_parameters(
    genotype: str, published_millions: float, parameters: int
) -> None:
    network = build(DARTS.parse(GENOTYPES[genotype]), CIFAR, auxiliary=True)
    assert _parameters(network) == parameters == count(network, CIFAR.input_shape).parameters
    assert parameters / 1e6 == pytest.approx(published_millions, abs=0.05)


def test_the_imagenet_network_has_the_published_parameters() -> None:
    """4.7 M; the README of quark0/darts says 574 M multiply-adds, which no one reproduced from its code (issue 46)."""
    size = DARTS.sizes["imagenet"]
    counts = count(build(DARTS.parse(GENOTYPES["DARTS_V2"]), size, auxiliary=True), size.input_shape)
    assert counts.parameters == 4_718_752
    assert counts.macs == 529_911_552


def test_nasbench201_networks_have_the_tables_parameters_and_macs(shared_data: Path) -> None:
    space = make_space("nasbench201")
    table = pl.read_parquet(shared_data / "nasbench201" / "accuracy.parquet")
    rows = {text: (macs, parameters) for text, macs, parameters in table["arch_str", "flops_M", "params_M"].iter_rows()}
    single = [space.architecture([option] * 6) for option in range(5)]
    size = space.sizes["cifar10"]
    for architecture in single + space.sample(50, seed=0):
        counts = count(build(architecture, size), size.input_shape)
        found = ((counts.macs + size.outputs) / 1e6, counts.parameters / 1e6)
        assert found == pytest.approx(rows[str(architecture)], rel=1e-6), architecture


@every_space
@pytest.mark.parametrize(
    "shape", [(1, 8, 8), (3, 7, 9), (2, 1, 1), (3, 17, 30)], ids=lambda shape: "x".join(map(str, shape))
)
def test_any_input_gives_logits_and_a_graph(space: Space, shape: tuple[int, int, int]) -> None:
    for stem in space.topology.stems:
        size = NetworkSize.model_validate(small(space).model_dump() | {"input_shape": shape, "stem": stem, "width": 5})
        for architecture in space.sample(3, seed=1):
            network = build(architecture, size, auxiliary=True).eval()
            images = torch.randn(2, *shape)
            logits = network(images)
            assert logits.shape == (2, 10)
            assert torch.isfinite(logits).all()
            assert torch.equal(fx.symbolic_trace(network)(images), logits)


@every_space
def test_the_seed_alone_decides_the_weights(space: Space) -> None:
    architecture = space.sample(1, seed=0)[0]
    before = torch.get_rng_state()
    first, again, other = (build(architecture, small(space), seed=seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["classifier.weight"], other["classifier.weight"])


@every_space
def test_every_image_is_worked_on_alone_and_every_pixel_counts(space: Space) -> None:
    architecture = max(space.sample(20, seed=0), key=lambda a: _parameters(build(a, small(space))))
    network = build(architecture, small(space)).eval()
    images = torch.randn(3, 1, 8, 8, requires_grad=True)
    logits = network(images)
    assert torch.allclose(network(images[1:2]), logits[1:2], atol=1e-6)
    (gradient,) = torch.autograd.grad(logits.square().sum(), images)
    assert (gradient.abs().amax(dim=(0, 1)) > 0).all()


def test_training_gives_auxiliary_logits_after_two_thirds() -> None:
    network = build(DARTS.parse(GENOTYPES["DARTS_V2"]), CIFAR, auxiliary=True)
    assert network.auxiliary_after == 13
    images = torch.randn(2, 3, 32, 32)
    logits, auxiliary = network(images)
    assert logits.shape == auxiliary.shape == (2, 10)
    assert network.eval()(images).shape == (2, 10)


@pytest.mark.parametrize(
    ("side", "stem", "pool"), [(32, "cifar", (5, 3)), (224, "imagenet", (5, 2)), (8, "cifar", (1, 1))]
)
def test_the_auxiliary_head_is_darts_own_and_fits_other_sizes(side: int, stem: str, pool: tuple[int, int]) -> None:
    size = NetworkSize(input_shape=(3, side, side), outputs=10, width=4, depth=14, stem=stem)
    head = build(DARTS.sample(1, seed=0)[0], size, auxiliary=True).auxiliary_head
    assert head is not None
    layer = next(m for m in head.modules() if isinstance(m, nn.AvgPool2d))
    assert (layer.kernel_size, layer.stride) == ((pool[0],) * 2, (pool[1],) * 2)
    assert sum(isinstance(m, nn.BatchNorm2d) for m in head.modules()) == (2 if stem == "cifar" else 1)


@pytest.mark.parametrize("side", [2, 4])
def test_an_image_too_small_for_the_auxiliary_head_goes_without(side: int) -> None:
    size = SMALL.model_copy(update={"input_shape": (1, side, side)})
    network = build(DARTS.sample(1, seed=0)[0], size, auxiliary=True)
    assert network.auxiliary_head is None
    assert isinstance(network(torch.randn(4, 1, side, side)), torch.Tensor)


def test_drop_path_spares_the_identity() -> None:
    space = make_space("nasbench201")
    skips, pools = (build(space.architecture([option] * 6), SMALL).train() for option in (1, 4))
    spreads = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for network in (skips, pools):
            set_drop_path(network, 0.999999)
            spreads.append(network(torch.randn(4, 1, 8, 8)).std(dim=0).max().item())
    assert spreads[0] > 1e-2
    assert spreads[1] < 1e-6


def test_drop_path_is_off_in_eval() -> None:
    network = build(DARTS.parse(GENOTYPES["DARTS_V2"]), SMALL).eval()
    images = torch.randn(2, 1, 8, 8)
    without = network(images)
    set_drop_path(network, 0.5)
    assert torch.equal(network(images), without)


def test_drop_path_keeps_the_mean_and_drops_whole_images() -> None:
    network = build(DARTS.parse(GENOTYPES["DARTS_V2"]), SMALL)
    set_drop_path(network.train(), 0.25)
    drop = next(m for m in network.modules() if type(m).__name__ == "DropPath")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        kept = drop(torch.ones(4000, 1, 2, 2))
    assert torch.all(kept.amax(dim=(1, 2, 3)) == kept.amin(dim=(1, 2, 3)))
    assert np.allclose(sorted(kept.unique().tolist()), [0, 4 / 3])
    assert kept.mean().item() == pytest.approx(1.0, abs=0.03)


def test_a_cell_without_edges_gives_the_bias_of_the_classifier() -> None:
    space = make_space("nasbench201")
    network = build(space.architecture([0] * 6), SMALL).eval()
    first, second = network(torch.randn(2, 1, 8, 8))
    assert torch.equal(first, second)


def test_a_plan_is_plain_data_that_builds_the_same_network() -> None:
    blueprint = plan(DARTS.sample(1, seed=0)[0], SMALL, auxiliary=True)
    names = vars(__import__("chronas.networks.cells", fromlist=["cells"]))
    assert eval(repr(blueprint), dict(names)) == blueprint
    assert [block.kind for block in blueprint.blocks] == ["normal", "reduce", "reduce"]
    assert is_even((8, 6))
    assert not is_even((8, 7))


@pytest.mark.parametrize(
    ("space", "change", "message"),
    [
        ("nasbench201", {"stem": "imagenet"}, "has the stems cifar, got 'imagenet'"),
        ("darts", {"width": 1}, "a width of 2 or more"),
        ("darts", {"input_shape": (3, 0, 8)}, "positive channels, height and width"),
    ],
)
def test_a_skeleton_that_the_space_cannot_fill_is_refused(space: str, change: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build(make_space(space).sample(1, seed=0)[0], SMALL.model_copy(update=change))
