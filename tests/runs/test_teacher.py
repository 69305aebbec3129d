"""Teachers from files, functions, folders and objects: what they see, how they are told apart, and who is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from chronas.data import Dataset, Normalisation, load_dataset
from chronas.errors import ChronasError, MismatchError
from chronas.networks import Preprocessing, write_onnx
from chronas.runs import Run, RunParts, read_trained, teacher_of, train_network
from chronas.spaces import make_space
from chronas.training import Teacher
from short_training import network
from tiny_run import tiny_config

SOURCE = """
import torch
from torch import nn

def make():
    torch.manual_seed(7)
    layers = [nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10)]
    return nn.Sequential(*layers)

def of_three():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 3))

def of_large():
    return nn.Sequential(nn.Conv2d(1, 4, 9), nn.Flatten(), nn.Linear(4, 10))

def of_two():
    class Two(nn.Module):
        def forward(self, images):
            return images, images
    return Two()

def of_one():
    class One(nn.Module):
        def forward(self, images):
            return images.view(1, 64)[:, :10]
    return One()

def broken():
    raise KeyError("no weights")
"""


@pytest.fixture(scope="module")
def data() -> Dataset:
    return load_dataset("digits", limit=100)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(SOURCE)
    return tmp_path / "mine.py"


def of(source: Any, data: Dataset) -> Teacher:
    return teacher_of(source, data, Normalisation.of(data.train))


def exported(path: Path, *, dynamic: bool = True, size: int = 8) -> Path:
    shapes = ({0: torch.export.Dim("batch", min=1, max=64)},) if dynamic else None
    layers = network(seed=7).eval() if size == 8 else nn.Sequential(nn.Flatten(), nn.Linear(size**2, 10))
    example = torch.zeros(2 if dynamic else 1, 1, size, size)
    torch.export.save(torch.export.export(layers, (example,), dynamic_shapes=shapes), path)
    return path


def test_every_form_of_a_network_says_the_same_of_pixels_from_0_to_1(data: Dataset, file: Path, tmp_path: Path) -> None:
    model = network(seed=7).eval()
    write_onnx(tmp_path / "one.onnx", model, data.shape)
    write_onnx(tmp_path / "four.onnx", model, data.shape, batch=4)
    pixels = data.train.pixels[:6]
    images = Normalisation.of(data.train)(pixels)
    with torch.no_grad():
        expected = model(pixels.float() / 255)
    sources = [f"{file}:make", tmp_path / "one.onnx", tmp_path / "four.onnx", model]
    sources += [exported(tmp_path / "any.pt2"), exported(tmp_path / "one.pt2", dynamic=False)]
    teachers = [of(source, data) for source in sources]
    for each in teachers:
        torch.testing.assert_close(each.logits(images), expected, rtol=1e-4, atol=1e-4)
    assert len({each.checksum for each in teachers}) == len(teachers)
    assert [of(source, data).checksum for source in sources] == [each.checksum for each in teachers]


def test_a_file_of_ours_has_its_own_scaling_and_order_of_classes(data: Dataset, tmp_path: Path) -> None:
    model, reverse = network(seed=7).eval(), data.class_names[::-1]
    write_onnx(tmp_path / "m.onnx", model, data.shape, metadata=Preprocessing((0.25,), (0.5,), reverse).metadata())
    images = Normalisation.of(data.train)(data.train.pixels[:5])
    with torch.no_grad():
        expected = model((data.train.pixels[:5].float() / 255 - 0.25) / 0.5).flip(1)
    torch.testing.assert_close(of(tmp_path / "m.onnx", data).logits(images), expected, rtol=1e-4, atol=1e-4)


def test_the_network_of_a_run_teaches_with_its_own_weights(finished: Run) -> None:
    data = finished.data
    folder = finished.folder / "networks" / "random"
    teacher = teacher_of(str(folder), data, finished.normalisation)
    right = float((teacher.logits(finished.normalisation(data.test.pixels)).argmax(1) == data.test.labels).sum())
    assert 100 * right / len(data.test) == pytest.approx(read_trained(folder).accuracy_percent, abs=0.3)


def test_weights_from_elsewhere_and_another_function_are_another_teacher(data: Dataset, file: Path) -> None:
    first = of(f"{file}:make", data).checksum
    file.write_text(SOURCE + "\nother = make\n")
    second = of(f"{file}:make", data).checksum
    assert len({first, second, of(f"{file}:other", data).checksum}) == 3
    a, b = network(seed=1), network(seed=2)
    assert of(a, data).checksum != of(b, data).checksum


def large(path: Path) -> str:
    write_onnx(path / "large.onnx", nn.Sequential(nn.Flatten(), nn.Linear(81, 10)).eval(), (1, 9, 9))
    return str(path / "large.onnx")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (lambda path: f"{path / 'mine.py'}:of_three", "gives 3 numbers for an image, but the data has 10 classes"),
        (lambda path: f"{path / 'mine.py'}:of_large", "does not take an input of shape .1, 8, 8."),
        (lambda path: f"{path / 'mine.py'}:of_two", "should give one tensor, got a tuple"),
        (lambda path: f"{path / 'mine.py'}:of_one", "does not take a batch of images"),
        (lambda path: f"{path / 'mine.py'}:broken", "ended .KeyError: 'no weights'"),
        (lambda path: f"{path / 'mine.py'}:none", "has no function 'none'"),
        (lambda path: str(path / "there.onnx"), "cannot read .*there.onnx"),
        (large, "takes examples of 1 x 9 x 9, not of 1 x 8 x 8"),
        (lambda path: exported(path / "nine.pt2", size=9), r"takes examples of \(1, 9, 9\), not of \(1, 8, 8\)"),
        (lambda path: str(path / "weights.pth"), "holds weights, and no network"),
    ],
    ids=["classes", "size", "tuple", "batch", "error", "name", "missing", "onnx", "pt2", "weights"],
)
def test_who_cannot_teach_is_refused_in_a_line(
    source: Callable[[Path], str | Path], message: str, data: Dataset, file: Path
) -> None:
    with pytest.raises(ChronasError, match=message) as caught:
        of(source(file.parent), data)
    assert "\n" not in str(caught.value)


def test_a_run_learns_from_its_teacher_and_keeps_to_it(file: Path, tmp_path: Path) -> None:
    config = tiny_config(space="nasbench201", train_steps=4, teacher=f"{file}:make")
    run = Run.create(tmp_path / "run", config, command="x")
    architecture = make_space("nasbench201").sample(1, 3)[0]
    told = train_network(run, "weight-0", architecture)
    plain = Run.create(tmp_path / "plain", config.model_copy(update={"teacher": None}), command="x")
    assert train_network(plain, "weight-0", architecture) != told
    file.write_text(SOURCE + "\n")
    with pytest.raises(MismatchError, match="was begun with another teacher than"):
        train_network(Run.open(run.folder), "random", architecture)


def test_a_run_is_not_begun_with_a_teacher_of_other_classes(file: Path, tmp_path: Path) -> None:
    with pytest.raises(ChronasError, match="gives 3 numbers for an image"):
        Run.create(tmp_path / "run", tiny_config(teacher=f"{file}:of_three"), command="x")
    assert not (tmp_path / "run").exists()


def test_a_module_teaches_a_run(tmp_path: Path) -> None:
    model: nn.Module = network(seed=7)
    config = tiny_config(space="nasbench201", train_steps=1, teacher="Sequential")
    run = Run.create(tmp_path / "run", config, command="x", parts=RunParts(teacher=model))
    assert run.teacher is not None and not model.training
    assert isinstance(run.teacher.logits(torch.zeros(2, 1, 8, 8)), Tensor)
