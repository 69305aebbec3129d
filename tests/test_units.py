from __future__ import annotations

import pytest

from chronas.units import COST_UNITS, duration_text, mib_from_bytes, ms_from_ns


def test_units_are_converted_once_and_rightly() -> None:
    assert ms_from_ns(2_500_000) == 2.5
    assert mib_from_bytes(3 * 1024 * 1024) == 3.0


def test_each_cost_carries_its_unit_in_its_name() -> None:
    assert all(name.endswith(f"_{unit.lower()}") for name, unit in COST_UNITS.items())


@pytest.mark.parametrize(
    ("duration_s", "text"),
    [
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (185, "3 min 05 s"),
        (3599.7, "1 h 00 min"),
        (7800, "2 h 10 min"),
    ],
)
def test_durations_are_written_for_people(duration_s: float, text: str) -> None:
    assert duration_text(duration_s) == text
