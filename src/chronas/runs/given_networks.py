"""Networks that users bring: ONNX files, exported programs, functions that make a module, folders of chronas.

given = read_network("model.onnx")
given = read_network("model.py:make", input_shape=(3, 224, 224))
given = read_network("runs/demo")  # the network that the run found, with its weights
given = as_given(module, input_shape=(3, 224, 224))
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from chronas.arguments import path_of
from chronas.errors import DataError, UsageError, said_as
from chronas.files import fingerprint
from chronas.networks import (
    Counts,
    OnnxCounts,
    OnnxNetwork,
    Preprocessing,
    build,
    count,
    load_state,
    read_exported,
    read_onnx,
)
from chronas.runs.architecture_file import read_architecture, read_preprocessing
from chronas.spaces import Space

DESCRIPTION, EXPORTED, TRAINED = "architecture.json", "model.safetensors", "training/best.safetensors"
KINDS = "an .onnx or .pt2 file, FILE.py:FUNCTION, or a folder of chronas run, train or export"
WEIGHTS = (".pt", ".pth", ".safetensors", ".ckpt", ".bin", ".h5")


@dataclass(frozen=True)
class GivenNetwork:
    """A network of the user, to measure or to test.

    Attributes:
        name: the file, function or folder.
        network: an ONNX file, or a module.
        input_shape: shape of one example.
        preprocessing: scaling of pixels and names of classes, where they are known.
    """

    name: str
    network: OnnxNetwork | nn.Module
    input_shape: tuple[int, ...]
    preprocessing: Preprocessing | None = None

    def counts(self) -> Counts | OnnxCounts:
        """MACs for one example, and parameters."""
        if isinstance(self.network, OnnxNetwork):
            return self.network.counts()
        return count(self.network, self.input_shape)

    @property
    def side(self) -> int | None:
        """The side of the square images that it takes, in pixels; None for other inputs."""
        square = len(self.input_shape) == 3 and self.input_shape[1] == self.input_shape[2]
        return self.input_shape[1] if square else None

    @property
    def shape(self) -> tuple[int, ...] | None:
        """The shape to prepare it with on a device; None for an ONNX file, which has its own."""
        return None if isinstance(self.network, OnnxNetwork) else self.input_shape


def as_given(
    network: str | Path | OnnxNetwork | nn.Module | GivenNetwork,
    input_shape: tuple[int, ...] | None = None,
    name: str | None = None,
) -> GivenNetwork:
    """A network of the user; raises as `read_network`.

    Args:
        network: a file, function or folder, see `read_network`; or an object.
        input_shape: shape of one example; needed for modules.
        name: name to show; None: the file, or the module's class.
    """
    if isinstance(network, GivenNetwork):
        return network if name is None else replace(network, name=name)
    if isinstance(network, OnnxNetwork):
        return GivenNetwork(name or network.name, network, network.input_shape, network.preprocessing())
    if isinstance(network, nn.Module):
        if input_shape is None:
            raise UsageError("a module needs the shape of one example: input_shape=(3, 224, 224)")
        return GivenNetwork(name or type(network).__name__, network, tuple(input_shape))
    found = read_network(str(network), input_shape)
    return found if name is None else replace(found, name=name)


def read_network(source: str, input_shape: tuple[int, ...] | None = None, space: Space | None = None) -> GivenNetwork:
    """Read a network.

    Args:
        source: `model.onnx`; `model.pt2` of `torch.export.save`; `model.py:make`, whose function `make()` returns a
            module; or a folder of `chronas run`, `train` or `export`, or networks/NAME of a run. The Python file is
            run, no other file is.
        input_shape: shape of one example. A module needs it, and an ONNX file that leaves sizes besides the batch open.
        space: space of a folder's architecture; None: the one of that name in `SPACES`.

    Raises:
        UsageError: it is of another kind, the function fails, or `input_shape` is missing.
        DataError: a file is missing or damaged.
    """
    file, colon, function = source.rpartition(":")
    if colon and file.endswith(".py"):
        return _made(source, path_of(file), function, input_shape)
    path = path_of(source, "the network")
    if path.is_dir():
        return _of_folder(source, path, space)
    if path.suffix.lower() == ".onnx":
        network = read_onnx(path, input_shape)
        return GivenNetwork(source, network, network.input_shape, network.preprocessing())
    if path.suffix.lower() == ".pt2":
        exported, shape = read_exported(path)
        if input_shape not in (None, shape):
            raise UsageError(f"{source} takes examples of {shape}, not of {input_shape}: export it for these")
        return GivenNetwork(source, exported, shape)
    if path.suffix == ".py":
        raise UsageError(f"{source} needs the name of a function that makes the network: {source}:make")
    if path.suffix.lower() in WEIGHTS:
        raise UsageError(f"{source} holds weights, and no network: give {KINDS}")
    if not path.exists():
        raise DataError(f"there is no network {source}: give {KINDS}")
    raise UsageError(f"{source} is no network that chronas reads: give {KINDS}")


def _made(source: str, path: Path, function: str, input_shape: tuple[int, ...] | None) -> GivenNetwork:
    if input_shape is None:
        raise UsageError(f"{source} needs the shape of one example, such as --input-shape 3 224 224")
    if not path.is_file():
        raise DataError(f"there is no file {path}: name the one whose function makes the network")
    with torch.random.fork_rng(devices=[]), _own_modules(path.parent.resolve()):
        torch.manual_seed(0)  # the same random weights each time
        make = _function(path, function)
        with said_as(UsageError, f"{source} ended"):
            network = make()
    if not isinstance(network, nn.Module):
        raise UsageError(f"{source} should return a torch.nn.Module, got {type(network).__name__}")
    return GivenNetwork(source, network, input_shape)


def _function(path: Path, name: str) -> Callable[[], Any]:
    """A function of a user's Python file."""
    spec = importlib.util.spec_from_file_location(f"_given_{fingerprint(str(path.resolve()))}", path)
    assert spec is not None and spec.loader is not None  # because the file ends in .py
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    with said_as(UsageError, f"{path} ended"):
        spec.loader.exec_module(module)
    found = getattr(module, name, None)
    if not callable(found):
        able = ", ".join(key for key, each in vars(module).items() if callable(each) and key[0] != "_")
        raise UsageError(f"{path} has no function {name!r}: it has {able or 'none'}")
    made: Callable[[], Any] = found
    return made


@contextmanager
def _own_modules(folder: Path) -> Iterator[None]:
    """Let a file import what is beside it, and forget that: another folder may have its own `layers.py`."""
    before = set(sys.modules)
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        for name in set(sys.modules) - before:
            file = getattr(sys.modules[name], "__file__", None)
            if file is not None and Path(file).resolve().is_relative_to(folder) and not name.startswith("_given_"):
                del sys.modules[name]


def _of_folder(source: str, folder: Path, space: Space | None) -> GivenNetwork:
    weights = next((folder / name for name in (EXPORTED, TRAINED) if (folder / name).exists()), None)
    if weights is None or not (folder / DESCRIPTION).exists():
        raise DataError(f"{source} has no trained network ({DESCRIPTION} with {EXPORTED} or {TRAINED}): give {KINDS}")
    architecture, size = read_architecture(folder / DESCRIPTION, space)
    tensors, _ = load_state(weights)
    network = build(architecture, size)
    try:
        network.load_state_dict({key: tensors[key] for key in network.state_dict()})
    except (KeyError, RuntimeError) as error:
        raise DataError(f"{weights} has the weights of another network than {folder / DESCRIPTION}") from error
    return GivenNetwork(source, network.eval(), size.input_shape, read_preprocessing(folder / DESCRIPTION))
