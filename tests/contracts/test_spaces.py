"""The contract of spaces on all that come with chronas; a new entry of SPACES is picked up by itself."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronas.errors import ParseError, UsageError
from chronas.spaces import SPACES, NetworkSize, Space, make_space
from chronas.testing import SpaceContract

SMALL = NetworkSize(input_shape=(3, 16, 16), outputs=7, width=4, depth=1)

for name in SPACES:
    suite = f"Test_{name}"
    globals()[suite] = type(suite, (SpaceContract,), {"space": make_space(name), "size": SMALL})

every_space = pytest.mark.parametrize("space", [make_space(name) for name in SPACES], ids=list(SPACES))


@every_space
def test_is_found_by_its_name(space: Space) -> None:
    assert make_space(space.name) is space


def test_an_unknown_name_lists_the_valid_ones() -> None:
    with pytest.raises(UsageError, match=r"did you mean darts.*valid names are convnet, darts"):
        make_space("dart")


@every_space
@given(seed=st.integers(0, 2**32))
def test_text_and_parse_are_inverse(space: Space, seed: int) -> None:
    architecture = space.sample(1, seed)[0]
    assert space.parse(f"  {architecture}\n") == architecture


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


def test_spaces_need_neither_torch_nor_polars() -> None:
    script = (
        "import json, sys; from chronas.spaces import SPACES, make_space; "
        "[make_space(name).feature_map() for name in SPACES]; print(json.dumps(sorted(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not {"torch", "polars"} & set(json.loads(run.stdout))
