"""All networks of a space at once, with shared weights.

supernet = build_supernet(make_space("darts"), skeleton, seed=0)
logits = supernet(images, relaxation.operation_weights(), relaxation.edge_weights())
logits = supernet(images, *discrete_weights(architecture))
"""

from __future__ import annotations

from chronas.supernets.build import build_supernet, discrete_weights
from chronas.supernets.norms import Standardise
from chronas.supernets.supernet import Supernet
from chronas.supernets.widening import channel_sources, widened

__all__ = ["Standardise", "Supernet", "build_supernet", "channel_sources", "discrete_weights", "widened"]
