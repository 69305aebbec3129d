"""The factor of intervals against counting, and its rank with few rows."""

from __future__ import annotations

import pytest
import torch

from chronas.predictors.calibration import interval_factor


def test_the_factor_covers_nine_of_ten_of_many() -> None:
    errors = torch.randn(20_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 3
    assert interval_factor(errors, torch.ones(20_000, dtype=torch.float64), 0.0) == pytest.approx(3, rel=0.03)
    assert interval_factor(errors * 0, torch.ones(20_000, dtype=torch.float64), 0.5) == 0.5
    assert interval_factor(errors, 3 * torch.ones(20_000, dtype=torch.float64), 0.0) == pytest.approx(1, rel=0.03)


def test_what_the_rows_chose_makes_intervals_wider_up_to_half_the_rows() -> None:
    errors, spreads = torch.linspace(0.1, 2, 20), torch.ones(20)
    plain, five, all_of_them = (interval_factor(errors, spreads, 0.0, chosen) for chosen in (0, 5, 30))
    assert five == pytest.approx(plain * (20 / 15) ** 0.5) and all_of_them == pytest.approx(plain * 2**0.5)


def test_few_rows_cover_a_new_one_nine_times_of_ten() -> None:
    """Nine tenths of 20 errors, the eighteenth, would cover a new one in 86 of 100 cases only."""
    generator = torch.Generator().manual_seed(0)
    covered = 0
    for _ in range(2000):
        errors = torch.randn(21, generator=generator, dtype=torch.float64)
        covered += abs(float(errors[20])) <= 1.645 * interval_factor(errors[:20], torch.ones(20), 0.0)
    assert 0.885 < covered / 2000 < 0.925
