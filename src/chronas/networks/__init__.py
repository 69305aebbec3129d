"""What an architecture becomes: plain torch networks, their counts, and the files they are exported to.

network = build(make_space("darts").sample(1, seed=0)[0], make_space("darts").skeletons["cifar10"])
logits = network.eval()(torch.zeros(1, 3, 32, 32))
print(count(network, (3, 32, 32)).macs)
"""

from __future__ import annotations

from chronas.networks.build import AnyNetwork, build, cell_topology, chain, edgeless, plan
from chronas.networks.cells import BlockPlan, CellPlan, DropPath, Network, NetworkPlan, is_even
from chronas.networks.closed_form import ClosedForm, closed_form
from chronas.networks.graph import Counts, count
from chronas.networks.interface import Interface
from chronas.networks.layers import ChainNetwork, ChainPlan, LayerPlan, make_block
from chronas.networks.onnx import onnx_bytes, write_onnx
from chronas.networks.operations import (
    OPERATIONS,
    DilatedConv,
    ReLUConvBN,
    SeparableConv,
    Zero,
    make_operation,
)
from chronas.networks.source import model_source, write_source
from chronas.networks.weights import load_state, save_state
from chronas.networks.workload import Layer, Workload, slot_workloads, workload

__all__ = [
    "OPERATIONS",
    "AnyNetwork",
    "BlockPlan",
    "CellPlan",
    "ChainNetwork",
    "ChainPlan",
    "ClosedForm",
    "Counts",
    "DilatedConv",
    "DropPath",
    "Interface",
    "Layer",
    "LayerPlan",
    "Network",
    "NetworkPlan",
    "ReLUConvBN",
    "SeparableConv",
    "Workload",
    "Zero",
    "build",
    "cell_topology",
    "chain",
    "closed_form",
    "count",
    "edgeless",
    "is_even",
    "load_state",
    "make_block",
    "make_operation",
    "model_source",
    "onnx_bytes",
    "plan",
    "save_state",
    "slot_workloads",
    "workload",
    "write_onnx",
    "write_source",
]
