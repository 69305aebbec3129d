"""The flags of commands on tables of costs, as models; nothing heavy is imported, so that help is fast."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from pydantic import Field

from chronas.arguments import LARGEST_SEED
from chronas.cli.flags import JOURNAL
from chronas.cli.options import Options
from chronas.units import MeasuredCost


class ShowOptions(Options):
    """Flags of `chronas table show`."""

    POSITIONAL: ClassVar[tuple[str, ...]] = ("table",)

    table: Path = Field(description="a Parquet file that chronas wrote, or a name of `chronas table list`")
    rows: int = Field(default=5, ge=0, description="how many of the fastest networks to list")


class QueryOptions(Options):
    """Flags of `chronas table query`."""

    POSITIONAL: ClassVar[tuple[str, ...]] = ("tables",)

    tables: tuple[Path, ...] = Field(
        description="tables that chronas wrote, or names of `chronas table list`; a folder stands for all tables in it"
    )
    index: tuple[int, ...] = Field(default=(), description="official indices of architectures to show in full")
    architecture: tuple[str, ...] = Field(default=(), description="architectures to show in full")
    isomorphic: bool = Field(
        default=False, description="also all others that compute the same function, each with its own costs"
    )
    where: tuple[str, ...] = Field(
        default=(), description='conditions such as "raspi4.latency_ms <= 10"; all must hold'
    )
    accuracies: Path | None = Field(
        default=None, description="CSV or Parquet file whose columns of numbers are joined, such as accuracies"
    )
    pareto: tuple[str, ...] = Field(
        default=(), description="columns of a Pareto front to keep: costs are minimised, accuracies maximised"
    )
    maximise: tuple[str, ...] = Field(default=(), description="columns of which more is better")
    minimise: tuple[str, ...] = Field(default=(), description="columns of which less is better")
    sort: str | None = Field(default=None, description="column to sort by, the best first")
    rows: int = Field(default=20, ge=1, description="how many architectures to list")
    out: Path | None = Field(
        default=None, description="file for all costs of these architectures: .parquet or .csv, a row for each cost"
    )


class CompareOptions(Options):
    """Flags of `chronas table compare`."""

    POSITIONAL: ClassVar[tuple[str, ...]] = ("tables",)

    tables: tuple[Path, ...] = Field(
        description="tables of one space and network size; a folder stands for all tables in it"
    )
    accuracies: Path | None = Field(default=None, description="CSV or Parquet file of accuracies of the architectures")
    accuracy: str | None = Field(default=None, description="its column to choose the best by; needed with --accuracies")
    share: float = Field(
        default=0.25, gt=0, le=1, description="each device's limit is the cost that this share of architectures keeps"
    )
    limit_ms: float | None = Field(default=None, gt=0, description="one limit for all latencies in place of --share")
    page: Path | None = Field(default=None, description="HTML page with plots to write")


class BuildOptions(Options):
    """Flags of `chronas table build`."""

    space: str = Field(default="nasbench201", description="search space")
    dataset: str | None = Field(default=None, description="name of a published size; default: the space's first")
    device: str = Field(default="onnxruntime-cpu", description="device to measure; decides --device.*")
    networks: int | None = Field(default=None, ge=1, description="measure this many random networks instead of all")
    costs: tuple[MeasuredCost, ...] = Field(default=(), description="costs to measure in addition to latency, after it")
    seed: int = Field(default=0, ge=0, le=LARGEST_SEED, description="of the order in which networks are taken")
    out: Path = Field(default=Path("costs.parquet"), description=JOURNAL)


class ImportBundleOptions(Options):
    """Flags of `chronas table import bundle`."""

    POSITIONAL: ClassVar[tuple[str, ...]] = ("results",)

    results: Path = Field(description="results.jsonl of a bundle, or its folder")
    out: Path = Field(default=Path("costs.parquet"), description=JOURNAL)


class ImportFileOptions(Options):
    """Flags of `chronas table import csv`."""

    POSITIONAL: ClassVar[tuple[str, ...]] = ("file",)

    file: Path = Field(description="a .csv or .parquet file")
    space: str = Field(default="nasbench201", description="search space of the architectures")
    out: Path = Field(default=Path("tables"), description="folder to write: DEVICE.parquet for each device")
    dataset: str | None = Field(default=None, description="name of the measured published size; default: the first")
    source: str = Field(default="", description="origin of the numbers and their licence, for the provenance")
    columns: tuple[str, ...] = Field(
        default=(), description="read these alone, COLUMN=DEVICE.COST: co2=raspi4.carbon_g is grams of raspi4"
    )


class ImportHwNasBenchOptions(Options):
    """Flags of `chronas table import hw-nas-bench`."""

    POSITIONAL: ClassVar[tuple[str, ...]] = ("pickle",)

    pickle: Path = Field(description="HW-NAS-Bench-v1_0.pickle")
    out: Path = Field(default=Path("hw-nas-bench"), description="folder to write")
