"""What an architecture becomes: plain torch networks, their graph and counts, and the files they are exported to.

network = build(make_space("darts").sample(1, seed=0)[0], make_space("darts").skeletons["cifar10"])
logits = network.eval()(torch.zeros(1, 3, 32, 32))
"""

from __future__ import annotations

from chronas.networks.build import build, plan
from chronas.networks.cells import Network
from chronas.networks.operations import OPERATIONS, make_operation

__all__ = ["OPERATIONS", "Network", "build", "make_operation", "plan"]
