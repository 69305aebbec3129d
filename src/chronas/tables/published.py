"""Published costs of one space on many devices, in one file: it gives a table for each device.

The file `nasbench201-cifar10-published.parquet` comes with chronas. `CostTable.load(file / "raspi4")` is the table of
its device raspi4. The columns are `architecture`, `index` and `<device>.<cost>`; the facts are in the metadata.
"""

from __future__ import annotations

import functools
import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import polars as pl
from pydantic import TypeAdapter

from chronas.errors import DataError, unknown_name
from chronas.files import write_bytes
from chronas.names import checked_name
from chronas.reading import parse_json, readable
from chronas.spaces import make_space
from chronas.tables.parquet import has_metadata, read_parquet
from chronas.tables.provenance import Provenance
from chronas.units import LATENCY

KEY = "chronas.published/1"
KEYS = ("architecture", "index")


@dataclass(frozen=True)
class PublishedFacts:
    """The origin of the numbers.

    Attributes:
        space: name of the space.
        dataset: name of the size of the networks in the space.
        source: papers and files with their licences.
        devices: facts about each device, by its name.
        missing: reason why a device's table lacks networks, by its name.
        sha256: checksum of the values.
    """

    space: str
    dataset: str
    source: str
    devices: Mapping[str, Mapping[str, str | int | float]]
    missing: Mapping[str, str]
    sha256: str


def write_published(path: Path, frame: pl.DataFrame, facts: PublishedFacts) -> None:
    """Write the file; `facts.sha256` is computed. Raises as `write_bytes`."""
    content = json.dumps(asdict(facts) | {"sha256": _checksum(frame)})
    buffer = io.BytesIO()
    frame.write_parquet(buffer, metadata={KEY: content}, compression="zstd", compression_level=19)
    write_bytes(path, buffer.getvalue())


def is_published(path: Path) -> bool:
    """Whether a file has published costs of many devices."""
    return path.is_file() and has_metadata(path, KEY)


def devices_in(path: Path) -> list[str]:
    """The names of the devices in a file of published costs."""
    return list(_read(path)[1].devices)


def device_frame(path: Path, device: str) -> tuple[pl.DataFrame, Provenance]:
    """The costs of one device in a file of published costs, and their provenance.

    Raises:
        DataError: the file is damaged.
        UsageError: there is no such device.
    """
    frame, facts = _read(path)
    if device not in facts.devices:
        raise unknown_name("device", device, facts.devices)
    columns = {name: name.removeprefix(f"{device}.") for name in frame.columns if name.startswith(f"{device}.")}
    costs = sorted(columns.values(), key=lambda cost: cost != LATENCY)
    known = frame.select(*KEYS, *columns).rename(columns).with_columns(pl.col(costs).cast(pl.Float64()))
    provenance = Provenance(
        space=facts.space,
        size=make_space(facts.space).sizes[facts.dataset],
        device=facts.devices[device],
        cost=costs[0],
        source=facts.source,
        sources=dict.fromkeys(costs[1:], "published"),
        missing=facts.missing.get(device, ""),
    )
    return known.drop_nulls(costs[0]), provenance


@functools.cache
def _read(path: Path) -> tuple[pl.DataFrame, PublishedFacts]:
    frame, metadata = read_parquet(path)
    with readable(path, "file of published costs", "install chronas again"):
        facts = TypeAdapter(PublishedFacts).validate_python(parse_json(metadata[KEY]))
        for name in facts.devices:
            checked_name(name, "device")
    if facts.sha256 != _checksum(frame):
        raise DataError(f"{path} is damaged: its numbers do not match their checksum; install chronas again")
    return frame, facts


def _checksum(frame: pl.DataFrame) -> str:
    digest = hashlib.sha256("\n".join(frame["architecture"]).encode())
    for name in frame.columns[1:]:
        digest.update(name.encode())
        digest.update(frame[name].cast(pl.Float64()).fill_null(-1.0).to_numpy().tobytes())
    return digest.hexdigest()
