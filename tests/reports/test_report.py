from __future__ import annotations

from dataclasses import replace

import pytest
from pydantic import ValidationError
from sample import sample_networks, sample_report

from chronas.errors import DataError
from chronas.reports import Report

EMPTY: Report = replace(sample_report(answer=False), predictor=None, searches=[], measured={})


def test_numbers_that_are_none_are_refused() -> None:
    with pytest.raises(ValidationError, match="finite"):
        replace(EMPTY, limits={"latency_ms": float("nan")})
    with pytest.raises(ValidationError, match="less than or equal to 100"):
        replace(sample_networks("darts", "limit")[0], accuracy_percent=980.0)


def test_the_answer_is_the_found_network() -> None:
    report = sample_report()
    assert report.answer() is report.networks[0]
    assert sample_report(answer=False).answer() is None
    with pytest.raises(DataError, match="'lost' is not among its networks: within the limit, weight 0"):
        replace(report, found="lost").answer()
