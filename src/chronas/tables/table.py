"""The cost table: one row for each architecture, in a Parquet file with its provenance in the file's metadata."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from chronas.arguments import checked, path_of
from chronas.errors import ChronasError, DataError, MismatchError
from chronas.files import write_bytes
from chronas.progress import Displayed
from chronas.reading import readable
from chronas.spaces import SPACES, Architecture, NetworkSize, Space, space_of_file, space_source
from chronas.tables.checksum import checksum
from chronas.tables.parquet import read_parquet, to_pandas
from chronas.tables.provenance import (
    COLUMNS,
    COST_COLUMNS,
    Provenance,
    Repeatability,
    check_columns,
    check_numbers,
    cost_text,
    device_text,
    interval_text,
    load_text,
    with_estimates,
)
from chronas.tables.published import device_frame, is_published
from chronas.units import LATENCY

if TYPE_CHECKING:
    import pandas

    from chronas.devices import Device

MEASURED_AS = "measured_as"  # the architecture that was measured for a row, if one measurement covers several
PROVENANCE_KEY = "chronas.provenance/2"
EARLIER_KEY = "chronas.provenance/1"  # has other names for some keys; still accepted
CHECKSUM_KEY = "chronas.sha256"
CHECKED = 64  # rows of a file whose architectures are parsed when it is read; all are parsed where they are used
RENAMED_COLUMNS = {"energy_foreign_cores": "energy_background_cores"}  # of tables of earlier versions


class CostTable(Displayed):
    """Costs of distinct architectures of one space and size on one device. It is immutable.

    Attributes:
        frame: the columns of `COLUMNS` (without those of latency if the cost is another one and no latency is known),
            those of other costs (`COST_COLUMNS`, and `provenance.sources` for a user's own costs), and any others (the
            official `index` of NAS-Bench-201, `measured_as`).
        provenance: origin of the numbers.
    """

    def __init__(self, frame: pl.DataFrame, provenance: Provenance, space: Space | None = None) -> None:
        """Check and store the columns.

        Args:
            frame: as the attribute.
            provenance: as the attribute.
            space: space of the architectures; None: the one of its name in `SPACES`, looked up when it is needed.

        Raises:
            DataError: there is no row, a column is missing or has another type, a value is null, an architecture occurs
                twice, or a cost is NaN, infinite, zero or negative.
            MismatchError: the table is of another space.
        """
        if space is not None and space.name != provenance.space:
            raise MismatchError(f"the table is of space {provenance.space}, got space {space.name}: give the right one")
        if frame.is_empty():
            raise DataError("a table needs at least one architecture: measure some first")
        check_columns(frame, provenance.cost)
        check_numbers(frame, provenance.cost)
        self.frame = frame
        self.provenance = provenance
        self._space = space

    @classmethod
    @checked
    def from_journal(cls, path: Path, space: Space | None = None) -> CostTable:
        """The table of a campaign, with the networks that have all rounds of the plan.

        Args:
            path: path of the journal.
            space: as for the constructor.

        Raises:
            DataError: the journal is missing or damaged, or no network has all rounds yet.
        """
        path = path_of(path)
        from chronas.measurement import read_journal  # imports torch, which reading and querying tables do not need

        state = read_journal(path)
        latencies = state.latencies()
        if not latencies:
            rounds = state.header.plan.rounds
            raise DataError(f"no network in {path} has its {rounds} rounds yet: let the campaign go on")
        rows = [(text, ms.value, ms.low, ms.high, ms.median, ms.p95, list(ms.rounds)) for text, ms in latencies.items()]
        header = state.header
        provenance = Provenance(
            space=header.space,
            size=header.size,
            device=header.device,
            plan=header.plan.model_dump(mode="json"),
            created=header.created,
            version=header.version,
            drift_percent=state.drift_percent(),
            background_cores=state.background_cores(),
            priority=state.priority(),
            sources={cost: readings.source for cost, readings in state.readings.items()},
            space_source="" if space is None else space_source(space),
        )
        frame = pl.DataFrame(rows, schema=COLUMNS, orient="row")
        for cost, readings in state.readings.items():
            frame = with_estimates(frame, cost, readings.estimates())
        return cls(frame, provenance, space)

    @classmethod
    @checked
    def from_rows(
        cls,
        space: Space,
        size: NetworkSize,
        device: Device,
        rows: Sequence[tuple[Architecture, float]],
        source: str = "given",
    ) -> CostTable:
        """A table of known latencies, each as one round without an interval.

        Args:
            space: space of the architectures.
            size: size of the networks.
            device: the device of the latencies.
            rows: architectures with their latency in ms.
            source: origin of the numbers, in words.

        Raises:
            DataError: there is no row, an architecture occurs twice, or a latency is not above zero.
        """
        known = {"architecture": pl.String(), "latency_ms": pl.Float64()}
        frame = pl.DataFrame([(str(one), latency_ms) for one, latency_ms in rows], schema=known, orient="row")
        provenance = Provenance(space.name, size, device.fingerprint(), source=source, space_source=space_source(space))
        return cls.from_values(frame, provenance, space)

    @classmethod
    @checked
    def from_values(cls, frame: pl.DataFrame, provenance: Provenance, space: Space | None = None) -> CostTable:
        """A table of known costs, each as one round without an interval; other columns stay unchanged.

        Args:
            frame: a frame with at least `architecture` and the provenance's cost.
            provenance: origin of the numbers.
            space: as for the constructor.

        Raises:
            DataError: as the constructor.
        """
        absent = [name for name in ("architecture", provenance.cost) if name not in frame.columns]
        if absent:
            raise DataError(f"a table needs the column(s) {', '.join(absent)}, got {frame.columns}")
        full = frame
        if LATENCY in frame.columns:
            full = frame.with_columns(latency_median_ms=LATENCY, latency_p95_ms=LATENCY)
        for cost, columns in COST_COLUMNS.items():
            if cost in frame.columns:
                value = pl.col(cost)
                once = pl.when(value.is_not_null()).then(pl.concat_list(value))
                full = full.with_columns(**{columns.low: value, columns.high: value, columns.rounds: once})
        first = [name for name in COLUMNS if name in full.columns]
        return cls(full.select(*first, *(name for name in full.columns if name not in COLUMNS)), provenance, space)

    @classmethod
    def load(cls, path: Path, space: Space | None = None) -> CostTable:
        """Read a table that `save` wrote, or one device of a file of published costs (`file / "raspi4"`).

        Args:
            path: path of the file.
            space: as for the constructor.

        Raises:
            DataError: the file is missing, truncated, damaged, not a Parquet file, or has no provenance.
            MismatchError: the table is of another space than the given one.
        """
        path = path_of(path)
        if is_published(path.parent):
            known, provenance = device_frame(path.parent, path.name)
            return cls.from_values(known, provenance, space)
        frame, metadata = read_parquet(path)
        if any(key.startswith("chronas.blocks/") for key in metadata):
            raise DataError(f"{path} has costs of blocks: give the table of whole networks that was measured beside it")
        text = metadata.get(PROVENANCE_KEY, metadata.get(EARLIER_KEY))
        if text is None:
            raise DataError(f"{path} has no provenance ({PROVENANCE_KEY}): it is no table of chronas, import it first")
        try:
            with readable(path, "table of costs", "use a copy or make it again"):
                table = cls(frame.rename(RENAMED_COLUMNS, strict=False), Provenance.from_json(text), space)
        except DataError as error:
            raise DataError(f"{path} is damaged: {error}") from error
        if metadata.get(CHECKSUM_KEY) != checksum(
            table.frame, text, frame.columns, table.provenance.cost, table.others()
        ):
            raise DataError(f"{path} is damaged: its numbers do not match their checksum; use a copy or make it again")
        table.check_some_architectures()
        return table

    def save(self, path: Path) -> None:
        """Write the table by one atomic rename.

        Raises:
            DataError: the disk is full or the folder cannot be written; an older file stays as it was.
        """
        path = path_of(path)
        buffer = io.BytesIO()
        provenance = self.provenance.to_json()
        metadata = {
            PROVENANCE_KEY: provenance,
            CHECKSUM_KEY: checksum(self.frame, provenance, self.frame.columns, self.provenance.cost, self.others()),
        }
        self.frame.write_parquet(buffer, metadata=metadata)
        write_bytes(path, buffer.getvalue())

    def from_source(self, source: str) -> CostTable:
        """The same table with another description of its origin."""
        return self.like(self.frame, source=source)

    def like(self, frame: pl.DataFrame, **changes: Any) -> CostTable:
        """A table with another frame in the same space, whose provenance differs in these fields."""
        return CostTable(frame, replace(self.provenance, **changes), self._space)

    def __len__(self) -> int:
        return len(self.frame)

    def __repr__(self) -> str:
        known = self.provenance
        return f"CostTable({len(self)} architectures of {known.space} on {device_text(known.device)}, {known.cost})"

    def to_pandas(self) -> pandas.DataFrame:
        """The frame as a pandas frame.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        return to_pandas(self.frame)

    @property
    def space(self) -> Space:
        """The space of the architectures.

        Raises:
            NotRegisteredError: the table was read from a file, and this program does not have its space.
        """
        return space_of_file("the table", self.provenance.space, self.provenance.space_source, self._space)

    @property
    def drift_percent(self) -> float | None:
        """The spread of the reference network's latency during the campaign, in percent; None if unknown."""
        return self.provenance.drift_percent

    @checked
    def of(self, cost: str) -> CostTable:
        """The table with another column as its cost; networks without a value are left out.

        Raises:
            DataError: no network has a value.
        """
        if cost not in self.costs_known or self.frame.schema.get(cost) != pl.Float64():
            known = ", ".join(self.costs_known)
            raise DataError(f"the table has no cost {cost}, only {known}: measure with --costs, or take one of these")
        return self.like(self.frame.filter(pl.col(cost).is_not_null()), cost=cost)

    @property
    def costs_known(self) -> list[str]:
        """The names of all costs in the table; a user's own costs come last."""
        named = [*COST_COLUMNS, *self.provenance.sources, self.provenance.cost]
        return [name for name in dict.fromkeys(named) if name in self.frame.columns]

    def others(self) -> list[str]:
        """The names of the costs other than the table's own and latency."""
        return [name for name in self.costs_known if name not in {self.provenance.cost, *COLUMNS}]

    def measured(self) -> CostTable:
        """The rows with their own measurement, without rows that share another one's."""
        if MEASURED_AS not in self.frame.columns:
            return self
        return self.like(self.frame.filter(pl.col(MEASURED_AS) == pl.col("architecture")))

    def measured_as(self) -> pl.Series:
        """For each row, the text of another architecture that was measured for it; null if it was itself measured."""
        if MEASURED_AS not in self.frame.columns:
            return pl.Series(MEASURED_AS, [None] * len(self), dtype=pl.String)
        other = pl.when(pl.col(MEASURED_AS) != pl.col("architecture")).then(pl.col(MEASURED_AS))
        return self.frame.select(other.alias(MEASURED_AS)).to_series()

    def architectures(self) -> list[Architecture]:
        """The architectures, parsed, in the order of rows; raises as `parsed`."""
        return self.parsed(self.frame["architecture"].to_list())

    def parsed(self, texts: Sequence[str]) -> list[Architecture]:
        """Architectures of the table's space from texts.

        Raises:
            DataError: a text is not an architecture of the table's space.
        """
        space = self.space
        try:
            return [space.parse(text) for text in texts]
        except ChronasError as error:
            raise DataError(f"a row of the table is no architecture of {space.name}: {error}") from error

    def check_some_architectures(self) -> None:
        """Check that `CHECKED` rows, spread over the table, are architectures of its space, if that is known here.

        Raises:
            DataError: one is not.
        """
        if self._space is not None or self.provenance.space in SPACES:
            rows = np.unique(np.linspace(0, len(self) - 1, CHECKED).astype(np.int64))
            self.like(self.frame[rows]).architectures()

    def costs(self) -> NDArray[np.float64]:
        """The table's cost of each architecture [N], in the unit at the end of its column's name."""
        return self.frame[self.provenance.cost].to_numpy().astype(np.float64)

    def rounds(self) -> list[list[float]]:
        """The table's cost in each round of each architecture, in its unit; one round if rounds are unknown."""
        columns = COST_COLUMNS.get(self.provenance.cost)
        if columns is None or columns.rounds not in self.frame.columns:
            return [[cost] for cost in self.costs().tolist()]
        rounds: list[list[float]] = self.frame[columns.rounds].to_list()
        return rounds

    def repeatability(self) -> Repeatability:
        """The agreement of the first and the last half of the rounds; undefined if architectures have one round."""
        return Repeatability.of(self.measured().rounds())

    def require(
        self,
        space: Space | None = None,
        size: NetworkSize | None = None,
        device: Device | None = None,
        cost: str | None = None,
    ) -> None:
        """Check that the table has this space, size, device and cost; None checks nothing.

        Raises:
            MismatchError: something differs; the message says what.
        """
        found = []
        if space is not None and space.name != self.provenance.space:
            found.append(f"space is {self.provenance.space} there, {space.name} here")
        if size is not None and size != self.provenance.size:
            found.append(f"size is {self.provenance.size} there, {size} here")
        if cost is not None and cost != self.provenance.cost:
            found.append(f"cost is {self.provenance.cost} there, {cost} here")
        if device is not None:
            from chronas.devices import device_differences  # not needed by queries

            found.extend(f"device: {text}" for text in device_differences(device.fingerprint(), self.provenance.device))
        if found:
            raise MismatchError(f"the table is of another kind than asked: {'; '.join(found)}; measure one for this")

    def describe(self) -> list[tuple[str, str]]:
        """The table for people: rows of a name and a text."""
        provenance, costs = self.provenance, self.costs()
        device = provenance.device
        return [
            ("space", provenance.space),
            ("size", str(provenance.size)),
            ("device", device_text(device)),
            ("batch", str(device.get("batch", "unknown"))),
            ("source", f"{provenance.source} {provenance.created}".strip()),
            ("architectures", self._count_text()),
            (provenance.cost, f"{costs.min():.4g} min, {np.median(costs):.4g} median, {costs.max():.4g} max"),
            *self.quality(),
            *((name, cost_text(self.frame, name, provenance.sources.get(name, "given"))) for name in self.others()),
        ]

    def _count_text(self) -> str:
        measured = len(self.measured())
        by = "" if measured == len(self) else f", by {measured} measurements"
        return f"{len(self)}{by}{f'; others: {self.provenance.missing}' if self.provenance.missing else ''}"

    def quality(self) -> list[tuple[str, str]]:
        """The quality of the table's measurement for people: rows of a name and a text."""
        provenance = self.provenance
        return [
            ("interval", interval_text(self.frame, provenance.cost)),
            ("repeatability", f"{self.repeatability()} between the first and the last rounds"),
            ("drift", "unknown" if self.drift_percent is None else f"{self.drift_percent:.2g} %"),
            ("other load", load_text(provenance)),
            *([("sums of blocks", str(provenance.additivity))] if provenance.additivity else []),
            *((f"check {number}", str(check)) for number, check in enumerate(provenance.checks, 1)),
        ]
