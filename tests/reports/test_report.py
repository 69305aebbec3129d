from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from sample import sample_networks, sample_report

from chronas.errors import DataError
from chronas.reports import Report, load_report, save_report

NUMBER = st.floats(allow_nan=False, allow_infinity=False)
TEXT = st.text(max_size=20)


@pytest.mark.parametrize("space", ["darts", "nasbench201"])
def test_a_report_comes_back_as_it_was(tmp_path: Path, space: str) -> None:
    report = sample_report(space)
    save_report(tmp_path / "report.json", report)
    assert load_report(tmp_path / "report.json") == report


@given(
    notes=st.lists(TEXT, max_size=3),
    asked=st.dictionaries(TEXT, TEXT, max_size=3),
    timings=st.dictionaries(TEXT, NUMBER, max_size=3),
    limits=st.dictionaries(TEXT, NUMBER, max_size=2),
    device=st.dictionaries(TEXT, st.integers(-(2**40), 2**40) | NUMBER | TEXT, max_size=3),
)
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_content_comes_back_as_it_was(tmp_path: Path, **content: object) -> None:
    report = replace(EMPTY, **content)  # type: ignore[arg-type]
    save_report(tmp_path / "report.json", report)
    again = load_report(tmp_path / "report.json")
    assert again == report
    assert {key: type(value) for key, value in again.device.items()} == {k: type(v) for k, v in report.device.items()}


EMPTY: Report = replace(sample_report(answer=False), predictor=None, searches=[], measured={})


def test_numbers_that_are_none_are_refused() -> None:
    with pytest.raises(ValidationError, match="finite"):
        replace(EMPTY, limits={"latency_ms": float("nan")})
    with pytest.raises(ValidationError, match="less than or equal to 100"):
        replace(sample_networks("darts", "limit")[0], accuracy_percent=980.0)


def test_a_damaged_report_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    save_report(path, sample_report())
    content = json.loads(path.read_text(encoding="utf-8"))
    content["networks"][0]["role"] = "mystery"
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(DataError, match=r"networks\.0\.role.*make it again") as caught:
        load_report(path)
    assert "\n" not in str(caught.value)


def test_the_answer_is_the_found_network() -> None:
    report = sample_report()
    assert report.answer() is report.networks[0]
    assert sample_report(answer=False).answer() is None
    with pytest.raises(DataError, match="'lost' is not among its networks: within the limit, weight 0"):
        replace(report, found="lost").answer()
