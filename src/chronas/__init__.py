"""chronas finds a neural network that is as accurate as it can be within the time the target hardware has for it."""

from __future__ import annotations

__all__ = ["__version__"]

__version__ = "0.1.0"
