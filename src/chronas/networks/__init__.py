"""Architectures as plain torch networks, their counts, and the files they are exported to.

network = build(make_space("darts").sample(1, seed=0)[0], make_space("darts").sizes["cifar10"])
logits = network.eval()(torch.zeros(1, 3, 32, 32))
print(count(network, (3, 32, 32)).macs)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chronas.registry import lazily

if TYPE_CHECKING:
    from chronas.networks.cells import BlockPlan, CellPlan, DropPath, Network, NetworkPlan, is_even, set_drop_path
    from chronas.networks.construction import Preprocessing, build, load_state, plan, save_state
    from chronas.networks.counts import (
        Counts,
        Layer,
        Work,
        Workload,
        count,
        workload,
    )
    from chronas.networks.exported_program import read_exported
    from chronas.networks.given_weights import FittedWeights, GivenWeights, fit_weights, read_weights
    from chronas.networks.graph import UntraceableError, wiring
    from chronas.networks.inference import INFERENCE, write_inference
    from chronas.networks.layers import ChainNetwork, ChainPlan, LayerPlan, make_block
    from chronas.networks.mobile import InvertedPlan, MobileNetwork, MobilePlan, efficientnet_lite0, mobilenet_v3
    from chronas.networks.onnx import onnx_bytes, write_onnx
    from chronas.networks.onnx_converters import INPUT_NAME
    from chronas.networks.onnx_file import OnnxCounts, OnnxNetwork, read_onnx
    from chronas.networks.operations import (
        OPERATIONS,
        DilatedConv,
        OpSpec,
        ReLUConvBN,
        SeparableConv,
        Zero,
        make_operation,
    )
    from chronas.networks.quantise import quantised
    from chronas.networks.slot_counts import (
        SlotCounts,
        SpaceCounts,
        SpaceWork,
        space_counts,
        space_works,
        work_by_differences,
    )
    from chronas.networks.source import model_source, write_source
    from chronas.networks.weight_layouts import TRANSFORMS

__all__ = [
    "INFERENCE",
    "INPUT_NAME",
    "OPERATIONS",
    "TRANSFORMS",
    "BlockPlan",
    "CellPlan",
    "ChainNetwork",
    "ChainPlan",
    "SlotCounts",
    "SpaceCounts",
    "SpaceWork",
    "Work",
    "Counts",
    "DilatedConv",
    "DropPath",
    "FittedWeights",
    "GivenWeights",
    "Preprocessing",
    "InvertedPlan",
    "Layer",
    "MobileNetwork",
    "MobilePlan",
    "efficientnet_lite0",
    "fit_weights",
    "read_weights",
    "mobilenet_v3",
    "LayerPlan",
    "Network",
    "NetworkPlan",
    "OnnxCounts",
    "OnnxNetwork",
    "OpSpec",
    "ReLUConvBN",
    "SeparableConv",
    "UntraceableError",
    "Workload",
    "Zero",
    "build",
    "space_counts",
    "count",
    "is_even",
    "load_state",
    "make_block",
    "make_operation",
    "model_source",
    "onnx_bytes",
    "plan",
    "quantised",
    "read_exported",
    "read_onnx",
    "save_state",
    "set_drop_path",
    "space_works",
    "wiring",
    "work_by_differences",
    "workload",
    "write_inference",
    "write_onnx",
    "write_source",
]

__getattr__ = lazily(
    __name__,
    {
        "construction": "build plan Preprocessing load_state save_state",
        "cells": "BlockPlan CellPlan DropPath Network NetworkPlan is_even set_drop_path",
        "counts": "Counts Layer Work Workload count workload",
        "exported_program": "read_exported",
        "given_weights": "FittedWeights GivenWeights fit_weights read_weights",
        "graph": "UntraceableError wiring",
        "inference": "INFERENCE write_inference",
        "layers": "ChainNetwork ChainPlan LayerPlan make_block",
        "mobile": "InvertedPlan MobileNetwork MobilePlan efficientnet_lite0 mobilenet_v3",
        "onnx": "onnx_bytes write_onnx",
        "onnx_converters": "INPUT_NAME",
        "onnx_file": "OnnxCounts OnnxNetwork read_onnx",
        "operations": "OPERATIONS DilatedConv OpSpec ReLUConvBN SeparableConv Zero make_operation",
        "quantise": "quantised",
        "slot_counts": "SlotCounts SpaceCounts SpaceWork space_counts space_works work_by_differences",
        "source": "model_source write_source",
        "weight_layouts": "TRANSFORMS",
    },
)
