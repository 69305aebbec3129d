"""A network as `torch.export` gives it, for the runtimes that compile or convert it ahead of time.

Before the export each batch norm that alone reads a convolution is folded into it, as the ONNX writer does: what comes
after walks the graph dozens of times, and ExecuTorch took 40 s of CPU for an 8-cell DARTS network, 10 s for the folded
one. What the export notes about where each step came from is left out, since nobody reads it and every pass copies it.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

NOTES = ("from_node", "nn_module_stack", "source_fn_stack", "stack_trace", "torch_fn")


def exported(network: nn.Module, images: torch.Tensor) -> torch.export.ExportedProgram:
    """The program of a network in eval mode for images of one shape; nothing of it is run.

    Args:
        network: without gradients, in the dtype that it shall compute in.
        images: [B, C, H, W] of that dtype; the program runs this shape alone.
    """
    program = torch.export.export(network, (images,), strict=False)
    for node in program.graph.nodes:
        for note in NOTES:
            node.meta.pop(note, None)
    return program


def folded(network: nn.Module) -> nn.Module:
    """The network in eval mode with batch norms folded into the convolutions that they alone read."""
    traced = fx.symbolic_trace(network)
    layers = dict(traced.named_modules())
    for node in [node for node in traced.graph.nodes if _layer(node, layers, nn.BatchNorm2d) is not None]:
        source = node.args[0]
        convolution, norm = _layer(source, layers, nn.Conv2d), layers[node.target]
        if not isinstance(convolution, nn.Conv2d) or len(source.users) > 1:
            continue
        owner, _, name = source.target.rpartition(".")
        setattr(layers[owner], name, fuse_conv_bn_eval(convolution, norm))
        node.replace_all_uses_with(source)
        traced.graph.erase_node(node)
    traced.graph.eliminate_dead_code()
    traced.recompile()
    return traced


def _layer(node: fx.Node, layers: dict[str, nn.Module], kind: type[nn.Module]) -> nn.Module | None:
    layer = layers[str(node.target)] if node.op == "call_module" else None
    return layer if type(layer) is kind else None


@contextmanager
def compilers_own_warnings() -> Iterator[None]:
    """Keep to itself what PyTorch's and ExecuTorch's compilers warn of in their own code: nothing a user can change."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        warnings.filterwarnings("ignore", category=FutureWarning)
        warnings.filterwarnings("ignore", message="This API is experimental")
        yield
