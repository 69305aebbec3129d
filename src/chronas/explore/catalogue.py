"""The data of the page: costs of networks on devices from table files, and accuracies if a file has them.

Tables of one space and size are joined; a network that a table lacks has a gap there (NaN), never a guess. No value is
computed from another network; multiplications and parameters follow from the network alone.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from chronas.errors import DataError, UsageError
from chronas.networks import space_counts
from chronas.spaces import Architecture, NetworkSize, Space, live_codes
from chronas.tables import (
    COST_COLUMNS,
    CostTable,
    accuracies_path,
    is_accuracy,
    is_block_table,
    read_accuracies,
    shipped_accuracies,
    shipped_tables,
    table_files,
)
from chronas.units import COST_UNITS

MILLION = 1e6
Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Quantity:
    """One number for each of N networks, all in the same order; NaN if unknown.

    Attributes:
        name: display name, such as "Time" or "Accuracy".
        device: display name of the device; "" for quantities that follow from the network alone.
        unit: unit of the numbers.
        hint: explanation, in a sentence.
        values: the numbers [N].
        low: lower end of the 95 % interval [N]; equal to the value if there is no interval.
        high: upper end of it [N].
        rounds: number of rounds of each number [N]; 0 if it is not measured.
        facts: facts about the measurement, as text: batch, threads and so on, and the reason for missing values.
        maximise: whether more is better.
        measured_as: row -> text of another network with the same graph, if that one was measured.
    """

    name: str
    device: str
    unit: str
    hint: str
    values: Numbers
    low: Numbers
    high: Numbers
    rounds: NDArray[np.int64]
    facts: Mapping[str, str]
    maximise: bool = False
    measured_as: Mapping[int, str] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """Name and device: `Time on Raspberry Pi 4, onnxruntime-cpu`."""
        return f"{self.name} on {self.device}" if self.device else self.name

    def known(self) -> NDArray[np.bool_]:
        """Mask of the networks with a number [N]."""
        return ~np.isnan(self.values)


@dataclass(frozen=True)
class Collection:
    """The networks of one space and size, and everything known about them.

    Attributes:
        space: the search space.
        size: size of the networks.
        architectures: N architectures.
        rows: text of an architecture -> its index.
        costs: costs from tables and from the networks themselves, by label.
        accuracies: accuracies by label; empty without a file.
        parameters: number of parameters that the output depends on, as a substitute for accuracy; more is better.
        useful: mask of the networks whose output depends on the image [N]; the others are never worth their cost.
    """

    space: Space
    size: NetworkSize
    architectures: Sequence[Architecture]
    rows: Mapping[str, int]
    costs: Mapping[str, Quantity]
    accuracies: Mapping[str, Quantity]
    parameters: Quantity
    useful: NDArray[np.bool_]

    def goals(self, limited: str) -> dict[str, Quantity]:
        """Quantities to optimise under a limit, by label: accuracies (without them, size), then other costs.

        Args:
            limited: label of the cost that the limit is on.
        """
        goals = self.accuracies or {self.parameters.label: self.parameters}
        return {**goals, **{label: one for label, one in self.costs.items() if label != limited}}

    @property
    def title(self) -> str:
        """The display title: `nasbench201, 32 x 32 pixels, 10 classes`."""
        _, height, width = self.size.input_shape
        frame = f"{self.space.name}, {width} x {height} pixels, {self.size.outputs} classes"
        published = self.space.sizes.values()
        plain = self.size in published
        return frame if plain else f"{frame}, width {self.size.width}, depth {self.size.depth}"


@functools.cache
def load_catalogue(files: tuple[Path, ...] = (), accuracies: Path | None = None) -> dict[str, Collection]:
    """The collections of these tables, then of the bundled ones (large ones first), by title; cached.

    Args:
        files: tables that chronas wrote, folders of them, and names of bundled tables.
        accuracies: a file for `read_accuracies`, or the name of bundled ones; None: the bundled ones of each space.

    Raises:
        DataError: a file is missing or damaged, or a row is not an architecture of its space.
        UsageError: there is no table, a folder has none, or a table is one of blocks.
    """
    mine = list(dict.fromkeys(file.resolve() for path in files for file in table_files(path)))
    shipped = [file.resolve() for file in shipped_tables()]
    if not mine and not shipped:
        raise UsageError(
            "there is no table of costs to explore: give one, `chronas measure run --out costs.parquet` makes it"
        )
    for path in filter(is_block_table, mine):
        raise UsageError(
            f"{path} is a table of blocks; the page is of whole networks: ask it with `chronas table query`"
        )
    own = {path: CostTable.load(path) for path in mine}
    others = [(path, CostTable.load(path)) for path in shipped if path not in own]
    groups: dict[tuple[str, NetworkSize], dict[Path, CostTable]] = {}
    for path, table in [*own.items(), *sorted(others, key=lambda known: -len(known[1]))]:
        groups.setdefault((table.provenance.space, table.provenance.size), {})[path] = table
    spaces = dict.fromkeys(next(iter(tables.values())).space for tables in groups.values())
    if accuracies is None:
        bundled = shipped_accuracies()
        known = {each.name: read_accuracies(bundled[each.name], each) for each in spaces if each.name in bundled}
        collections = [
            collect(tables, _of_size(known.get(space), size, tables)) for (space, size), tables in groups.items()
        ]
    else:
        known = accuracies_by_space(accuracies_path(accuracies), list(spaces))
        collections = [collect(tables, known.get(space)) for (space, _), tables in groups.items()]
    titles = distinct([one.title for one in collections], [str(one.size) for one in collections])
    return dict(zip(titles, collections, strict=True))


def _of_size(
    accuracies: pl.DataFrame | None, size: NetworkSize, tables: Mapping[Path, CostTable]
) -> pl.DataFrame | None:
    """The bundled accuracies for networks of a size: columns begin with the name of a published size of the space."""
    if accuracies is None:
        return None
    sizes = next(iter(tables.values())).space.sizes
    names = [name for name, published in sizes.items() if published == size]
    columns = [column for column in accuracies.columns[1:] if any(column.startswith(f"{name}_") for name in names)]
    return accuracies.select("architecture", *columns) if columns else None


def accuracies_by_space(path: Path, spaces: Sequence[Space]) -> dict[str, pl.DataFrame]:
    """The accuracies in a file, by name of the spaces whose architectures it has.

    Raises:
        DataError: the file has accuracies of none of these spaces; the message gives the reason for each.
    """
    found, problems = {}, []
    for space in spaces:
        try:
            found[space.name] = read_accuracies(path, space)
        except DataError as error:
            problems.append(str(error))
    if not found:
        raise DataError("; ".join(dict.fromkeys(problems)))
    return found


def collect(tables: Mapping[Path, CostTable], accuracies: pl.DataFrame | None) -> Collection:
    """The collection of tables of one space and size.

    Args:
        tables: file -> table.
        accuracies: `architecture`, and percent in columns with acc in their name; None without a file.

    Raises:
        DataError: a row is not an architecture of the space.
    """
    first = next(iter(tables.values()))
    texts = dict.fromkeys(text for table in tables.values() for text in table.frame["architecture"])
    parsed = dict(zip(texts, first.parsed(list(texts)), strict=True))  # tables share most of them
    architectures = list(dict.fromkeys(parsed.values()))
    rows = {str(architecture): number for number, architecture in enumerate(architectures)}
    places = {text: rows[str(architecture)] for text, architecture in parsed.items()}
    names = distinct(
        [device_name(table.provenance.device) for table in tables.values()], [path.stem for path in tables]
    )
    quantities = [
        quantity
        for table, name in zip(tables.values(), names, strict=True)
        for quantity in measured(
            table, name, np.array([places[text] for text in table.frame["architecture"]]), len(rows)
        )
    ]
    table = first
    quantities += computed(table.space, table.provenance.size, architectures)
    found = [] if accuracies is None else accurate(accuracies, rows)
    return Collection(
        table.space,
        table.provenance.size,
        architectures,
        rows,
        {quantity.label: quantity for quantity in quantities},
        {quantity.label: quantity for quantity in found},
        sized(table.space, table.provenance.size, architectures),
        np.array([architecture.connected() for architecture in architectures]),
    )


def measured(table: CostTable, device: str, places: NDArray[np.int64], count: int) -> list[Quantity]:
    """The costs in a table, for all networks of a collection.

    Args:
        table: the table.
        device: display name of its device.
        places: index in the collection of each row of the table.
        count: N, the number of networks of the collection.
    """
    found = []
    others = {row: text for row, text in zip(places.tolist(), table.measured_as(), strict=True) if text is not None}
    for cost in (name for name in dict.fromkeys([table.provenance.cost, *COST_COLUMNS]) if name in table.frame.columns):
        frame, words = table.frame, cost_words(cost)
        columns = COST_COLUMNS.get(cost)
        has_rounds = columns is not None and columns.rounds in frame.columns
        ends = (columns.low, columns.high) if columns is not None and has_rounds else (cost, cost)
        value, low, high = (spread(frame[name].to_numpy(), places, count) for name in (cost, *ends))
        rounds = np.zeros(count, dtype=np.int64)
        rounds[places] = frame[columns.rounds].list.len().fill_null(0).to_numpy() if columns and has_rounds else 1
        text = facts(table, cost)
        known = (value, low, high, rounds, text)
        found.append(Quantity(words.name, device, cost_unit(cost), words.hint, *known, measured_as=others))
    return found


def computed(space: Space, size: NetworkSize, architectures: Sequence[Architecture]) -> list[Quantity]:
    """Multiplications and parameters of every network."""
    form, codes = space_counts(space, size), space.encode(architectures)
    known = {"macs_m": form.macs(codes), "parameters_m": form.parameters(codes)}
    rounds = np.zeros(len(architectures), dtype=np.int64)
    found = []
    for cost, numbers in known.items():
        words, values = cost_words(cost), numbers / MILLION
        found.append(Quantity(words.name, "", cost_unit(cost), words.hint, values, values, values, rounds, {}))
    return found


def sized(space: Space, size: NetworkSize, architectures: Sequence[Architecture]) -> Quantity:
    """The parameters that each network's output depends on; others would make it large for nothing."""
    values = space_counts(space, size).parameters(live_codes(space, architectures)) / MILLION
    rounds = np.zeros(len(architectures), dtype=np.int64)
    unit = cost_unit("parameters_m")
    return Quantity(SIZE, "", unit, SIZE_HINT, values, values, values, rounds, {}, maximise=True)


def accurate(accuracies: pl.DataFrame, rows: Mapping[str, int]) -> list[Quantity]:
    """The columns of accuracies for networks of a collection, for all its networks."""
    joined = pl.DataFrame({"architecture": list(rows)}).join(
        accuracies, on="architecture", how="left", maintain_order="left"
    )
    rounds, found = np.zeros(len(rows), dtype=np.int64), []
    for name in (name for name in joined.columns[1:] if is_accuracy(name) and joined[name].count()):
        label = "Accuracy" if name == "accuracy" else f"Accuracy ({name.replace('_', ' ')})"
        values = joined[name].to_numpy()
        found.append(Quantity(label, "", "%", ACCURACY_HINT, values, values, values, rounds, {}, maximise=True))
    return found


def spread(numbers: Numbers, places: NDArray[np.int64], count: int) -> Numbers:
    """`numbers` at their places among `count`, NaN elsewhere."""
    spread_out = np.full(count, np.nan)
    spread_out[places] = numbers
    return spread_out


def facts(table: CostTable, cost: str) -> dict[str, str]:
    """Facts about a cost's measurement, as text; "unknown" if the table does not have them."""
    provenance = table.provenance
    device = provenance.device
    known = {key: str(device.get(key) or "unknown") for key in ("batch", "threads", "dtype", "hardware")}
    runtime = " ".join(str(device[key]) for key in ("runtime", "version") if device.get(key))
    source = provenance.sources.get(cost, provenance.source)
    return {
        "hardware": known["hardware"],
        "images at once": known["batch"],
        "threads": known["threads"],
        "numbers": known["dtype"],
        "runtime": runtime or "unknown",
        "date": provenance.created[:10] or "unknown",
        "source": source or "unknown",
        "missing": provenance.missing or "not measured",
    }


# ----
# Words of the page in plain language: names of devices and costs, numbers with units, and hints.


@dataclass(frozen=True)
class CostWords:
    """The display name of a cost and its explanation, for people who know no hardware."""

    name: str
    hint: str


COST_WORDS = {
    "latency_ms": CostWords(
        "Time", "Time from an image to the network's answer on the device, in thousandths of a second."
    ),
    "energy_mj": CostWords("Energy", "Energy of one run of the network, in thousandths of a joule."),
    "peak_memory_mib": CostWords("Memory", "The most memory that the network needs at one moment."),
    "macs_m": CostWords(
        "Multiplications",
        "Multiplications (MACs) for one image, in millions. Often taken for the time, which it only hints at.",
    ),
    "parameters_m": CostWords(
        "Parameters",
        "All numbers that training has to find, in millions; also those that the answer does not depend on.",
    ),
}
UNITS = COST_UNITS | {"macs_m": "million", "parameters_m": "million"}
ACCURACY_HINT = "How many of 100 images the trained network names rightly. It comes from the file of accuracies."
SIZE = "Parameters that reach the answer, the more the better"
SIZE_HINT = (
    "Numbers that training has to find and that the answer depends on, in millions. A rough guess at which network "
    "will be accurate, where no accuracies are known (--accuracies): of networks built alike, larger ones "
    "tend to be."
)
FAMILY = re.compile(r" \(family \d+, model \d+\)$")
USUAL = {"batch": 1, "threads": 1, "dtype": "float32"}  # values that a device's name leaves out


def cost_words(cost: str) -> CostWords:
    """The words for a cost column; an unknown one is called by its own name."""
    name = cost.replace("_", " ")
    return COST_WORDS.get(cost, CostWords(name.capitalize(), f"The column {cost} of the table."))


def cost_unit(cost: str) -> str:
    """The unit of a cost column, or "" for an unknown one."""
    return UNITS.get(cost, "")


def device_name(device: Mapping[str, str | int | float]) -> str:
    """The display name of a device: `AMD EPYC 7B13, onnxruntime-cpu`, with unusual settings.

    A CPU's family and model numbers are left out: boxes are narrow, and these numbers mean nothing to most people.
    """
    parts = [FAMILY.sub("", str(device[key])) for key in ("hardware", "name") if device.get(key)]
    names = list(dict.fromkeys(parts)) or ["a device without a name"]
    unusual = {"threads": "{} threads", "batch": "{} images at once", "dtype": "in {}"}
    names += [text.format(device[key]) for key, text in unusual.items() if device.get(key, USUAL[key]) != USUAL[key]]
    return ", ".join(names)


def distinct(names: list[str], origins: list[str]) -> list[str]:
    """The names, with their origin in brackets if two are equal, and a number if that is not enough."""
    found: list[str] = []
    for name, origin in zip(names, origins, strict=True):
        text = name if names.count(name) == 1 else f"{name} ({origin})"
        again = sum(1 for other in found if other == text or other.startswith(f"{text} #"))
        found.append(f"{text} #{again + 1}" if again else text)
    return found


def percent_text(percent: float) -> str:
    """An accuracy: `93.27 %`."""
    return f"{percent:.2f} %"


def share_text(part: int, whole: int) -> str:
    """A part of a total: `1,203 of 15,625`."""
    return f"{part:,} of {whole:,}"
