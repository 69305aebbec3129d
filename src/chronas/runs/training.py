"""The steps that train, test and export one network, each in `networks/<role>`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
import torch

from chronas.data import Dataset, Normalisation, split
from chronas.errors import DataError
from chronas.files import read_json, write_json
from chronas.networks import build, count, save_state, write_onnx, write_source
from chronas.progress import Progress, silent
from chronas.runs.folder import Run
from chronas.spaces import Architecture, Skeleton, make_space
from chronas.training import Recipe, evaluate, load_best, train

ARCHITECTURE_SCHEMA = "chronas.architecture/1"
RESULT_SCHEMA = "chronas.result/1"
EXPORTED = ("model.safetensors", "model.onnx", "model.py", "architecture.json")
TOLERANCE = 1e-4  # relative difference allowed between PyTorch and the exported ONNX file


@dataclass(frozen=True)
class Trained:
    """What training one architecture gave. Accuracies in percent; the test split was opened once, after training."""

    role: str
    architecture: Architecture
    skeleton: Skeleton
    accuracy_percent: float
    validation_accuracy_percent: float
    macs: int
    parameters: int
    training_s: float


def train_network(run: Run, role: str, architecture: Architecture, progress: Progress = silent) -> Trained:
    """Train an architecture by the run's recipe, keep the checkpoint that validates best, and test that once."""
    folder = run.folder / "networks" / role
    if not (folder / "result.json").exists():
        with run.timed(f"train {role}"):
            train_architecture(
                folder,
                architecture,
                run.skeleton,
                run.data,
                run.config.recipe,
                validation_share=run.config.validation_share,
                seed=run.config.seed,
                progress=lambda _, done, total, note: progress(f"train {role}", done, total, note),
            )
    return read_trained(folder)


def train_architecture(
    folder: Path,
    architecture: Architecture,
    skeleton: Skeleton,
    data: Dataset,
    recipe: Recipe,
    *,
    validation_share: float,
    seed: int,
    progress: Progress = silent,
) -> None:
    """Train one architecture in a folder of its own, or go on there; the test images are used once, at the end.

    Args:
        folder: gets `architecture.json`, `training/` and, when all is done, `result.json`.
        architecture: what to train.
        skeleton: its frame; shape and classes are the data's.
        data: training images, a share of which only chooses the checkpoint, and test images.
        recipe: how to train.
        validation_share: that share.
        seed: of weights, split, order and augmentation.
        progress: told of each step.

    Raises:
        MismatchError: the folder holds another training.
        UsageError: training diverged.
    """
    write_architecture(folder / "architecture.json", architecture, skeleton)
    network = build(architecture, skeleton, seed=seed, auxiliary=recipe.auxiliary_weight > 0)
    images, validation = split(data.train, validation_share, seed=seed)
    normalisation = Normalisation.of(data.train)
    training = train(
        network, images, validation, normalisation, recipe, folder=folder / "training", seed=seed, progress=progress
    )
    counts = count(network, skeleton.input_shape)
    result = {
        "accuracy_percent": evaluate(network, data.test, normalisation),
        "validation_accuracy_percent": training.best_validation_accuracy,
        "macs": counts.macs,
        "parameters": counts.parameters,
        "training_s": sum(row["seconds"] for row in training.history),
    }
    write_json(folder / "result.json", RESULT_SCHEMA, result)


def read_trained(folder: Path) -> Trained:
    """What `train_network` left in a folder; raises `DataError` where it is not whole."""
    architecture, skeleton = read_architecture(folder / "architecture.json")
    result = read_json(folder / "result.json", RESULT_SCHEMA)
    return Trained(role=folder.name, architecture=architecture, skeleton=skeleton, **result)


def write_architecture(path: Path, architecture: Architecture, skeleton: Skeleton) -> None:
    """Write space, text form and skeleton as JSON."""
    content = {
        "space": architecture.space.name,
        "architecture": str(architecture),
        "skeleton": skeleton.model_dump(mode="json"),
    }
    write_json(path, ARCHITECTURE_SCHEMA, content)


def read_architecture(path: Path) -> tuple[Architecture, Skeleton]:
    """Read what `write_architecture` wrote; raises `DataError` or `UsageError` in one line."""
    content = read_json(path, ARCHITECTURE_SCHEMA)
    return make_space(content["space"]).parse(content["architecture"]), Skeleton.model_validate(content["skeleton"])


def export(network_folder: Path, folder: Path, *, batch: int = 1) -> list[Path]:
    """Write `model.safetensors`, `model.onnx`, `model.py` and `architecture.json` of a trained network.

    The ONNX file is run in ONNX Runtime and compared with PyTorch on random images before it is kept.

    Args:
        network_folder: with `architecture.json` and `training/best.safetensors`.
        folder: where to write.
        batch: the static batch of the ONNX file.

    Raises:
        DataError: a file is damaged, or the exported network does not compute what PyTorch does.
    """
    architecture, skeleton = read_architecture(network_folder / "architecture.json")
    network = build(architecture, skeleton)
    load_best(network, network_folder / "training")
    network.eval()
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / name for name in EXPORTED]
    save_state(paths[0], network.state_dict(), {"architecture": str(architecture), "space": architecture.space.name})
    write_onnx(paths[1], network, skeleton.input_shape, batch=batch)
    check_onnx(paths[1], network, (batch, *skeleton.input_shape))
    write_source(paths[2], architecture, skeleton)
    write_architecture(paths[3], architecture, skeleton)
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
