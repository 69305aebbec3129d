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

LAST, BEST = "last.safetensors", "best.safetensors"  # names of the files in the folder of a training
SCHEMAS = {LAST: "chronas.training/1", BEST: "chronas.weights/1"}
NETWORK, MOMENTUM = "network.", "momentum."
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
    identity: dict[str, Any],
    content: dict[str, Any],
) -> None:
    """Write everything that resuming needs: weights, momentum, the training's identity, and `content` (JSON)."""
    tensors = {NETWORK + name: tensor for name, tensor in network.state_dict().items()}
    tensors |= {MOMENTUM + name: tensor for name, tensor in _momentum(network, optimiser)}
    save_state(folder / LAST, tensors, {"schema": SCHEMAS[LAST], "identity": identity, **content})


def load_last(
    folder: Path, network: nn.Module, optimiser: torch.optim.Optimizer, identity: dict[str, Any]
) -> dict[str, Any] | None:
    """Load the last weights and momentum and return the content; None before the first finished epoch.

    Raises:
        DataError: the file is damaged.
        MismatchError: it belongs to another architecture, recipe, seed or other images.
    """
    path = folder / LAST
    if not path.exists():
        return None
    tensors, content = _load(path)
    _require_identity(path, identity, content["identity"])
    weights = {name.removeprefix(NETWORK): tensor for name, tensor in tensors.items() if name.startswith(NETWORK)}
    _require_same(path, network.state_dict(), weights)
    network.load_state_dict(weights)
    for name, parameter in network.named_parameters():
        if MOMENTUM + name in tensors:  # in the parameter's own memory format, so that the arithmetic stays the same
            optimiser.state[parameter]["momentum_buffer"] = torch.empty_like(parameter).copy_(tensors[MOMENTUM + name])
    return content


def _load(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and content of one of the two files."""
    tensors, content = load_state(path)
    schema, got = SCHEMAS[path.name], content.get("schema")
    if got != schema:
        raise DataError(f"{path} should have schema {schema!r} but has {got!r}: use another folder")
    return tensors, content


def _momentum(network: nn.Module, optimiser: torch.optim.Optimizer) -> Iterator[tuple[str, Tensor]]:
    """The momentum of each parameter that has had a gradient."""
    for name, parameter in network.named_parameters():
        buffer = optimiser.state.get(parameter, {}).get("momentum_buffer")
        if buffer is not None:
            yield name, buffer


def _require_identity(path: Path, expected: dict[str, Any], got: dict[str, Any]) -> None:
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
