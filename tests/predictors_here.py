"""Every predictor by name, with quick settings; those whose extra package is not installed are skipped, and say why."""

from __future__ import annotations

import pytest

from chronas.predictors import PREDICTORS, predictor_class
from chronas.predictors.boosted import BoostedConfig
from chronas.predictors.gnn import GraphConfig
from chronas.predictors.lpm import LpmConfig
from chronas.predictors.stacking import StackedConfig


def _each(name: str) -> object:
    reason = predictor_class(name).unavailable()
    return pytest.param(name, marks=pytest.mark.skipif(reason is not None, reason=str(reason)), id=name)


EVERY_PREDICTOR = [_each(name) for name in PREDICTORS]
QUICK = {  # settings for what does not depend on how well a predictor learns
    "lpm": LpmConfig(steps=30, hidden=8),
    "graph": GraphConfig(steps=30, hidden=8),
    "boosted": BoostedConfig(trees=40),
    "ensemble": StackedConfig(predictors=("gp", "lpm")),
}
HERE = [name for name in PREDICTORS if predictor_class(name).unavailable() is None]
