"""What an architecture becomes: plain torch networks, their counts, and the files they are exported to.

network = build(make_space("darts").sample(1, seed=0)[0], make_space("darts").skeletons["cifar10"])
logits = network.eval()(torch.zeros(1, 3, 32, 32))
print(count(network, (3, 32, 32)).macs)
"""

from __future__ import annotations

from chronas.networks.build import build, plan
from chronas.networks.cells import Network
from chronas.networks.closed_form import ClosedForm, closed_form
from chronas.networks.graph import Counts, count
from chronas.networks.onnx import onnx_bytes, write_onnx
from chronas.networks.operations import OPERATIONS, make_operation
from chronas.networks.source import write_source
from chronas.networks.weights import load_state, save_state

__all__ = [
    "OPERATIONS",
    "ClosedForm",
    "Counts",
    "Network",
    "build",
    "closed_form",
    "count",
    "load_state",
    "make_operation",
    "onnx_bytes",
    "plan",
    "save_state",
    "write_onnx",
    "write_source",
]
