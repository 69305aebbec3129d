"""The graphs of the cell spaces fit their decisions, and repeat as published."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronas.spaces import SPACES, CellTopology, Space, make_space
from chronas.spaces.darts import layout as darts_layout
from chronas.spaces.nasbench201 import layout as nasbench_layout

cell_spaces = pytest.mark.parametrize(
    "space",
    [space for space in map(make_space, SPACES) if isinstance(space.topology, CellTopology)],
    ids=lambda space: space.name,
)


@cell_spaces
def test_each_decision_is_one_edge_of_one_cell_and_is_named_after_it(space: Space) -> None:
    names = {
        cell.decision(number): f"{cell.name}.{target}.{source}"
        for cell in space.topology.cells
        for number, (source, target) in enumerate(cell.edges)
    }
    assert [names[d] for d in range(len(space.decisions))] == [decision.name for decision in space.decisions]
    assert sum(len(cell.edges) for cell in space.topology.cells) == len(space.decisions)


@cell_spaces
def test_edges_go_forward_and_every_pair_of_states_that_may_be_joined_is(space: Space) -> None:
    for cell in space.topology.cells:
        states = cell.inputs + cell.nodes
        assert set(cell.edges) == {(s, t) for t in range(cell.inputs, states) for s in range(t)}
        assert len(set(cell.edges)) == len(cell.edges)
        assert all(cell.inputs <= state < states for state in cell.output)


@cell_spaces
def test_a_group_holds_edges_into_one_state_of_one_cell(space: Space) -> None:
    for group in space.groups:
        heads = {space.decisions[d].name.rsplit(".", 1)[0] for d in group.decisions}
        assert len(heads) == 1
        assert 1 <= group.keep <= len(group.decisions)


@given(depth=st.integers(1, 60))
def test_darts_has_one_or_two_reductions_wherever_thirds_fall(depth: int) -> None:
    names = darts_layout(depth)
    assert len(names) == depth
    places = [i for i, name in enumerate(names) if name == "reduce"]
    assert places == sorted({depth // 3, 2 * depth // 3})
    assert set(names) <= {"normal", "reduce"}


@given(depth=st.integers(1, 30))
def test_nasbench_has_three_equal_stages_between_two_residual_blocks(depth: int) -> None:
    names = nasbench_layout(depth)
    assert len(names) == 3 * depth + 2
    assert [i for i, name in enumerate(names) if name == "residual"] == [depth, 2 * depth + 1]
    assert names.count("cell") == 3 * depth
