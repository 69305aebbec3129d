"""The objective of a search: task loss and costs combined by weights, by limits, or both, for any number of costs.

A weight adds weight * E[cost] / median, after LA-DARTS (arXiv 2001.06392); dividing by the table's median makes weights
comparable between tables. A limit adds (m + rho * max(v, 0)) * (E[cost] / limit - 1), where v is the violation: the
cost of the most probable architecture over the limit, minus one. Its multiplier m is learned by ascent on v, after
LightNAS (arXiv 2208.14446), and rho is the penalty of an augmented Lagrangian (Hestenes 1969, Powell 1969): it reacts
to a violation at once, while a multiplier alone needs LightNAS's tens of thousands of steps; rho = 0 is LightNAS. We
differ: a multiplier never falls below zero, so a limit never makes a network slower. Each cost has its own limit and
multiplier; violations are relative, so one rho and one rate fit all. With both weights and limits, the weights still
act inside the limits.
"""

from __future__ import annotations

import functools
import inspect
import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import CodeType
from typing import Annotated

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from chronas.arguments import checked
from chronas.data import Images, Normalisation, spread_batches
from chronas.errors import DataError, UsageError, excerpt
from chronas.files import fingerprint
from chronas.search.relaxation import Relaxation
from chronas.spaces import Architecture

CostFunction = Callable[[Tensor], Tensor]  # encodings [N, W] -> predicted costs [N]
Weight = Annotated[float, Field(ge=0.0, le=1e6)]
Limit = Annotated[float, Field(gt=0.0)]


@dataclass(frozen=True)
class Cost:
    """A cost with its predictor, for a search.

    Attributes:
        predict: frozen predictor, encodings [N, W] -> [N] in the cost's unit; differentiable, if the searcher is
            gradient-based.
        median: median of the table of the fit, in the cost's unit.
    """

    predict: CostFunction
    median: float


class ObjectiveConfig(BaseModel):
    """The influence of costs on a search; costs are named as in `Task.costs`, for example "latency_ms"."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    weights: dict[str, Weight] = Field(default={}, description="weight of each expected cost / its table's median")
    limits: dict[str, Limit] = Field(
        default={}, description="upper limits for the found network, in the unit of each cost"
    )
    samples: int = Field(default=8, ge=1, le=4096, description="architectures sampled for the expected costs of a step")
    multiplier_rate: float = Field(
        default=0.05,
        gt=0.0,
        le=100.0,
        description="rate at which a limit's multiplier follows its relative violation in each step",
    )
    penalty: float = Field(
        default=1.0, ge=0.0, le=1e6, description="weight of the present violation, added to its multiplier (rho)"
    )

    @property
    def asked(self) -> list[str]:
        """The costs that have a part in the search: with a weight above zero or a limit."""
        return list({**{name: weight for name, weight in self.weights.items() if weight > 0}, **self.limits})


def predicted(costs: Mapping[str, Cost], codes: Tensor) -> dict[str, Tensor]:
    """Each cost [N] of encodings [N, W], in its unit.

    Raises:
        DataError: a cost is not a finite number.
    """
    values = {name: cost.predict(codes) for name, cost in costs.items()}
    for name, value in values.items():
        if not bool(torch.isfinite(value).all()):
            raise DataError(f"the predictor gave a {name} that is not a finite number: fit it again on a checked table")
    return values


class Objective:
    """The cost part of a search's objective.

    Attributes:
        config: weights, limits, samples.
        multipliers: present multiplier of each limit; learned, never negative.
    """

    def __init__(self, config: ObjectiveConfig, costs: Mapping[str, Cost]) -> None:
        """Check that all weights and limits can be computed.

        Args:
            config: weights, limits, samples.
            costs: predictable costs by name; costs without weight and limit are only recorded.

        Raises:
            UsageError: a weight or a limit is on a missing cost, or a weight is on a cost without a median.
        """
        weights = {name: weight for name, weight in config.weights.items() if weight > 0}
        for name in config.asked:
            if name not in costs:
                there = ", ".join(costs) or "none"
                raise UsageError(
                    f"a weight or limit on {name} needs a fitted predictor of it, got {there}: run `chronas fit` first"
                )
        for name in weights:
            if not 0 < costs[name].median < float("inf"):
                raise UsageError(
                    f"a weight on {name} needs the median of its table, above zero, got {costs[name].median}"
                )
        self.config = config
        self.multipliers = dict.fromkeys(config.limits, 0.0)
        self._costs = costs
        self._scales = {name: weight / costs[name].median for name, weight in weights.items()}

    @property
    def active(self) -> bool:
        """Whether there is a cost term."""
        return bool(self.config.asked)

    def term(self, relaxation: Relaxation, generator: torch.Generator, *, limited: Relaxation | None = None) -> Tensor:
        """[] the term to add to the validation loss; only an `active` objective has one.

        Args:
            relaxation: the distribution over architectures; the term is differentiable in its alphas.
            generator: draws the sampled architectures, the same ones for all costs.
            limited: distribution whose most probable architecture must keep the limits, if it is not `relaxation`.

        Raises:
            DataError: a prediction is not a finite number.
        """
        assert self.active
        pressing = {name: self._costs[name] for name in self.config.asked}
        codes = relaxation.sample(self.config.samples, generator)
        expected = {name: values.mean() for name, values in predicted(pressing, codes).items()}
        violations = self.violations(limited or relaxation)
        parts = [scale * expected[name] for name, scale in self._scales.items()]
        for name, limit in self.config.limits.items():
            pressure = self.multipliers[name] + self.config.penalty * max(violations[name], 0.0)
            parts.append(pressure * (expected[name] / limit - 1.0))
        return torch.stack(parts).sum()

    def cost_penalty(self, costs: Mapping[str, float]) -> float:
        """The penalty for one architecture's costs: the sum of weight * cost / median; 0 without weights."""
        return sum((scale * costs[name] for name, scale in self._scales.items()), 0.0)

    def violations(self, relaxation: Relaxation) -> dict[str, float]:
        """For each limit, the most probable architecture's cost divided by the limit, minus one."""
        limited = {name: self._costs[name] for name in self.config.limits}
        values = _of_mode(limited, relaxation)
        return {name: values[name] / limit - 1.0 for name, limit in self.config.limits.items()}

    def ascend(self, relaxation: Relaxation) -> None:
        """Update each multiplier by its violation after a step of the alphas; do nothing without limits."""
        for name, violation in self.violations(relaxation).items():
            self.multipliers[name] = max(0.0, self.multipliers[name] + self.config.multiplier_rate * violation)

    def expected(self, relaxation: Relaxation, generator: torch.Generator, samples: int = 256) -> dict[str, float]:
        """Mean of each predicted cost over `samples` sampled architectures, in its unit."""
        if not self._costs:
            return {}
        with torch.no_grad():
            codes = relaxation.sample(samples, generator)
            return {name: float(values.mean()) for name, values in predicted(self._costs, codes).items()}

    def mode(self, relaxation: Relaxation) -> dict[str, float]:
        """Each predicted cost of the most probable architecture, in its unit."""
        return _of_mode(self._costs, relaxation)

    def record(self, relaxation: Relaxation, generator: torch.Generator) -> dict[str, float]:
        """The costs in an epoch's history: `expected_<cost>`, `mode_<cost>`, `multiplier.<cost>`."""
        return {
            **{f"expected_{name}": value for name, value in self.expected(relaxation, generator).items()},
            **{f"mode_{name}": value for name, value in self.mode(relaxation).items()},
            **{f"multiplier.{name}": value for name, value in self.multipliers.items()},
        }


def _of_mode(costs: Mapping[str, Cost], relaxation: Relaxation) -> dict[str, float]:
    code = torch.from_numpy(relaxation.space.encode([relaxation.mode()])) if costs else torch.empty(0)
    with torch.no_grad():
        return {name: float(value) for name, value in predicted(costs, code).items()}


# ----
# Evaluators score architectures: by a user's function, by a table, or by training on images.
#
# A `ScoreFunction` is any function of architectures. An `Evaluator` is the form that black-box searchers use: it may
# need a preparation (training a supernet), reports progress, and keeps its own checkpoints.

SCORED = 500  # images of a batch in scoring; large, because batch norms use the batch's statistics
ScoreFunction = Callable[[Sequence[Architecture]], Sequence[float]]  # quality in percent, higher is better
Steps = Callable[[int, str], None]  # called with the number of steps done and a note


def unheard(done: int, note: str) -> None:  # noqa: ARG001 - the signature of `Steps`
    """Ignore progress."""


@dataclass(frozen=True)
class Score:
    """The score of one architecture.

    Attributes:
        accuracy: validation accuracy in percent, or another score where higher is better; not finite if the
            evaluation failed.
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

    def weights(self, architecture: Architecture) -> dict[str, Tensor] | None:  # noqa: ARG002 - see `NestedSupernet`
        """Trained weights for an architecture's network, by name; None without such weights."""
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
        """Call the function once for all architectures; nan or an infinite number says that one failed.

        Raises:
            DataError: it returns the wrong number of values, or something that is no number.
        """
        given = self._evaluate(architectures)
        try:
            values = [float(value) for value in given]
        except (TypeError, ValueError) as error:
            raise DataError(
                f"the evaluator should give {len(architectures)} numbers, one for each architecture, got "
                f"{excerpt(repr(given))}: correct it and search again"
            ) from error
        if len(values) != len(architectures):
            raise DataError(
                f"the evaluator should give {len(architectures)} numbers, one for each architecture, "
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
    correct = 0
    with torch.no_grad():
        for pixels, labels in spread_batches(images, SCORED, normalisation):
            correct += int((logits(pixels).argmax(1) == labels).sum())
    return 100.0 * correct / len(images)


class TableEvaluator:
    """Known accuracies, such as NAS-Bench-201's, as a `ScoreFunction`."""

    @checked
    def __init__(self, accuracies: Mapping[str, float]) -> None:
        """Store the accuracies in percent, by the architectures' text.

        Raises:
            DataError: one is outside 0..100.
        """
        wrong = [f"{value} for {text}" for text, value in accuracies.items() if not 0 <= value <= 100]
        if wrong:
            raise DataError(f"accuracies should be percent from 0 to 100, got {wrong[0]}")
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
