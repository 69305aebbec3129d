"""Learning from a teacher: the loss is the paper's, both networks see the same images, and a killed one goes on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from chronas.data import Images, Normalisation
from chronas.errors import ChronasError, MismatchError
from chronas.training import Teacher, Training, train
from chronas.training.distillation import distillation_loss
from short_training import PER_EPOCH, RECIPE, Killed, network, parts, same, trained, weights

MIXED = RECIPE.model_copy(update={"mixup": 0.4, "label_smoothing": 0.1, "ema": 0.5, "rotation": 10.0})


def teacher(function: Callable[[Tensor], Any] | None = None, checksum: str = "a") -> Teacher:
    return Teacher("mine", function or network(seed=7).eval(), 10, checksum)


def without_validation(folder: Path, images: Images, **options: Any) -> tuple[nn.Module, Training]:
    found, normalisation = network(), Normalisation.of(images)
    return found, train(found, images, None, normalisation, folder=folder, seed=0, **options)


def test_the_loss_is_the_divergence_of_softened_outputs_times_the_square_of_the_temperature() -> None:
    student, told = torch.randn(2, 6, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    target, own = torch.softmax(told / 3, dim=1), torch.softmax(student / 3, dim=1)
    expected = 9 * (target * (target / own).log()).sum()
    assert distillation_loss(student, told, 3.0).item() == pytest.approx(expected.item())
    assert distillation_loss(told, told, 3.0).item() == pytest.approx(0.0, abs=1e-12)
    student.requires_grad_()
    distillation_loss(student, told, 3.0).backward()
    assert student.grad is not None
    torch.testing.assert_close(student.grad, 3 * (own - target))


def test_the_weight_is_the_teachers_share_of_the_loss(tmp_path: Path) -> None:
    images, _ = parts()
    other = Images(images.pixels, images.labels.roll(1))
    recipe = RECIPE.model_copy(update={"epochs": 1})
    alone, all_told = (recipe.model_copy(update={"distill_weight": share}) for share in (0.0, 1.0))
    plain, _ = without_validation(tmp_path / "plain", images, recipe=recipe)
    ignored, _ = without_validation(tmp_path / "ignored", images, recipe=alone, teacher=teacher())
    assert same(dict(plain.state_dict()), dict(ignored.state_dict()))
    first, training = without_validation(tmp_path / "first", images, recipe=all_told, teacher=teacher())
    second, _ = without_validation(tmp_path / "second", other, recipe=all_told, teacher=teacher())
    assert same(dict(first.state_dict()), dict(second.state_dict())), "labels do not count"
    assert not same(dict(first.state_dict()), dict(plain.state_dict()))
    half, halved = without_validation(tmp_path / "half", images, recipe=recipe, teacher=teacher())
    assert training.history[0]["train_loss"] > 0 and halved.history[0]["train_loss"] > 0
    assert not same(dict(half.state_dict()), dict(first.state_dict()))


def test_a_student_of_a_good_teacher_comes_close_to_it(tmp_path: Path) -> None:
    images, _ = parts()
    recipe = RECIPE.model_copy(update={"epochs": 25})
    model, _ = trained(tmp_path / "teacher", recipe)
    told = recipe.model_copy(update={"distill_weight": 1.0})
    student = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    normalisation = Normalisation.of(images)
    train(
        student, images, None, normalisation, told, folder=tmp_path / "student", seed=0, teacher=teacher(model.eval())
    )
    with torch.no_grad():
        pixels = normalisation(images.pixels)
        agree = (student(pixels).argmax(1) == model(pixels).argmax(1)).double().mean()
    assert agree > 0.7


def test_both_see_the_same_changed_and_mixed_images(tmp_path: Path) -> None:
    images, _ = parts()
    seen: list[Tensor] = []
    learnt: list[Tensor] = []
    model = network(seed=7).eval()

    def watched(pixels: Tensor) -> Tensor:
        learnt.append(pixels.clone())
        return model(pixels)  # type: ignore[no-any-return]

    student = network()
    student.register_forward_pre_hook(lambda module, given: seen.append(given[0].clone()) if module.training else None)
    normalisation = Normalisation.of(images)
    train(student, images, None, normalisation, MIXED, folder=tmp_path, seed=0, teacher=teacher(watched))
    assert len(seen) == len(learnt) == MIXED.epochs * PER_EPOCH
    assert all(torch.equal(first, second) for first, second in zip(seen, learnt, strict=True))


@pytest.mark.parametrize("kill_at", [2, 6])
def test_a_killed_training_goes_on_to_the_same_bits(kill_at: int, tmp_path: Path) -> None:
    trained(tmp_path / "whole", MIXED, teacher=teacher())
    with pytest.raises(Killed):
        trained(tmp_path / "killed", MIXED, teacher=teacher(), kill_at=kill_at)
    trained(tmp_path / "killed", MIXED, teacher=teacher())
    for name in ("best", "last"):
        assert same(weights(tmp_path / "whole", name), weights(tmp_path / "killed", name))


@pytest.mark.parametrize("other", [None, "b"], ids=["none", "another"])
def test_another_teacher_is_another_training(other: str | None, tmp_path: Path) -> None:
    with pytest.raises(Killed):
        trained(tmp_path, teacher=teacher(), kill_at=6)
    with pytest.raises(MismatchError, match=f"belongs to another training .*teacher a instead of {other}"):
        trained(tmp_path, teacher=None if other is None else teacher(checksum=other))


def broken(images: Tensor) -> Tensor:
    raise KeyError("no such layer")


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda images: torch.zeros(len(images), 3), r"mine should give logits \[50, 10\], got \[50, 3\]"),
        (lambda images: (images, images), r"should give logits \[50, 10\], got tuple"),
        (lambda images: torch.full((len(images), 10), float("nan")), "gives NaN or infinite logits"),
        (broken, r"mine does not take a batch of images \(KeyError: 'no such layer'\)"),
        (lambda images: functional.conv2d(images, torch.zeros(1, 3, 3, 3)), r"does not take a batch .*RuntimeError"),
    ],
    ids=["classes", "tuple", "nan", "error", "channels"],
)
def test_what_a_teacher_gives_is_checked(function: Callable[[Tensor], Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ChronasError, match=message):
        trained(tmp_path, teacher=teacher(function))


def test_the_teacher_has_no_gradient(tmp_path: Path) -> None:
    model = network(seed=7).eval()
    start = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    trained(tmp_path, teacher=teacher(model))
    assert all(parameter.grad is None for parameter in model.parameters())
    assert same(dict(model.state_dict()), start)
    assert functional.cross_entropy(model(torch.zeros(1, 1, 8, 8)), torch.tensor([0])).requires_grad
