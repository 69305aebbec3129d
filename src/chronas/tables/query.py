"""Queries over tables of several devices: by architecture, by index, by filter, by Pareto front, or everything.

Tables of one space and size are joined, with one row for each architecture; missing values are null. Every record has
its provenance, with null for unknown facts.

query = Query([CostTable.load(path) for path in paths])
print(query.records("|nor_conv_3x3~0|+|none~0|none~1|+|none~0|none~1|skip_connect~2|"))
print(query.where(["raspi4.latency_ms <= 10"]).sort("edgegpu.energy_mj"))
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
import polars as pl

from chronas.arguments import checked
from chronas.errors import MismatchError, ParseError, UsageError, excerpt, unknown_name
from chronas.pareto import non_dominated
from chronas.spaces import Architecture, Space
from chronas.tables.cost_record import CostRecord, record_columns
from chronas.tables.spreadsheet import is_accuracy, more_is_better
from chronas.tables.table import CostTable

CONDITION = re.compile(r"\s*(\S.*?)\s*(<=|>=|==|!=|<|>)\s*([-+]?[0-9]+(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?)\s*")
LONGEST_TEXT = 1024
KEYS = ("index", "architecture")


class Query:
    """Several tables of one space and size, joined by architecture.

    Attributes:
        space: space of the architectures.
        frame: one row for each of N architectures, by official index if all tables have it: `index` (then),
            `architecture`, a column `<device>.<cost>` for each cost, and the joined columns.
        costs: names of the columns of costs.
        joined: names of the joined columns.
    """

    @checked
    def __init__(
        self,
        tables: Sequence[CostTable],
        joined: pl.DataFrame | None = None,
        *,
        maximise: Sequence[str] = (),
        minimise: Sequence[str] = (),
    ) -> None:
        """Join the tables.

        Args:
            tables: tables of one space and size.
            joined: other columns of architectures, such as those of `read_accuracies`; the first is `architecture`.
            maximise: columns of which more is better, whatever their names say; names as in `where`.
            minimise: columns of which less is better.

        Raises:
            UsageError: there is no table, or no column of such a name.
            MismatchError: the tables have several spaces or sizes.
        """
        if not tables:
            raise UsageError("there is no table to ask: give at least one")
        first = tables[0].provenance
        for table in tables[1:]:
            table.require(space=tables[0].space, size=first.size)
        self.space: Space = tables[0].space
        rows = _rows(tables)
        self._columns = [
            column
            for table, name in zip(tables, _names(tables), strict=True)
            for column in record_columns(table, name, rows.select("architecture"))
        ]
        self.costs = [column.name for column in self._columns]
        values = {column.name: pl.Series(column.values, nan_to_null=True) for column in self._columns}
        self.frame = rows.with_columns(**values)
        if joined is not None:
            clash = set(joined.columns[1:]) & set(self.frame.columns)
            if clash:
                raise MismatchError(f"the joined file has column(s) {', '.join(sorted(clash))} that tables have too")
            self.frame = self.frame.join(joined, on="architecture", how="left", maintain_order="left")
        self.joined = [name for name in self.frame.columns if name not in {*KEYS, *self.costs}]
        self._numbers = {text: number for number, text in enumerate(rows["architecture"])}
        self._told = {self.column(name): True for name in maximise} | {self.column(name): False for name in minimise}

    @checked
    def records(self, architecture: Architecture | str) -> list[CostRecord]:
        """All costs of an architecture, in the order of tables.

        Raises:
            ParseError: the text is not an architecture of the space.
            UsageError: no table has the architecture.
        """
        row = self._row(architecture)
        return [column.answer(row) for column in self._columns]

    @checked
    def at(self, index: int) -> Architecture:
        """The architecture of an official index.

        Raises:
            UsageError: there is no such index.
        """
        return self.space.from_index(index)

    @checked
    def isomorphic(self, architecture: Architecture | str) -> list[Architecture]:
        """The architectures in the tables that compute the same function; each has its own costs.

        Raises:
            ParseError: the text is not an architecture of the space.
        """
        wanted = self._parsed(architecture).canonical()
        every = map(self.space.parse, self.frame["architecture"])
        return [one for one in every if one.canonical() == wanted]

    @checked
    def of(self, architectures: Sequence[Architecture]) -> pl.DataFrame:
        """The rows of `frame` for these architectures, in their order.

        Raises:
            UsageError: no table has one of them.
        """
        return self.frame[[self._row(one) for one in architectures]]

    @checked
    def where(self, conditions: Sequence[str], frame: pl.DataFrame | None = None) -> pl.DataFrame:
        """The rows that satisfy all conditions; a row without a value satisfies none.

        Args:
            conditions: conditions such as `raspi4.latency_ms <= 10`; a unique ending of the column's name is enough.
            frame: rows of `frame` to choose among; None means all.

        Raises:
            ParseError: a condition has another form.
            UsageError: a condition names a column that does not exist.
        """
        frame = self.frame if frame is None else frame
        for condition in conditions:
            name, sign, number = parse_condition(condition)
            frame = frame.filter(_compared(pl.col(self.column(name)), sign, number))
        return frame

    @checked
    def pareto(self, names: Sequence[str], frame: pl.DataFrame | None = None) -> pl.DataFrame:
        """The rows that no other row beats in all of these columns, each in its better direction, see `direction`.

        Rows without a value in one of the columns are left out.

        Args:
            names: names of at least two columns, as in `where`.
            frame: rows of `frame` to choose among; None means all.

        Raises:
            UsageError: there are fewer than two columns, one does not exist, or one's direction is unknown.
        """
        if len(names) < 2:
            raise UsageError(f"a Pareto front is of at least two columns, got {', '.join(names) or 'none'}")
        columns = [self.column(name) for name in names]
        unknown = [name for name in columns if self.direction(name) is None]
        if unknown:
            raise UsageError(f"whether more of {unknown[0]} is better is unknown: give it by --maximise or --minimise")
        known = (self.frame if frame is None else frame).drop_nulls(columns)
        signs = [-1.0 if self.more_is_better(name) else 1.0 for name in columns]
        return known.filter(non_dominated(known.select(columns).to_numpy().astype(np.float64) * signs))

    def direction(self, name: str) -> bool | None:
        """Whether more of a column is better: False for costs; by its name for joined columns, None if unknown."""
        return self._told.get(name, more_is_better(name) if name in self.joined else False)

    def more_is_better(self, name: str) -> bool:
        """Whether more of a column is known to be better."""
        return self.direction(name) is True

    def accuracies(self) -> list[str]:
        """The joined columns that are accuracies in percent."""
        return list(filter(is_accuracy, self.joined))

    @checked
    def column(self, name: str) -> str:
        """The full name of a numeric column.

        Raises:
            UsageError: no column or several columns have this ending.
        """
        valid = [*self.costs, *self.joined]
        if name in valid:
            return name
        ends = [full for full in valid if full.endswith(f".{name}")]
        if len(ends) == 1:
            return ends[0]
        if ends:
            raise UsageError(f"column {name} is of several devices: say which of {', '.join(ends)}")
        raise unknown_name("column", name, valid)

    def everything(self, frame: pl.DataFrame | None = None) -> pl.DataFrame:
        """All records as one frame: a row for each architecture and cost, with the fields of `CostRecord` as columns.

        Args:
            frame: rows of `frame` to include; None means all.
        """
        keys = [key for key in KEYS if key in self.frame.columns]
        rows = np.arange(len(self.frame))
        if frame is not None:
            rows = np.array([self._numbers[text] for text in frame["architecture"]], dtype=np.int64)
        chosen = self.frame[rows].select(keys)
        return pl.concat([column.frame(rows, chosen) for column in self._columns])

    def _parsed(self, architecture: Architecture | str) -> Architecture:
        return self.space.parse(architecture) if isinstance(architecture, str) else architecture

    def _row(self, architecture: Architecture | str) -> int:
        text = str(self._parsed(architecture))
        if text not in self._numbers:
            raise UsageError(f"no table has {text}: measure it, or choose one of the {len(self.frame)} in the tables")
        return self._numbers[text]


def _rows(tables: Sequence[CostTable]) -> pl.DataFrame:
    """All architectures, once each; by official index if all tables have it."""
    keys = list(KEYS) if all("index" in table.frame.columns for table in tables) else ["architecture"]
    every = pl.concat([table.frame.select(keys) for table in tables], how="vertical_relaxed")
    rows = every.unique("architecture", maintain_order=True)
    return rows.sort("index") if "index" in keys else rows


def _names(tables: Sequence[CostTable]) -> list[str]:
    """The devices' names; from the second table of a device on, with a number."""
    seen: Counter[str] = Counter()
    names = []
    for table in tables:
        name = str(table.provenance.device.get("name", "unknown"))
        seen[name] += 1
        names.append(name if seen[name] == 1 else f"{name}#{seen[name]}")
    return names


def parse_condition(text: str) -> tuple[str, str, float]:
    """The column, the operator and the number of a condition such as `raspi4.latency_ms <= 10`.

    Raises:
        ParseError: the text has another form.
    """
    found = CONDITION.fullmatch(text) if len(text) <= LONGEST_TEXT else None
    if found is None:
        raise ParseError(f"a condition should be like `raspi4.latency_ms <= 10`, got {excerpt(text)}")
    return found[1], found[2], float(found[3])


def _compared(column: pl.Expr, sign: str, number: float) -> pl.Expr:
    ways = {
        "<=": column.__le__,
        ">=": column.__ge__,
        "<": column.__lt__,
        ">": column.__gt__,
        "==": column.__eq__,
        "!=": column.__ne__,
    }
    found: pl.Expr = ways[sign](number)
    return found
