"""The accuracy of a user's network on the test images of a data set, with the order of classes checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from chronas.data import Dataset, Normalisation
from chronas.errors import UsageError, said_as
from chronas.networks import OnnxNetwork, Preprocessing
from chronas.records import Confusion
from chronas.runs.given_networks import GivenNetwork
from chronas.runs.onnx_module import BATCH, OnnxModule
from chronas.training import confusion_matrix


def confusion_of(
    given: GivenNetwork, data: Dataset, *, mean: Sequence[float] = (), std: Sequence[float] = ()
) -> Confusion:
    """The confusion matrix of a network on the test images.

    Pixels in 0..1 are scaled as the network's file says, or else by `mean` and `std`. Classes are taken in the order of
    the data's names, unless the file has the names in another order.

    Args:
        given: the network; outputs [B, classes].
        data: images of the network's input shape.
        mean: subtracted from each channel, if the file does not say it; empty: 0.
        std: divisor of each channel after that, if the file does not say it; empty: 1.

    Raises:
        UsageError: the network takes other images or gives other classes than the data's, or `mean` and `std` have
            other lengths than the channels.
        DataError: the network gives numbers that are not finite.
    """
    found = classifier_of(given, data, mean=mean, std=std)
    with said_as(UsageError, f"{given.name} does not take a batch of images"):
        matrix = confusion_matrix(found.module, data.test, found.scaling, data.classes, batch=BATCH)
    return Confusion(data.class_names, matrix[:, found.order].tolist())


@dataclass(frozen=True)
class GivenClassifier:
    """A network of the user that takes the images of a data set.

    Attributes:
        module: scaled images [B, C, H, W] -> logits [B, classes].
        scaling: scaling of pixels in 0..1.
        order: the place in its outputs of each class of the data.
    """

    module: nn.Module
    scaling: Normalisation
    order: list[int]


def classifier_of(
    given: GivenNetwork, data: Dataset, *, mean: Sequence[float] = (), std: Sequence[float] = ()
) -> GivenClassifier:
    """A network of the user for the images of a data set; arguments and errors are those of `confusion_of`."""
    if given.input_shape != data.shape:
        wanted, got = _words(given.input_shape), _words(data.shape)
        raise UsageError(f"{given.name} takes examples of {wanted}, the data has {got}")
    order = _order(given, data)
    module = OnnxModule(given.network) if isinstance(given.network, OnnxNetwork) else given.network
    outputs = _outputs(given.name, module, data.shape)
    if outputs != (data.classes,):
        got = " x ".join(map(str, outputs))
        raise UsageError(f"{given.name} gives {got} numbers for an image, but the data has {data.classes} classes")
    return GivenClassifier(module, _normalisation(given, data, mean, std), order)


def scaling_words(given: GivenNetwork, mean: Sequence[float], std: Sequence[float]) -> str:
    """The scaling of pixels, in words."""
    if given.preprocessing is not None:
        return "pixels are scaled as its file says"
    return "pixels are scaled by --mean and --std" if mean or std else "pixels are from 0 to 1, as no file says more"


def _words(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))


def _normalisation(given: GivenNetwork, data: Dataset, mean: Sequence[float], std: Sequence[float]) -> Normalisation:
    known, channels = given.preprocessing, data.shape[0]
    if known is not None:
        mean, std = known.mean, known.std
    for name, values in (("mean", mean), ("std", std)):
        if values and len(values) != channels:
            raise UsageError(f"{name} needs a number for each of {channels} channels, got {len(values)}")
    if any(value <= 0 for value in std):
        raise UsageError(f"std should be above zero, got {min(std):g}")
    return Normalisation(tuple(mean) or (0.0,) * channels, tuple(std) or (1.0,) * channels)


def _order(given: GivenNetwork, data: Dataset) -> list[int]:
    """The place in the network's outputs of each class of the data."""
    known: Preprocessing | None = given.preprocessing
    if known is None or tuple(known.class_names) == data.class_names:
        return list(range(data.classes))
    if sorted(known.class_names) != sorted(data.class_names):
        other = sorted(set(known.class_names) ^ set(data.class_names))[:3]
        raise UsageError(
            f"{given.name} was trained on other classes than the data's: only one of the two has {', '.join(other)}"
        )
    return [known.class_names.index(name) for name in data.class_names]


def _outputs(name: str, module: nn.Module, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of the output for one example."""
    training = module.training
    module.eval()
    try:
        with said_as(UsageError, f"{name} does not take an input of shape {shape}"), torch.inference_mode():
            output = module(torch.zeros(1, *shape))
    finally:
        module.train(training)
    if not isinstance(output, Tensor):
        raise UsageError(f"{name} should give one tensor, got a {type(output).__name__}: return its logits alone")
    return tuple(output.shape[1:])
