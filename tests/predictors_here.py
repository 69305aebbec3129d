"""Every predictor by name; those whose extra package is not installed are skipped, and say why."""

from __future__ import annotations

import pytest

from chronas.predictors import PREDICTORS, predictor_class


def _each(name: str) -> object:
    reason = predictor_class(name).unavailable()
    return pytest.param(name, marks=pytest.mark.skipif(reason is not None, reason=str(reason)), id=name)


EVERY_PREDICTOR = [_each(name) for name in PREDICTORS]
HERE = [name for name in PREDICTORS if predictor_class(name).unavailable() is None]
