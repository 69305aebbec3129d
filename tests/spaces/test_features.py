"""Counts are what one would count by hand, whatever the labels."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chronas.spaces import SPACES, make_space
from chronas.spaces.topologies.reachability import operation_counts
from toy_space import ToySpace, toy_spaces


@settings(max_examples=25, deadline=None)
@given(space=toy_spaces(), data=st.data())
def test_counts_are_those_of_a_plain_loop(space: ToySpace, data: st.DataObject) -> None:
    labels = data.draw(st.lists(st.sampled_from("ab"), min_size=len(space.decisions), max_size=len(space.decisions)))
    matrix = operation_counts(space, labels)
    assert matrix.shape == (len(set(labels)) * len(space.decisions[0].options), space.encoding_length)
    assert matrix.sum(axis=0).tolist() == [1.0] * space.encoding_length
    for architecture in space.everything()[:20]:
        counted = Counter(
            (labels[d], architecture.operation(d))
            for d, choice in enumerate(architecture.choices)
            if choice is not None
        )
        features = matrix @ space.encode([architecture])[0]
        assert sorted(features[features > 0].tolist()) == sorted(map(float, counted.values()))
        assert features.sum() == sum(group.keep for group in space.groups)


@pytest.mark.parametrize("name", SPACES)
def test_moving_an_operation_to_another_input_of_the_same_kind_changes_no_count(name: str) -> None:
    """The counts say how often, not where: both inputs of a DARTS cell are alike to them."""
    space = make_space(name)
    names = [space.decisions[d].options[o] for d, o in space.slots]
    features = operation_counts(space, ["all"] * len(space.decisions))
    for one in range(space.encoding_length):
        for other in range(one + 1, min(one + 40, space.encoding_length)):
            same = names[one] == names[other]
            assert np.array_equal(features[:, one], features[:, other]) == same
