"""The int8 form of a trained network: calibrated on training images, written, and tested on the test images.

network = build(architecture, size)  # in eval mode, with its trained weights
found = write_int8(network, folder, data, preprocessing, batch=1, seed=0)
print(found.accuracy_percent)  # of `model.int8.onnx`, in ONNX Runtime
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from chronas.data import Dataset, Normalisation
from chronas.errors import UsageError
from chronas.files import read_as, write_bytes, write_json
from chronas.networks import INPUT_NAME, Preprocessing, onnx_bytes, quantised, read_onnx
from chronas.runs.onnx_module import OnnxModule
from chronas.training import confusion_matrix

INT8_MODEL, INT8_RESULT, SCHEMA = "model.int8.onnx", "int8.json", "chronas.int8/1"
CALIBRATION = 256  # training images; ONNX Runtime's and OpenVINO's guides take 100 to 300
ANY = 16  # images in one run of a file for any batch, while it is calibrated
MOST_CLASSES = 200  # of a confusion matrix that is kept


@dataclass(frozen=True)
class Int8Result:
    """The test of an int8 file.

    Attributes:
        accuracy_percent: of the int8 file on the test images, in ONNX Runtime.
        calibration_images: number of training images that it was calibrated on.
        confusion: as in a training's result.
    """

    accuracy_percent: float
    calibration_images: int
    confusion: list[list[int]] | None = None


def write_int8(
    network: nn.Module, folder: Path, data: Dataset, preprocessing: Preprocessing, *, batch: int | None, seed: int
) -> Int8Result:
    """Write `model.int8.onnx` and its test, `int8.json`; the same arguments give the same bytes.

    Args:
        network: trained, in eval mode.
        folder: the folder to write to.
        data: the data set that it was trained on. Some training images calibrate it; the test images test it.
        preprocessing: the network's own.
        batch: the batch that the file takes; None: any.
        seed: seed of the choice of calibration images.

    Raises:
        UsageError: the data is not what the network was trained on, or the network has no ONNX form.
        DataError: a file cannot be written.
    """
    normalisation = Normalisation.of(data.train)
    if (normalisation.mean, normalisation.std, data.class_names) != (
        tuple(preprocessing.mean),
        tuple(preprocessing.std),
        tuple(preprocessing.class_names),
    ):
        raise UsageError(f"the network was trained on other images than {data.name}: calibrate it on its own")
    plain = onnx_bytes(network, data.shape, batch=batch, metadata=preprocessing.metadata())
    images = calibration_images(data, normalisation, batch or ANY, seed)
    write_bytes(folder / INT8_MODEL, quantised(plain, images))
    matrix = confusion_matrix(OnnxModule(read_onnx(folder / INT8_MODEL)), data.test, normalisation, data.classes)
    found = Int8Result(
        accuracy_percent=100.0 * (int(matrix.trace()) / len(data.test)),
        calibration_images=min(CALIBRATION, len(data.train)),
        confusion=matrix.tolist() if data.classes <= MOST_CLASSES else None,
    )
    write_json(folder / INT8_RESULT, SCHEMA, asdict(found))
    return found


def read_int8(folder: Path) -> Int8Result | None:
    """Read the test of a folder's int8 file; None if there is none yet.

    Raises:
        DataError: the file is damaged.
    """
    path = folder / INT8_RESULT
    return read_as(path, SCHEMA, Int8Result) if path.exists() else None


def calibration_images(
    data: Dataset, normalisation: Normalisation, batch: int, seed: int
) -> Iterator[dict[str, NDArray[np.float32]]]:
    """Up to `CALIBRATION` training images in runs of `batch`, by the input's name; the last run is filled up."""
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.randperm(len(data.train), generator=generator)[:CALIBRATION]
    for start in range(0, len(chosen), batch):
        numbers = chosen[torch.arange(start, start + batch) % len(chosen)]
        yield {INPUT_NAME: normalisation(data.train.pixels[numbers]).numpy()}
