"""What an architecture becomes: a plain PyTorch module, its counts, its ONNX file and its weights."""

from __future__ import annotations

from chronas.networks.weights import load_state, save_state

__all__ = ["load_state", "save_state"]
