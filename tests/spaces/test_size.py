from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from chronas.spaces import NetworkSize

sizes = st.builds(
    NetworkSize,
    input_shape=st.tuples(st.integers(1, 4), st.integers(1, 300), st.integers(1, 300)),
    outputs=st.integers(2, 1000),
    width=st.integers(1, 1024),
    depth=st.integers(1, 200),
    stem=st.sampled_from(["cifar", "imagenet"]),
)


@given(one=sizes, other=sizes)
def test_json_gives_it_back_and_texts_tell_sizes_apart(one: NetworkSize, other: NetworkSize) -> None:
    assert NetworkSize.model_validate_json(one.model_dump_json()) == one
    assert hash(NetworkSize.model_validate(one.model_dump(mode="json"))) == hash(one)
    assert (str(one) == str(other)) == (one == other)


@pytest.mark.parametrize(
    "wrong",
    [
        {"outputs": 1},
        {"width": 0},
        {"width": 1025},
        {"depth": 0},
        {"stem": 3},
        {"input_shape": (3, 32)},
        {"input_shape": (3, 32, 32, 1)},
        {"channels": 3},
    ],
)
def test_what_cannot_be_built_is_refused(wrong: dict[str, Any]) -> None:
    sound: dict[str, Any] = {"input_shape": (3, 32, 32), "outputs": 10, "width": 16, "depth": 8}
    NetworkSize.model_validate(sound)
    with pytest.raises(ValidationError):
        NetworkSize.model_validate(sound | wrong)


def test_it_cannot_be_changed() -> None:
    size = NetworkSize(input_shape=(3, 32, 32), outputs=10, width=16, depth=8)
    with pytest.raises(ValidationError):
        size.width = 32
