"""Contract suites as pytest classes: subclass one in a test file, and it checks an extension of yours.

from chronas.testing import SpaceContract

class TestMySpace(SpaceContract):
    space = MySpace()

They need pytest. chronas runs the same suites on all its built-in parts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chronas.registry import lazily

if TYPE_CHECKING:
    from chronas.testing.devices import DeviceContract
    from chronas.testing.predictors import PredictorContract
    from chronas.testing.searchers import SearcherContract
    from chronas.testing.spaces import SpaceContract

__all__ = ["DeviceContract", "PredictorContract", "SearcherContract", "SpaceContract"]

__getattr__ = lazily(
    __name__,
    {
        "devices": "DeviceContract",
        "predictors": "PredictorContract",
        "searchers": "SearcherContract",
        "spaces": "SpaceContract",
    },
)
