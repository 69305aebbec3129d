"""Builds the network of an architecture and a size, for any topology, through a plan of plain data."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load as load_safetensors
from safetensors.torch import save as save_safetensors

from chronas.arguments import path_of
from chronas.errors import DataError
from chronas.files import write_bytes
from chronas.reading import LARGEST, parse_json, read_within, readable

if TYPE_CHECKING:
    from torch import nn

    from chronas.spaces import Architecture, NetworkSize


def build(architecture: Architecture, size: NetworkSize, *, seed: int = 0, auxiliary: bool = False) -> nn.Module:
    """The network of an architecture, with torch's default initial weights.

    Args:
        architecture: an architecture of any space.
        size: input shape, outputs, stem, width and depth.
        seed: seed of the initial weights; torch's own generator does not change.
        auxiliary: whether the network also returns an auxiliary head's logits in training, if the space has such a head
            and the image is large enough for it (2 pixels a side after two thirds of the cells).

    Raises:
        UsageError: as `plan`.
    """
    blueprint = plan(architecture, size, auxiliary=auxiliary)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return architecture.space.topology.network(blueprint)


def plan(architecture: Architecture, size: NetworkSize, *, auxiliary: bool = False) -> Any:
    """All data for building a network, as plain data that does not depend on chronas.

    Raises:
        UsageError: the space does not have the size's stem or width.
    """
    topology = architecture.space.topology
    topology.check(architecture.space, size)
    return topology.plan(architecture, size, auxiliary=auxiliary)


# ----
# Tensors and their metadata in one safetensors file (https://github.com/huggingface/safetensors), without pickle.
#
# The other state of a checkpoint (epoch, history, a predictor's scale) is JSON in the file's metadata, so that one
# atomic rename writes both. A checksum is stored too, because the format itself detects a truncated file but not a
# flipped bit.

SCHEMA = "chronas.state/2"
OF_BYTES = "chronas.state/1"  # its checksum is of the tensors' bytes alone; still accepted
KEY = "chronas"  # one key, because safetensors writes several keys in an order that varies between files


def save_state(path: Path, tensors: Mapping[str, torch.Tensor], content: Mapping[str, Any]) -> None:
    """Write named tensors and a JSON object to one file; an older file at `path` stays until the new one is whole.

    Args:
        path: the file; missing folders are created.
        tensors: of any shape, type and device; tensors that share memory are written one by one.
        content: a JSON object without NaN and infinity.

    Raises:
        DataError: the content is not JSON, or the file cannot be written.
    """
    path = path_of(path)
    plain = {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()
    }
    try:
        known = {"schema": SCHEMA, "crc32": _checksum(plain, dict(content)), "content": dict(content)}
        text = json.dumps(known, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise DataError(f"cannot write {path}: its content should be JSON with finite numbers ({error})") from error
    write_bytes(path, save_safetensors(plain, {KEY: text}))


def load_state(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Read what `save_state` wrote: the tensors, on the CPU, and the JSON object.

    Raises:
        DataError: the file is missing, cut off, damaged, or was not written by `save_state`.
    """
    path = path_of(path)
    data = read_within(path, LARGEST["weights"])
    with readable(path, "safetensors file", "make it again or use a copy"):
        tensors = load_safetensors(data)
        metadata = _metadata(data)
    if metadata.get("schema") not in (SCHEMA, OF_BYTES):
        raise DataError(f"{path} should have schema {SCHEMA!r} but has {metadata.get('schema')!r}: use a chronas file")
    expected = _checksum(tensors, metadata["content"]) if metadata["schema"] == SCHEMA else _checksum_of_bytes(tensors)
    if metadata.get("crc32") != expected:
        raise DataError(f"{path} is damaged: its content does not match its checksum; make it again or use a copy")
    content: dict[str, Any] = metadata["content"]
    return tensors, content


def _metadata(data: bytes) -> dict[str, Any]:
    """The metadata that `save_state` wrote into a well-formed safetensors file; empty without such metadata."""
    length = int.from_bytes(data[:8], "little")
    header: dict[str, dict[str, str]] = parse_json(data[8 : 8 + length])
    metadata = parse_json((header.get("__metadata__") or {}).get(KEY, "{}"))
    return metadata if isinstance(metadata, dict) and isinstance(metadata.get("content"), dict) else {}


def _checksum(tensors: Mapping[str, torch.Tensor], content: Mapping[str, Any]) -> str:
    """CRC-32 of the JSON, and of the names, types, shapes and bytes of contiguous CPU tensors, as 8 hex digits."""
    kinds = [[name, str(tensors[name].dtype), list(tensors[name].shape)] for name in sorted(tensors)]
    value = zlib.crc32(json.dumps([content, kinds], allow_nan=False).encode())
    return _checksum_of_bytes(tensors, value)


def _checksum_of_bytes(tensors: Mapping[str, torch.Tensor], value: int = 0) -> str:
    for name in sorted(tensors):
        value = zlib.crc32(tensors[name].reshape(-1).view(torch.uint8).numpy().data, value)
    return f"{value:08x}"


@dataclass(frozen=True)
class Preprocessing:
    """Facts about a network's training images that users of the network need.

    Attributes:
        mean: mean of each channel, for pixels in 0..1; it is subtracted first.
        std: standard deviation of each channel; the difference is divided by it.
        class_names: the name of each class, in the order of the logits.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    class_names: tuple[str, ...]

    def metadata(self) -> dict[str, str]:
        """The same as texts by name, with values as JSON; ONNX files store these."""
        return {name: json.dumps(value) for name, value in asdict(self).items()}
