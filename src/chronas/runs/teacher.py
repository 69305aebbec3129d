"""A teacher for final trainings: a network of the user that takes the data's images and knows their classes.

teacher = teacher_of("resnet.onnx", data, normalisation)

It sees the student's images: the same batch with the same random changes. Their pixels are scaled as its file says, or
else from 0 to 1, as `chronas measure net --data` does. Its classes are taken in the order of the data's names, unless
its file has the names in another order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor, nn

from chronas.data import Dataset, Normalisation
from chronas.errors import MismatchError
from chronas.files import fingerprint, sha256
from chronas.networks import OnnxNetwork
from chronas.runs.given_accuracy import classifier_of
from chronas.runs.given_networks import GivenNetwork, as_given
from chronas.training import Teacher

CHECKED = 2  # images of a batch that a teacher computes before any training


def teacher_of(source: str | Path | nn.Module | GivenNetwork, data: Dataset, normalisation: Normalisation) -> Teacher:
    """A network of the user as a teacher; the size of its input and its classes are checked.

    Args:
        source: an .onnx or .pt2 file, FILE.py:FUNCTION, a folder of chronas run, train or export; or a module, which is
            set to eval mode.
        data: the images and classes of the training.
        normalisation: normalisation of the training's images.

    Raises:
        UsageError: it takes other images or gives other classes than the data's, or no batch of images.
        DataError: a file is missing or damaged, or its logits are not finite.
    """
    given = as_given(source, data.shape)
    if isinstance(given.network, nn.Module):
        given.network.eval()
    found = classifier_of(given, data)
    network = _from_normalised(found.module, normalisation, found.scaling, found.order)
    teacher = Teacher(given.name, network, data.classes, _checksum(source, given))
    teacher.logits(torch.zeros(CHECKED, *data.shape))
    return teacher


def require_same(teacher: Teacher, checksum: str | None, folder: Path) -> Teacher:
    """The teacher, if it is the one that a run was begun with; `checksum` is None before the run has begun.

    Raises:
        MismatchError: it is another one.
    """
    if checksum not in (None, teacher.checksum):
        raise MismatchError(f"{folder} was begun with another teacher than {teacher.name} is now: use that one")
    return teacher


def _from_normalised(
    module: nn.Module, before: Normalisation, wanted: Normalisation, order: list[int]
) -> Callable[[Tensor], Tensor]:
    """A network for images with another normalisation than its own, with its outputs in another order."""
    mean, std, own_mean, own_std = (
        torch.tensor(each, dtype=torch.float64) for each in (before.mean, before.std, wanted.mean, wanted.std)
    )
    scale, shift = (std / own_std).view(-1, 1, 1), ((mean - own_mean) / own_std).view(-1, 1, 1)

    def logits(images: Tensor) -> Tensor:
        scaled = images if before == wanted else images * scale.to(images) + shift.to(images)
        found: Tensor = module(scaled)
        return found if order == list(range(len(order))) else found[:, order]

    return logits


def _checksum(source: str | Path | nn.Module | GivenNetwork, given: GivenNetwork) -> str:
    """A checksum of the file, of the weights that it loads from elsewhere, and of scaling and classes."""
    parts: list[object] = [None if given.preprocessing is None else asdict(given.preprocessing)]
    if isinstance(source, nn.Module | GivenNetwork):
        parts.append(repr(given.network))
    else:
        file, _, function = str(source).rpartition(":") if ".py:" in str(source) else (str(source), "", "")
        parts.append([sha256(Path(file)) if Path(file).is_file() else None, function])
    if isinstance(given.network, OnnxNetwork):
        content = given.network.fixed(given.network.batch or 1)
        return fingerprint([*parts, hashlib.sha256(content).hexdigest()])
    digest = hashlib.sha256()
    for name, tensor in sorted(given.network.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return fingerprint([*parts, digest.hexdigest()])
