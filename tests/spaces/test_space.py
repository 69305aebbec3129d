"""What is derived from decisions and groups, against plain enumeration of small spaces of any shape."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from chronas.errors import UsageError
from chronas.spaces import Architecture, Decision, make_space
from toy_space import ToySpace, toy_spaces

few = settings(max_examples=25, deadline=None)


@few
@given(space=toy_spaces())
def test_a_group_has_each_valid_choice_once(space: ToySpace) -> None:
    for group in space.groups:
        options = [len(space.decisions[d].options) for d in group.decisions]
        found = space.assignments(group)
        assert len(found) == len(set(found)) == math.comb(len(options), group.keep) * options[0] ** group.keep
        for choices in found:
            assert sum(choice is not None for choice in choices) == group.keep
            assert all(c is None or 0 <= c < most for c, most in zip(choices, options, strict=True))


@few
@given(space=toy_spaces(), seed=st.integers(0, 2**32))
def test_a_sample_of_the_whole_space_is_the_whole_space(space: ToySpace, seed: int) -> None:
    everything = space.everything()
    assert space.cardinality == len(everything)
    sampled = space.sample(space.cardinality, seed)
    assert len(sampled) == space.cardinality
    assert set(sampled) == set(everything)
    with pytest.raises(UsageError, match=f"toy has {space.cardinality} architectures"):
        space.sample(1, seed, exclude=frozenset(everything))


@few
@given(space=toy_spaces(), seed=st.integers(0, 2**32), share=st.floats(0, 1))
def test_what_is_excluded_is_left_out_and_the_order_stays(space: ToySpace, seed: int, share: float) -> None:
    order = space.sample(space.cardinality, seed)
    excluded = frozenset(order[: int(share * len(order))])
    rest = space.sample(space.cardinality - len(excluded), seed, exclude=excluded)
    assert rest == [architecture for architecture in order if architecture not in excluded]


@few
@given(space=toy_spaces())
def test_encodings_are_distinct_and_can_be_read_back(space: ToySpace) -> None:
    everything = space.everything()
    codes = space.encode(everything)
    assert codes.shape == (len(everything), sum(len(d.options) for d in space.decisions))
    assert len(np.unique(codes, axis=0)) == len(everything)
    for architecture, code in zip(everything, codes, strict=True):
        choices: list[int | None] = [None] * len(space.decisions)
        for slot in np.flatnonzero(code):
            decision, option = space.slots[slot]
            assert slot == space.offsets[decision] + option
            choices[decision] = option
        assert space.architecture(choices) == architecture
        assert code.sum() == sum(group.keep for group in space.groups)


@few
@given(space=toy_spaces(), data=st.data())
def test_choices_are_an_architecture_exactly_if_every_group_keeps_its_number(
    space: ToySpace, data: st.DataObject
) -> None:
    option = st.none() | st.integers(-1, len(space.decisions[0].options))
    choices = data.draw(st.tuples(*[option] * len(space.decisions)))
    valid = {architecture.choices for architecture in space.everything()}
    if choices in valid:
        assert space.architecture(choices).choices == choices
        return
    with pytest.raises(UsageError):
        space.architecture(choices)


def test_draws_are_uniform_over_the_whole_space_and_not_only_over_each_group() -> None:
    """A chi-square over all architectures also sees groups that are drawn together instead of on their own."""
    space = ToySpace(((3, 2), (2, 1)), options=2, with_none=False)
    place = {architecture: number for number, architecture in enumerate(space.everything())}
    generator = np.random.default_rng(7)
    drawn = [place[space.draw(generator)] for _ in range(6000)]
    assert stats.chisquare(np.bincount(drawn, minlength=len(place))).pvalue > 1e-3
    first = [place[space.sample(1, seed)[0]] for seed in range(3000)]
    assert stats.chisquare(np.bincount(first, minlength=len(place))).pvalue > 1e-3


@pytest.mark.parametrize("name", ["darts", "nasbench201"])
def test_groups_are_drawn_independently_of_each_other(name: str) -> None:
    space = make_space(name)
    samples = space.sample(4000, seed=2)
    one, other = space.groups[0].decisions[0], space.groups[-1].decisions[0]
    kinds = len(space.decisions[0].options)
    table = np.zeros((kinds + 1, kinds + 1))
    for architecture in samples:
        pair = [kinds if architecture.choices[d] is None else architecture.choices[d] for d in (one, other)]
        table[pair[0], pair[1]] += 1
    seen = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0]
    assert stats.chi2_contingency(seen).pvalue > 1e-3


def test_a_large_space_is_not_enumerated_to_sample_from_it() -> None:
    space = make_space("darts")
    assert space.cardinality > 1e18
    assert len(set(space.sample(300, seed=0))) == 300


def test_architectures_are_equal_by_space_and_choices() -> None:
    first, second = (ToySpace(((2, 1),), options=2, with_none=flag) for flag in (True, False))
    assert first.architecture([0, None]) == second.architecture([0, None])
    assert first.architecture([0, None]) != first.architecture([None, 0])
    other = make_space("nasbench201").sample(1, seed=0)[0]
    assert other != Architecture(first, other.choices)
    assert other != str(other)
    assert len({first.architecture([0, None]), second.architecture([0, None]), first.architecture([1, None])}) == 2


def test_an_operation_is_named_where_its_decision_is_kept() -> None:
    architecture = ToySpace(((3, 2),), options=3, with_none=True).architecture([2, None, 0])
    assert [architecture.operation(d) for d in range(3)] == ["op2", None, "op0"]


def test_without_a_canonical_form_or_features_of_its_own_a_space_has_the_plain_ones() -> None:
    space = ToySpace(((2, 1),), options=3, with_none=True)
    architecture = space.sample(1, seed=0)[0]
    assert architecture.canonical() is architecture
    assert np.array_equal(space.feature_map(), np.eye(6))


def test_what_is_never_derived_stands_before_the_options() -> None:
    assert Decision("d", ("a", "b"), ("none",)).relaxed == ("none", "a", "b")
    assert Decision("d", ("a", "b")).relaxed == ("a", "b")
