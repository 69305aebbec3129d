"""The steps that train, test and export a network, each in `networks/<role>`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from torch import Tensor, nn

from chronas.arguments import path_of, whole
from chronas.data import Dataset, Normalisation, split
from chronas.errors import DataError, MismatchError
from chronas.files import read_as, write_json
from chronas.networks import Preprocessing, build, count, load_state, save_state, write_onnx, write_source
from chronas.progress import Progress, silent
from chronas.records import Confusion
from chronas.runs.architecture_file import read_architecture, read_preprocessing, write_architecture
from chronas.runs.run import Run
from chronas.spaces import Architecture, NetworkSize, Space
from chronas.training import (
    BEST,
    SINGLE_PROCESS,
    Budget,
    ProcessGroup,
    Recipe,
    Teacher,
    confusion_matrix,
    keep_recalibrated,
    load_best,
    train,
)

RESULT_SCHEMA = "chronas.result/1"
INHERITED = "inherited.safetensors"  # weights of a nested supernet, in a network's folder
EXPORTED = ("model.safetensors", "model.onnx", "model.py", "architecture.json")
MOST_CLASSES = 200  # of a confusion matrix that is kept
TOLERANCE = 1e-4  # relative difference allowed between PyTorch and the exported ONNX file


@dataclass(frozen=True)
class Result:
    """The result of training one architecture. Accuracies in percent; the test split was used once, after training.

    Attributes:
        confusion: the number of test images of each class (rows) that were named each class; None in earlier
            versions and with over `MOST_CLASSES` classes.
        still_learning: whether its training ended while its loss was still falling, see `Training`.
        steps: optimiser steps that were planned; None in earlier versions.
        stopped_epoch: the epoch after which the recipe's patience ended the training; None if it had its full length.
    """

    accuracy_percent: float
    validation_accuracy_percent: float
    macs: int
    parameters: int
    training_s: float
    confusion: list[list[int]] | None = None
    still_learning: bool = False
    steps: int | None = None
    stopped_epoch: int | None = None


@dataclass(frozen=True, kw_only=True)
class Trained(Result):
    """A result with its architecture, size and folder name, which in a run is the role."""

    role: str
    architecture: Architecture
    size: NetworkSize
    class_names: tuple[str, ...] = ()

    @property
    def by_class(self) -> Confusion | None:
        """The confusion matrix with the names of its classes; None if it is not known."""
        return None if self.confusion is None else Confusion(self.class_names, self.confusion)


def train_network(run: Run, role: str, architecture: Architecture, progress: Progress = silent) -> Trained:
    """Train an architecture by the run's recipe, keep the checkpoint with the best validation, and test it once."""
    folder = run.folder / "networks" / role
    if not (folder / "result.json").exists():
        inherited = load_state(folder / INHERITED)[0] if (folder / INHERITED).exists() else None
        with run.timed(f"train {role}", progress) as shown:
            train_architecture(
                folder,
                architecture,
                run.size,
                run.data,
                run.config.recipe,
                validation_share=run.config.validation_share,
                seed=run.config.seed,
                initial=inherited,
                retrain=run.config.retrain or inherited is None,
                budget=run.config.budget,
                teacher=run.teacher,
                progress=lambda step, done, total, note: shown(f"{step} {role}", done, total, note),
            )
    return read_trained(folder, run.space)


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
    initial: Mapping[str, Tensor] | None = None,
    retrain: bool = True,
    budget: Budget | None = None,
    teacher: Teacher | None = None,
    progress: Progress = silent,
    group: ProcessGroup = SINGLE_PROCESS,
) -> None:
    """Train one architecture in its own folder, or resume there; the test images are used once, at the end.

    Args:
        folder: gets `architecture.json`, `training/` and, at the end, `result.json`.
        architecture: the architecture to train.
        size: size of the network; shape and classes are those of the data.
        data: training images and test images.
        recipe: training settings.
        validation_share: share of the training images that only chooses the checkpoint.
        seed: seed of weights, split, order and augmentation.
        initial: weights to begin with, by name; None: random ones.
        retrain: whether to train; otherwise the initial weights are kept and batch norms recalibrated.
        budget: steps or minutes, instead of the recipe's epochs.
        teacher: a trained network to learn from too.
        progress: called after each step.
        group: processes that train together in this folder; the first one writes.

    Raises:
        MismatchError: the folder has another training.
        DivergedError: the loss is not finite.
    """
    normalisation = Normalisation.of(data.train)
    preprocessing = Preprocessing(normalisation.mean, normalisation.std, data.class_names)
    _begin(folder / "architecture.json", architecture, size, preprocessing, group)
    network = build(architecture, size, seed=seed, auxiliary=recipe.auxiliary_weight > 0)
    if initial is not None:
        network.load_state_dict(dict(initial))
    images, validation = data.train, data.validation
    if validation is None:
        images, validation = split(data.train, validation_share, seed=seed)
    place = folder / "training"
    if retrain:
        training = train(
            network,
            images,
            validation,
            normalisation,
            recipe,
            folder=place,
            seed=seed,
            budget=budget,
            teacher=teacher,
            progress=progress,
            group=group,
        )
    else:
        training = keep_recalibrated(network, images, validation, normalisation, place)
    assert training.best_validation_accuracy is not None  # because there are validation images
    counts = count(network, size.input_shape)
    matrix = confusion_matrix(network, data.test, normalisation, data.classes, group=group)
    result = Result(
        accuracy_percent=100.0 * (int(matrix.trace()) / len(data.test)),
        validation_accuracy_percent=training.best_validation_accuracy,
        macs=counts.macs,
        parameters=counts.parameters,
        training_s=sum(row["seconds"] for row in training.history),
        confusion=matrix.tolist() if data.classes <= MOST_CLASSES else None,
        still_learning=training.still_learning,
        steps=training.steps,
        stopped_epoch=training.stopped_epoch,
    )
    if group.first:
        write_architecture(folder / "architecture.json", architecture, size, preprocessing)  # old ones lack the last
        write_json(folder / "result.json", RESULT_SCHEMA, asdict(result))


def _begin(
    path: Path, architecture: Architecture, size: NetworkSize, preprocessing: Preprocessing, group: ProcessGroup
) -> None:
    """Write the facts about a training, or check that the file already has the same."""
    begun = path.exists()
    if begun and read_architecture(path, architecture.space) != (architecture, size):
        raise MismatchError(f"{path.parent} holds a training of another architecture or size: choose another folder")
    if begun and read_preprocessing(path) not in {None, preprocessing}:
        raise MismatchError(f"{path.parent} holds a training on other images: choose another folder")
    group.wait()  # all processes have checked before one writes
    if group.first and not begun:
        write_architecture(path, architecture, size, preprocessing)


def read_trained(folder: Path, space: Space | None = None) -> Trained:
    """Read the result of `train_network` from a folder; `space` and errors are those of `read_architecture`."""
    folder = path_of(folder, "folder")
    architecture, size = read_architecture(folder / "architecture.json", space)
    result = read_as(folder / "result.json", RESULT_SCHEMA, Result)
    known = read_preprocessing(folder / "architecture.json")
    names = () if known is None else known.class_names
    return Trained(**asdict(result), role=folder.name, architecture=architecture, size=size, class_names=names)


def export(network_folder: Path, folder: Path, *, batch: int = 1, space: Space | None = None) -> list[Path]:
    """Write `model.safetensors`, `model.onnx`, `model.py` and `architecture.json` of a trained network.

    The ONNX file is run in ONNX Runtime and compared with PyTorch on random images before it is kept. The scaling of
    pixels and the names of classes are in `model.py`, `architecture.json` and the ONNX file's metadata.

    Args:
        network_folder: a folder with `architecture.json` and `training/best.safetensors`.
        folder: the folder to write to.
        batch: the static batch of the ONNX file.
        space: as for `read_architecture`.

    Raises:
        DataError: a file is damaged, or the exported network's outputs differ from PyTorch's.
    """
    if not (network_folder / "result.json").exists():
        raise DataError(f"{network_folder} holds no trained network: train one with `chronas train` first")
    architecture, size = read_architecture(network_folder / "architecture.json", space)
    preprocessing = read_preprocessing(network_folder / "architecture.json")
    network = build(architecture, size)
    load_best(network, network_folder / "training")
    network.eval()
    described = {"architecture": str(architecture), "space": architecture.space.name}
    paths = export_network(
        network, folder, size.input_shape, batch=batch, preprocessing=preprocessing, content=described
    )
    write_source(folder / EXPORTED[2], architecture, size, preprocessing)
    write_architecture(folder / EXPORTED[3], architecture, size, preprocessing)
    return [*paths, *(folder / name for name in EXPORTED[2:])]


def export_network(
    network: nn.Module,
    folder: Path,
    input_shape: tuple[int, ...],
    *,
    batch: int = 1,
    preprocessing: Preprocessing | None = None,
    content: Mapping[str, str] | None = None,
) -> list[Path]:
    """Write `model.safetensors` and `model.onnx` of any network in eval mode, the ONNX file checked against PyTorch.

    Args:
        network: returns one tensor.
        folder: the folder to write to.
        input_shape: shape of one example, such as (3, 224, 224).
        batch: the static batch of the ONNX file.
        preprocessing: preprocessing of a trained network, for the ONNX file's metadata.
        content: texts by name to store in the file of weights.

    Raises:
        UsageError: the network has no ONNX form.
        DataError: the exported network's outputs differ from PyTorch's, or a file cannot be written.
    """
    batch = whole(batch, "batch", 1, 4096)
    weights, onnx = (folder / name for name in EXPORTED[:2])
    save_state(weights, network.state_dict(), dict(content or {}))
    metadata = None if preprocessing is None else preprocessing.metadata()
    write_onnx(onnx, network, input_shape, batch=batch, metadata=metadata)
    try:
        check_onnx(onnx, network, (batch, *input_shape))
    except DataError:
        onnx.unlink()
        raise
    return [weights, onnx]


def export_own(run: Run) -> list[Path]:
    """Export the run's own network into its folder; a complete export is kept.

    Raises:
        DataError: the network is not trained yet.
    """
    paths = [run.folder / name for name in EXPORTED]
    if not all(path.exists() for path in paths):
        if not (run.folder / "networks" / run.role / "result.json").exists():
            raise DataError(f"{run.folder} has no trained network yet: run `chronas train {run.folder}` first")
        export(run.folder / "networks" / run.role, run.folder, space=run.space)
    return paths


def check_onnx(path: Path, network: nn.Module, shape: tuple[int, ...]) -> float:
    """The largest relative difference between ONNX Runtime and PyTorch on random images [B, C, H, W].

    Raises:
        DataError: the difference is above `TOLERANCE`.
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
