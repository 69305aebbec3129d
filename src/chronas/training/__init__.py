"""Training of one network from scratch by a recipe, with exact resuming, and its accuracy.

training = train(network, images, validation, normalisation, make_recipe("digits-small"), folder=folder, seed=0)
accuracy_percent = evaluate(network, dataset.test, normalisation)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chronas.registry import Registry, lazily

if TYPE_CHECKING:
    from chronas.training.budget import Budget, TrainMinutes, TrainSteps
    from chronas.training.checkpoints import BEST, load_best
    from chronas.training.distillation import Teacher
    from chronas.training.evaluation import AccuracyAndLoss, accuracy_and_loss, confusion_matrix, evaluate
    from chronas.training.process_group import (
        LAUNCHED,
        SINGLE_PROCESS,
        ProcessGroup,
        launched_group,
        normalised,
        synced_batch_norm,
    )
    from chronas.training.recalibration import keep_recalibrated, recalibrate
    from chronas.training.recipe import Recipe, make_recipe, recipe_for, recipe_words
    from chronas.training.trainer import Training, train

__all__ = [
    "SINGLE_PROCESS",
    "BEST",
    "RECIPES",
    "LAUNCHED",
    "Budget",
    "ProcessGroup",
    "Recipe",
    "Teacher",
    "TrainMinutes",
    "TrainSteps",
    "Training",
    "AccuracyAndLoss",
    "evaluate",
    "accuracy_and_loss",
    "confusion_matrix",
    "launched_group",
    "load_best",
    "make_recipe",
    "normalised",
    "keep_recalibrated",
    "recalibrate",
    "recipe_for",
    "recipe_words",
    "synced_batch_norm",
    "train",
]

__getattr__ = lazily(
    __name__,
    {
        "checkpoints": "BEST load_best",
        "budget": "Budget TrainMinutes TrainSteps",
        "distillation": "Teacher",
        "evaluation": "AccuracyAndLoss evaluate accuracy_and_loss confusion_matrix",
        "trainer": "Training train",
        "process_group": "LAUNCHED SINGLE_PROCESS ProcessGroup launched_group normalised synced_batch_norm",
        "recalibration": "keep_recalibrated recalibrate",
        "recipe": "Recipe make_recipe recipe_for recipe_words",
    },
)

RECIPES = Registry(
    "recipe",
    {
        "darts-cifar10": "chronas.training.recipe:darts_cifar10",
        "pcdarts-cifar10": "chronas.training.recipe:pcdarts_cifar10",
        "nasbench201": "chronas.training.recipe:nasbench201",
        "cifar10-cpu": "chronas.training.recipe:cifar10_cpu",
        "digits-small": "chronas.training.recipe:digits_small",
        "photos": "chronas.training.recipe:photos",
        "auto": "chronas.training.recipe:auto",
    },
)
