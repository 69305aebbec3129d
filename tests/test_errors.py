from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronas import errors
from chronas.errors import ChronasError, LimitMissedError, ParseError, UsageError, excerpt, unknown_name


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    error = unknown_name("device", "onnxruntme-cpu", ["simulated", "onnxruntime-cpu"])
    assert isinstance(error, UsageError)
    assert str(error) == (
        "unknown device 'onnxruntme-cpu': did you mean onnxruntime-cpu? valid names are onnxruntime-cpu, simulated"
    )


def test_a_name_near_none_lists_all() -> None:
    assert str(unknown_name("space", "zzz", {"b": 1, "a": 2})) == "unknown space 'zzz': valid names are a, b"


@given(got=st.text(max_size=500))
def test_errors_are_one_short_line_whatever_was_given(got: str) -> None:
    message = str(unknown_name("space", got, ["darts"]))
    assert message.isprintable()
    assert len(message) < 900


def test_an_excerpt_is_short_and_quoted() -> None:
    assert excerpt("darts") == "'darts'"
    assert len(excerpt("x" * 1000)) == 82


EVERY = [value for value in vars(errors).values() if isinstance(value, type) and value.__module__ == errors.__name__]


@pytest.mark.parametrize("error", EVERY)
def test_exit_codes_are_1_for_a_missed_limit_and_2_else(error: type[ChronasError]) -> None:
    assert issubclass(error, ChronasError)
    assert error.exit_code == (1 if error is LimitMissedError else 2)


def test_a_malformed_text_is_a_wrong_use() -> None:
    assert issubclass(ParseError, UsageError)
