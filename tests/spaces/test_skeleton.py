from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from chronas.spaces import Skeleton

skeletons = st.builds(
    Skeleton,
    input_shape=st.tuples(st.integers(1, 4), st.integers(1, 300), st.integers(1, 300)),
    classes=st.integers(2, 1000),
    width=st.integers(1, 1024),
    depth=st.integers(1, 200),
    stem=st.sampled_from(["cifar", "imagenet"]),
)


@given(one=skeletons, other=skeletons)
def test_json_gives_it_back_and_texts_tell_skeletons_apart(one: Skeleton, other: Skeleton) -> None:
    assert Skeleton.model_validate_json(one.model_dump_json()) == one
    assert hash(Skeleton.model_validate(one.model_dump(mode="json"))) == hash(one)
    assert (str(one) == str(other)) == (one == other)


@pytest.mark.parametrize(
    "wrong",
    [
        {"classes": 1},
        {"width": 0},
        {"width": 1025},
        {"depth": 0},
        {"stem": "none"},
        {"input_shape": (3, 32)},
        {"input_shape": (3, 32, 32, 1)},
        {"channels": 3},
    ],
)
def test_what_cannot_be_built_is_refused(wrong: dict[str, Any]) -> None:
    sound: dict[str, Any] = {"input_shape": (3, 32, 32), "classes": 10, "width": 16, "depth": 8}
    Skeleton.model_validate(sound)
    with pytest.raises(ValidationError):
        Skeleton.model_validate(sound | wrong)


def test_it_cannot_be_changed() -> None:
    skeleton = Skeleton(input_shape=(3, 32, 32), classes=10, width=16, depth=8)
    with pytest.raises(ValidationError):
        skeleton.width = 32
