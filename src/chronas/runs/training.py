"""The steps that train, test and export one network, each in `networks/<role>`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import onnxruntime
import torch

from chronas.data import Dataset, Normalisation, split
from chronas.errors import DataError, MismatchError
from chronas.files import read_as, write_json
from chronas.networks import Preprocessing, build, count, save_state, write_onnx, write_source
from chronas.progress import Progress, silent
from chronas.runs.run import Run
from chronas.spaces import Architecture, NetworkSize, make_space
from chronas.training import BEST, SINGLE_PROCESS, ProcessGroup, Recipe, evaluate, load_best, train

ARCHITECTURE_SCHEMA = "chronas.architecture/2"
RESULT_SCHEMA = "chronas.result/1"
EXPORTED = ("model.safetensors", "model.onnx", "model.py", "architecture.json")
TOLERANCE = 1e-4  # relative difference allowed between PyTorch and the exported ONNX file


@dataclass(frozen=True)
class Result:
    """What training one architecture gave. Accuracies in percent; the test split was opened once, after training."""

    accuracy_percent: float
    validation_accuracy_percent: float
    macs: int
    parameters: int
    training_s: float


@dataclass(frozen=True)
class Trained(Result):
    """A result, whose it is, and the folder's name: in a run the role."""

    role: str
    architecture: Architecture
    size: NetworkSize


@dataclass(frozen=True)
class Described:
    """What `architecture.json` says."""

    space: str
    architecture: str
    size: NetworkSize
    preprocessing: Preprocessing | None = None


def train_network(run: Run, role: str, architecture: Architecture, progress: Progress = silent) -> Trained:
    """Train an architecture by the run's recipe, keep the checkpoint that validates best, and test that once."""
    folder = run.folder / "networks" / role
    if not (folder / "result.json").exists():
        with run.timed(f"train {role}", progress) as told:
            train_architecture(
                folder,
                architecture,
                run.size,
                run.data,
                run.config.recipe,
                validation_share=run.config.validation_share,
                seed=run.config.seed,
                progress=lambda _, done, total, note: told(f"train {role}", done, total, note),
            )
    return read_trained(folder)


def trained_weights(run: Run, role: str) -> Path:
    """The file with the best weights of a network that `train_network` has trained."""
    return run.folder / "networks" / role / "training" / BEST


def train_architecture(
    folder: Path,
    architecture: Architecture,
    size: NetworkSize,
    data: Dataset,
    recipe: Recipe,
    *,
    validation_share: float,
    seed: int,
    progress: Progress = silent,
    group: ProcessGroup = SINGLE_PROCESS,
) -> None:
    """Train one architecture in a folder of its own, or go on there; the test images are used once, at the end.

    Args:
        folder: gets `architecture.json`, `training/` and, when all is done, `result.json`.
        architecture: what to train.
        size: its frame; shape and classes are the data's.
        data: training images, a share of which only chooses the checkpoint, and test images.
        recipe: how to train.
        validation_share: that share.
        seed: of weights, split, order and augmentation.
        progress: told of each step.
        group: processes that train together in this folder; the first one writes.

    Raises:
        MismatchError: the folder holds another training.
        DivergedError: the loss is no longer finite.
    """
    normalisation = Normalisation.of(data.train)
    preprocessing = Preprocessing(normalisation.mean, normalisation.std, data.class_names)
    _begin(folder / "architecture.json", architecture, size, preprocessing, group)
    network = build(architecture, size, seed=seed, auxiliary=recipe.auxiliary_weight > 0)
    images, validation = split(data.train, validation_share, seed=seed)
    training = train(
        network,
        images,
        validation,
        normalisation,
        recipe,
        folder=folder / "training",
        seed=seed,
        progress=progress,
        group=group,
    )
    assert training.best_validation_accuracy is not None  # there are validation images
    counts = count(network, size.input_shape)
    result = Result(
        accuracy_percent=evaluate(network, data.test, normalisation, group=group),
        validation_accuracy_percent=training.best_validation_accuracy,
        macs=counts.macs,
        parameters=counts.parameters,
        training_s=sum(row["seconds"] for row in training.history),
    )
    if group.first:
        write_architecture(folder / "architecture.json", architecture, size, preprocessing)  # an old one lacks the last
        write_json(folder / "result.json", RESULT_SCHEMA, asdict(result))


def _begin(
    path: Path, architecture: Architecture, size: NetworkSize, preprocessing: Preprocessing, group: ProcessGroup
) -> None:
    """Write what is trained, or hold that it is what the file already says."""
    begun = path.exists()
    if begun and read_architecture(path) != (architecture, size):
        raise MismatchError(f"{path.parent} holds a training of another architecture or size: choose another folder")
    if begun and read_preprocessing(path) not in {None, preprocessing}:
        raise MismatchError(f"{path.parent} holds a training on other images: choose another folder")
    group.wait()  # all have looked before one writes
    if group.first and not begun:
        write_architecture(path, architecture, size, preprocessing)


def read_trained(folder: Path) -> Trained:
    """What `train_network` left in a folder; raises `DataError` where it is not whole."""
    architecture, size = read_architecture(folder / "architecture.json")
    result = read_as(folder / "result.json", RESULT_SCHEMA, Result)
    return Trained(**asdict(result), role=folder.name, architecture=architecture, size=size)


def write_architecture(
    path: Path, architecture: Architecture, size: NetworkSize, preprocessing: Preprocessing | None = None
) -> None:
    """Write space, text form and size as JSON, and of a trained network what it takes and what its classes are."""
    content = {
        "space": architecture.space.name,
        "architecture": str(architecture),
        "size": size.model_dump(mode="json"),
        "preprocessing": None if preprocessing is None else asdict(preprocessing),
    }
    write_json(path, ARCHITECTURE_SCHEMA, content)


def read_architecture(path: Path) -> tuple[Architecture, NetworkSize]:
    """Read what `write_architecture` wrote; raises `DataError` or `UsageError` in one line."""
    described = read_as(path, ARCHITECTURE_SCHEMA, Described, oldest=1)
    return make_space(described.space).parse(described.architecture), described.size


def read_preprocessing(path: Path) -> Preprocessing | None:
    """How a trained network takes pixels, and its classes; None in a file of a version that did not keep it.

    Raises:
        DataError: the file is damaged.
    """
    return read_as(path, ARCHITECTURE_SCHEMA, Described, oldest=1).preprocessing


def export(network_folder: Path, folder: Path, *, batch: int = 1) -> list[Path]:
    """Write `model.safetensors`, `model.onnx`, `model.py` and `architecture.json` of a trained network.

    The ONNX file is run in ONNX Runtime and compared with PyTorch on random images before it is kept. How pixels are
    to be scaled and what the classes are called is in `model.py`, `architecture.json` and the ONNX file's metadata.

    Args:
        network_folder: with `architecture.json` and `training/best.safetensors`.
        folder: where to write.
        batch: the static batch of the ONNX file.

    Raises:
        DataError: a file is damaged, or the exported network does not compute what PyTorch does.
    """
    if not (network_folder / "result.json").exists():
        raise DataError(f"{network_folder} holds no trained network: train one with `chronas train` first")
    architecture, size = read_architecture(network_folder / "architecture.json")
    preprocessing = read_preprocessing(network_folder / "architecture.json")
    network = build(architecture, size)
    load_best(network, network_folder / "training")
    network.eval()
    paths = [folder / name for name in EXPORTED]
    save_state(paths[0], network.state_dict(), {"architecture": str(architecture), "space": architecture.space.name})
    metadata = None if preprocessing is None else preprocessing.metadata()
    write_onnx(paths[1], network, size.input_shape, batch=batch, metadata=metadata)
    try:
        check_onnx(paths[1], network, (batch, *size.input_shape))
    except DataError:
        paths[1].unlink()
        raise
    write_source(paths[2], architecture, size, preprocessing)
    write_architecture(paths[3], architecture, size, preprocessing)
    return paths


def export_own(run: Run) -> list[Path]:
    """Export the run's own network into its folder; an export that is there and whole is kept.

    Raises:
        DataError: the network is not trained yet.
    """
    paths = [run.folder / name for name in EXPORTED]
    if not all(path.exists() for path in paths):
        if not (run.folder / "networks" / run.role / "result.json").exists():
            raise DataError(f"{run.folder} has no trained network yet: run `chronas train {run.folder}` first")
        export(run.folder / "networks" / run.role, run.folder)
    return paths


def check_onnx(path: Path, network: torch.nn.Module, shape: tuple[int, ...]) -> float:
    """The largest relative difference between ONNX Runtime and PyTorch on random images [B, C, H, W].

    Raises:
        DataError: it is above `TOLERANCE`.
    """
    images = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = network(images).numpy()
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    got = session.run(None, {session.get_inputs()[0].name: images.numpy()})[0]
    difference = float(np.abs(got - expected).max() / max(np.abs(expected).max(), 1e-12))
    if not difference <= TOLERANCE:
        raise DataError(
            f"{path} differs from PyTorch by {difference:.1e} relative, more than {TOLERANCE:.0e}: not usable"
        )
    return difference
