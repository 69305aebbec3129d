"""Settings are those of the published code, the smaller ones are really smaller, and nothing out of range passes."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from chronas.runs import searcher_settings
from chronas.search import SEARCHERS, searcher_class
from chronas.search.blackbox.random_search import RandomConfig
from chronas.search.gradient.loop import BilevelConfig, PCDartsConfig

# train_search.py of https://github.com/quark0/darts and https://github.com/yuhuixu1993/PC-DARTS
BOTH = {
    "epochs": 50,
    "width": 16,
    "depth": 8,
    "momentum": 0.9,
    "weight_decay": 3e-4,
    "gradient_clip": 5.0,
    "alphas_beta_1": 0.5,
    "alphas_beta_2": 0.999,
    "alphas_weight_decay": 1e-3,
    "crop_padding": 4,
    "flip": True,
    "order": 1,
}
DARTS = {
    **BOTH,
    "batch": 64,
    "learning_rate": 0.025,
    "final_learning_rate": 0.001,
    "alphas_learning_rate": 3e-4,
    "partial_channels": 1,
    "edge_normalisation": False,
    "warmup_epochs": 0,
}
PC_DARTS = {
    **BOTH,
    "batch": 256,
    "learning_rate": 0.1,
    "final_learning_rate": 0.0,
    "alphas_learning_rate": 6e-4,
    "partial_channels": 4,
    "edge_normalisation": True,
    "warmup_epochs": 15,
}


def test_all_settings_are_the_published_ones() -> None:
    assert BilevelConfig().model_dump() == DARTS
    assert PCDartsConfig().model_dump() == PC_DARTS


@pytest.mark.parametrize("name", SEARCHERS)
@pytest.mark.parametrize("preset", ["digits-cpu", "cifar10-cpu", "nasbench201-cifar10"])
def test_smaller_settings_are_of_the_same_kind_cost_less_and_can_be_used(name: str, preset: str) -> None:
    searcher = searcher_class(name)
    small, published = searcher_settings(preset, name), searcher.Config()
    assert type(small) is searcher.Config
    assert small.epochs <= published.epochs
    searcher(small)
    if isinstance(small, BilevelConfig):
        assert small.width % small.partial_channels == 0
        assert small.width // small.partial_channels >= 2
        assert small.depth < published.depth or published.depth == 1
        kept = ("order", "partial_channels", "edge_normalisation", "momentum", "gradient_clip")
        assert all(getattr(small, key) == getattr(published, key) for key in kept)


def test_digits_are_never_mirrored() -> None:
    assert [searcher_settings("digits-cpu", name).flip for name in SEARCHERS] == [False] * len(SEARCHERS)


@pytest.mark.parametrize(
    "wrong",
    [
        {"epochs": 0},
        {"batch": 1},
        {"width": 1},
        {"order": 3},
        {"partial_channels": 0},
        {"learning_rate": 0.0},
        {"learning_rate": float("nan")},
        {"momentum": 1.0},
        {"gradient_clip": 0.0},
        {"alphas_beta_2": 1.0},
        {"alphas_learning_rate": -1.0},
        {"warmup_epochs": -1},
        {"unrolled": True},
    ],
)
def test_settings_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    for config in (BilevelConfig, PCDartsConfig):
        with pytest.raises(ValidationError):
            config.model_validate(wrong)


def test_a_brief_training_follows_the_settings_of_random_search() -> None:
    config = RandomConfig(epochs=3, batch=32, learning_rate=0.07, crop_padding=2, flip=False)
    recipe = config.recipe()
    assert (recipe.epochs, recipe.batch, recipe.learning_rate) == (3, 32, 0.07)
    assert (recipe.crop_padding, recipe.flip, recipe.cutout) == (2, False, 0)
    assert (recipe.drop_path, recipe.auxiliary_weight) == (0.0, 0.0)
    with pytest.raises(ValidationError):
        RandomConfig(seconds=0.0)
