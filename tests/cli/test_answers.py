from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chronas.cli.output import write, write_json, write_table

Capture = pytest.CaptureFixture[str]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
shared_capture = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)


def test_text_ends_in_exactly_one_line_break(capsys: Capture) -> None:
    write("one")
    write("two\n")
    assert capsys.readouterr().out == "one\ntwo\n"


@shared_capture
@given(content=JSON)
def test_json_answers_read_back(content: object, capsys: Capture) -> None:
    capsys.readouterr()
    write_json(content)
    assert json.loads(capsys.readouterr().out) == content


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_json_cannot_hold_is_not_written(value: float, capsys: Capture) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json({"latency_ms": value})
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "-"), (True, "yes"), (False, "no"), (1.23456, "1.235"), (12345678, "12345678"), ("a b", "a b"), (0.0, "0")],
)
def test_values_are_shown_for_people(value: object, shown: str, capsys: Capture) -> None:
    write_table(["name", "value"], [("x", value)])
    assert capsys.readouterr().out.splitlines()[1].split(maxsplit=1) == ["x", shown]


def test_numbers_stand_right_and_text_left_under_their_headings(capsys: Capture) -> None:
    write_table(["network", "ms"], [("a", 1.5), ("longer name", None), ("b", 100.25)])
    assert capsys.readouterr().out.splitlines() == [
        "network         ms",
        "a              1.5",
        "longer name      -",
        "b            100.2",
    ]


def test_a_title_stands_above(capsys: Capture) -> None:
    write_table(["a"], [(1,)], title="\nthe fastest 1")
    assert capsys.readouterr().out.splitlines() == ["", "the fastest 1", "a", "1"]


def test_long_text_is_neither_cut_nor_wrapped_where_stdout_is_no_terminal(capsys: Capture) -> None:
    text = "Genotype(" + ", ".join(f"('sep_conv_3x3', {number})" for number in range(30)) + ")"
    write_table(["architecture"], [(text,)])
    assert text in capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("text", ["[bold]x[/bold]", "[/]", "[red", "a [b] c", ":smile:"])
def test_text_is_shown_as_it_is(text: str, capsys: Capture) -> None:
    write_table(["folder", "n"], [(text, 1)])
    assert text in capsys.readouterr().out
