"""Training real networks on digits: it learns, resumes to the bit, and refuses what does not belong together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from chronas.data import Images, Normalisation, load_dataset, split
from chronas.errors import DataError, DivergedError, MismatchError
from chronas.networks import DropPath, Network, build, load_state, save_state
from chronas.spaces import NetworkSize, make_space
from chronas.training import Recipe, Training, evaluate, load_best, make_recipe, train

SIZE = NetworkSize(input_shape=(1, 8, 8), outputs=10, width=4, depth=3)
TEXT = (
    "Genotype(normal=[('skip_connect', 0), ('skip_connect', 1), ('sep_conv_3x3', 0), ('OPERATION', SOURCE), "
    "('skip_connect', 0), ('skip_connect', 1), ('skip_connect', 0), ('skip_connect', 1)], "
    "normal_concat=range(2, 6), reduce=[('max_pool_3x3', 0), ('skip_connect', 1), ('max_pool_3x3', 0), "
    "('skip_connect', 2), ('skip_connect', 2), ('skip_connect', 3), ('skip_connect', 2), ('skip_connect', 3)], "
    "reduce_concat=range(2, 6))"
)
RECIPE = Recipe(
    epochs=3, batch=50, learning_rate=0.1, drop_path=0.3, crop_padding=1, flip=False, cutout=2, label_smoothing=0.05
)


TODAY = RECIPE.model_copy(
    update={"optimizer": "adamw", "learning_rate": 0.002, "warmup": 0.2, "ema": 0.9, "mixup": 0.3}
    | {"crop_scale": 0.5, "rotation": 10.0, "color_jitter": 0.2}
)


class Killed(BaseException):
    """What ends a training in the middle of an epoch."""


def network(
    *,
    operation: str = "sep_conv_3x3",
    source: int = 1,
    seed: int = 0,
    auxiliary: bool = True,
    size: NetworkSize = SIZE,
) -> Network:
    """A small, quick network; one operation and where it comes from can be chosen."""
    architecture = make_space("darts").parse(TEXT.replace("OPERATION", operation).replace("SOURCE", str(source)))
    return build(architecture, size, seed=seed, auxiliary=auxiliary)


@pytest.fixture(scope="module")
def parts() -> tuple[Images, Images]:
    return split(load_dataset("digits", limit=250).train, 0.2, seed=0)


def run(
    folder: Path, parts: tuple[Images, Images | None], recipe: Recipe = RECIPE, kill_at: int = -1, **options: Any
) -> tuple[Network, Training]:
    def progress(step: str, done: int, total: int, note: str) -> None:
        assert (step, total) == ("train", recipe.epochs * 4)
        if done == kill_at:
            raise Killed

    seed = options.pop("train_seed", 0)
    trained = network(**options)
    normalisation = Normalisation.of(parts[0])
    return trained, train(trained, *parts, normalisation, recipe, folder=folder, seed=seed, progress=progress)


def state(folder: Path, name: str) -> dict[str, torch.Tensor]:
    return load_state(folder / f"{name}.safetensors")[0]


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def timeless(training: Training) -> list[dict[str, Any]]:
    return [{key: value for key, value in row.items() if key != "seconds"} for row in training.history]


@pytest.mark.parametrize(("recipe", "prefix"), [(RECIPE, "momentum"), (TODAY, "exp_avg")], ids=["sgd", "today"])
@pytest.mark.parametrize("kill_at", [2, 9])
def test_a_killed_training_goes_on_to_the_same_bits(
    tmp_path: Path, parts: tuple[Images, Images], kill_at: int, recipe: Recipe, prefix: str
) -> None:
    whole, training = run(tmp_path / "whole", parts, recipe)
    with pytest.raises(Killed):
        run(tmp_path / "killed", parts, recipe, kill_at=kill_at)
    torch.rand(7)
    resumed, resumed_training = run(tmp_path / "killed", parts, recipe)
    assert any(name.startswith(f"{prefix}.auxiliary") for name in state(tmp_path / "whole", "last"))
    for name in ("last", "best"):
        assert same(state(tmp_path / "whole", name), state(tmp_path / "killed", name))
    assert same(dict(whole.state_dict()), dict(resumed.state_dict()))
    assert timeless(training) == timeless(resumed_training)


def test_a_training_of_an_earlier_version_goes_on(tmp_path: Path, parts: tuple[Images, Images]) -> None:
    run(tmp_path / "whole", parts)
    with pytest.raises(Killed):
        run(tmp_path / "older", parts, kill_at=9)
    path = tmp_path / "older" / "last.safetensors"
    tensors, content = load_state(path)
    recipe = content["identity"]["recipe"]
    for name in ("optimizer", "warmup", "ema", "mixup", "crop_scale", "rotation", "color_jitter"):
        del recipe[name]
    for name in ("patience", "distill_weight", "temperature", "trivial_augment"):
        del recipe[name]
    del content["identity"]["steps"], content["identity"]["teacher"]
    save_state(path, tensors, content)
    run(tmp_path / "older", parts)
    assert same(state(tmp_path / "whole", "best"), state(tmp_path / "older", "best"))


def test_the_running_mean_is_what_is_judged_and_kept(tmp_path: Path, parts: tuple[Images, Images]) -> None:
    trained, training = run(tmp_path / "mean", (parts[0], None), RECIPE.model_copy(update={"ema": 0.9}))
    last = state(tmp_path / "mean", "last")
    best = state(tmp_path / "mean", "best")
    assert training.best_epoch == 3
    for name, tensor in best.items():
        assert torch.equal(tensor, last[f"average.module.{name}"])
    assert not torch.equal(best["classifier.weight"], last["network.classifier.weight"])
    assert same(dict(trained.state_dict()), best)


def test_mixup_learns_from_pairs(tmp_path: Path, parts: tuple[Images, Images]) -> None:
    plain, mixed = (
        run(tmp_path / f"{alpha}", parts, RECIPE.model_copy(update={"mixup": alpha, "epochs": 1}))[1].history[0]
        for alpha in (0.0, 1.0)
    )
    assert mixed["train_loss"] != plain["train_loss"] and mixed["train_accuracy"] < 100


def test_a_seed_decides_and_torch_stays_untouched(tmp_path: Path, parts: tuple[Images, Images]) -> None:
    short = RECIPE.model_copy(update={"epochs": 1})
    before = torch.random.get_rng_state()
    first, _ = run(tmp_path / "a", parts, short)
    assert torch.equal(torch.random.get_rng_state(), before)
    other, _ = run(tmp_path / "b", parts, short, train_seed=1)
    assert not torch.equal(first.classifier.weight, other.classifier.weight)


def test_a_finished_training_is_not_done_again(tmp_path: Path, parts: tuple[Images, Images]) -> None:
    _, training = run(tmp_path, parts)
    written = (tmp_path / "last.safetensors").stat().st_mtime_ns
    again, repeated = run(tmp_path, parts, kill_at=1, seed=5)
    assert repeated == training
    assert (tmp_path / "last.safetensors").stat().st_mtime_ns == written
    assert same(dict(again.state_dict()), state(tmp_path, "best"))


def test_the_history_tells_each_epoch_and_the_best_is_kept(tmp_path: Path, parts: tuple[Images, Images]) -> None:
    trained, training = run(tmp_path, parts)
    assert [row["epoch"] for row in training.history] == [1, 2, 3]
    assert [row["learning_rate"] for row in training.history] == pytest.approx([0.1, 0.075, 0.025])
    assert all(row["seconds"] > 0 and 0 <= row["train_accuracy"] <= 100 for row in training.history)
    accuracies = [row["validation_accuracy"] for row in training.history]
    share = (max(accuracies) / 100 * len(parts[1]) + 1) / (len(parts[1]) + 2)
    error = 100 * (share * (1 - share) / len(parts[1])) ** 0.5
    kept = accuracies[training.best_epoch - 1]
    assert kept >= max(accuracies) - error
    assert all(later < max(accuracies) - error for later in accuracies[training.best_epoch :])
    assert kept == training.best_validation_accuracy
    assert evaluate(trained, parts[1], Normalisation.of(parts[0])) == kept
    assert all(tensor.is_contiguous() for tensor in trained.state_dict().values())


def test_without_validation_the_last_weights_are_kept(tmp_path: Path, parts: tuple[Images, Images]) -> None:
    trained, training = run(tmp_path, (parts[0], None))
    assert (training.best_epoch, training.best_validation_accuracy) == (3, None)
    last = {name.removeprefix("network."): tensor for name, tensor in state(tmp_path, "last").items()}
    assert all(torch.equal(tensor, last[name]) for name, tensor in trained.state_dict().items())


def test_drop_path_grows_and_the_auxiliary_head_learns(tmp_path: Path, parts: tuple[Images, Images]) -> None:
    seen: list[float] = []

    trained = network()
    drop = next(module for module in trained.modules() if isinstance(module, DropPath))
    drop.register_forward_pre_hook(lambda module, _: seen.append(module.probability) if module.training else None)
    start = {name: tensor.clone() for name, tensor in trained.state_dict().items()}
    train(trained, *parts, Normalisation.of(parts[0]), RECIPE, folder=tmp_path, seed=0)
    assert list(dict.fromkeys(seen)) == pytest.approx([0.0, 0.1, 0.2])
    assert not torch.equal(
        trained.state_dict()["auxiliary_head.classifier.weight"], start["auxiliary_head.classifier.weight"]
    )


def test_best_weights_fit_a_network_without_the_auxiliary_head(tmp_path: Path, parts: tuple[Images, Images]) -> None:
    trained, training = run(tmp_path, parts)
    plain = network(seed=9, auxiliary=False)
    load_best(plain, tmp_path)
    assert evaluate(plain, parts[1], Normalisation.of(parts[0])) == training.best_validation_accuracy
    assert torch.equal(plain.classifier.weight, trained.classifier.weight)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"operation": "dil_conv_5x5"}, "network"),
        ({"size": SIZE.model_copy(update={"width": 6})}, "network"),
        ({"recipe": RECIPE.model_copy(update={"cutout": 3})}, "recipe"),
        ({"train_seed": 1}, "seed 0 instead of 1"),
        ({"auxiliary": False}, "network"),
    ],
)
def test_a_checkpoint_of_another_training_is_refused(
    tmp_path: Path, parts: tuple[Images, Images], change: dict[str, Any], message: str
) -> None:
    with pytest.raises(Killed):
        run(tmp_path, parts, kill_at=5)
    with pytest.raises(MismatchError, match=f"belongs to another training .*{message}"):
        run(tmp_path, parts, **change)


def test_a_checkpoint_of_other_images_is_refused(tmp_path: Path, parts: tuple[Images, Images]) -> None:
    with pytest.raises(Killed):
        run(tmp_path, parts, kill_at=5)
    pixels = parts[0].pixels.clone()
    pixels[0, 0, 0, 0] ^= 1
    with pytest.raises(MismatchError, match="images"):
        run(tmp_path, (Images(pixels, parts[0].labels), parts[1]))


def test_networks_that_differ_in_wiring_alone_are_told_apart(tmp_path: Path, parts: tuple[Images, Images]) -> None:
    first, second = network(source=1), network(source=2)
    assert repr(first) == repr(second)
    short = RECIPE.model_copy(update={"epochs": 1})
    train(first, *parts, Normalisation.of(parts[0]), short, folder=tmp_path, seed=0)
    with pytest.raises(MismatchError, match="network"):
        train(second, *parts, Normalisation.of(parts[0]), short, folder=tmp_path, seed=0)


@pytest.mark.parametrize("name", ["last", "best"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.999])
def test_a_cut_checkpoint_is_refused(tmp_path: Path, parts: tuple[Images, Images], name: str, share: float) -> None:
    run(tmp_path, parts, RECIPE.model_copy(update={"epochs": 1}))
    path = tmp_path / f"{name}.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(DataError, match=f"{name}.safetensors"):
        run(tmp_path, parts, RECIPE.model_copy(update={"epochs": 1}))


def test_weights_of_another_width_are_refused(tmp_path: Path, parts: tuple[Images, Images]) -> None:
    run(tmp_path, parts, RECIPE.model_copy(update={"epochs": 1}))
    with pytest.raises(MismatchError, match="another architecture or size"):
        load_best(network(size=SIZE.model_copy(update={"width": 6})), tmp_path)


def test_a_file_that_is_no_checkpoint_is_refused(tmp_path: Path, parts: tuple[Images, Images]) -> None:
    short = RECIPE.model_copy(update={"epochs": 1})
    run(tmp_path, parts, short)
    (tmp_path / "best.safetensors").replace(tmp_path / "last.safetensors")
    with pytest.raises(DataError, match=r"last\.safetensors should have schema"):
        run(tmp_path, parts, short)


def test_divergence_stops_with_a_word_and_keeps_the_checkpoint(tmp_path: Path, parts: tuple[Images, Images]) -> None:
    with pytest.raises(Killed):
        run(tmp_path, parts, kill_at=5)
    before = (tmp_path / "last.safetensors").read_bytes()
    wild = RECIPE.model_copy(update={"learning_rate": 1e30})
    with pytest.raises(DivergedError, match=r"training diverged: .* lower learning rate than 1e\+30"):
        run(tmp_path / "wild", parts, wild)
    assert not (tmp_path / "wild" / "best.safetensors").exists()
    assert (tmp_path / "last.safetensors").read_bytes() == before


def test_the_small_recipe_learns_digits(tmp_path: Path) -> None:
    dataset = load_dataset("digits")
    images, validation = split(dataset.train, 0.1, seed=0)
    normalisation = Normalisation.of(dataset.train)
    trained = network(size=SIZE.model_copy(update={"width": 8}), auxiliary=False)
    recipe = make_recipe("digits-small").model_copy(update={"epochs": 8})
    train(trained, images, validation, normalisation, recipe, folder=tmp_path, seed=0)
    assert evaluate(trained, dataset.test, normalisation) >= 93.0
