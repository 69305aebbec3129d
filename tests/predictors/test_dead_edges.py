"""Which edges are live, against walking over each cell's graph, and the gradient."""

from __future__ import annotations

import pytest
import torch

from chronas.predictors.features import forms
from chronas.spaces import Architecture, CellTopology, make_space

SPACE = make_space("nasbench201")


def by_hand(architecture: Architecture) -> tuple[list[bool], list[bool]]:
    """For each edge, whether a path leads from it to the output, and whether also one from the input to it."""
    assert isinstance(SPACE.topology, CellTopology)
    edges = SPACE.topology.cells[0].edges
    there = [architecture.operation(number) != "none" for number in range(len(edges))]

    def reaches(start: int, end: int) -> bool:
        ways = (edge for edge, here in zip(edges, there, strict=True) if here and edge[0] == start)
        return start == end or any(reaches(target, end) for _, target in ways)

    needed = [reaches(target, 3) for _, target in edges]
    return needed, [n and reaches(0, source) for n, (source, _) in zip(needed, edges, strict=True)]


def test_all_of_nasbench201_is_what_walking_over_its_graphs_gives() -> None:
    architectures = SPACE.sample(600, seed=0)
    codes = torch.from_numpy(SPACE.encode(architectures)).double()
    plain, needed, live = forms(SPACE, codes)
    assert torch.equal(plain, codes)
    for form, which in ((needed, 0), (live, 1)):
        kept = torch.tensor([by_hand(architecture)[which] for architecture in architectures])
        assert torch.equal(form, codes * kept.repeat_interleave(5, dim=1))
        assert 0 < int((~kept).sum()) < kept.numel()


def test_cells_of_one_pruned_graph_that_nothing_feeds_share_their_live_form() -> None:
    """The edges that differ lead to nothing, so the live forms, options `none` aside, are equal."""
    one = SPACE.parse("|nor_conv_3x3~0|+|nor_conv_3x3~0|none~1|+|nor_conv_3x3~0|none~1|none~2|")
    two = SPACE.parse("|nor_conv_1x1~0|+|avg_pool_3x3~0|none~1|+|nor_conv_3x3~0|none~1|none~2|")
    assert one.pruned() == two.pruned()
    live = forms(SPACE, torch.from_numpy(SPACE.encode([one, two])).double())[2]
    something = torch.tensor([option != 0 for _, option in SPACE.slots])
    assert torch.equal(live[0, something], live[1, something])


@pytest.mark.parametrize("name", ["darts", "fbnet"])
def test_spaces_whose_edges_all_live_have_one_form(name: str) -> None:
    space = make_space(name)
    codes = torch.from_numpy(space.encode(space.sample(5, seed=0)))
    assert len(forms(space, codes)) == 1 and forms(space, codes)[0] is codes


def test_gradients_are_exact() -> None:
    codes = torch.rand(2, SPACE.encoding_length, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    torch.autograd.gradcheck(lambda x: torch.cat(forms(SPACE, x), dim=1), codes.requires_grad_())
