"""Paths through cells: what lies on none counts for nothing."""

from __future__ import annotations

import numpy as np
import pytest

from chronas.networks import space_counts
from chronas.spaces import SPACES, live_codes, make_space
from explored import SIZE, SPACE

SKIP = "|none~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|"


@pytest.mark.parametrize(
    ("text", "same"),
    [
        pytest.param("|nor_conv_3x3~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|", SKIP, id="nobody reads node 1"),
        pytest.param("|none~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|nor_conv_1x1~2|", SKIP, id="of zeros"),
        pytest.param(
            "|nor_conv_3x3~0|+|nor_conv_1x1~0|none~1|+|none~0|none~1|nor_conv_3x3~2|",
            "|none~0|+|nor_conv_1x1~0|none~1|+|none~0|none~1|nor_conv_3x3~2|",
            id="one of two paths",
        ),
    ],
)
def test_what_lies_on_no_path_has_no_parameters(text: str, same: str) -> None:
    form = space_counts(SPACE, SIZE)
    whole, live = SPACE.encode([SPACE.parse(text)]), live_codes(SPACE, [SPACE.parse(text)])
    assert form.parameters(live) == form.parameters(SPACE.encode([SPACE.parse(same)]))
    assert form.parameters(live) < form.parameters(whole)


def test_cells_that_are_one_graph_are_of_one_size() -> None:
    """As NAS-Bench-201's own pruning has it."""
    form = space_counts(SPACE, SIZE)
    sizes: dict[object, set[float]] = {}
    asked = [one for one in SPACE.sample(1500, seed=1) if one.connected()]
    for architecture, size in zip(asked, form.parameters(live_codes(SPACE, asked)), strict=True):
        sizes.setdefault(architecture.pruned(), set()).add(float(size))
    assert all(len(found) == 1 for found in sizes.values()) and len(sizes) < len(asked)


@pytest.mark.parametrize("name", SPACES)
def test_where_all_is_on_a_path_nothing_is_left_out(name: str) -> None:
    space = make_space(name)
    full = next(
        one
        for one in space.sample(500, seed=0)
        if not any(one.operation(d) == "none" for d in range(len(space.decisions)))
    )
    np.testing.assert_array_equal(live_codes(space, [full]), space.encode([full]))
