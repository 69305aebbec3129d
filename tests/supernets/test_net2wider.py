"""A net2wider weight holds the old one in place and copies of its channels beside it."""

from __future__ import annotations

import pytest
import torch

from chronas.errors import UsageError
from chronas.supernets import channel_sources, net2wider


def test_old_channels_stay_and_new_ones_are_copies() -> None:
    old = torch.arange(24.0).reshape(3, 2, 2, 2)
    sources = channel_sources(old.shape, (5, 4, 2, 2), torch.Generator().manual_seed(0))
    new = net2wider(old, sources)
    assert new.shape == (5, 4, 2, 2)
    assert torch.equal(new[:3, :2], old)
    for row in range(5):
        for column in range(4):
            assert any(torch.equal(new[row, column], old[r, c]) for r in range(3) for c in range(2))
    assert torch.equal(new[:, 2], new[:, int(sources[1][2])])


def test_copies_follow_the_generator_and_reach_all_channels() -> None:
    first, again, other = (channel_sources((4,), (400,), torch.Generator().manual_seed(seed))[0] for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert set(first[4:].tolist()) == {0, 1, 2, 3}


@pytest.mark.parametrize("wrong", [(2, 3), (3, 1), (3,)], ids=["fewer-outputs", "fewer-inputs", "fewer-dimensions"])
def test_narrower_shapes_are_refused(wrong: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match="can only be widened"):
        channel_sources((3, 2), wrong, torch.Generator())
