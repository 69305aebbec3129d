"""Recipes: the published numbers, and what a wrong one says."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from chronas.data import Augment
from chronas.errors import UsageError
from chronas.training import RECIPES, Recipe, make_recipe, recipe_for, recipe_words

PUBLISHED = {
    "epochs": 600,
    "batch": 96,
    "learning_rate": 0.025,
    "final_learning_rate": 0.0,
    "momentum": 0.9,
    "weight_decay": 3e-4,
    "gradient_clip": 5.0,
    "auxiliary_weight": 0.4,
    "crop_padding": 4,
    "flip": True,
    "cutout": 16,
    "label_smoothing": 0.0,
}
OFF = {"optimizer": "sgd", "warmup": 0.0, "ema": 0.0, "mixup": 0.0, "patience": 0} | {
    "distill_weight": 0.5, "temperature": 4.0, "crop_scale": 1.0, "rotation": 0.0, "color_jitter": 0.0,
    "trivial_augment": False,
}  # fmt: skip


@pytest.mark.parametrize(("name", "drop_path"), [("darts-cifar10", 0.2), ("pcdarts-cifar10", 0.3)])
def test_the_papers_settings_are_exact(name: str, drop_path: float) -> None:
    assert make_recipe(name).model_dump() == {**PUBLISHED, **OFF, "drop_path": drop_path}


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_round_trips_and_describes_its_fields(name: str) -> None:
    recipe = make_recipe(name)
    assert Recipe.model_validate_json(recipe.model_dump_json()) == recipe
    assert all(field.description for field in Recipe.model_fields.values())


@pytest.mark.parametrize("name", ["cifar10-cpu", "digits-small"])
def test_small_recipes_are_smaller(name: str) -> None:
    assert make_recipe(name).epochs < 600 / 10


def test_the_learning_rate_rises_in_the_warm_up_and_falls_by_a_cosine_after_it() -> None:
    recipe = Recipe(learning_rate=0.4, warmup=0.2)
    rates = [recipe.learning_rate_at(done / 100) for done in range(100)]
    assert 0 < rates[0] < 0.01 and rates[:21] == sorted(rates[:21]) and rates[20:] == sorted(rates[20:], reverse=True)
    assert rates[20] == 0.4 and rates[60] == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("data", "images", "name"),
    [("my/photos", 2_000, "photos"), ("my/photos", 2_001, "cifar10-cpu"), ("digits", 100, "cifar10-cpu")],
)
def test_auto_is_for_few_images_of_ones_own(data: str, images: int, name: str) -> None:
    assert recipe_for("auto", data, images) == make_recipe(name)
    usual = Recipe(epochs=7)
    assert recipe_for("auto", data, images, usual) == (make_recipe(name) if name == "photos" else usual)
    assert recipe_for("nasbench201", data, images, usual) == make_recipe("nasbench201")
    assert recipe_for(usual, data, images) is usual


def test_a_choice_is_told_and_nothing_else_is() -> None:
    words = "recipe for {} training images: {}; --recipe NAME takes another"
    assert recipe_words("auto", "mine", 480) == words.format(480, "photos")
    assert recipe_words("auto", "mine", 50_000) == words.format("50,000", "cifar10-cpu")
    assert recipe_words("auto", "mine", 50_000, Recipe(epochs=7)) == words.format("50,000", "that of the preset")
    assert not recipe_words("auto", "digits", 1_437) and not recipe_words("photos", "mine", 480)


def test_digits_are_not_mirrored() -> None:
    assert make_recipe("digits-small").augment() == Augment(crop_padding=1, cutout=2)


def test_an_unknown_recipe_gets_the_nearest_names() -> None:
    with pytest.raises(UsageError, match="did you mean"):
        make_recipe("darts-cifar")


@settings(deadline=None)
@given(st.floats(1e-3, 1.0), st.floats(0, 1e-3), st.floats(0, 1), st.floats(0, 1))
def test_the_rate_goes_down_from_start_to_end(high: float, low: float, early: float, late: float) -> None:
    recipe = Recipe(learning_rate=high, final_learning_rate=low)
    assert recipe.learning_rate_at(0.0) == pytest.approx(high)
    assert recipe.learning_rate_at(1.0) == pytest.approx(low, abs=1e-12)
    assert recipe.learning_rate_at(0.5) == pytest.approx((high + low) / 2)
    assert recipe.learning_rate_at(min(early, late)) >= recipe.learning_rate_at(max(early, late)) - 1e-12


@pytest.mark.parametrize("wrong", [{"epochs": 0}, {"learning_rate": 0}, {"drop_path": 1}, {"momentom": 0.9}])
def test_values_out_of_range_and_unknown_fields_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Recipe.model_validate(wrong)
