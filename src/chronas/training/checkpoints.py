"""The two files of a training: `last.safetensors` for resuming, and `best.safetensors` with the weights to use.

`best` is written before `last`. A training that is killed between the two repeats its epoch and writes both again.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from chronas.errors import DataError, MismatchError
from chronas.networks import load_state, save_state
from chronas.training.recipe import Recipe

LAST, BEST = "last.safetensors", "best.safetensors"  # names of the files in the folder of a training
SCHEMAS = {LAST: "chronas.training/1", BEST: "chronas.weights/1"}
NETWORK, AVERAGE = "network.", "average."
STATE = {
    "momentum_buffer": "momentum.",
    "exp_avg": "exp_avg.",
    "exp_avg_sq": "exp_avg_sq.",
    "step": "step.",
}  # prefixes
AUXILIARY = "auxiliary"  # prefix of the parts that exist in training only


def save_best(folder: Path, network: nn.Module, epoch: int) -> None:
    """Write the weights and buffers of a network under their own names; raises `DataError` if it cannot."""
    save_state(folder / BEST, network.state_dict(), {"schema": SCHEMAS[BEST], "epoch": epoch})


def load_best(network: nn.Module, folder: Path) -> None:
    """Load the best weights of a training into a network; an auxiliary head that the network lacks is left out.

    Raises:
        DataError: `best.safetensors` is missing or damaged.
        MismatchError: the weights belong to another architecture or size.
    """
    tensors, _ = _load(folder / BEST)
    wanted = network.state_dict()
    given = {name: tensor for name, tensor in tensors.items() if name in wanted or not name.startswith(AUXILIARY)}
    _require_same(folder / BEST, wanted, given)
    network.load_state_dict(given)


def save_last(
    folder: Path,
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    average: nn.Module | None,
    identity: dict[str, Any],
    content: dict[str, Any],
) -> None:
    """Write what resuming needs: weights, their running mean, the optimiser's state, the identity, `content` (JSON)."""
    tensors = {NETWORK + name: tensor for name, tensor in network.state_dict().items()}
    tensors |= {AVERAGE + name: tensor for name, tensor in (average.state_dict() if average else {}).items()}
    tensors |= dict(_state(network, optimiser))
    save_state(folder / LAST, tensors, {"schema": SCHEMAS[LAST], "identity": identity, **content})


def load_last(
    folder: Path,
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    average: nn.Module | None,
    identity: dict[str, Any],
) -> dict[str, Any] | None:
    """Load the last weights, their mean and the optimiser's state; the content, or None before the first epoch's end.

    Raises:
        DataError: the file is damaged.
        MismatchError: it belongs to another architecture, recipe, seed or other images.
    """
    path = folder / LAST
    if not path.exists():
        return None
    tensors, content = _load(path)
    require_identity(path, identity, content["identity"])
    for prefix, module in ((NETWORK, network), (AVERAGE, average)):
        if module is not None:
            found = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
            _require_same(path, module.state_dict(), found)
            module.load_state_dict(found)
    for name, parameter in network.named_parameters():
        for key, prefix in STATE.items():
            if prefix + name in tensors:  # in the parameter's own memory format, so that the arithmetic stays the same
                saved = tensors[prefix + name]
                empty = torch.empty_like(parameter) if saved.shape == parameter.shape else torch.empty_like(saved)
                optimiser.state[parameter][key] = empty.copy_(saved)
    return content


def _load(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and content of one of the two files."""
    tensors, content = load_state(path)
    schema, got = SCHEMAS[path.name], content.get("schema")
    if got != schema:
        raise DataError(f"{path} should have schema {schema!r} but has {got!r}: use another folder")
    return tensors, content


def _state(network: nn.Module, optimiser: torch.optim.Optimizer) -> Iterator[tuple[str, Tensor]]:
    """The optimiser's tensors of each parameter that has had a gradient."""
    for name, parameter in network.named_parameters():
        for key, tensor in optimiser.state.get(parameter, {}).items():
            if tensor is not None:
                yield STATE[key] + name, tensor


def require_identity(path: Path, expected: dict[str, Any], got: dict[str, Any]) -> None:
    """Check that a file belongs to this training.

    Raises:
        MismatchError: it has other facts; the message names them.
    """
    if isinstance(got.get("recipe"), dict):  # an earlier version had fewer settings, the others were off
        got = {**got, "recipe": {**Recipe().model_dump(mode="json"), **got["recipe"]}}
    other = [key for key in expected if expected[key] != got.get(key)]
    if other:
        pairs = "; ".join(f"{key} {got.get(key)} instead of {expected[key]}" for key in other)
        raise MismatchError(
            f"{path} belongs to another training ({pairs}): use another folder, or remove it to start anew"
        )


def _require_same(path: Path, wanted: dict[str, Tensor], got: dict[str, Tensor]) -> None:
    """Refuse tensors that differ from the network's in name or shape."""
    for name in sorted(wanted.keys() | got.keys()):
        shapes = [list(tensors[name].shape) if name in tensors else "none" for tensors in (wanted, got)]
        if shapes[0] != shapes[1]:
            where = f"{name} should be {shapes[0]}, got {shapes[1]}"
            raise MismatchError(f"{path} holds the weights of another architecture or size: {where}")
