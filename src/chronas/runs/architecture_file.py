"""The file `architecture.json`: an architecture and its size, and for a trained network its preprocessing."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from chronas.arguments import path_of
from chronas.files import read_as, write_json
from chronas.networks import Preprocessing
from chronas.spaces import Architecture, NetworkSize, Space, space_of_file, space_source

SCHEMA = "chronas.architecture/2"


@dataclass(frozen=True)
class Described:
    """The content of `architecture.json`."""

    space: str
    architecture: str
    size: NetworkSize
    preprocessing: Preprocessing | None = None
    space_source: str = ""


def write_architecture(
    path: Path, architecture: Architecture, size: NetworkSize, preprocessing: Preprocessing | None = None
) -> None:
    """Write space, text form and size as JSON, and for a trained network its preprocessing and classes."""
    content = {
        "space": architecture.space.name,
        "architecture": str(architecture),
        "size": size.model_dump(mode="json"),
        "preprocessing": None if preprocessing is None else asdict(preprocessing),
        "space_source": space_source(architecture.space),
    }
    write_json(path, SCHEMA, content)


def read_architecture(path: Path, space: Space | None = None) -> tuple[Architecture, NetworkSize]:
    """Read an architecture and its size from a file of `write_architecture`.

    Args:
        path: path of the file.
        space: its space; None: the one of that name in `SPACES`.

    Raises:
        DataError: the file is missing or damaged.
        ParseError: the text is not an architecture of the space.
        NotRegisteredError: this program does not have its space.
    """
    path = path_of(path)
    described = read_as(path, SCHEMA, Described, oldest=1)
    found = space_of_file(str(path), described.space, described.space_source, space)
    return found.parse(described.architecture), described.size


def read_preprocessing(path: Path) -> Preprocessing | None:
    """The preprocessing and classes of a trained network; None in a file of an earlier version without them.

    Raises:
        DataError: the file is damaged.
    """
    return read_as(path, SCHEMA, Described, oldest=1).preprocessing
