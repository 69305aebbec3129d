"""Runs and trainings that begin with the weights of a file: what they take, and that they keep to it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from chronas.data import load_dataset
from chronas.errors import ChronasError, DataError, MismatchError, UsageError
from chronas.networks import build, load_state, save_state
from chronas.runs import (
    Run,
    RunConfig,
    execute,
    initial_of,
    initial_of_space,
    make_preset,
    train_architecture,
    train_network,
)
from chronas.spaces import Architecture, NetworkScale, NetworkSize, make_space
from chronas.supernets import ElasticSupernet, build_supernet
from chronas.training import Recipe, make_recipe

SPACE, CELLS = make_space("efficientnet-lite"), make_space("nasbench201")
SIZE = NetworkSize(input_shape=(1, 8, 8), outputs=10, width=8, depth=1, stem="small")
CELL_SIZE = NetworkSize(input_shape=(1, 8, 8), outputs=10, width=4, depth=1)
CELL = CELLS.sample(1, 3)[0]
RECIPE = make_recipe("digits-small").model_copy(update={"epochs": 1})
ELASTIC = {"epochs": 1, "architectures": 4, "population": 3, "sample": 2}


def supernet_of(seed: int = 0, size: NetworkSize = SIZE) -> ElasticSupernet:
    supernet = build_supernet(SPACE, size, seed=seed)
    assert isinstance(supernet, ElasticSupernet)
    return supernet


def of_three(path: Path, seed: int = 1) -> Path:
    """Weights of the largest network for three classes."""
    save_state(path, supernet_of(seed, SIZE.model_copy(update={"outputs": 3})).network.state_dict(), {})
    return path


def elastic_config(init: Path | None, searcher: str = "elastic", **changes: object) -> RunConfig:
    """A run on digits in a second or two, on the simulated device."""
    names = {"space": SPACE.name, "device": "simulated", "predictor": "lookup", "searcher": searcher}
    base = make_preset("digits-cpu", names)
    settings = ELASTIC if searcher == "elastic" else {"architectures": 1, "epochs": 1}
    return base.model_copy(
        update={
            "searcher_config": type(base.searcher_config).model_validate(settings),
            "size": NetworkScale(width=8, depth=1, stem="small"),
            "networks": 40,
            "data_limit": 150,
            "baseline": False,
            "latency_weight": 0.0,
            "recipe": RECIPE,
            "train_steps": 2,
            "init": None if init is None else str(init),
            **changes,
        }
    )


def test_a_part_of_the_largest_network_has_its_weights_and_statistics(tmp_path: Path) -> None:
    file = of_three(tmp_path / "w.safetensors")
    initial = initial_of_space(file, SPACE, SIZE, seed=0)
    assert initial.words == "294 of 296 tensors from w.safetensors; classifier new (10 classes, the file has 3)"
    smallest = supernet_of().smallest
    weights = initial.weights_of(smallest)
    build(smallest, SIZE).load_state_dict(weights)
    again = initial_of(file, smallest, SIZE, seed=0)
    assert all(torch.equal(each, again.weights_of(smallest)[name]) for name, each in weights.items())


def test_the_file_of_the_architecture_itself_is_taken_as_it_is(tmp_path: Path) -> None:
    smallest = supernet_of().smallest
    for architecture, size in ((smallest, SIZE), (CELL, CELL_SIZE)):
        network = build(architecture, size, seed=5)
        save_state(tmp_path / "model.safetensors", network.state_dict(), {})
        initial = initial_of(tmp_path / "model.safetensors", architecture, size, seed=0)
        weights = initial.weights_of(architecture)
        assert initial.supernet is None
        assert all(torch.equal(tensor, weights[name]) for name, tensor in network.state_dict().items())


def test_an_auxiliary_head_may_be_missing_in_the_file(tmp_path: Path) -> None:
    darts = make_space("darts")
    architecture, size = darts.sample(1, 0)[0], NetworkSize(input_shape=(3, 32, 32), outputs=10, width=4, depth=3)
    save_state(tmp_path / "m.safetensors", build(architecture, size, seed=5).state_dict(), {})
    initial = initial_of(tmp_path / "m.safetensors", architecture, size, seed=0, auxiliary=True)
    wanted = build(architecture, size, auxiliary=True).state_dict()
    assert initial.weights_of(architecture).keys() == wanted.keys()
    assert "auxiliary_head" in initial.words and "new (not in the file)" in initial.words


def test_what_does_not_fit_is_refused_before_a_run_is_begun(tmp_path: Path) -> None:
    file = of_three(tmp_path / "w.safetensors")
    wide = elastic_config(file, size=NetworkScale(width=16, depth=1, stem="small"))
    for config, kind, message in (
        (wide, MismatchError, r"stem.0.weight should be \[16, 1, 3, 3\], got \[8, 1, 3, 3\]"),
        (elastic_config(tmp_path / "none.pth"), DataError, "cannot read"),
        (
            make_preset("digits-cpu", {"init": str(file), "searcher": "random"}),
            UsageError,
            "space darts has no nested weights, so .* fits one architecture: train that with",
        ),
    ):
        with pytest.raises(kind, match=message) as caught:
            Run.create(tmp_path / "run", config, command="x")
        assert "\n" not in str(caught.value)
        assert not (tmp_path / "run").exists()
    with pytest.raises(ChronasError, match="need networks of their size, so --fit-size cannot choose"):
        make_preset("photos-cpu", {"init": str(file), "fit_size": True})
    with pytest.raises(MismatchError, match="has no tensor for|has names such as|should be"):
        initial_of(file, CELL, CELL_SIZE, seed=0)


def test_a_run_with_a_supernet_begins_with_the_file_and_keeps_to_it(tmp_path: Path) -> None:
    file = of_three(tmp_path / "w.safetensors")
    config = elastic_config(file)
    slow = config.searcher_config.model_copy(update={"learning_rate": 1e-9})  # so the weights stay what they were
    run = Run.create(tmp_path / "run", config.model_copy(update={"searcher_config": slow}), command="x")
    execute(run)
    given, _ = load_state(file)
    trained, content = load_state(run.folder / "search" / run.role / "elastic.safetensors")
    assert content["identity"]["init"] == run.facts.init
    assert torch.allclose(trained["mean.network.head.0.weight"], given["head.0.weight"], atol=1e-6)
    inherited, _ = load_state(run.folder / "networks" / run.role / "inherited.safetensors")
    wide = inherited["stem.0.weight"].shape[0]
    assert torch.allclose(inherited["stem.0.weight"], given["stem.0.weight"][:wide], atol=1e-6)
    of_three(file, seed=2)
    with pytest.raises(MismatchError, match="was begun with another file than w.safetensors is now"):
        _ = Run.open(run.folder).initial


def test_other_searchers_leave_the_weights_to_the_final_training(tmp_path: Path) -> None:
    file = of_three(tmp_path / "w.safetensors")
    architecture = supernet_of().largest
    accuracies = []
    for init in (file, None):
        config = elastic_config(init, "random", train_steps=1)
        run = Run.create(tmp_path / f"run-{init is None}", config, command="x")
        assert run.searcher.takes_weights is False
        accuracies.append(train_network(run, "weight-0", architecture))
        first = load_state(run.folder / "networks" / "weight-0" / "training" / "last.safetensors")
        assert first[1]["identity"]["init"] == run.facts.init
    assert accuracies[0] != accuracies[1]


def trained(
    folder: Path, weights: dict[str, Tensor] | None, init: str | None, architecture: Architecture = CELL
) -> dict[str, Tensor]:
    recipe: Recipe = RECIPE.model_copy(update={"epochs": 2})
    data = load_dataset("digits", limit=100)
    train_architecture(
        folder, architecture, CELL_SIZE, data, recipe, validation_share=0.2, seed=0, initial=weights, init=init
    )
    return load_state(folder / "training" / "last.safetensors")[0]


def test_a_training_is_not_continued_with_other_weights(tmp_path: Path) -> None:
    weights = build(CELL, CELL_SIZE, seed=5).state_dict()
    first = trained(tmp_path / "a", weights, "aa")
    plain = trained(tmp_path / "b", None, None)
    assert any(not torch.equal(tensor, plain[name]) for name, tensor in first.items())
    with pytest.raises(MismatchError, match=r"belongs to another training \(init aa instead of bb\)"):
        trained(tmp_path / "a", weights, "bb")
    with pytest.raises(MismatchError, match=r"belongs to another training \(init None instead of aa\)"):
        trained(tmp_path / "b", weights, "aa")
