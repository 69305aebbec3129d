"""MACs of layers that our own list lacks, counted by PyTorch while they run (`torch.utils.flop_counter`)."""

from __future__ import annotations

from collections.abc import Callable

import torch

FLOPS_PER_MAC = 2


def multiplications(run: Callable[[], object]) -> int:
    """The MACs of all convolutions and matrix products in a call, attention included.

    Fused kernels of transformers and attention are switched off during the call: the counter knows none of those for
    CPUs and would skip them silently.
    """
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode  # takes a second to import, and few networks need it

    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with FlopCounterMode(display=False) as counter, torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
            run()
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
    return int(counter.get_total_flops()) // FLOPS_PER_MAC
