"""What says how good architectures are: a user's function or table, or images by an evaluator of the search's own.

An `ScoreFunction` is any function of architectures. An `Evaluator` is one that the sampling searchers bring: it may
need a preparation (a supernet is trained), tells of its progress, and keeps its own checkpoints.

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

from chronas.errors import DataError, UsageError
from chronas.files import fingerprint
from chronas.spaces import Architecture

ScoreFunction = Callable[[Sequence[Architecture]], Sequence[float]]  # quality in percent, higher is better
Steps = Callable[[int, str], None]  # told of the steps done and a note


def unheard(done: int, note: str) -> None:  # noqa: ARG001 - the signature of `Steps`
    """Tell nobody."""


@dataclass(frozen=True)
class Score:
    """How good one architecture is.

    Attributes:
        accuracy: validation accuracy in percent, or whatever else is better the higher it is.
        train_loss: of its own training, None where it had none.
        validation_loss: mean cross-entropy in nats, None where it is not known.
    """

    accuracy: float
    train_loss: float | None = None
    validation_loss: float | None = None


class Evaluator(ABC):
    """An evaluator that may train something first; methods in call order.

    Attributes:
        preparation: steps of `prepare`.
        steps: steps of each assessment.
    """

    preparation: int = 0
    steps: int = 1

    @abstractmethod
    def identity(self) -> str:
        """By what two assessors are known to say the same of every architecture."""

    def prepare(self, progress: Steps = unheard) -> None:  # noqa: B027 - most need none
        """Do what is to be done once; what was done before is only loaded. Nothing by default."""

    @abstractmethod
    def evaluate(self, architectures: Sequence[Architecture], progress: Steps = unheard) -> list[Score]:
        """How good each is, in order; after `prepare`."""

    def score(self, architectures: Sequence[Architecture]) -> list[float] | None:  # noqa: ARG002 - see `SinglePathSupernet`
        """Accuracy in percent of each by shared weights; None where there are none."""
        return None

    def close(self) -> None:  # noqa: B027 - most hold nothing
        """Let go of what it holds, such as processes; it can be used again."""

    def __call__(self, architectures: Sequence[Architecture]) -> list[float]:
        """As an `ScoreFunction`, for tasks of other searches."""
        self.prepare()
        return [each.accuracy for each in self.evaluate(architectures)]


class FunctionEvaluator(Evaluator):
    """What the user's own function says."""

    def __init__(self, evaluate: ScoreFunction) -> None:
        self._evaluate = evaluate

    def identity(self) -> str:
        """What the evaluator says of itself, or its name."""
        return evaluator_identity(self._evaluate)

    def evaluate(self, architectures: Sequence[Architecture], progress: Steps = unheard) -> list[Score]:
        """Ask it for all at once.

        Raises:
            DataError: it gives another number of values, or one that is not finite.
        """
        values = [float(value) for value in self._evaluate(architectures)]
        if len(values) != len(architectures) or not all(map(math.isfinite, values)):
            raise DataError(
                f"the evaluator should give {len(architectures)} finite numbers, one for each architecture, "
                f"got {values[:4]}{' ...' if len(values) > 4 else ''} ({len(values)}): correct it and search again"
            )
        progress(len(architectures), "")
        return [Score(value) for value in values]


class TableEvaluator:
    """Accuracies that are known, such as NAS-Bench-201's, as an `ScoreFunction`."""

    def __init__(self, accuracies: Mapping[str, float]) -> None:
        """Take the accuracies in percent by the architectures' text."""
        self._accuracies = dict(accuracies)

    def __call__(self, architectures: Sequence[Architecture]) -> list[float]:
        """The accuracy of each.

        Raises:
            UsageError: the table does not have one.
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
    """By what a checkpoint knows its evaluator: its `identity()`, or the name and the code of a function.

    One that is changed is known as another, as are two lambdas; what a function reads from elsewhere is not looked at.
    An evaluator with an `identity()` of its own says itself when it is the same.
    """
    identity = getattr(evaluate, "identity", None)
    if callable(identity):
        return str(identity())
    name = getattr(evaluate, "__qualname__", type(evaluate).__qualname__)
    return f"function {name} {fingerprint(_code_of(evaluate))}"


def _code_of(evaluate: object) -> list[str]:
    """What a function, a method, an object that can be called, or a `functools.partial` of them does."""
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
