"""Settings for training a network from scratch, and the recipes that are known to work.

`darts_cifar10` and `pcdarts_cifar10` are the settings of `train.py` in quark0/darts @f276dd3 and yuhuixu1993/PC-DARTS
@b74702f with `--auxiliary --cutout` (20 cells, width 36). The other recipes are our own, and smaller.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from inspect import signature
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from chronas.data import DATASETS, Augment, ColorJitter, CropScale, Rotation, TrivialAugment
from chronas.training import RECIPES

WARMUP_FROM = 1e-3  # share of all steps whose learning rate the first step of a warm-up has
FEW, MANY = 2_000, 10**9  # training images up to which `auto` takes `photos`, and more than any data has


class Recipe(BaseModel):
    """Gradient descent with a cosine learning rate, DARTS's regularisation, and what helps on small data."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    epochs: int = Field(default=600, ge=1, description="number of times that every training image is used")
    batch: int = Field(default=96, ge=2, description="largest number of images of a step")
    learning_rate: float = Field(default=0.025, gt=0, description="at the start")
    final_learning_rate: float = Field(default=0.0, ge=0, description="at the end; a cosine over all steps in between")
    momentum: float = Field(default=0.9, ge=0, lt=1, description="of the gradient; AdamW's first beta")
    weight_decay: float = Field(default=3e-4, ge=0, description="L2 penalty on all parameters")
    gradient_clip: float = Field(default=5.0, gt=0, description="largest norm of all gradients together")
    auxiliary_weight: float = Field(default=0.4, ge=0, description="weight of the auxiliary head's loss, 0 for no head")
    drop_path: float = Field(default=0.2, ge=0, lt=1, description="probability in the last epoch; grows from 0, linear")
    crop_padding: int = Field(default=4, ge=0, le=64, description="black pixels on each side before a random crop")
    flip: bool = Field(default=True, description="mirror every second image, left to right")
    cutout: int = Field(default=16, ge=0, le=512, description="side of the square that is set to the mean, in pixels")
    label_smoothing: float = Field(default=0.0, ge=0, lt=1, description="share of the target spread over all classes")
    optimizer: Literal["sgd", "adamw"] = Field(default="sgd", description="sgd with momentum, or AdamW")
    warmup: float = Field(default=0.0, ge=0, lt=1, description="share of all steps in which the learning rate rises")
    ema: float = Field(default=0.0, ge=0, lt=1, description="decay of the running mean of weights that is kept; 0: off")
    mixup: float = Field(default=0.0, ge=0, description="alpha of mixup: images and labels in pairs; 0: off")
    patience: int = Field(
        default=0, ge=0, description="epochs without a better validation accuracy that end the training; 0: off"
    )
    distill_weight: float = Field(default=0.5, ge=0, le=1, description="share of the loss to learn from a teacher")
    temperature: float = Field(default=4.0, gt=0, le=1000, description="divisor of both logits to learn from a teacher")
    crop_scale: CropScale = 1.0
    rotation: Rotation = 0.0
    color_jitter: ColorJitter = 0.0
    trivial_augment: TrivialAugment = False

    def augment(self) -> Augment:
        """The random changes to training images."""
        return Augment(**{name: getattr(self, name) for name in Augment.model_fields})

    def learning_rate_at(self, done: float) -> float:
        """The learning rate after a share `done` (0..1) of all steps."""
        if done < self.warmup:
            return self.learning_rate * (done + WARMUP_FROM) / (self.warmup + WARMUP_FROM)
        cosine = (1.0 + math.cos(math.pi * (done - self.warmup) / (1.0 - self.warmup))) / 2.0
        return self.final_learning_rate + (self.learning_rate - self.final_learning_rate) * cosine


def darts_cifar10() -> Recipe:
    """DARTS's evaluation on CIFAR-10: 600 epochs, about a day on a V100."""
    return Recipe()


def pcdarts_cifar10() -> Recipe:
    """PC-DARTS's evaluation on CIFAR-10: as DARTS's, but with drop path 0.3."""
    return Recipe(drop_path=0.3)


def nasbench201() -> Recipe:
    """NAS-Bench-201's training (arXiv 2001.00326, table 2): 200 epochs; a day or more on two CPU cores.

    Where we differ: momentum is not Nesterov's, and gradients are clipped.
    """
    return Recipe(
        epochs=200, batch=256, learning_rate=0.1, weight_decay=5e-4, auxiliary_weight=0.0, drop_path=0.0, cutout=0
    )


def cifar10_cpu() -> Recipe:
    """CIFAR-10 in minutes on two CPU cores. Smaller than in the paper: few epochs, light regularisation.

    A core trains about 100 images a second at width 16 with 8 cells. Rates of 0.05 and 0.1 were equally good in 6
    epochs.
    """
    return Recipe(
        epochs=6, batch=96, learning_rate=0.1, auxiliary_weight=0.0, drop_path=0.0, cutout=8, label_smoothing=0.05
    )


def digits_small() -> Recipe:
    """8x8 digits in seconds on a CPU core. Smaller than in the paper; no flip, because mirrored digits are other signs.

    Random DARTS networks of width 8 with 4 cells took 14 to 20 s on one core and reached 98 to 99 % test accuracy.
    """
    return Recipe(
        epochs=15,
        batch=64,
        learning_rate=0.1,
        auxiliary_weight=0.0,
        drop_path=0.0,
        crop_padding=1,
        flip=False,
        cutout=2,
        label_smoothing=0.05,
    )


def photos() -> Recipe:
    """Some hundred photos on a CPU: AdamW and changes of images that keep their class; our choice.

    `benchmarks/recipes.py` measures it against SGD with flips and crops.
    """
    return Recipe(
        epochs=60,
        batch=32,
        optimizer="adamw",
        learning_rate=2e-3,
        weight_decay=0.02,
        warmup=0.1,
        ema=0.99,
        auxiliary_weight=0.0,
        drop_path=0.0,
        crop_padding=0,
        cutout=0,
        crop_scale=0.6,
        rotation=10.0,
        color_jitter=0.2,
        label_smoothing=0.1,
    )


def auto(images: int | None = None, otherwise: Recipe | None = None) -> Recipe:
    """`photos` for up to 2,000 training images; for more, or where their number is unknown, the usual recipe.

    Args:
        images: number of training images.
        otherwise: the usual recipe; None: `cifar10-cpu`.
    """
    if images is not None and images <= FEW:
        return photos()
    return cifar10_cpu() if otherwise is None else otherwise


def make_recipe(recipe: str | Recipe, images: int | None = None, otherwise: Recipe | None = None) -> Recipe:
    """The recipe of a name in `RECIPES`; a `Recipe` is returned unchanged.

    Args:
        recipe: the name or the recipe.
        images: number of training images, for recipes that depend on it, such as `auto`.
        otherwise: the usual recipe, for the same.

    Raises:
        UsageError: there is no such recipe.
    """
    found: Recipe | Callable[..., Recipe] = RECIPES[recipe] if isinstance(recipe, str) else recipe
    if isinstance(found, Recipe):
        return found
    taken = signature(found).parameters
    known = {"images": images, "otherwise": otherwise}
    return found(**{name: value for name, value in known.items() if name in taken})


def recipe_for(recipe: str | Recipe, data: str, images: int, otherwise: Recipe | None = None) -> Recipe:
    """The recipe for a data set; `auto` looks at the number of images of a user's own data only.

    Args:
        recipe: the name or the recipe.
        data: name of the data set.
        images: number of its training images.
        otherwise: the usual recipe, for the data sets that come with chronas and for many images.

    Raises:
        UsageError: there is no such recipe.
    """
    return make_recipe(recipe, None if data in DATASETS.built_in else images, otherwise)


def recipe_words(recipe: str | Recipe, data: str, images: int, otherwise: Recipe | None = None) -> str:
    """A sentence about the recipe that the number of images has chosen; empty if it has no part in it."""
    chosen = recipe_for(recipe, data, images, otherwise)
    if data in DATASETS.built_in or all(make_recipe(recipe, count, otherwise) == chosen for count in (1, MANY)):
        return ""
    name = next((name for name in RECIPES if name != recipe and make_recipe(name) == chosen), "that of the preset")
    return f"recipe for {images:,} training images: {name}; --recipe NAME takes another"
