"""The step that trains and tests a network, in `networks/<role>`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from torch import Tensor

from chronas.arguments import path_of
from chronas.data import Dataset, Normalisation, split
from chronas.errors import MismatchError
from chronas.files import read_as, write_json
from chronas.networks import Preprocessing, build, count, load_state
from chronas.progress import Progress, silent
from chronas.records import Confusion
from chronas.runs.architecture_file import read_architecture, read_preprocessing, write_architecture
from chronas.runs.exported import quantise
from chronas.runs.int8 import INT8_MODEL, MOST_CLASSES, Int8Result, read_int8
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
    train,
)

RESULT_SCHEMA = "chronas.result/1"
INHERITED = "inherited.safetensors"  # weights of a nested supernet, in a network's folder


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
    """A result with its architecture, size and folder name, which in a run is the role.

    Attributes:
        int8: the test of its int8 file; None if there is none.
    """

    role: str
    architecture: Architecture
    size: NetworkSize
    class_names: tuple[str, ...] = ()
    int8: Int8Result | None = None

    @property
    def by_class(self) -> Confusion | None:
        """The confusion matrix with the names of its classes, of the int8 file if there is one; None if not known."""
        counts = self.confusion if self.int8 is None else self.int8.confusion
        return None if counts is None else Confusion(self.class_names, counts)


def train_network(run: Run, role: str, architecture: Architecture, progress: Progress = silent) -> Trained:
    """Train an architecture by the run's recipe, keep the checkpoint with the best validation, and test it once.

    On a device that computes in int8, also write and test its int8 file.
    """
    folder = run.folder / "networks" / role
    if not (folder / "result.json").exists():
        inherited = load_state(folder / INHERITED)[0] if (folder / INHERITED).exists() else None
        if inherited is None and run.initial is not None:
            inherited = run.initial.weights_of(architecture)
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
                init=run.facts.init,
                budget=run.config.budget,
                teacher=run.teacher,
                progress=lambda step, done, total, note: shown(f"{step} {role}", done, total, note),
            )
    if run.facts.int8 and read_int8(folder) is None:
        with run.timed(f"quantise {role}", progress) as shown:
            shown(f"quantise {role}", 0, 1, "calibrate and test")
            quantise(folder, folder, run.data, batch=run.facts.batch, seed=run.config.seed, space=run.space)
            shown(f"quantise {role}", 1, 1, "")
    return read_trained(folder, run.space)


def trained_weights(run: Run, role: str) -> Path:
    """The file with the best weights of a network that `train_network` has trained."""
    return run.folder / "networks" / role / "training" / BEST


def deployed_file(run: Run, role: str) -> Path:
    """The file that is measured at the end: the int8 file, if the device takes it, or else the trained weights."""
    int8 = run.folder / "networks" / role / INT8_MODEL
    return int8 if run.facts.int8 and run.device.takes_onnx and int8.exists() else trained_weights(run, role)


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
    init: str | None = None,
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
        initial: weights to begin with, by name; None: random ones. Those of an auxiliary head can be left out.
        retrain: whether to train; otherwise the initial weights are kept and batch norms recalibrated.
        init: SHA-256 of the file that they are from, which the training then belongs to.
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
        network.load_state_dict({**network.state_dict(), **initial})
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
            init=init,
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
    return Trained(
        **asdict(result),
        role=folder.name,
        architecture=architecture,
        size=size,
        class_names=names,
        int8=read_int8(folder),
    )
