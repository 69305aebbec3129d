"""Evaluators score architectures: by a user's function, by a table, or by training on images.

A `ScoreFunction` is any function of architectures. An `Evaluator` is the form that black-box searchers use: it may need
a preparation (training a supernet), reports progress, and keeps its own checkpoints.

accuracies = TableEvaluator({"|nor_conv_3x3~0|+...": 93.1, ...})
found = make_searcher("evolution").search(replace(task, evaluate=accuracies))
"""

from __future__ import annotations

import functools
import inspect
import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import CodeType

import torch
from torch import Tensor

from chronas.data import Images, Normalisation, every_batch
from chronas.errors import DataError, UsageError
from chronas.files import fingerprint
from chronas.spaces import Architecture

SCORED = 500  # images of a batch in scoring; large, because batch norms use the batch's statistics
ScoreFunction = Callable[[Sequence[Architecture]], Sequence[float]]  # quality in percent, higher is better
Steps = Callable[[int, str], None]  # called with the number of steps done and a note


def unheard(done: int, note: str) -> None:  # noqa: ARG001 - the signature of `Steps`
    """Ignore progress."""


@dataclass(frozen=True)
class Score:
    """The score of one architecture.

    Attributes:
        accuracy: validation accuracy in percent, or another score where higher is better.
        train_loss: loss of its own training; None without such training.
        validation_loss: mean cross-entropy in nats; None if unknown.
    """

    accuracy: float
    train_loss: float | None = None
    validation_loss: float | None = None


class Evaluator(ABC):
    """Base of evaluators, which may train something first; methods are listed in call order.

    Attributes:
        preparation: number of steps of `prepare`.
        steps: number of steps of each evaluation.
    """

    preparation: int = 0
    steps: int = 1

    @abstractmethod
    def identity(self) -> str:
        """A text that is equal for two evaluators only if they give the same scores."""

    def prepare(self, progress: Steps = unheard) -> None:  # noqa: B027 - most need none
        """Do one-time work; earlier work is only loaded. Nothing by default."""

    @abstractmethod
    def evaluate(self, architectures: Sequence[Architecture], progress: Steps = unheard) -> list[Score]:
        """The score of each architecture, in order; call `prepare` first."""

    def score(self, architectures: Sequence[Architecture]) -> list[float] | None:  # noqa: ARG002 - see `SinglePathSupernet`
        """Accuracy in percent of each architecture by shared weights; None without shared weights."""
        return None

    def close(self) -> None:  # noqa: B027 - most hold nothing
        """Release resources such as processes; the evaluator can be used again."""

    def __call__(self, architectures: Sequence[Architecture]) -> list[float]:
        """Scores as a `ScoreFunction`, for tasks of other searches."""
        self.prepare()
        return [each.accuracy for each in self.evaluate(architectures)]


class FunctionEvaluator(Evaluator):
    """An evaluator that calls the user's own function."""

    def __init__(self, evaluate: ScoreFunction) -> None:
        self._evaluate = evaluate

    def identity(self) -> str:
        """The identity of the user's function; see `evaluator_identity`."""
        return evaluator_identity(self._evaluate)

    def evaluate(self, architectures: Sequence[Architecture], progress: Steps = unheard) -> list[Score]:
        """Call the function once for all architectures.

        Raises:
            DataError: it returns the wrong number of values, or one that is not finite.
        """
        values = [float(value) for value in self._evaluate(architectures)]
        if len(values) != len(architectures) or not all(map(math.isfinite, values)):
            raise DataError(
                f"the evaluator should give {len(architectures)} finite numbers, one for each architecture, "
                f"got {values[:4]}{' ...' if len(values) > 4 else ''} ({len(values)}): correct it and search again"
            )
        progress(len(architectures), "")
        return [Score(value) for value in values]


def accuracy_of(logits: Callable[[Tensor], Tensor], images: Images, normalisation: Normalisation) -> float:
    """Accuracy in percent of a function that returns logits, on large batches of nearly equal size.

    A supernet's batch norms use the statistics of the batch, so its size matters: at most `SCORED` images.

    Args:
        logits: images [B, C, H, W] -> [B, classes].
        images: all of them are used once.
        normalisation: normalisation of the images.
    """
    batch = -(-len(images) // -(-len(images) // SCORED))
    correct = 0
    with torch.no_grad():
        for pixels, labels in every_batch(images, batch, normalisation):
            correct += int((logits(pixels).argmax(1) == labels).sum())
    return 100.0 * correct / len(images)


class TableEvaluator:
    """Known accuracies, such as NAS-Bench-201's, as a `ScoreFunction`."""

    def __init__(self, accuracies: Mapping[str, float]) -> None:
        """Store the accuracies in percent, by the architectures' text."""
        self._accuracies = dict(accuracies)

    def __call__(self, architectures: Sequence[Architecture]) -> list[float]:
        """The accuracy of each architecture.

        Raises:
            UsageError: the table lacks one of them.
        """
        missing = next((each for each in architectures if str(each) not in self._accuracies), None)
        if missing is not None:
            raise UsageError(
                f"the table has {len(self._accuracies)} accuracies, but not of {missing}: take one of the whole space"
            )
        return [self._accuracies[str(each)] for each in architectures]

    @functools.cached_property
    def _identity(self) -> str:
        return f"table {fingerprint(self._accuracies)}"

    def identity(self) -> str:
        """A checksum of all accuracies."""
        return self._identity


def evaluator_identity(evaluate: ScoreFunction) -> str:
    """The identity of an evaluator in a checkpoint: its `identity()`, or the name and the bytecode of a function.

    A changed function has another identity, and so have two lambdas. Data that a function reads from elsewhere is not
    considered. An evaluator with its own `identity()` decides itself.
    """
    identity = getattr(evaluate, "identity", None)
    if callable(identity):
        return str(identity())
    name = getattr(evaluate, "__qualname__", type(evaluate).__qualname__)
    return f"function {name} {fingerprint(_code_of(evaluate))}"


def _code_of(evaluate: object) -> list[str]:
    """The bytecode of a function, a method, a callable object, or a `functools.partial` of them, as texts."""
    if isinstance(evaluate, functools.partial):
        return [*_code_of(evaluate.func), repr(evaluate.args), repr(sorted(evaluate.keywords.items()))]
    function = evaluate if inspect.isroutine(evaluate) else type(evaluate).__call__
    code = getattr(inspect.unwrap(function), "__code__", None)
    return [] if code is None else _texts(code)


def _texts(code: CodeType) -> list[str]:
    return [code.co_code.hex(), *code.co_names, *itertools.chain.from_iterable(map(_constant, code.co_consts))]


def _constant(value: object) -> list[str]:
    if isinstance(value, CodeType):
        return _texts(value)
    return sorted(map(repr, value)) if isinstance(value, frozenset) else [repr(value)]  # sets have no order
