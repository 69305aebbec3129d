from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from chronas.errors import UsageError
from chronas.networks import build, count, space_counts
from chronas.spaces import SPACES, NetworkSize, Space, make_space

CIFAR = NetworkSize(input_shape=(3, 16, 16), outputs=10, width=6, depth=5)
ODD = NetworkSize(input_shape=(2, 31, 17), outputs=3, width=7, depth=4)
IMAGENET = NetworkSize(input_shape=(3, 70, 45), outputs=12, width=8, depth=4, stem="imagenet")
every_space = pytest.mark.parametrize("space", [make_space(name) for name in SPACES], ids=list(SPACES))


@every_space
@pytest.mark.parametrize("size", [CIFAR, ODD, IMAGENET], ids=["cifar", "odd", "imagenet"])
def test_equals_the_counts_of_built_networks(space: Space, size: NetworkSize) -> None:
    if space.topology.nested:  # the depth is a decision
        size = size.model_copy(update={"depth": 1})
    if size.stem not in space.topology.stems:
        with pytest.raises(UsageError, match="has the stems"):
            space_counts(space, size)
        return
    architectures = space.sample(6, seed=2)
    form = space_counts(space, size)
    codes = space.encode(architectures)
    counts = [count(build(a, size, auxiliary=True), size.input_shape) for a in architectures]
    assert form.macs(codes).tolist() == [c.macs for c in counts]
    assert form.parameters(codes).tolist() == [c.parameters for c in counts]


def test_equals_the_published_counts_of_all_nasbench201_cells(shared_data: Path) -> None:
    space = make_space("nasbench201")
    table = pl.read_parquet(shared_data / "nasbench201" / "accuracy.parquet")
    codes = space.encode([space.parse(text) for text in table["arch_str"]])
    size = space.sizes["cifar10"]
    form = space_counts(space, size)
    assert np.abs((form.macs(codes) + size.outputs) / 1e6 - table["flops_M"].to_numpy()).max() < 1e-6
    assert np.abs(form.parameters(codes) / 1e6 - table["params_M"].to_numpy()).max() < 1e-6


@every_space
def test_leaves_the_generator_alone(space: Space) -> None:
    size = list(space.sizes.values())[-1]
    before = torch.get_rng_state()
    form = space_counts(space, size)
    assert torch.equal(before, torch.get_rng_state())
    for part in form.parts.values():
        assert part.slot_macs.shape == part.slot_parameters.shape == (space.encoding_length,)
