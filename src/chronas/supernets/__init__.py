"""Supernets: all networks of a space in one, with shared weights.

supernet = build_supernet(make_space("darts"), size, seed=0)
logits = supernet(images, relaxation.operation_weights(), relaxation.edge_weights())
logits = supernet(images, *discrete_weights(architecture))
"""

from __future__ import annotations

from chronas.supernets.elastic import ElasticSupernet
from chronas.supernets.kernels import BatchStandardise
from chronas.supernets.supernet import Supernet, build_supernet, channel_sources, discrete_weights, net2wider

__all__ = [
    "BatchStandardise",
    "ElasticSupernet",
    "Supernet",
    "build_supernet",
    "channel_sources",
    "discrete_weights",
    "net2wider",
]
