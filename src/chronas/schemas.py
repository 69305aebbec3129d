"""Keys of files of earlier versions, and their present names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

RENAMED = {
    "skeleton": "size",
    "classes": "outputs",
    "foreign_cores": "background_cores",
    "quiet_ms": "idle_reference_ms",
    "interface": "preprocessing",
    "logits": "alphas",
    "edge_logits": "edge_alphas",
    "trained": "warm_start",
    "logits_learning_rate": "alphas_learning_rate",
    "logits_beta_1": "alphas_beta_1",
    "logits_beta_2": "alphas_beta_2",
    "logits_weight_decay": "alphas_weight_decay",
    "frame": "size",
    "choice": "rerank",
    "initial": "initial_random",
    "together": "proposals",
    "capacity": "macs_weight",
    "gain": "synflow_weight",
    "dilution": "skip_penalty",
    "drawn": "pool",
    "value_ms": "value",
    "low_ms": "low",
    "high_ms": "high",
}

PREDICTOR_REPORT = {
    "measured_ms": "measured",
    "predicted_ms": "predicted",
    "predicted_std_ms": "predicted_std",
    "rmse_ms": "rmse",
}


def upgraded(content: Any, renamed: Mapping[str, str] = RENAMED) -> Any:
    """JSON content with its keys renamed to the present names, at every depth; current content stays the same.

    Args:
        content: dicts, lists, texts, numbers and None.
        renamed: earlier name -> present name.
    """
    if isinstance(content, dict):
        return {renamed.get(key, key): upgraded(value, renamed) for key, value in content.items()}
    return [upgraded(value, renamed) for value in content] if isinstance(content, list) else content
