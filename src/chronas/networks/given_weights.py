"""Trained weights of a user's file: read within bounds, and fitted to a network by name and shape.

given = read_weights("efficientnet-lite0.pth")
found = fit_weights(network.state_dict(), given, final={"classifier"})
network.load_state_dict(found.tensors)
print(found.words)

Files are safetensors, or what `torch.save` wrote of tensors alone; nothing that a file brings is run. Names are ours,
or those of a table in `weight_layouts.py`.
"""

from __future__ import annotations

import pickle
import warnings
import zipfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load as load_safetensors
from torch import Tensor

from chronas.arguments import path_of
from chronas.errors import DataError, MismatchError, UsageError, excerpt
from chronas.files import sha256
from chronas.names import printable
from chronas.networks.weight_layouts import LAYOUTS, TRANSFORMS, Layout
from chronas.reading import LARGEST, read_within, readable, require_file

SAFETENSORS = ".safetensors"
TORCH = (".pth", ".pt")
WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "weights")  # keys of the weights among other things
DEEPEST = 4  # wrappers inside each other
PREFIXES = ("module.", "_orig_mod.", "model.")  # of wrapping modules, if all names have one
ADVICE = "save the weights alone: torch.save(model.state_dict(), FILE)"
COUNTERS = "num_batches_tracked"
LEAST = 0.5  # share of a network's tensors whose names a layout must find
MATRIX = 2  # dimensions


@dataclass(frozen=True, eq=False)
class GivenWeights:
    """The tensors of a file, by their names in it, and the file's SHA-256."""

    name: str
    checksum: str
    tensors: Mapping[str, Tensor]


def read_weights(path: str | Path) -> GivenWeights:
    """Read a file of weights.

    Args:
        path: a .safetensors file, or a .pth or .pt file of tensors by name, perhaps under a key such as "state_dict".

    Raises:
        UsageError: it is of another kind.
        DataError: it is missing, damaged or too large, has objects besides tensors, or no tensors.
    """
    path = path_of(path, "the weights")
    kind = path.suffix.lower()
    if kind not in (SAFETENSORS, *TORCH):
        raise UsageError(f"expected weights in a file .safetensors, .pth or .pt, got {path}: name one of these")
    if kind == SAFETENSORS:
        content = read_within(path, LARGEST["weights"])
        with readable(path, "safetensors file", "make it again or use a copy"):
            found: Any = load_safetensors(content)
    else:
        found = _unwrapped(_loaded(path))
    tensors = {name: each.detach() for name, each in found.items() if isinstance(name, str) and _is_plain(each)}
    if not tensors:
        raise DataError(f"{path} should have tensors by name, got none: {ADVICE}")
    for prefix in PREFIXES:
        if all(name.startswith(prefix) for name in tensors):
            tensors = {name.removeprefix(prefix): each for name, each in tensors.items()}
    return GivenWeights(printable(path.name), sha256(path), tensors)


def _loaded(path: Path) -> Any:
    """The content of a file of `torch.save`, of tensors and plain values alone."""
    require_file(path, LARGEST["weights"])
    with readable(path, "file of torch.save", ADVICE), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if zipfile.is_zipfile(path):
            _require_bounded(path)
        try:
            return torch.load(path, map_location="cpu", weights_only=True)
        except pickle.UnpicklingError as error:
            if "Unsupported" not in str(error):
                raise ValueError("its pickle is not whole") from error
            raise DataError(f"{path} holds Python objects besides tensors, which are not loaded: {ADVICE}") from error
        except RuntimeError as error:
            if "TorchScript" not in str(error):
                raise
            raise DataError(f"{path} is a TorchScript program, whose code is not loaded: {ADVICE}") from error


def _require_bounded(path: Path) -> None:
    """Check that a zip file does not grow beyond what a network has."""
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
    size, pickled = sum(each.file_size for each in entries), [each for each in entries if each.filename[-4:] == ".pkl"]
    if size > LARGEST["weights"] or any(each.file_size > LARGEST["json"] for each in pickled):
        raise DataError(f"{path} grows to {size} bytes, more than a network has: {ADVICE}")


def _unwrapped(content: Any) -> Mapping[Any, Any]:
    """The innermost dict of tensors by name."""
    for _ in range(DEEPEST):
        if not isinstance(content, Mapping):
            break
        inner = next((content[key] for key in WRAPPERS if isinstance(content.get(key), Mapping)), None)
        if inner is None:
            return content
        content = inner
    return {}


def _is_plain(value: Any) -> bool:
    """Whether a value is a tensor of numbers in memory."""
    plain = isinstance(value, Tensor) and value.layout is torch.strided and value.device.type == "cpu"
    return plain and not value.is_quantized and not value.is_complex()


# ----
# Fitting to a network.


@dataclass(frozen=True, eq=False)
class FittedWeights:
    """All tensors of a network, those of a file where it has them.

    Attributes:
        tensors: the network's tensors by name.
        file: name of the file.
        owner: whose names the file has.
        taken: names of the tensors from the file.
        left: names of the others -> the reason.
        unused: names of the file without a place in the network.
        nested: whether the file has matrices for smaller kernels, as a trained supernet has.
    """

    tensors: dict[str, Tensor]
    file: str
    owner: str
    taken: tuple[str, ...]
    left: Mapping[str, str]
    unused: tuple[str, ...]
    nested: bool

    @property
    def words(self) -> str:
        """A sentence about what was taken, without a full stop."""
        told = [f"{len(self.taken)} of {len(self.taken) + len(self.left)} tensors from {self.file}"]
        reasons: dict[str, list[str]] = {}
        for name, why in self.left.items():
            reasons.setdefault(why, []).append(name)
        for why, names in reasons.items():
            modules = list(dict.fromkeys(name.rpartition(".")[0] for name in names))
            told.append(f"{modules[0]}{f' and {len(modules) - 1} more' if len(modules) > 1 else ''} new ({why})")
        told += [f"{len(self.unused)} of the file not used, such as {excerpt(self.unused[0])}"] if self.unused else []
        return printable("; ".join(told))


def fit_weights(
    network: Mapping[str, Tensor],
    given: GivenWeights,
    *,
    final: Collection[str] = (),
    optional: Collection[str] = (),
    epsilon: float | None = None,
) -> FittedWeights:
    """A network's tensors with those of a file, by name and shape.

    Args:
        network: the network's tensors by name; those that the file lacks stay.
        given: the file.
        final: names of the modules that give the logits; with another number of classes in the file they stay.
        optional: beginnings of the names of tensors that the file may lack.
        epsilon: number that the network's batch norms add to the variance. If the file's add more, its variances are
            raised, so that outputs stay the same.

    Raises:
        MismatchError: names fit no known layout, a tensor is missing, or has another shape; the message names both.
        DataError: a tensor has a number that is not finite.
    """
    layout, sources = _layout_of(network, given)
    taken: dict[str, Tensor] = {}
    left: dict[str, str] = {}
    for name, wanted in network.items():
        if name in sources:
            shown, value = sources[name], given.tensors[sources[name]]
            classes = _other_classes(wanted, value) if name.rpartition(".")[0] in final else None
            if classes is not None:
                left[name] = f"{len(wanted)} classes, the file has {classes}"
            else:
                taken[name] = _same_kind(wanted, _turned(value, name, layout), name, shown, given)
        elif name in layout.zeros:
            taken[name] = torch.zeros_like(wanted)
        elif name.startswith(tuple(optional)):
            left[name] = "not in the file"
        elif not name.startswith(TRANSFORMS) and not name.endswith(COUNTERS):
            raise MismatchError(f"{given.name} has no tensor for {name}, of shape {list(wanted.shape)}: give another")
    raised = (layout.epsilon or 0.0) - (epsilon or 0.0)
    if epsilon is not None and raised > 0:
        taken |= {name: each + raised for name, each in taken.items() if name.endswith("running_var")}
    used = {sources[name] for name in network if name in sources}
    return FittedWeights(
        tensors={**network, **taken},
        file=given.name,
        owner=layout.owner,
        taken=tuple(taken),
        left=left,
        unused=tuple(name for name in given.tensors if name not in used and name.startswith(layout.prefixes[:1] or "")),
        nested=any(name.startswith(TRANSFORMS) for name in taken),
    )


def _layout_of(network: Mapping[str, Tensor], given: GivenWeights) -> tuple[Layout, dict[str, str]]:
    """The layout that finds most of a network's names, of equal ones the first, and its map from ours to the file's."""
    found = [(layout, layout.ours(given.tensors)) for layout in LAYOUTS]
    wanted = [name for name in network if not name.startswith(TRANSFORMS)]
    best, sources = max(found, key=lambda each: sum(name in each[1] for name in wanted))
    if sum(name in sources for name in wanted) < LEAST * len(wanted):
        theirs, ours = (", ".join(map(excerpt, [*names][:2])) for names in (given.tensors, network))
        known = ", ".join(layout.owner for layout in LAYOUTS)
        raise MismatchError(
            f"{given.name} has names such as {theirs}, this network has {ours}: give a file with the names of {known}"
        )
    return best, sources


def _other_classes(wanted: Tensor, value: Tensor) -> int | None:
    """The number of classes of a file's last layer if it alone differs; None otherwise."""
    other = value.dim() == wanted.dim() > 0 and value.shape[1:] == wanted.shape[1:] and len(value) != len(wanted)
    return len(value) if other else None


def _turned(value: Tensor, name: str, layout: Layout) -> Tensor:
    return value.T if layout.transposed and name.startswith(TRANSFORMS) and value.dim() == MATRIX else value


def _same_kind(wanted: Tensor, value: Tensor, name: str, shown: str, given: GivenWeights) -> Tensor:
    """A file's tensor in the type of the network's; ones at the end of a shape do not count, as in 1x1 convolutions."""
    if _core(value) != _core(wanted) or value.is_floating_point() != wanted.is_floating_point():
        where = "" if shown == name else f" ({excerpt(shown)} in the file)"
        raise MismatchError(
            f"{given.name}: {name}{where} should be {list(wanted.shape)}, got {list(value.shape)}: give the file's "
            "size (--size.width) and architecture, or another file"
        )
    plain = value.reshape(wanted.shape).to(wanted.dtype)
    if not bool(torch.isfinite(plain).all()):
        raise DataError(f"{given.name}: {excerpt(shown)} has a number that is not finite: use another copy")
    return plain.clone(memory_format=torch.contiguous_format)


def _core(tensor: Tensor) -> tuple[int, ...]:
    shape = list(tensor.shape)
    while shape and shape[-1] == 1:
        shape.pop()
    return tuple(shape)
