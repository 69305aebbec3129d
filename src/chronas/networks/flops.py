"""MACs of what is not in our own list of layers, counted by PyTorch while it runs (`torch.utils.flop_counter`)."""

from __future__ import annotations

from collections.abc import Callable

import torch

FLOPS_PER_MAC = 2


def multiplications(run: Callable[[], object]) -> int:
    """The MACs of all convolutions and products of matrices that a call makes, attention included.

    Fused kernels of transformers are switched off meanwhile, because the counter does not see into them.
    """
    from torch.utils.flop_counter import FlopCounterMode  # takes a second to import, and few networks need it

    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            run()
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
    return int(counter.get_total_flops()) // FLOPS_PER_MAC
