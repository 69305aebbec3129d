"""Training and exporting networks, on names or on objects of a user's own."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import torch
from pydantic import ValidationError
from torch import Tensor, nn
from torch.utils.data import Dataset as TorchDataset

from chronas.api.measuring import measure
from chronas.api.objects import load_data, shown_progress
from chronas.arguments import checked
from chronas.data import Dataset, Normalisation, split
from chronas.devices import Device
from chronas.errors import UsageError, reason
from chronas.measurement import Plan
from chronas.networks import Preprocessing, build, read_weights, write_inference, write_source
from chronas.progress import Displayed, Progress
from chronas.records import Confusion, Estimate, Trial
from chronas.runs import (
    INT8_MODEL,
    InitialWeights,
    export_network,
    initial_of,
    initial_of_network,
    teacher_of,
    write_architecture,
    write_int8,
)
from chronas.spaces import Architecture, NetworkSize
from chronas.training import Budget, Recipe, confusion_matrix, recipe_for
from chronas.training import train as train_network


@dataclass(frozen=True, eq=False)
class TrainedModel(Displayed):
    """A trained network with its best weights.

    Attributes:
        network: the network in eval mode.
        accuracy_percent: on the test images, which were used once, at the end.
        confusion: what it says about the test images of each class, with the balanced accuracy.
        still_learning: whether the training ended while its loss was still falling.
        validation_accuracy_percent: validation accuracy of the kept epoch.
        history: one row for each epoch.
        preprocessing: scaling of pixels, and names of the classes.
        input_shape: shape of one image: channels, height and width.
        architecture: its architecture; None for a user's own network.
        size: size of the architecture.
    """

    network: nn.Module
    accuracy_percent: float
    validation_accuracy_percent: float | None
    history: pl.DataFrame
    preprocessing: Preprocessing
    input_shape: tuple[int, int, int]
    architecture: Architecture | None = None
    size: NetworkSize | None = None
    confusion: Confusion | None = None
    still_learning: bool = False

    def export(
        self,
        folder: str | Path,
        *,
        batch: int | None = 1,
        calibration: Dataset | str | Path | TorchDataset[Any] | None = None,
    ) -> list[Path]:
        """Write weights, checked ONNX files and examples of inference; arguments and errors are those of `export`."""
        return export(self, folder, batch=batch, calibration=calibration)

    def measure(self, device: str | Device = "onnxruntime-cpu", plan: Plan | None = None) -> Estimate:
        """The network's latency on a device."""
        return measure(self.network, device, input_shape=self.input_shape, plan=plan)

    def __repr__(self) -> str:
        name = type(self.network).__name__ if self.architecture is None else str(self.architecture)
        return f"TrainedModel({name}, test accuracy {self.accuracy_percent:.2f} %)"


@checked
def train(
    network: nn.Module | Architecture | Trial,
    data: Dataset | str | Path | TorchDataset[Any],
    *,
    size: NetworkSize | None = None,
    recipe: str | Recipe = "auto",
    validation_share: float = 0.1,
    seed: int = 0,
    steps: int | None = None,
    minutes: float | None = None,
    teacher: str | Path | nn.Module | None = None,
    init: str | Path | None = None,
    folder: str | Path | None = None,
    progress: bool | Progress = True,
) -> TrainedModel:
    """Train a network from its present weights, keep the epoch with the best validation, and test it once.

    Args:
        network: a module, which is trained in place; or an architecture or trial of a search, which is built.
        data: the images.
        size: size for an architecture; None: the first of its space's published sizes, for the data.
        recipe: training settings, by name or object; "auto" is `photos` for few images of your own, else `cifar10-cpu`.
        validation_share: share of the training images that only chooses the epoch.
        seed: seed of weights, split, order and augmentation.
        steps: optimiser steps, instead of the recipe's epochs.
        minutes: minutes that the training may take, instead of the recipe's epochs; a few timed steps decide their
            number, once.
        teacher: a trained network to learn from too: a file as for `chronas train --teacher`, or a module, which is set
            to eval mode.
        init: trained weights to begin with, by name and shape: a .safetensors, .pth or .pt file.
        folder: folder for checkpoints; None: a temporary folder.
        progress: whether to show progress, or a function to call.

    Raises:
        DivergedError: the loss is not finite.
        MismatchError: the folder has another training.
    """
    dataset, budget = load_data(data, progress=False), _budget(steps, minutes)
    chosen = recipe_for(recipe, dataset.name, len(dataset.train))
    architecture = network.architecture if isinstance(network, Trial) else network
    module: nn.Module
    built: NetworkSize | None = None
    if isinstance(architecture, Architecture):
        first = next(iter(architecture.space.sizes.values()))
        built = size or first.for_data(dataset.shape, dataset.classes)
        module = build(architecture, built, seed=seed, auxiliary=chosen.auxiliary_weight > 0)
    else:
        module = architecture
    _require_logits(module, dataset)
    initial = None if init is None else _initial(init, architecture, module, built, dataset.classes, seed)
    normalisation = Normalisation.of(dataset.train)
    learnt_from = None if teacher is None else teacher_of(teacher, dataset, normalisation)
    images, validation = dataset.train, dataset.validation
    if validation is None:
        images, validation = split(dataset.train, validation_share, seed=seed)
    with shown_progress(progress) as shown, _temporary(folder) as checkpoints:
        if initial is not None:
            shown("init", 1, 1, initial.words)
        training = train_network(
            module, images, validation, normalisation, chosen, folder=checkpoints, seed=seed, budget=budget,
            teacher=learnt_from, init=None if initial is None else initial.given.checksum, progress=shown,
        )  # fmt: skip
    module.eval()
    matrix = confusion_matrix(module, dataset.test, normalisation, dataset.classes)
    return TrainedModel(
        network=module,
        accuracy_percent=100.0 * (int(matrix.trace()) / len(dataset.test)),
        validation_accuracy_percent=training.best_validation_accuracy,
        history=pl.DataFrame(training.history, infer_schema_length=None),
        preprocessing=Preprocessing(normalisation.mean, normalisation.std, dataset.class_names),
        input_shape=dataset.shape,
        architecture=architecture if isinstance(architecture, Architecture) else None,
        size=built,
        confusion=Confusion(dataset.class_names, matrix.tolist()),
        still_learning=training.still_learning,
    )


def _initial(
    source: str | Path,
    network: nn.Module | Architecture,
    module: nn.Module,
    size: NetworkSize | None,
    classes: int,
    seed: int,
) -> InitialWeights:
    """Load the weights of a file into a module, which is built from an architecture or the user's own."""
    if isinstance(network, Architecture) and size is not None:
        auxiliary = any(name.startswith("auxiliary") for name in module.state_dict())
        found = initial_of(source, network, size, seed=seed, auxiliary=auxiliary)
        weights = found.weights_of(network)
    else:
        found = initial_of_network(read_weights(source), module, classes)
        weights = dict(found.tensors)
    module.load_state_dict({**module.state_dict(), **weights})
    return found


def _budget(steps: int | None, minutes: float | None) -> Budget:
    try:
        return Budget(steps=steps, minutes=minutes)
    except ValidationError as error:
        raise UsageError(reason(error)) from error


def _require_logits(module: nn.Module, dataset: Dataset) -> None:
    """Check that a module gives a logit for each class; its mode stays as it is.

    Raises:
        UsageError: it does not take the images, or gives something else.
    """
    training = module.training
    try:
        with torch.no_grad():
            output = module.eval()(torch.zeros(2, *dataset.shape))
    except Exception as error:
        shape = "x".join(map(str, dataset.shape))
        raise UsageError(f"the network does not take the images of {dataset.name}, {shape}: {reason(error)}") from error
    finally:
        module.train(training)
    if not isinstance(output, Tensor) or output.shape != (2, dataset.classes):
        got = list(output.shape) if isinstance(output, Tensor) else type(output).__name__
        raise UsageError(
            f"the network should give {dataset.classes} logits for each image of {dataset.name}, [2, "
            f"{dataset.classes}] for two, got {got}: change its last layer"
        )


@checked
def export(
    network: TrainedModel | nn.Module,
    folder: str | Path,
    *,
    input_shape: tuple[int, ...] | None = None,
    batch: int | None = 1,
    calibration: Dataset | str | Path | TorchDataset[Any] | None = None,
) -> list[Path]:
    """Write a network as safetensors and ONNX, checked against PyTorch, and an architecture also as `model.py`.

    A trained network also gets `infer.py` and `infer.cpp`, which name an image's class with the ONNX file.

    Args:
        network: a trained network, or any module.
        folder: the folder to write to.
        input_shape: for a module: the shape of one example.
        batch: the batch of the ONNX files; None: any.
        calibration: for a trained network: the data that it was trained on, to write `model.int8.onnx` too, with its
            accuracy in `int8.json`.

    Raises:
        UsageError: the network has no ONNX form, no shape is given, or it was trained on other data.
        DataError: the exported network's outputs differ from PyTorch's.
    """
    folder = Path(folder)
    if not isinstance(network, TrainedModel):
        if input_shape is None:
            raise UsageError("a module needs the shape of one example: export(module, folder, input_shape=(3, 32, 32))")
        if calibration is not None:
            raise UsageError("int8 needs the scaling of pixels, which a module lacks: export what `chronas.train` gave")
        return export_network(network.eval(), folder, input_shape, batch=batch)
    architecture, size = network.architecture, network.size
    paths = export_network(
        network.network, folder, network.input_shape, batch=batch, preprocessing=network.preprocessing
    )
    if architecture is not None and size is not None:
        write_source(folder / "model.py", architecture, size, network.preprocessing)
        write_architecture(folder / "architecture.json", architecture, size, network.preprocessing)
        paths += [folder / "model.py", folder / "architecture.json"]
    model = "model.onnx" if calibration is None else INT8_MODEL
    paths += write_inference(folder, network.input_shape, network.preprocessing, model)
    if calibration is not None:
        data = load_data(calibration, progress=False)
        write_int8(network.network, folder, data, network.preprocessing, batch=batch, seed=0)
        paths.append(folder / INT8_MODEL)
    return paths


@contextmanager
def _temporary(folder: str | Path | None) -> Iterator[Path]:
    if folder is not None:
        yield Path(folder)
        return
    with tempfile.TemporaryDirectory(prefix="chronas-") as made:
        yield Path(made)
