"""A table of blocks: costs of each operation in each layer on several devices; a network's cost is their sum.

HW-NAS-Bench's FBNet half is such a table (arXiv 2103.10584; its Table 2 compares sums with whole networks). Columns of
costs are named `<device>.<cost>`. Letters: `L` layers, `O` operations, `N` architectures.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import TypeAdapter

from chronas.arguments import path_of
from chronas.errors import DataError, ParseError, UsageError, excerpt, unknown_name
from chronas.files import upgraded, write_bytes
from chronas.names import checked_name
from chronas.reading import parse_json, readable
from chronas.spaces import SPACES, Architecture, make_space
from chronas.tables.parquet import has_metadata, read_parquet
from chronas.tables.provenance import Additivity, Check, Provenance, Repeatability, device_text
from chronas.tables.table import CostTable
from chronas.units import unit_of

BLOCKS_KEY = "chronas.blocks/2"
EARLIER_KEY = "chronas.blocks/1"  # has other names for some keys; still accepted
KEYS: dict[str, pl.DataType] = {"layer": pl.Int64(), "operation": pl.String(), "key": pl.String()}


@dataclass(frozen=True)
class BlockQuality:
    """The accuracy of a device's sums, for tables that chronas measured.

    Attributes:
        rounds: the smallest number of rounds of a network.
        repeatability: agreement of the first and last rounds of the measured networks.
        additivity: agreement of sums with whole networks, before levelling.
        low_percent: 2.5 % quantile of a whole network's cost relative to its levelled sum; usually negative.
        high_percent: 97.5 % quantile of the same.
        checks: checks on samples of the networks that were measured again.
    """

    rounds: int
    repeatability: Repeatability
    additivity: Additivity
    low_percent: float
    high_percent: float
    checks: tuple[Check, ...] = ()

    def interval(self, total: float) -> tuple[float, float]:
        """The interval of 95 % of whole networks with this levelled sum, in the unit of the cost."""
        return total * (1 + self.low_percent / 100), total * (1 + self.high_percent / 100)

    def describe(self) -> list[tuple[str, str]]:
        """The quality for people: rows of a name and a text."""
        return [
            ("interval", f"{self.low_percent:+.2g} to {self.high_percent:+.2g} % (95 % of whole networks)"),
            ("sums of blocks", f"{self.additivity}, before they were levelled"),
            ("repeatability", f"{self.repeatability} between the first and the last of {self.rounds} or more rounds"),
            *((f"check {number}", str(check)) for number, check in enumerate(self.checks, 1)),
        ]


@dataclass(frozen=True)
class BlockOrigin:
    """The origin of the numbers in a table of blocks.

    Attributes:
        space: name of the space.
        dataset: name of the size of the blocks in the space.
        devices: facts about each device, by its name.
        source: a paper or file with its licence.
        created: date, or date and time (UTC, ISO 8601); empty if unknown.
        version: version of chronas.
        runs: number of timed runs for each value of a device, if known.
        quality: quality of devices that chronas measured, by name.
    """

    space: str
    dataset: str
    devices: Mapping[str, Mapping[str, bool | str | int | float]]
    source: str
    created: str = ""
    version: str = ""
    runs: Mapping[str, int] = field(default_factory=dict)
    quality: Mapping[str, BlockQuality] = field(default_factory=dict)

    @classmethod
    def from_json(cls, text: str) -> BlockOrigin:
        """The origin from JSON.

        Raises:
            ValueError: it is not JSON, or not the content of an origin.
            UsageError: there is no such space, or no such data set of the space.
            DataError: a name cannot be one.
        """
        origin = TypeAdapter(cls).validate_python(upgraded(parse_json(text)))
        if checked_name(origin.space, "space") not in SPACES:
            raise unknown_name("space", origin.space, SPACES)
        if origin.dataset not in (sizes := make_space(origin.space).sizes):
            raise unknown_name("data set", origin.dataset, sizes)
        return origin


class BlockTable:
    """Costs of blocks: a row for each operation of each layer and for each part that all architectures share.

    Attributes:
        frame: `layer` (null for the shared parts), `operation`, `key`, and the columns of costs.
        origin: origin of the numbers.
        costs: names of the columns of costs.
        operations: the O operations, in the order of their numbers in an architecture.
        layers: L.
    """

    def __init__(self, frame: pl.DataFrame, origin: BlockOrigin) -> None:
        """Check and store the columns.

        Raises:
            DataError: a column is missing, a cost is not finite or below zero, or layers have different operations.
        """
        wrong = [name for name, dtype in KEYS.items() if frame.schema.get(name) != dtype]
        self.costs = [name for name in frame.columns if name not in KEYS]
        wrong += [name for name in self.costs if frame.schema[name] != pl.Float64() or "." not in name]
        for name in self.costs if not wrong else ():
            checked_name(name.rpartition(".")[0], "device")
            unit_of(name.rpartition(".")[2])
        if wrong or not self.costs:
            raise DataError(f"a table of blocks needs {', '.join(KEYS)} and costs of devices, got {dict(frame.schema)}")
        self.frame, self.origin = frame, origin
        values = frame.select(self.costs).to_numpy()
        if not (np.isfinite(values) & (values >= 0)).all():
            raise DataError("a cost of a block should be finite and not below zero: make the table again")
        chosen = frame.filter(pl.col("layer").is_not_null())
        numbers = chosen["layer"].unique().sort().to_list()
        by_layer = [chosen.filter(pl.col("layer") == number) for number in numbers]
        if not by_layer or numbers != list(range(len(numbers))):
            raise DataError(f"a table of blocks has the layers 0, 1, ..., got {numbers}")
        self.operations: list[str] = by_layer[0]["operation"].to_list()
        if any(layer["operation"].to_list() != self.operations for layer in by_layer):
            raise DataError("the layers of a table of blocks have the same operations, in the same order")
        self.layers = len(by_layer)
        self._blocks = np.stack([layer.select(self.costs).to_numpy() for layer in by_layer])  # [L, O, costs]
        fixed = frame.filter(pl.col("layer").is_null()).select(self.costs).to_numpy()
        self._fixed: NDArray[np.float64] = fixed.sum(axis=0)

    def sums(self, choices: Sequence[Sequence[int]] | NDArray[np.int64]) -> pl.DataFrame:
        """The costs of architectures, one row each.

        Args:
            choices: number of the operation in each layer [N, L].

        Raises:
            UsageError: an architecture does not have L valid numbers of operations.
        """
        numbers = np.asarray(choices)
        if numbers.ndim != 2 or numbers.shape[1] != self.layers or numbers.dtype.kind not in "iu":
            raise UsageError(
                f"expected {self.layers} numbers of operations for each architecture, got {excerpt(str(choices))}"
            )
        if numbers.size and not (numbers.min() >= 0 and numbers.max() < len(self.operations)):
            wrong = numbers[(numbers < 0) | (numbers >= len(self.operations))][0]
            raise UsageError(f"operations are numbered 0..{len(self.operations) - 1}, got {wrong}")
        total = self._blocks[np.arange(self.layers), numbers].sum(axis=1) + self._fixed
        return pl.DataFrame(total, schema=self.costs)

    def parse(self, text: str) -> list[int]:
        """The operation numbers in an architecture's text: `[0, 8, ...]`, or separated by blanks or commas only.

        Raises:
            ParseError: the text does not have L whole numbers.
        """
        words = text.strip().removeprefix("[").removesuffix("]").replace(",", " ").split()
        if len(words) != self.layers or not all(word.isascii() and word.isdigit() for word in words):
            raise ParseError(f"expected {self.layers} numbers of operations like [0, 8, 3, ...], got {excerpt(text)}")
        return [int(word) for word in words]

    def of(self, device: str, architectures: Sequence[Architecture]) -> CostTable:
        """A table of architectures on one device, for fitting a predictor or comparing.

        Args:
            device: name of the device in this table.
            architectures: architectures of the space, such as `space.sample(1000, seed=0)`.

        Raises:
            UsageError: the device has no latency here, or an architecture is of another space.
            DataError: there is no architecture, or one occurs twice.
        """
        if f"{device}.latency_ms" not in self.costs:
            raise unknown_name("device", device, [name.rpartition(".")[0] for name in self.costs])
        if any(one.space.name != self.origin.space for one in architectures):
            raise UsageError(f"the blocks are of {self.origin.space}: give its architectures")
        sums = self.sums(np.array([one.choices for one in architectures], dtype=np.int64).reshape(-1, self.layers))
        mine = {name: name.removeprefix(f"{device}.") for name in self.costs if name.startswith(f"{device}.")}
        frame = (
            sums.select(*mine)
            .rename(mine)
            .with_columns(architecture=pl.Series(map(str, architectures), dtype=pl.String))
        )
        space = make_space(self.origin.space)
        provenance = Provenance(
            space=space.name,
            size=space.sizes[self.origin.dataset],
            device=self.origin.devices[device],
            created=self.origin.created,
            version=self.origin.version,
            source=f"sum of blocks, {self.origin.source}",
        )
        return CostTable.from_values(frame, provenance)

    def save(self, path: Path) -> None:
        """Write the table as Parquet by one atomic rename.

        Raises:
            DataError: the disk is full or the folder cannot be written.
        """
        path = path_of(path)
        buffer = io.BytesIO()
        origin = json.dumps(asdict(self.origin))
        self.frame.write_parquet(buffer, metadata={BLOCKS_KEY: origin, "chronas.sha256": _checksum(self.frame, origin)})
        write_bytes(path, buffer.getvalue())

    def describe(self) -> list[tuple[str, str]]:
        """The table for people: rows of a name and a text."""
        origin = self.origin
        rows = [
            ("space", origin.space),
            ("data set", origin.dataset),
            ("source", f"{origin.source} {origin.created}".strip()),
            ("blocks", f"{len(self.operations)} in each of {self.layers} layers"),
        ]
        for name in self.costs:
            device, _, cost = name.rpartition(".")
            every = self._blocks[:, :, self.costs.index(name)]
            fixed = float(self._fixed[self.costs.index(name)])
            ends = (fixed + float(end.sum()) for end in (every.min(axis=1), every.max(axis=1)))
            rows += [("device", device_text(origin.devices.get(device, {"name": device})))]
            rows += [(cost, "networks take {:.4g} to {:.4g}".format(*ends))]
            rows += origin.quality[device].describe() if device in origin.quality else []
        return rows

    @classmethod
    def load(cls, path: Path) -> BlockTable:
        """Read a table that `save` wrote.

        Raises:
            DataError: the file is missing, damaged or not a table of blocks.
        """
        path = path_of(path)
        frame, metadata = read_parquet(path)
        origin_text = metadata.get(BLOCKS_KEY, metadata.get(EARLIER_KEY))
        if origin_text is None:
            raise DataError(f"{path} is no table of blocks ({BLOCKS_KEY}): import it first")
        if metadata.get("chronas.sha256") != _checksum(frame, origin_text):
            raise DataError(f"{path} is damaged: its numbers do not match their checksum; use a copy or make it again")
        try:
            with readable(path, "table of blocks", "use a copy or make it again"):
                return cls(frame, BlockOrigin.from_json(origin_text))
        except UsageError as error:
            raise DataError(f"{path} is of no space here: {error}") from error


def is_block_table(path: Path) -> bool:
    """Whether a file is a Parquet file marked as a table of blocks; `BlockTable.load` finds errors in it."""
    return has_metadata(path, BLOCKS_KEY) or has_metadata(path, EARLIER_KEY)


def _checksum(frame: pl.DataFrame, origin: str) -> str:
    content: dict[str, list[Any]] = frame.to_dict(as_series=False)
    return hashlib.sha256(json.dumps([origin, content]).encode()).hexdigest()
