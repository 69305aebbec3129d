"""Checkpoints of a bilevel search: its whole state in one file, so that a stopped search resumes bit for bit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor
from torch.optim import Optimizer

from chronas.errors import DataError, MismatchError
from chronas.files import upgraded
from chronas.networks import load_state, save_state
from chronas.search.checks import check_same

if TYPE_CHECKING:
    from chronas.search.gradient.loop import BilevelLoop

FILE = "search.safetensors"
RENAMED = {"logits": "alphas", "logits_optimiser": "alphas_optimiser"}  # names of tensors in files of earlier versions


def save(loop: BilevelLoop, folder: Path, identity: dict[str, Any]) -> None:
    """Write weights, both optimisers, alphas, generator, loader positions, multipliers and history by one rename.

    Raises:
        DataError: the disk is full or the folder cannot be written.
    """
    tensors: dict[str, Tensor] = {f"supernet.{name}": value for name, value in loop.supernet.state_dict().items()}
    tensors |= {f"alphas.{i}": value for i, value in enumerate(loop.alphas)}
    tensors |= _optimiser_tensors("weights_optimiser", loop.weights_optimiser)
    tensors |= _optimiser_tensors("alphas_optimiser", loop.alphas_optimiser)
    tensors |= {f"state.{name}": value for name, value in loop.state.items()}
    tensors["generator"] = loop.generator.get_state()
    content = {
        "identity": identity,
        "train": loop.train.state(),
        "validation": loop.validation.state(),
        "multipliers": loop.objective.multipliers,
        "history": loop.history,
    }
    save_state(folder / FILE, tensors, content)


def restore(loop: BilevelLoop, folder: Path, identity: dict[str, Any]) -> None:
    """Restore the folder's checkpoint into a new loop; do nothing without a checkpoint.

    Raises:
        DataError: the checkpoint is damaged.
        MismatchError: it belongs to another task or other settings.
    """
    path = folder / FILE
    if not path.exists():
        return
    tensors, content = load_state(path)
    if "identity" not in content:
        raise DataError(f"{path} is no checkpoint of a search: use another folder")
    content = upgraded(content)
    tensors = {
        f"{RENAMED.get(first, first)}.{rest}" if rest else first: tensor for (first, rest), tensor in _parts(tensors)
    }
    check_same(content["identity"], identity, path)
    try:
        _fill(loop, tensors, content)
    except (KeyError, RuntimeError) as error:
        raise DataError(f"{path} is of another version of chronas: search again in a new folder") from error


def adopt(loop: BilevelLoop, path: Path) -> None:
    """Load the shared weights of another search's checkpoint into a new loop; alphas and optimisers stay new.

    Raises:
        DataError: the checkpoint is damaged.
        MismatchError: its supernet has other shapes.
    """
    tensors, _ = load_state(path)
    try:
        loop.supernet.load_state_dict(_under("supernet", tensors))
    except RuntimeError as error:
        raise MismatchError(
            f"{path} has a supernet of other shapes than these settings give, or of another version: take the "
            f"settings of its search"
        ) from error


def _fill(loop: BilevelLoop, tensors: dict[str, Tensor], content: dict[str, Any]) -> None:
    loop.history[:] = content["history"]
    loop.state.update(_under("state", tensors))
    loop.reshape()
    loop.supernet.load_state_dict(_under("supernet", tensors))
    for i, alphas in enumerate(loop.alphas):
        alphas.data.copy_(tensors[f"alphas.{i}"])
    _restore_optimiser("weights_optimiser", loop.weights_optimiser, tensors)
    _restore_optimiser("alphas_optimiser", loop.alphas_optimiser, tensors)
    loop.generator.set_state(tensors["generator"])
    loop.train.restore(content["train"])
    loop.validation.restore(content["validation"])
    loop.objective.multipliers.update(content["multipliers"])


def _parts(tensors: dict[str, Tensor]) -> Iterator[tuple[tuple[str, str], Tensor]]:
    """The first part and the rest of each name, with the tensor."""
    for name, tensor in tensors.items():
        first, _, rest = name.partition(".")
        yield (first, rest), tensor


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name[len(prefix) + 1 :]: value for name, value in tensors.items() if name.startswith(prefix + ".")}


def _optimiser_tensors(prefix: str, optimiser: Optimizer) -> dict[str, Tensor]:
    return {
        f"{prefix}.{number}.{name}": value
        for number, entry in optimiser.state_dict()["state"].items()
        for name, value in entry.items()
        if value is not None
    }


def _restore_optimiser(prefix: str, optimiser: Optimizer, tensors: dict[str, Tensor]) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in _under(prefix, tensors).items():
        number, _, name = key.partition(".")
        state.setdefault(int(number), {})[name] = value
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
