"""The frame of evaluators that train one supernet in the task's folder and score architectures with its weights.

A subclass trains it (`prepare`), scores one architecture (`_score`), and adds its own parts to the checkpoint.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from chronas.data import Batches
from chronas.errors import DataError
from chronas.files import fingerprint, upgraded
from chronas.networks import load_state, save_state
from chronas.search.checks import check_same
from chronas.search.objective import Evaluator, Score, Steps, unheard
from chronas.search.searcher import SearcherConfig, Task
from chronas.spaces import Architecture


class TrainedSupernet(Evaluator):
    """Base of evaluators with a supernet.

    Attributes:
        words: the kind of supernet, for identities and messages.
        settings: the settings that the trained weights depend on.
        file: name of the checkpoint.
        history: a row for each epoch of its training: `epoch`, `train_loss`, `learning_rate`.
    """

    words: ClassVar[str]
    settings: ClassVar[type[SearcherConfig]]
    file: ClassVar[str]
    _batches: Batches
    _optimiser: torch.optim.Optimizer

    def __init__(self, task: Task, config: SearcherConfig) -> None:
        self.history: list[dict[str, Any]] = []
        self._task = task
        self._facts = config.model_dump(mode="json", include=set(self.settings.model_fields))

    @abstractmethod
    def _score(self, architecture: Architecture) -> Score:
        """The score of one architecture by the trained weights."""

    @property
    @abstractmethod
    def _networks(self) -> Mapping[str, nn.Module]:
        """The networks of a checkpoint, by the prefix of their tensors."""

    def identity(self) -> str:
        """The space, the settings of the supernet and the images."""
        return f"{self.words} {fingerprint(self._identity())}"

    def evaluate(self, architectures: Sequence[Architecture], progress: Steps = unheard) -> list[Score]:
        """The validation accuracy in percent of each architecture, and the loss if it is known."""
        found = []
        for architecture in architectures:
            found.append(self._score(architecture))
            progress(len(found), f"validation {found[-1].accuracy:.1f} %")
        return found

    def score(self, architectures: Sequence[Architecture]) -> list[float]:
        """As `evaluate`, after `prepare`, because a finished search that was loaded has not prepared the supernet."""
        self.prepare()
        return [each.accuracy for each in self.evaluate(architectures)]

    def _identity(self) -> dict[str, Any]:
        task, images = self._task, self._task.needed_images()
        return {
            "space": task.space.name,
            "size": task.size.model_dump(mode="json"),
            "config": self._facts,
            "search_train": images.train.checksum(),
            "search_validation": images.validation.checksum(),
            "seed": task.seed,
        }

    def _set_rate(self, rate: float) -> float:
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        return rate

    def _write(self, tensors: Mapping[str, Tensor], content: Mapping[str, Any]) -> None:
        """Write the checkpoint: the networks, and what the subclass adds."""
        networks = {
            f"{prefix}.{name}": value
            for prefix, network in self._networks.items()
            for name, value in network.state_dict().items()
        }
        told = {"identity": self._identity(), "batches": self._batches.state(), "history": self.history}
        save_state(self._task.folder / self.file, {**networks, **tensors}, {**told, **content})

    def _read(self, needed: Sequence[str] = ()) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """Load the last checkpoint, or that of a warm start; returns its content, or None if there is none.

        Args:
            needed: keys that its content must have besides the usual ones.

        Raises:
            DataError: it is damaged, or of another kind.
            MismatchError: it belongs to another supernet.
        """
        path = self._task.folder / self.file
        if not path.exists():
            if self._task.warm_start is None:
                return None
            path = self._task.warm_start
        tensors, content = load_state(path)
        if any(key not in content for key in ("identity", *needed)):
            raise DataError(f"{path} is no checkpoint of a {self.words}: use another folder")
        check_same(upgraded(content["identity"]), self._identity(), path)
        try:
            for prefix, network in self._networks.items():
                network.load_state_dict({name: tensors[f"{prefix}.{name}"] for name in network.state_dict()})
        except (KeyError, RuntimeError) as error:
            raise DataError(f"{path} is of another version of chronas: search again in a new folder") from error
        self._batches.restore(content["batches"])
        self.history[:] = content["history"]
        return tensors, content
