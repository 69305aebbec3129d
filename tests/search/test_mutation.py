"""A step changes one thing, every step can be made, and what comes out is valid, in any space."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronas.search.feasible import crossover, mutate, mutate_group, neighbours
from chronas.spaces import SPACES, Architecture, make_space
from toy_space import ToySpace, toy_spaces


def steps(first: Architecture, second: Architecture) -> int:
    """How many decisions two architectures with as many kept ones differ in; another one kept counts once."""
    pairs = list(zip(first.choices, second.choices, strict=True))
    changed = sum(a is not None and b is not None and a != b for a, b in pairs)
    return changed + sum(a is None and b is not None for a, b in pairs)


@given(space=toy_spaces(), number=st.integers(0, 10_000))
def test_neighbours_are_exactly_what_is_one_step_away(space: ToySpace, number: int) -> None:
    everything = space.everything()
    start = everything[number % len(everything)]
    found = neighbours(start)
    assert len(found) == len(set(found))
    assert set(found) == {each for each in everything if steps(start, each) == 1}


@pytest.mark.parametrize(("name", "count"), [("nasbench201", 24), ("fbnet", 176)])
def test_the_number_of_neighbours_of_published_spaces(name: str, count: int) -> None:
    assert len(neighbours(make_space(name).sample(1, seed=0)[0])) == count


@pytest.mark.parametrize("name", SPACES)
def test_mutations_are_neighbours_and_reach_all_groups(name: str) -> None:
    space, generator = make_space(name), np.random.default_rng(0)
    start = space.sample(1, seed=1)[0]
    around = set(neighbours(start))
    made = [mutate(start, generator) for _ in range(400)]
    assert set(made) <= around
    changed = {
        g
        for each in made
        for g, group in enumerate(space.groups)
        if any(each.choices[d] != start.choices[d] for d in group.decisions)
    }
    assert changed == set(range(len(space.groups)))


def test_a_group_without_a_choice_stays_as_it_is() -> None:
    space = ToySpace(((1, 1), (2, 1)), options=2, with_none=False)
    space.decisions = (space.decisions[0].__class__("d0", ("only",)), *space.decisions[1:])
    start = space.architecture([0, 0, None])
    assert mutate_group(start, 0, np.random.default_rng(0)) == start
    assert mutate_group(start, 1, np.random.default_rng(0)) != start


@pytest.mark.parametrize("name", SPACES)
def test_a_child_has_each_group_of_one_of_its_parents(name: str) -> None:
    space, generator = make_space(name), np.random.default_rng(0)
    first, second = space.sample(2, seed=2)
    both = set()
    for _ in range(20):
        child = crossover(first, second, generator)
        for group in space.groups:
            parents = [tuple(each.choices[d] for d in group.decisions) for each in (first, second)]
            part = tuple(child.choices[d] for d in group.decisions)
            assert part in parents
            both.add(parents.index(part))
    assert both == {0, 1}
