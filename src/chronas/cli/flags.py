"""The flags of commands, except those on tables, as models; nothing heavy is imported, so that help is fast."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from chronas.arguments import LARGEST_SEED
from chronas.cli.options import Options
from chronas.runs import DEFAULT_PRESET, DEMO_PRESET, OWN_DATA_PRESET, RunSettings, TrainingSettings
from chronas.units import MeasuredCost

RUN_FOLDER = "run folder whose step is done; its settings are in it"
RECIPE = "training settings, changed by --recipe.*; auto: for your own data by the number of images, else as usual"
JOURNAL = "table to write; the journal is next to it (.sqlite)"


class StepOptions(Options):
    """A command that works on files, or does its step of a run folder."""

    POSITIONAL: ClassVar[tuple[str, ...]] = ("run",)

    run: Path | None = Field(default=None, description=RUN_FOLDER)
    again: bool = Field(default=False, description="with a run folder: repeat the step; the old result is kept")


# ---- the loop


class RunOptions(RunSettings, Options):
    """Flags of `chronas run`; the preset gives the other settings."""

    FIRST: ClassVar[tuple[str, ...]] = (
        *("preset", "out", "data", "device", "space", "limit_ms", "limit_energy_mj", "front", "searcher"),
        *("predictor", "networks", "baseline", "train_minutes", "seed", "json_answer"),
    )
    PRESET: ClassVar[bool] = True
    BY_DATA: ClassVar[bool] = True  # the usual preset depends on the data

    preset: str = Field(
        default=DEFAULT_PRESET,
        description=f"settings to begin with (default: {OWN_DATA_PRESET} for your own data, else {DEFAULT_PRESET})",
    )
    recipe: str = Field(default="auto", description=RECIPE)
    out: Path | None = Field(default=None, description="folder of the run (default: runs/PRESET)")


class DemoOptions(RunOptions):
    """Flags of `chronas demo`."""

    BY_DATA: ClassVar[bool] = False

    preset: str = Field(default=DEMO_PRESET, description="settings to begin with")
    out: Path | None = Field(default=None, description="folder of the run (default: runs/demo)")


class RetargetOptions(RunOptions):
    """Flags of `chronas retarget`; the run that is searched again gives the other settings."""

    POSITIONAL: ClassVar[tuple[str, ...]] = ("run",)
    FIRST: ClassVar[tuple[str, ...]] = (
        *("run", "device", "table", "limit_ms", "limit_energy_mj", "limit_peak_memory_mib", "front", "predictor"),
        *("networks", "out", "json_answer"),
    )

    HIDDEN: ClassVar[tuple[str, ...]] = (
        *("space", "searcher", "data", "data_limit", "image_size", "search_images", "search_validation_share"),
        *("validation_share", "seed", "preset", "train_steps", "train_minutes", "teacher", "init", "recipe"),
        "fit_size",
    )

    out: Path | None = Field(default=None, description="folder of the run (default: runs/RUN-DEVICE)")
    run: Path = Field(description="folder of a finished run")
    table: Path | None = Field(
        default=None,
        description="costs on the device instead of measuring: a Parquet file, or the name of a table that comes with "
        "chronas; without --device, its device is searched for",
    )


class ResumeOptions(Options):
    """Flags of `chronas resume`."""

    POSITIONAL: ClassVar[tuple[str, ...]] = ("run",)

    run: Path = Field(description="folder of a run that was stopped")


class GivenOptions(Options):
    """Flags of commands that take networks of the user."""

    input_shape: tuple[int, ...] = Field(default=(), description="shape of one example, such as 3 224 224")
    mean: tuple[float, ...] = Field(default=(), description="subtracted from pixels in 0..1, a number for each channel")
    std: tuple[float, ...] = Field(default=(), description="divisor of pixels after that, a number for each channel")


class ReportOptions(GivenOptions):
    """Flags of `chronas report`."""

    POSITIONAL: ClassVar[tuple[str, ...]] = ("run",)

    run: Path = Field(description="folder of a run")
    compare: tuple[str, ...] = Field(default=(), description="networks to measure beside the found one")


# ---- its steps


class MeasureOptions(StepOptions):
    """Flags of `chronas measure run`."""

    space: str = Field(default="darts", description="search space")
    device: str = Field(default="onnxruntime-cpu", description="device to measure; decides --device.*")
    networks: int = Field(default=500, ge=1, description="random architectures, distinct, uniform over the space")
    costs: tuple[MeasuredCost, ...] = Field(default=(), description="costs to measure in addition to latency, after it")
    seed: int = Field(default=0, ge=0, le=LARGEST_SEED, description="of the architectures")
    out: Path = Field(default=Path("costs.parquet"), description=JOURNAL)


class NetOptions(GivenOptions):
    """Flags of `chronas measure net`."""

    POSITIONAL: ClassVar[tuple[str, ...]] = ("networks",)

    networks: tuple[str, ...] = Field(
        min_length=1, description=".onnx, .pt2, FILE.py:FUNCTION (makes a module), or folders of run, train or export"
    )
    device: tuple[str, ...] = Field(default=("onnxruntime-cpu",), min_length=1, description="devices to measure")
    data: str | None = Field(default=None, description="a data set; the accuracy on its test images is shown too")
    out: Path | None = Field(default=None, description="CSV file to write")


class BundleOptions(Options):
    """Flags of `chronas measure bundle`."""

    space: str = Field(default="darts", description="search space")
    device: str = Field(default="onnxruntime-cpu", description="device whose settings run.py uses; decides --device.*")
    networks: int = Field(default=500, ge=1, description="random architectures, distinct, uniform over the space")
    seed: int = Field(default=0, ge=0, le=LARGEST_SEED, description="of the architectures")
    out: Path = Field(default=Path("bundle"), description="folder to write")


class AdaptiveOptions(Options):
    """Flags of `chronas measure adaptive`."""

    until_mape: float = Field(gt=0, le=100, description="wanted mean absolute error on networks not seen, in percent")
    space: str = Field(default="darts", description="search space")
    device: str = Field(default="onnxruntime-cpu", description="device to measure; decides --device.*")
    predictor: str = Field(default="lpm", description="predictor whose error counts; decides --predictor.*")
    networks: int = Field(default=500, ge=1, description="the budget: largest number of networks to measure")
    costs: tuple[MeasuredCost, ...] = Field(default=(), description="costs to measure in addition to latency, after it")
    cost: str | None = Field(default=None, description="cost whose error counts, of --costs; by default latency")
    seed: int = Field(default=0, ge=0, le=LARGEST_SEED, description="of networks and fits")
    out: Path = Field(default=Path("costs.parquet"), description=JOURNAL)


class LookupOptions(Options):
    """Flags of `chronas measure lookup`."""

    space: str = Field(default="fbnet", description="search space, of a chain of layers")
    dataset: str | None = Field(default=None, description="name of a published size; default: the space's first")
    device: str = Field(default="onnxruntime-cpu", description="device to measure; decides --device.*")
    networks: int = Field(default=200, ge=2, description="whole random networks that sums of blocks are compared with")
    seed: int = Field(default=0, ge=0, le=LARGEST_SEED, description="of these networks")
    out: Path = Field(default=Path("blocks.parquet"), description=JOURNAL)
    save_blocks: Path | None = Field(
        default=None, description="also write the blocks' costs, as `chronas table query` reads them (.parquet)"
    )
    save_predictor: Path | None = Field(
        default=None, description="also write the sums of blocks as a predictor (.safetensors)"
    )


class CheckOptions(Options):
    """Flags of `chronas measure check`."""

    POSITIONAL: ClassVar[tuple[str, ...]] = ("table",)

    table: Path = Field(description="a table of costs that was measured here, or a run folder")
    networks: int = Field(default=100, ge=2, description="number of its networks to measure again")
    seed: int = Field(default=0, ge=0, le=LARGEST_SEED, description="which of its networks")


class FitOptions(StepOptions):
    """Flags of `chronas fit`."""

    table: Path | None = Field(
        default=None, description="Parquet file of `chronas measure`, or a name of `chronas table list`"
    )
    predictor: str | None = Field(default=None, description="lpm by default; decides --predictor.*")
    out: Path = Field(default=Path("predictor.safetensors"), description="file to write")
    cost: str | None = Field(default=None, description="cost of the table to learn; by default its own")
    transfer_from: tuple[Path, ...] = Field(
        default=(), description="tables of other devices on the same space, or their folder: --predictor transfer"
    )
    samples: int | None = Field(
        default=None, ge=1, description="fit on this many networks of the table, score on all others; without it, folds"
    )
    choose: Literal["random", "spread", "sequential"] = Field(
        default="spread", description="choice of samples: random, spread out, or the most uncertain one next"
    )
    folds: int = Field(default=5, ge=2, le=100, description="folds of the cross-validation")
    seed: int = Field(default=0, ge=0, le=LARGEST_SEED, description="of samples, folds and fitting")


class SearchOptions(RunOptions, StepOptions):
    """Flags of `chronas search`."""

    FIRST: ClassVar[tuple[str, ...]] = (
        *("run", "again", "table", "preset", "out", "data", "device", "limit_ms", "limit_energy_mj", "front"),
        *("searcher", "predictor", "seed", "json_answer"),
    )

    table: Path | None = Field(
        default=None,
        description="Parquet file of `chronas measure`, or the name of a table that comes with chronas; its space and "
        "network size must be the run's; without --device, its device is searched for",
    )


class TrainOptions(TrainingSettings, StepOptions):
    """Flags of `chronas train`."""

    FIRST: ClassVar[tuple[str, ...]] = (
        *("run", "again", "front", "architecture", "space", "data", "image_size", "recipe", "train_steps"),
        *("train_minutes", "teacher", "init", "out", "threads", "seed", "json_answer"),
    )

    front: tuple[int, ...] = Field(default=(), description="with a run folder: train these networks of its front")
    architecture: str | None = Field(
        default=None, description="text form: Genotype(normal=[...], ...) or |nor_conv_3x3~0|+|..."
    )
    space: str = Field(default="darts", description="search space of the architecture")
    data: str = Field(
        default="digits", description="digits, shapes, cifar10, cifar100, a folder of images, or an .npz file"
    )
    image_size: int | None = Field(default=None, ge=4, le=1024, description="pixels of a side to scale images to")
    recipe: str = Field(default="auto", description=RECIPE)
    out: Path = Field(default=Path("trained"), description="folder of the training")
    validation_share: float = Field(default=0.1, gt=0, lt=0.9, description="share that only chooses the checkpoint")
    threads: int = Field(
        default=1,
        ge=1,
        le=1024,
        description="CPU threads; more than free cores are slower; results differ in last digits",
    )
    seed: int = Field(default=0, ge=0, le=LARGEST_SEED, description="of weights, split, order and augmentation")


class ExportOptions(StepOptions):
    """Flags of `chronas export`."""

    network: Path | None = Field(
        default=None, description="folder that `chronas train` wrote, or networks/NAME of a run"
    )
    out: Path = Field(default=Path("exported"), description="folder to write to")
    batch: Annotated[int, Field(ge=1, le=4096)] | Literal["dynamic"] = Field(
        default=1, description="batch of the ONNX files: a number, or dynamic for any"
    )
    dtype: Literal["float32", "int8"] = Field(
        default="float32", description="int8 also writes model.int8.onnx, calibrated and tested on the images"
    )
    data: str | None = Field(default=None, description="for int8 with --network: the data that it was trained on")
    image_size: int | None = Field(default=None, ge=4, le=1024, description="pixels of a side, as in the training")


# ---- data


class DataOptions(Options):
    """Flags of `chronas data show`."""

    POSITIONAL: ClassVar[tuple[str, ...]] = ("data",)

    data: str = Field(description="a folder of images or Parquet files, an .npz file, digits, cifar10 or cifar100")
    image_size: int | None = Field(default=None, ge=4, le=1024, description="pixels of a side to scale images to")
    sheet: Path | None = Field(default=None, description="PNG file to write: some images of each class")


# ---- the rest


class DevicesOptions(Options):
    """Flags of `chronas devices`."""

    sensors: bool = Field(default=False, description="list the sensors of energy instead")


class ExploreOptions(Options):
    """Flags of `chronas explore`."""

    POSITIONAL: ClassVar[tuple[str, ...]] = ("tables",)

    tables: tuple[Path, ...] = Field(
        default=(), description="tables of costs that chronas wrote (Parquet), or folders of such"
    )
    accuracies: Path | None = Field(
        default=None,
        description="CSV or Parquet file with architectures (`architecture`, `arch_str`, `index` or `arch_idx`) and "
        "percent in columns with acc in their name",
    )
    host: str = Field(default="127.0.0.1", description="address to listen at; 0.0.0.0 lets other machines in")
    port: int = Field(default=8501, ge=0, le=65535, description="port to listen at; 0 takes a free one")
    browser: bool = Field(default=False, description="open the page in a browser")


class CompletionOptions(Options):
    """Flags of `chronas completion`."""

    POSITIONAL: ClassVar[tuple[str, ...]] = ("shell",)

    shell: Literal["bash", "zsh"] = Field(description="bash or zsh")
