"""The files of a trained network for others: weights, ONNX in float32 and int8, source, examples of inference."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidArgument, RuntimeException
from torch import nn

from chronas.arguments import whole
from chronas.data import Dataset
from chronas.errors import DataError, UsageError, reason
from chronas.files import write_bytes
from chronas.networks import INFERENCE, Preprocessing, build, save_state, write_inference, write_onnx, write_source
from chronas.runs.architecture_file import read_architecture, read_preprocessing, write_architecture
from chronas.runs.int8 import INT8_MODEL, Int8Result, write_int8
from chronas.runs.run import Run
from chronas.spaces import Architecture, NetworkSize, Space
from chronas.training import load_best

EXPORTED = ("model.safetensors", "model.onnx", "model.py", "architecture.json", *INFERENCE)
COMPARED = (1, 3)  # batches at which a file for any batch is compared with PyTorch
TOLERANCE = 1e-4  # relative difference allowed between PyTorch and the exported ONNX file


def export(
    network_folder: Path,
    folder: Path,
    *,
    batch: int | None = 1,
    space: Space | None = None,
    calibration: Dataset | None = None,
    seed: int = 0,
) -> list[Path]:
    """Write the files of a trained network: weights, ONNX, source, architecture, and examples of inference.

    The ONNX file is run in ONNX Runtime and compared with PyTorch on random images before it is kept. The scaling of
    pixels and the names of classes are in `model.py`, `architecture.json`, the examples and the ONNX file's metadata.
    A training of an earlier version without them gets no examples.

    Args:
        network_folder: a folder with `architecture.json` and `training/best.safetensors`.
        folder: the folder to write to.
        batch: the batch of the ONNX files; None: any.
        space: as for `read_architecture`.
        calibration: the data that it was trained on, for an int8 file too: `model.int8.onnx` and its test `int8.json`.
        seed: seed of the choice of calibration images.

    Raises:
        DataError: a file is damaged, or the exported network's outputs differ from PyTorch's.
        UsageError: the network was trained on other data.
    """
    network, architecture, size, preprocessing = _trained_network(network_folder, space)
    described = {"architecture": str(architecture), "space": architecture.space.name}
    paths = export_network(
        network, folder, size.input_shape, batch=batch, preprocessing=preprocessing, content=described
    )
    write_source(folder / EXPORTED[2], architecture, size, preprocessing)
    write_architecture(folder / EXPORTED[3], architecture, size, preprocessing)
    paths += [folder / name for name in EXPORTED[2:4]]
    if preprocessing is not None:
        model = EXPORTED[1] if calibration is None else INT8_MODEL
        paths += write_inference(folder, size.input_shape, preprocessing, model)
    if calibration is not None:
        quantise(network_folder, folder, calibration, batch=batch, seed=seed, space=space)
        paths.append(folder / INT8_MODEL)
    return paths


def quantise(
    network_folder: Path, folder: Path, data: Dataset, *, batch: int | None, seed: int, space: Space | None = None
) -> Int8Result:
    """Write and test the int8 file of a trained network.

    Args:
        network_folder: as for `export`.
        folder: the folder to write to.
        data: the data that it was trained on.
        batch: the batch of the file; None: any.
        seed: seed of the choice of calibration images.
        space: as for `read_architecture`.

    Raises:
        DataError: a file is damaged.
        UsageError: the network was trained on other data, or by a version that did not keep the scaling of pixels.
    """
    network, _, _, preprocessing = _trained_network(network_folder, space)
    if preprocessing is None:
        raise UsageError(f"{network_folder} does not tell how pixels are scaled, for int8: train it by this version")
    return write_int8(network, folder, data, preprocessing, batch=batch, seed=seed)


def _trained_network(
    folder: Path, space: Space | None
) -> tuple[nn.Module, Architecture, NetworkSize, Preprocessing | None]:
    """The network of a finished training, in eval mode with its best weights."""
    if not (folder / "result.json").exists():
        raise DataError(f"{folder} holds no trained network: train one with `chronas train` first")
    architecture, size = read_architecture(folder / "architecture.json", space)
    network = build(architecture, size)
    load_best(network, folder / "training")
    return network.eval(), architecture, size, read_preprocessing(folder / "architecture.json")


def export_network(
    network: nn.Module,
    folder: Path,
    input_shape: tuple[int, ...],
    *,
    batch: int | None = 1,
    preprocessing: Preprocessing | None = None,
    content: Mapping[str, str] | None = None,
) -> list[Path]:
    """Write `model.safetensors` and `model.onnx` of any network in eval mode, the ONNX file checked against PyTorch.

    Args:
        network: returns one tensor.
        folder: the folder to write to.
        input_shape: shape of one example, such as (3, 224, 224).
        batch: the batch of the ONNX file; None: any.
        preprocessing: preprocessing of a trained network, for the ONNX file's metadata.
        content: texts by name to store in the file of weights.

    Raises:
        UsageError: the network has no ONNX form.
        DataError: the exported network's outputs differ from PyTorch's, or a file cannot be written.
    """
    batch = None if batch is None else whole(batch, "batch", 1, 4096)
    weights, onnx = (folder / name for name in EXPORTED[:2])
    save_state(weights, network.state_dict(), dict(content or {}))
    metadata = None if preprocessing is None else preprocessing.metadata()
    write_onnx(onnx, network, input_shape, batch=batch, metadata=metadata)
    try:
        for examples in COMPARED if batch is None else (batch,):
            check_onnx(onnx, network, (examples, *input_shape))
    except DataError:
        onnx.unlink()
        raise
    return [weights, onnx]


def export_own(run: Run) -> list[Path]:
    """Export the run's own network into its folder; a complete export is kept.

    On a device that computes in int8, `model.int8.onnx` is the file that was tested and measured.

    Raises:
        DataError: the network is not trained yet.
    """
    own = run.folder / "networks" / run.role
    if not (own / "result.json").exists():
        raise DataError(f"{run.folder} has no trained network yet: run `chronas train {run.folder}` first")
    known, int8 = read_preprocessing(own / "architecture.json"), (own / INT8_MODEL).exists()
    names = [*EXPORTED[:4], *(() if known is None else INFERENCE), *([INT8_MODEL] if int8 else [])]
    paths = [run.folder / name for name in names]
    if not all(path.exists() for path in paths):
        export(own, run.folder, space=run.space)
        if int8:
            write_bytes(run.folder / INT8_MODEL, (own / INT8_MODEL).read_bytes())
            if known is not None:
                write_inference(run.folder, run.size.input_shape, known, INT8_MODEL)
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
    try:
        got = session.run(None, {session.get_inputs()[0].name: images.numpy()})[0]
    except (Fail, InvalidArgument, RuntimeException) as error:
        raise DataError(
            f"{path} does not run with a batch of {shape[0]} ({reason(error)}): export it for one"
        ) from error
    difference = float(np.abs(got - expected).max() / max(np.abs(expected).max(), 1e-12))
    if not difference <= TOLERANCE:
        raise DataError(
            f"{path} differs from PyTorch by {difference:.1e} relative, more than {TOLERANCE:.0e}: not usable"
        )
    return difference
