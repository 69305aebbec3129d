"""Proving one network: train it from scratch by a recipe, resumable to the bit, and count what it gets right.

training = train(network, images, validation, normalisation, make_recipe("digits-small"), folder=folder, seed=0)
accuracy_percent = evaluate(network, dataset.test, normalisation)
"""

from __future__ import annotations

from collections.abc import Callable

from chronas.registry import Registry
from chronas.training.checkpoints import BEST, load_best
from chronas.training.evaluation import Verdict, evaluate, judge
from chronas.training.process_group import LAUNCHED, SINGLE_PROCESS, ProcessGroup, launched_group
from chronas.training.recipe import Recipe
from chronas.training.sync_batch_norm import normalised, synced_batch_norm
from chronas.training.trainer import Training, train

__all__ = [
    "SINGLE_PROCESS",
    "BEST",
    "RECIPES",
    "LAUNCHED",
    "ProcessGroup",
    "Recipe",
    "Training",
    "Verdict",
    "evaluate",
    "judge",
    "launched_group",
    "load_best",
    "make_recipe",
    "normalised",
    "synced_batch_norm",
    "train",
]

RECIPES = Registry(
    "recipe",
    {
        "darts-cifar10": "chronas.training.recipe:darts_cifar10",
        "pcdarts-cifar10": "chronas.training.recipe:pcdarts_cifar10",
        "nasbench201": "chronas.training.recipe:nasbench201",
        "cifar10-cpu": "chronas.training.recipe:cifar10_cpu",
        "digits-small": "chronas.training.recipe:digits_small",
    },
)


def make_recipe(name: str) -> Recipe:
    """The recipe of a name in `RECIPES`.

    Raises:
        UsageError: there is no such recipe.
    """
    preset: Callable[[], Recipe] = RECIPES[name]
    return preset()
