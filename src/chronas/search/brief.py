"""Architectures trained briefly on the deployed skeleton: what each is worth by itself, dear and unbiased."""

from __future__ import annotations

from collections.abc import Sequence

from chronas.files import fingerprint
from chronas.networks import build
from chronas.search.evaluator import Assessed, Assessor, Steps, unheard
from chronas.search.searcher import Task
from chronas.spaces import Architecture
from chronas.training import Recipe, train


class BriefTraining(Assessor):
    """Trains each architecture in a folder of its own, where a training that was stopped goes on."""

    def __init__(self, task: Task, recipe: Recipe) -> None:
        self._task, self._recipe = task, recipe
        self.steps = recipe.epochs * -(-len(task.search_train) // recipe.batch)

    def identity(self) -> str:
        """The recipe, the frame and the images."""
        task = self._task
        images = [task.search_train.checksum(), task.search_validation.checksum()]
        settings = [self._recipe.model_dump(mode="json"), task.skeleton.model_dump(mode="json")]
        return f"brief training {fingerprint([*settings, *images, task.seed])}"

    def assess(self, architectures: Sequence[Architecture], progress: Steps = unheard) -> list[Assessed]:
        """The best validation accuracy of each, and its last training loss; raises as `train`."""
        return [self._train(each, number * self.steps, progress) for number, each in enumerate(architectures)]

    def _train(self, architecture: Architecture, before: int, progress: Steps) -> Assessed:
        task = self._task
        training = train(
            build(architecture, task.skeleton, seed=task.seed),
            task.search_train,
            task.search_validation,
            task.normalisation,
            self._recipe,
            folder=task.folder / f"network-{fingerprint(str(architecture))}",
            seed=task.seed,
            progress=lambda _, done, total, note: progress(before + done, note),  # noqa: ARG005 - a `Progress`
        )
        assert training.best_validation_accuracy is not None
        return Assessed(training.best_validation_accuracy, training.history[-1]["train_loss"])
