"""The whole state of a bilevel search in one file, so that a search that was stopped goes on bit for bit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor
from torch.optim import Optimizer

from chronas.errors import DataError, MismatchError
from chronas.networks import load_state, save_state
from chronas.search.searcher import check_same

if TYPE_CHECKING:
    from chronas.search.descent import Descent

FILE = "search.safetensors"


def save(descent: Descent, folder: Path, identity: dict[str, Any]) -> None:
    """Write weights, both optimisers, logits, generator, loader positions, multipliers and history by one rename.

    Raises:
        DataError: the disk is full or the folder cannot be written.
    """
    tensors: dict[str, Tensor] = {f"supernet.{name}": value for name, value in descent.supernet.state_dict().items()}
    tensors |= {f"logits.{i}": value for i, value in enumerate(descent.logits)}
    tensors |= _optimiser_tensors("weights_optimiser", descent.weights_optimiser)
    tensors |= _optimiser_tensors("logits_optimiser", descent.logits_optimiser)
    tensors |= {f"state.{name}": value for name, value in descent.state.items()}
    tensors["generator"] = descent.generator.get_state()
    content = {
        "identity": identity,
        "train": descent.train.state(),
        "validation": descent.validation.state(),
        "multipliers": descent.objective.multipliers,
        "history": descent.history,
    }
    save_state(folder / FILE, tensors, content)


def restore(descent: Descent, folder: Path, identity: dict[str, Any]) -> None:
    """Bring a new descent to where the folder's checkpoint was taken; does nothing where there is none.

    Raises:
        DataError: the checkpoint is damaged.
        MismatchError: it is of another task or of other settings.
    """
    path = folder / FILE
    if not path.exists():
        return
    tensors, content = load_state(path)
    if "identity" not in content:
        raise DataError(f"{path} is no checkpoint of a search: use another folder")
    check_same(content["identity"], identity, path)
    try:
        _fill(descent, tensors, content)
    except (KeyError, RuntimeError) as error:
        raise DataError(f"{path} is of another version of chronas: search again in a new folder") from error


def adopt(descent: Descent, path: Path) -> None:
    """Give a new descent the shared weights of another search's checkpoint; logits and optimisers stay new.

    Raises:
        DataError: the checkpoint is damaged.
        MismatchError: its supernet has other shapes.
    """
    tensors, _ = load_state(path)
    try:
        descent.supernet.load_state_dict(_under("supernet", tensors))
    except RuntimeError as error:
        raise MismatchError(
            f"{path} has a supernet of other shapes than these settings make, or of another version: take the "
            f"settings of its search"
        ) from error


def _fill(descent: Descent, tensors: dict[str, Tensor], content: dict[str, Any]) -> None:
    descent.history[:] = content["history"]
    descent.state.update(_under("state", tensors))
    descent.reshape()
    descent.supernet.load_state_dict(_under("supernet", tensors))
    for i, logits in enumerate(descent.logits):
        logits.data.copy_(tensors[f"logits.{i}"])
    _restore_optimiser("weights_optimiser", descent.weights_optimiser, tensors)
    _restore_optimiser("logits_optimiser", descent.logits_optimiser, tensors)
    descent.generator.set_state(tensors["generator"])
    descent.train.restore(content["train"])
    descent.validation.restore(content["validation"])
    descent.objective.multipliers.update(content["multipliers"])


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
