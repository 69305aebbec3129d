"""Measurement of networks on a device, and predictors learned from a table."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import overload

from pydantic import BaseModel
from torch import nn

from chronas.api.objects import shown_progress
from chronas.arguments import checked
from chronas.devices import Device, make_device
from chronas.errors import UsageError
from chronas.measurement import Plan, run_campaign, time_network
from chronas.networks import Counts, build
from chronas.networks import count as count_module
from chronas.predictors import Predictor, fit_and_report
from chronas.progress import Progress
from chronas.records import Estimate
from chronas.spaces import Architecture, NetworkSize, Space, make_space
from chronas.tables import CostTable, journal_beside
from chronas.units import MeasuredCost


@overload
def measure(
    space: nn.Module,
    device: str | Device = ...,
    *,
    input_shape: tuple[int, ...],
    plan: Plan | None = ...,
    progress: bool | Progress = ...,
) -> Estimate: ...


@overload
def measure(
    space: str | Space,
    device: str | Device = ...,
    *,
    size: NetworkSize | None = ...,
    networks: int | Sequence[Architecture] = ...,
    costs: Sequence[MeasuredCost] = ...,
    plan: Plan | None = ...,
    seed: int = ...,
    out: str | Path | None = ...,
    progress: bool | Progress = ...,
) -> CostTable: ...


@checked
def measure(
    space: str | Space | nn.Module,
    device: str | Device = "onnxruntime-cpu",
    *,
    size: NetworkSize | None = None,
    input_shape: tuple[int, ...] | None = None,
    networks: int | Sequence[Architecture] = 200,
    costs: Sequence[MeasuredCost] = (),
    plan: Plan | None = None,
    seed: int = 0,
    out: str | Path | None = None,
    progress: bool | Progress = True,
) -> CostTable | Estimate:
    """Measure networks of a space on a device, or a single network of the user's own.

    Args:
        space: a space, by name or object; or a module, whose latency is measured.
        device: a device, by name or object.
        size: size of the networks; None: the first of the space's published sizes.
        input_shape: for a module: the shape of one example, such as (3, 224, 224).
        networks: number of random architectures, or a list of architectures.
        costs: costs to measure besides latency: "energy_mj", "peak_memory_mib".
        plan: rounds, repeats, and the wanted width of intervals.
        seed: seed of the random architectures.
        out: the table's Parquet file, which must not exist. The journal is in the same folder, so that the same call
            resumes a stopped measurement. None: nothing is stored.
        progress: whether to show progress, or a function to call.

    Returns:
        A table of costs; for a module an estimate of its latency in ms.

    Raises:
        UsageError: arguments do not fit together.
        DeviceError: the device is not here, or cannot run a network.
        MismatchError: the journal next to `out` belongs to another campaign.
    """
    found = make_device(device)
    with shown_progress(progress) as shown:
        if isinstance(space, nn.Module):
            if input_shape is None:
                raise UsageError("a module needs the shape of one example: measure(module, input_shape=(3, 224, 224))")
            return time_network(found, space, input_shape, plan or Plan(), shown)
        searched = make_space(space)
        built = size or next(iter(searched.sizes.values()))
        asked = searched.sample(networks, seed) if isinstance(networks, int) else list(networks)
        with _folder(out) as journal:
            run_campaign(found, built, asked, plan or Plan(), journal, shown, costs=costs)
            table = CostTable.from_journal(journal, searched)
        if out is not None:
            table.save(Path(out))
        return table


@overload
def count(network: nn.Module, input_shape: tuple[int, ...], batch: int = ...) -> Counts: ...


@overload
def count(network: Architecture, input_shape: NetworkSize | None = ..., batch: int = ...) -> Counts: ...


@checked
def count(
    network: nn.Module | Architecture, input_shape: tuple[int, ...] | NetworkSize | None = None, batch: int = 1
) -> Counts:
    """MACs, parameters and peak activation memory of a network, without measuring it.

    Args:
        network: a module, or an architecture of a space.
        input_shape: for a module: the shape of one example, such as (3, 224, 224); for an architecture: its size, or
            None for the first of the space's published sizes.
        batch: number of examples for the peak activation memory.

    Raises:
        UsageError: a module does not fit the shape, or no shape is given.
    """
    if isinstance(network, Architecture):
        size = input_shape or next(iter(network.space.sizes.values()))
        if not isinstance(size, NetworkSize):
            raise UsageError(f"an architecture is counted in a size, such as NetworkSize(...), got {size}")
        return count_module(build(network, size), size.input_shape, batch)
    if not isinstance(input_shape, tuple):
        raise UsageError("a module needs the shape of one example: count(module, (3, 224, 224))")
    return count_module(network, input_shape, batch)


@checked
def fit(
    table: CostTable,
    predictor: str | type[Predictor] | Predictor = "lpm",
    *,
    config: BaseModel | None = None,
    folds: int = 5,
    seed: int = 0,
) -> Predictor:
    """Learn a cost from a table; the predictor's `report` has its quality on unseen networks.

    Args:
        table: a table; its own cost is learned, see `CostTable.of`.
        predictor: a predictor, by name, class or unfitted object.
        config: an instance of the predictor's own `Config`; None: its defaults.
        folds: number of folds of the report's cross-validation.
        seed: seed of folds and fits.

    Raises:
        UsageError: there is no such predictor.
        DataError: there are too few networks, or nothing can be learned from the costs.
    """
    fitted, report = fit_and_report(predictor, table, config=config, folds=folds, seed=seed)
    fitted.report = report
    return fitted


@contextmanager
def _folder(out: str | Path | None) -> Iterator[Path]:
    """The folder of the journal for a table that must not exist yet, or a temporary folder."""
    if out is None:
        with tempfile.TemporaryDirectory(prefix="chronas-") as folder:
            yield Path(folder) / "journal.sqlite"
        return
    if Path(out).exists():
        raise UsageError(f"{out} exists: give another name, nothing is overwritten")
    yield journal_beside(Path(out))
