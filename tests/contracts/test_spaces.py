"""What every space promises, whatever its decisions are; a new entry of SPACES is picked up by itself."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from chronas.errors import ParseError, UsageError
from chronas.spaces import SPACES, Architecture, Space, make_space

every_space = pytest.mark.parametrize("space", [make_space(name) for name in SPACES], ids=list(SPACES))


@every_space
def test_is_found_by_its_name(space: Space) -> None:
    assert make_space(space.name) is space


def test_an_unknown_name_lists_the_valid_ones() -> None:
    with pytest.raises(UsageError, match=r"did you mean darts.*valid names are darts"):
        make_space("dart")


@every_space
def test_groups_are_a_partition_of_the_decisions(space: Space) -> None:
    assert sorted(d for group in space.groups for d in group.decisions) == list(range(len(space.decisions)))
    assert len({decision.name for decision in space.decisions}) == len(space.decisions)
    assert all(decision.relaxed[-len(decision.options) :] == decision.options for decision in space.decisions)


@every_space
@given(seed=st.integers(0, 2**32))
def test_text_and_parse_are_inverse(space: Space, seed: int) -> None:
    architecture = space.sample(1, seed)[0]
    text = str(architecture)
    assert "\n" not in text
    assert space.parse(f"  {text}\n") == architecture
    assert hash(space.parse(text)) == hash(architecture)
    assert space.architecture(architecture.choices) == architecture


@every_space
@given(text=st.text(max_size=200))
def test_any_other_text_is_a_parse_error(space: Space, text: str) -> None:
    with pytest.raises(ParseError) as caught:
        space.parse(text)
    assert "\n" not in str(caught.value)


@every_space
@given(seed=st.integers(0, 2**32), start=st.integers(0, 1000), length=st.integers(1, 40))
def test_a_text_with_a_hole_parses_to_a_valid_architecture_or_is_refused(
    space: Space, seed: int, start: int, length: int
) -> None:
    text = str(space.sample(1, seed)[0])
    start %= len(text)
    try:
        parsed = space.parse(text[:start] + text[start + length :])
    except ParseError:
        return
    assert space.architecture(parsed.choices) == parsed


@every_space
@pytest.mark.parametrize("text", ["(" * 4000, "[" * 100_000, "\0", "|" * 2000, "-" * 90_000, "x" * 3000])
def test_hostile_texts_are_refused_quickly(space: Space, text: str) -> None:
    with pytest.raises(ParseError) as caught:
        space.parse(text)
    assert len(str(caught.value)) < 400


@every_space
def test_samples_are_distinct_and_continue_with_the_count(space: Space) -> None:
    many = space.sample(500, seed=3)
    assert len(set(many)) == 500
    assert space.sample(100, seed=3) == many[:100]
    assert space.sample(100, seed=4) != many[:100]
    assert space.sample(400, seed=3, exclude=frozenset(many[:100])) == many[100:]


@every_space
def test_samples_are_uniform_over_the_assignments_of_each_group(space: Space) -> None:
    samples = space.sample(5000, seed=0)
    for group in space.groups:
        options = space.assignments(group)
        position = {option: number for number, option in enumerate(options)}
        seen = [position[tuple(a.choices[d] for d in group.decisions)] for a in samples]
        assert stats.chisquare(np.bincount(seen, minlength=len(options))).pvalue > 1e-4


@every_space
def test_more_than_there_are_cannot_be_sampled(space: Space) -> None:
    with pytest.raises(UsageError, match=f"has {space.cardinality} architectures"):
        space.sample(space.cardinality + 1, seed=0)


@every_space
def test_an_encoding_has_a_one_for_each_kept_decision(space: Space) -> None:
    samples = space.sample(50, seed=1)
    codes = space.encode(samples)
    assert codes.shape == (50, space.encoding_length)
    assert codes.dtype == np.float32
    for architecture, code in zip(samples, codes, strict=True):
        ones = [space.slots[slot] for slot in np.flatnonzero(code)]
        assert ones == [(d, o) for d, o in enumerate(architecture.choices) if o is not None]
    assert space.encode([]).shape == (0, space.encoding_length)


@every_space
def test_features_are_sums_over_slots(space: Space) -> None:
    features = space.feature_map()
    assert features.shape[1] == space.encoding_length
    assert np.isfinite(features).all()
    assert (np.abs(features).sum(axis=0) > 0).all()


@every_space
def test_the_canonical_form_is_in_the_space_and_stays(space: Space) -> None:
    for architecture in space.sample(50, seed=5):
        canonical = architecture.canonical()
        assert canonical.canonical() == canonical
        assert space.parse(str(canonical)) == canonical


@every_space
def test_the_pruned_form_is_in_the_space_and_stays(space: Space) -> None:
    for architecture in space.sample(50, seed=6):
        pruned = architecture.pruned()
        assert pruned.pruned() == pruned
        assert space.parse(str(pruned)) == pruned


@every_space
def test_all_architectures_are_listed_or_said_to_be_too_many(space: Space) -> None:
    if not space.listable:
        with pytest.raises(UsageError, match="too many to list"):
            space.every()
        return
    every = list(space.every())
    assert len(set(every)) == len(every) == space.cardinality
    indices = [index for index in map(space.index, every) if index is not None]
    assert sorted(indices) in ([], list(range(space.cardinality)))


def _changed(architecture: Architecture, decision: int, choice: int | None) -> tuple[int | None, ...]:
    choices = list(architecture.choices)
    choices[decision] = choice
    return tuple(choices)


@every_space
def test_choices_that_are_no_architecture_are_refused(space: Space) -> None:
    architecture = space.sample(1, seed=0)[0]
    kept = next(d for d, choice in enumerate(architecture.choices) if choice is not None)
    with pytest.raises(UsageError, match="decisions"):
        space.architecture(architecture.choices[1:])
    with pytest.raises(UsageError, match=space.decisions[kept].name):
        space.architecture(_changed(architecture, kept, 99))
    with pytest.raises(UsageError, match=space.decisions[kept].name):
        space.architecture(_changed(architecture, kept, -1))
    with pytest.raises(UsageError, match="exactly"):
        space.architecture(_changed(architecture, kept, None))


@every_space
def test_skeletons_are_of_stems_that_the_topology_has(space: Space) -> None:
    assert space.sizes
    for size in space.sizes.values():
        assert size.stem in space.topology.stems
        assert str(size.outputs) in str(size)


def test_spaces_need_neither_torch_nor_polars() -> None:
    script = (
        "import json, sys; from chronas.spaces import SPACES, make_space; "
        "[make_space(name).feature_map() for name in SPACES]; print(json.dumps(sorted(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not {"torch", "polars"} & set(json.loads(run.stdout))
