"""Networks of the user side by side: latency on each device, work, and accuracy on a data set."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
from torch import nn

from chronas.api.objects import shown_progress
from chronas.arguments import checked
from chronas.data import Dataset, load_dataset
from chronas.devices import Device, make_device
from chronas.errors import ChronasError, DeviceError, UsageError
from chronas.measurement import OwnNetwork, Plan, make_meter, time_networks, try_network
from chronas.networks import OnnxNetwork
from chronas.progress import Displayed, Progress
from chronas.records import Confusion, Estimate
from chronas.runs import GivenNetwork, as_given, confusion_of
from chronas.tables import to_pandas
from chronas.units import COST_UNITS, cost_word

if TYPE_CHECKING:
    import pandas

Given = str | Path | OnnxNetwork | nn.Module | GivenNetwork


@dataclass(frozen=True)
class Compared:
    """One network on one device.

    Attributes:
        network: name of the network.
        device: name of the device.
        latency: latency of a whole batch in ms; None if the device does not run the network.
        why_not: the reason then.
        macs: multiply-accumulates for one example; None if they are not known.
        parameters: numbers in its weights.
        confusion: the confusion matrix on the test images; None without data.
        costs: energy in mJ and peak memory in MiB of a whole batch, by name, where this machine can measure them.
        unknown: the reason of each cost that the machine can measure, but not for this network.
    """

    network: str
    device: str
    latency: Estimate | None
    why_not: str | None
    macs: int | None
    parameters: int
    confusion: Confusion | None = None
    costs: Mapping[str, float] = field(default_factory=dict)
    unknown: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Comparison(Displayed):
    """Networks side by side, fastest first on each device.

    Attributes:
        rows: a row for each network on each device.
        batch: examples in a timed run, by device.
    """

    rows: tuple[Compared, ...]
    batch: Mapping[str, int]

    @property
    def frame(self) -> pl.DataFrame:
        """One row for each network on each device; latencies in ms, accuracies in percent."""
        return pl.DataFrame([_row(each) for each in self.rows], schema=SCHEMA)

    def columns(self) -> tuple[tuple[str, ...], list[tuple[object, ...]]]:
        """Headings and rows for people; None where nothing is known."""
        tested = any(each.confusion is not None for each in self.rows)
        costs = [cost for cost in MEASURED if any(cost in each.costs for each in self.rows)]
        heads = ("network", "device", "latency ms", "95 % interval", "median", "p95", "MACs (million)", "parameters")
        rows: list[tuple[object, ...]] = []
        for each in self.rows:
            ms, right = each.latency, each.confusion
            timed = (None,) * 4 if ms is None else (ms.value, f"{ms.low:.4g} to {ms.high:.4g}", ms.median, ms.p95)
            work = (None if each.macs is None else each.macs / 1e6, each.parameters)
            known = (None, None) if right is None else (right.accuracy_percent, right.balanced_accuracy_percent)
            measured = (each.costs.get(cost) for cost in costs)
            rows.append((each.network, each.device, *timed, *measured, *work, *(known if tested else ())))
        words = (f"{cost_word(cost)} {COST_UNITS[cost]}" for cost in costs)
        return (*heads[:6], *words, *heads[6:], *(("accuracy %", "balanced %") if tested else ())), rows

    def to_pandas(self) -> pandas.DataFrame:
        """The same as a pandas frame."""
        return to_pandas(self.frame)

    def __repr__(self) -> str:
        texts = (f"{each.network} on {each.device}: {each.latency or each.why_not}" for each in self.rows)
        return f"Comparison({'; '.join(texts)})"


LATENCIES = {  # column -> attribute of an estimate
    "latency_ms": "value",
    "latency_low_ms": "low",
    "latency_high_ms": "high",
    "latency_median_ms": "median",
    "latency_p95_ms": "p95",
}
ACCURACIES = {"accuracy": "accuracy_percent", "balanced_accuracy": "balanced_accuracy_percent"}  # of a confusion matrix
MEASURED = ("energy_mj", "peak_memory_mib")
SCHEMA = {
    **{"network": pl.String(), "device": pl.String()},
    **dict.fromkeys(LATENCIES, pl.Float64()),
    **dict.fromkeys(MEASURED, pl.Float64()),
    **{"macs": pl.Int64(), "parameters": pl.Int64()},
    **dict.fromkeys(ACCURACIES, pl.Float64()),
    "why_not": pl.String(),
}


def _row(each: Compared) -> dict[str, object]:
    return {
        **{name: getattr(each, name) for name in ("network", "device", "macs", "parameters", "why_not")},
        **{column: getattr(each.latency, name, None) for column, name in LATENCIES.items()},
        **{cost: each.costs.get(cost) for cost in MEASURED},
        **{column: getattr(each.confusion, name, None) for column, name in ACCURACIES.items()},
    }


@checked
def compare(
    networks: Sequence[Given] | Mapping[str, Given],
    devices: str | Device | Sequence[str | Device] = "onnxruntime-cpu",
    *,
    input_shape: tuple[int, ...] | None = None,
    data: Dataset | str | Path | None = None,
    mean: Sequence[float] = (),
    std: Sequence[float] = (),
    plan: Plan | None = None,
    progress: bool | Progress = True,
) -> Comparison:
    """Measure networks side by side: all are timed in each round, in a new random order.

    Args:
        networks: `.onnx` and `.pt2` files, `model.py:make`, folders of `chronas run`, `train` or `export`, or modules;
            a mapping gives them names.
        devices: one device or several, by name or object. A network that a device does not run has a reason there.
        input_shape: shape of one example, such as (3, 224, 224); needed for modules, and for ONNX files that leave
            sizes besides the batch open.
        data: a data set whose test images give accuracies; scaled to the networks' input if it is larger or smaller.
        mean: subtracted from pixels in 0..1, for each channel, where the network's file does not say it.
        std: divisor after that.
        plan: rounds, repeats, and the wanted width of intervals.
        progress: whether to show progress, or a function to call.

    Raises:
        UsageError: there is no network, one cannot be read, or it does not fit the data.
        DataError: a file is missing or damaged.
        DeviceError: a device is not here, or no network runs on any device.
    """
    given = _given(networks, input_shape)
    chosen = [make_device(each) for each in ([devices] if isinstance(devices, str | Device) else devices)]
    names = [each.name for each in chosen]
    if not given or not chosen:
        raise UsageError("give at least one network and one device")
    if len(set(names)) < len(names):
        raise UsageError(f"each device should be given once, got {', '.join(names)}")
    with shown_progress(progress) as shown:
        tested = {} if data is None else _tested(given, data, (mean, std), shown)
        able, refused = _able(chosen, given)
        timed = time_networks([(device, each.network, each.shape) for device, each in able], plan or Plan(), shown)
        costs = _costs(able, shown)
    found = {(device.name, each.name): ms for (device, each), ms in zip(able, timed, strict=True)}
    rows = []
    for each in given:
        counts, right = each.counts(), tested.get(each.name)
        for name in names:
            why_not = refused.get((name, each.name))
            ms = found.get((name, each.name))
            beside = costs.get((name, each.name), ({}, {}))
            rows.append(Compared(each.name, name, ms, why_not, counts.macs, counts.parameters, right, *beside))
    rows.sort(key=lambda row: (names.index(row.device), math.inf if row.latency is None else row.latency.value))
    return Comparison(tuple(rows), {each.name: int(getattr(each.config, "batch", 1)) for each in chosen})


def _given(networks: Sequence[Given] | Mapping[str, Given], input_shape: tuple[int, ...] | None) -> list[GivenNetwork]:
    if isinstance(networks, Given):
        raise UsageError("networks should be several, or a list of one")
    if isinstance(networks, Mapping):
        return [as_given(each, input_shape, name) for name, each in networks.items()]
    given = [as_given(each, input_shape) for each in networks]
    twice = [name for name, count in Counter(each.name for each in given).items() if count > 1]
    if twice:
        raise UsageError(f"{twice[0]} is given twice: give each network once, or names by a mapping")
    return given


def _able(
    devices: Sequence[Device], given: Sequence[GivenNetwork]
) -> tuple[list[tuple[Device, GivenNetwork]], dict[tuple[str, str], str]]:
    """The pairs that run, and the reasons of the others; raises the reasons if no pair runs."""
    able, refused = [], {}
    for device in devices:
        for each in given:
            try:
                try_network(device, each.network, each.shape)
            except ChronasError as error:
                refused[device.name, each.name] = str(error)
                last = error
            else:
                able.append((device, each))
    if len(refused) == 1 and not able:
        raise last
    if not able:
        reasons = "; ".join(f"{name} on {device}: {why}" for (device, name), why in refused.items())
        raise DeviceError(f"no network can be measured: {reasons}")
    return able, refused


def _costs(
    able: Sequence[tuple[Device, GivenNetwork]], progress: Progress
) -> dict[tuple[str, str], tuple[dict[str, float], dict[str, str]]]:
    """By device and network: energy and memory, where this machine can measure them, and the reasons of the others."""
    found: dict[tuple[str, str], tuple[dict[str, float], dict[str, str]]] = {}
    for device in dict.fromkeys(device for device, _ in able):
        networks = [each for other, each in able if other is device]
        for cost in MEASURED:
            try:
                meter = make_meter(cost, device, None)
            except DeviceError:
                continue  # this machine has no sensor for it
            with closing(meter):
                for number, each in enumerate(networks):
                    progress("measure", number, len(networks), f"{cost_word(cost)} on {device.name}")
                    values, reasons = found.setdefault((device.name, each.name), ({}, {}))
                    try:
                        values[cost] = meter.read(OwnNetwork(each.network, each.shape), 0).value
                    except DeviceError as error:
                        reasons[cost] = str(error)
    return found


def _tested(
    given: Sequence[GivenNetwork],
    data: Dataset | str | Path,
    scaling: tuple[Sequence[float], Sequence[float]],
    progress: Progress,
) -> dict[str, Confusion]:
    """The confusion matrix of each network; images are read once for each size."""
    read: dict[int | None, Dataset] = {}
    found = {}
    for number, each in enumerate(given):
        progress("test", number, len(given), each.name)
        if each.side not in read:
            read[each.side] = load_dataset(data, image_size=each.side, progress=progress)
        found[each.name] = confusion_of(each, read[each.side], mean=scaling[0], std=scaling[1])
    progress("test", len(given), len(given), "")
    return found
