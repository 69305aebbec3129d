"""The base class of predictors: encodings of architectures -> cost, with a standard deviation.

All costs are in the unit of the learned cost, which `learned` names.

The whole state of a fitted predictor is a dict of tensors. So saving, loading and moving to another device are
implemented here for all predictors, and predictions depend only on what is saved.

Letters: N networks, B batch, W slots of the space's encoding.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar, cast

import numpy as np
import torch
from pydantic import BaseModel, ValidationError
from torch import Tensor

from chronas.arguments import path_of
from chronas.errors import DataError, MismatchError, NotRegisteredError, UsageError
from chronas.files import PREDICTOR_TENSORS, upgraded
from chronas.networks import load_state, save_state
from chronas.predictors import PREDICTORS
from chronas.predictors.rows import (
    EQUIVALENCES,
    Equivalence,
    check_costs,
    check_duplicates,
    represented,
    shared_equivalence,
)
from chronas.progress import Displayed
from chronas.registry import import_path, imported
from chronas.spaces import NetworkSize, Space, space_of_file, space_source
from chronas.units import LATENCY, unit_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from chronas.predictors.evaluation import PredictorReport

State = Mapping[str, Tensor]
Shape = tuple[int | str, ...]
Part = TypeVar("Part")
Result = TypeVar("Result")
SCHEMA = "chronas.predictor/2"
COMPLETE = "complete-table"  # name of the predictor of complete tables, which nobody chooses
EARLIER_SCHEMA = "chronas.predictor/1"  # has other names for keys and tensors; still accepted
FEW = 2000  # networks up to which a fit has small steps
PART = 8192  # networks predicted at once: they fit the caches, and need few turns of the interpreter
NORMAL_90 = 1.6448536269514722  # half-width of a 90 % interval of a normal distribution, in standard deviations


@dataclass(frozen=True)
class Prediction:
    """Predicted costs, in the unit of the cost.

    Attributes:
        mean: predicted costs [N]; they may be zero or negative for degenerate networks.
        std: standard deviations [N], above zero; mean +- 1.645 std contains about 90 % of measurements.
    """

    mean: NDArray[np.float64]
    std: NDArray[np.float64]


class Predictor(Displayed, ABC):
    """A model that learns costs of some architectures of one space and size, and predicts all others.

    Call `fit` once, then `predict` or `cost`. A subclass sets the class variables and implements `_fit`, `_mean`,
    `_std` and `_shapes`.

    Attributes:
        name: the key in `PREDICTORS`.
        Config: class of its settings.
        differentiable: whether `cost` has a gradient, as gradient-based searches need.
        minimum: smallest number of networks for a fit; 2 by default.
        generalises: whether it predicts architectures that it was not fitted on.
        precision: number format of `predict`.
        space: space of the encodings.
        size: size of all networks.
        config: its settings.
        learned: name of the cost that it was fitted on, which ends in the unit: "latency_ms".
        equivalence: the equivalence of architectures that the fitted costs share, see `shared_equivalence`.
        report: report on unseen networks, if it was fitted with one.
    """

    name: ClassVar[str]
    Config: ClassVar[type[BaseModel]]
    differentiable: ClassVar[bool] = True
    minimum: ClassVar[int] = 2
    generalises: ClassVar[bool] = True
    precision: ClassVar[torch.dtype] = torch.float64

    def __init__(self, space: Space, size: NetworkSize, config: BaseModel | None = None) -> None:
        config = self.Config() if config is None else config
        if type(config) is not self.Config:
            raise UsageError(f"predictor {self.name} takes a config of its own, got {type(config).__name__}")
        self.space = space
        self.size = size
        self.config = config
        self.learned = LATENCY
        self.equivalence: Equivalence = ""
        self.report: PredictorReport | None = None
        self._state: dict[str, Tensor] = {}

    @classmethod
    def unavailable(cls) -> str | None:
        """The reason why this predictor cannot be fitted here, in a few words, or None; saved ones always load."""
        return None

    def __repr__(self) -> str:
        of = f"{self.learned} of {self.space.name}"
        if not self._state:
            return f"{type(self).__name__}({of}, not fitted)"
        error = "" if self.report is None else f", {self.report.scores.mape_percent:.1f} % error on unseen networks"
        return f"{type(self).__name__}({of}, median {self.median:.4g} {unit_of(self.learned)}{error})"

    def clone(self) -> Self:
        """An unfitted predictor with the same space, size and config."""
        return type(self)(self.space, self.size, self.config)

    def fit(self, codes: NDArray[np.float32], costs: NDArray[np.float64], *, seed: int, cost: str = LATENCY) -> None:
        """Learn from measured costs; the same data and seed give the same bits.

        Args:
            codes: encodings [N, W].
            costs: measured costs [N], in the unit at the end of `cost`.
            seed: seed of everything random in the fit.
            cost: name of the cost.

        Raises:
            UsageError: the cost's name does not end in its unit, or an extra package is missing.
            MismatchError: the encodings are not of this space.
            DataError: there are too few networks; a cost is not a positive number; all costs are equal; or costs of one
                architecture contradict each other.
        """
        unit = unit_of(cost)
        reason = self.unavailable()
        if reason is not None:
            raise UsageError(f"predictor {self.name} cannot be fitted: {reason}")
        self._checked(codes)
        costs = np.asarray(costs, dtype=np.float64)
        check_costs(costs, len(codes), unit)
        if len(costs) < self.minimum:
            raise DataError(f"{self.name} needs at least {self.minimum} networks, got {len(costs)}: measure more")
        check_duplicates(codes, costs, unit)
        self.equivalence = shared_equivalence(self.space, codes, costs) if self.generalises else ""
        inputs = self._checked(represented(self.space, codes, self.equivalence))
        with one_thread() if len(costs) <= FEW else nullcontext():
            state = self._fit(inputs.to(torch.float64, copy=True), torch.tensor(costs), seed)
        self.learned = cost
        state = {name: tensor.contiguous() for name, tensor in state.items()}  # as in files, for the same bits
        self._state = {**state, "median": torch.tensor(float(np.median(costs)), dtype=torch.float64)}

    def predict(self, codes: NDArray[np.float32]) -> Prediction:
        """Costs of encodings [N, W] with standard deviations, in the unit of `learned`.

        Raises:
            UsageError: the predictor is not fitted.
            MismatchError: the encodings are not of this space.
        """
        self._check_width(codes.shape)
        state = self._fitted(torch.zeros((), dtype=self.precision))
        if not len(codes):
            return Prediction(np.empty(0), np.empty(0))

        def both(part: NDArray[np.float32]) -> tuple[Tensor, Tensor]:
            with torch.no_grad():
                codes = represented(self.space, part, self.equivalence)
                return self._mean_and_std(self._checked(codes).to(self.precision), state)

        parts = _side_by_side(both, [codes[first : first + PART] for first in range(0, len(codes), PART)])
        mean, std = (torch.cat(each).double().numpy() for each in zip(*parts, strict=True))
        return Prediction(mean, std)

    def cost(self, codes: Tensor) -> Tensor:
        """Costs [B] of encodings [B, W], valid or relaxed, with a gradient with respect to the encodings.

        Raises:
            UsageError: the predictor is not fitted or not differentiable.
            MismatchError: the encodings are not of this space.
        """
        if not self.differentiable:
            raise UsageError(f"predictor {self.name} is not differentiable: choose another to search by gradient")
        self._check_width(tuple(codes.shape))
        if self.equivalence:
            forms = represented(self.space, codes.detach().cpu().float().numpy(), self.equivalence)
            codes = torch.from_numpy(forms).to(codes) + (codes - codes.detach())  # with the gradient of the given codes
        return self._mean(codes, self._fitted(codes))

    @property
    def median(self) -> float:
        """The median of the costs that it was fitted on, in the unit of the cost.

        Raises:
            UsageError: the predictor is not fitted.
        """
        return float(self._fitted(torch.zeros((), dtype=torch.float64))["median"])

    def save(self, path: Path) -> None:
        """Write the fitted predictor to one safetensors file; `load_predictor` reads it.

        Raises:
            UsageError: the predictor is not fitted.
            DataError: the file cannot be written.
        """
        path = path_of(path)
        self.median  # noqa: B018 - raises if not fitted
        content = {
            "schema": SCHEMA,
            "predictor": self.name,
            "class": import_path(self),
            "space": self.space.name,
            "space_source": space_source(self.space),
            "size": self.size.model_dump(mode="json"),
            "config": self.config.model_dump(mode="json"),
            "cost": self.learned,
            "equivalence": self.equivalence,
        }
        save_state(path, self._state, content)

    @classmethod
    def restored(cls, path: Path, tensors: State, content: Mapping[str, Any], space: Space | None = None) -> Self:
        """The predictor from a file's tensors and content; called by `load_predictor`.

        Raises:
            DataError: they are not a fitted predictor of this class.
            MismatchError: the file is of another space than the given one, or of another predictor.
            NotRegisteredError: this program does not have the file's space.
        """
        if content.get("schema") not in {SCHEMA, EARLIER_SCHEMA} or not isinstance(content.get("space"), str):
            raise DataError(f"{path} is no predictor of this version ({SCHEMA}): fit and save it again")
        if content.get("predictor") != cls.name:
            raise MismatchError(f"{path} is by predictor {content.get('predictor')}, not {cls.name}: give its class")
        content = upgraded(content)
        space = space_of_file(str(path), content["space"], content.get("space_source", ""), space)
        tensors = {
            ".".join(PREDICTOR_TENSORS.get(part, part) for part in name.split(".")): tensor
            for name, tensor in tensors.items()
        }
        try:
            size = NetworkSize.model_validate(content.get("size"))
            predictor = cls(space, size, cls.Config.model_validate(content.get("config")))
        except ValidationError as error:
            raise DataError(f"{path} has a size or config that {cls.name} does not know: fit again") from error
        if not _fits(tensors, {**predictor._shapes(), "median": ()}):
            raise DataError(f"{path} does not hold the tensors of predictor {cls.name}: fit and save it again")
        if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values()):
            raise DataError(f"{path} holds numbers that are not finite: fit and save it again")
        predictor.learned = content.get("cost", LATENCY)  # files of chronas 0.1.0 have no other
        predictor.equivalence = content.get("equivalence", "")
        if predictor.equivalence not in ("", *EQUIVALENCES):
            raise DataError(f"{path} has the unknown equivalence {predictor.equivalence!r}: fit and save it again")
        try:
            unit_of(predictor.learned)
        except UsageError as error:
            raise DataError(f"{path} cannot be read: {error}; fit again") from error
        predictor._state = dict(tensors)
        return predictor

    @abstractmethod
    def _fit(self, codes: Tensor, costs: Tensor, seed: int) -> dict[str, Tensor]:
        """The float64 state after learning from checked float64 encodings [N, W] and costs [N]."""

    @abstractmethod
    def _mean(self, codes: Tensor, state: State) -> Tensor:
        """Costs [B] of encodings [B, W]; the state has the type and device of the encodings."""

    @abstractmethod
    def _std(self, codes: Tensor, state: State) -> Tensor:
        """Standard deviations [B], above zero, of encodings [B, W]."""

    def _mean_and_std(self, codes: Tensor, state: State) -> tuple[Tensor, Tensor]:
        """Costs and standard deviations for encodings [B, W]; overridden if they share work."""
        return self._mean(codes, state), self._std(codes, state)

    @abstractmethod
    def _shapes(self) -> dict[str, Shape]:
        """The shape of every tensor of the state; a name stands for a size that the fit determines."""

    def _fitted(self, like: Tensor) -> State:
        if not self._state:
            raise UsageError(f"predictor {self.name} is not fitted yet: call fit, or load a saved one")
        return {name: tensor.to(like) for name, tensor in self._state.items()}

    def _checked(self, codes: NDArray[np.float32]) -> Tensor:
        self._check_width(codes.shape)
        if not np.isfinite(codes).all():
            raise DataError("encodings must be finite numbers, got NaN or infinity: encode the architectures again")
        return torch.from_numpy(np.require(codes, requirements=["C", "W"]))  # no copy if possible

    def _check_width(self, shape: tuple[int, ...]) -> None:
        if len(shape) != 2 or shape[1] != self.space.encoding_length:
            expected = f"[N, {self.space.encoding_length}] of space {self.space.name}"
            raise MismatchError(f"expected encodings {expected}, got {list(shape)}: encode with that space")


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one of torch's threads; the threads of small steps wait longer for each other than they work."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _side_by_side(work: Callable[[Part], Result], parts: Sequence[Part]) -> list[Result]:
    """Run the work on all parts, one torch thread each: faster than all threads on each, with the same bits."""
    threads = torch.get_num_threads()
    if threads == 1 or len(parts) == 1:
        return [work(part) for part in parts]
    with one_thread(), ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        return list(pool.map(work, parts))


def _fits(tensors: State, shapes: Mapping[str, Shape]) -> bool:
    """Whether the tensors have these shapes; sizes with the same name must be equal."""
    sizes: dict[str, int] = {}
    return tensors.keys() == shapes.keys() and all(
        tensors[name].dim() == len(shape)
        and all(
            size == (sizes.setdefault(expected, size) if isinstance(expected, str) else expected)
            for size, expected in zip(tensors[name].shape, shape, strict=True)
        )
        for name, shape in shapes.items()
    )


# ----
# Predictors by name, and loading of saved ones.


def predictor_class(predictor: str | type[Predictor]) -> type[Predictor]:
    """The class of a name in `PREDICTORS`; a class is returned unchanged.

    Raises:
        UsageError: there is no such predictor.
    """
    return cast("type[Predictor]", PREDICTORS[predictor]) if isinstance(predictor, str) else predictor


def make_predictor(
    predictor: str | type[Predictor] | Predictor, space: Space, size: NetworkSize, config: BaseModel | None = None
) -> Predictor:
    """An unfitted predictor of the costs of `space` in `size`.

    Args:
        predictor: a name in `PREDICTORS`, a class, or a predictor, whose class and config are used.
        space: space of the encodings.
        size: size of all networks.
        config: an instance of the predictor's own `Config` class; None means its defaults.

    Raises:
        UsageError: there is no such predictor, or the config belongs to another one.
    """
    if isinstance(predictor, Predictor):
        return type(predictor)(space, size, predictor.config if config is None else config)
    return predictor_class(predictor)(space, size, config)


def load_predictor(path: Path, space: Space | None = None, predictor: type[Predictor] | None = None) -> Predictor:
    """Load a predictor that `Predictor.save` wrote; its predictions are bit-identical.

    Args:
        path: the file.
        space: its space; None: the one of that name in `SPACES`.
        predictor: its class; None: the one of its name in `PREDICTORS`.

    Raises:
        DataError: the file is missing, damaged or not a fitted predictor.
        MismatchError: the file is of another space or predictor than the given one.
        NotRegisteredError: the file is of a user's own space or predictor that this program does not have.
    """
    path = path_of(path)
    tensors, content = load_state(path)
    name = content.get("predictor")
    if not isinstance(name, str):
        raise DataError(f"{path} should hold one of the predictors {', '.join(PREDICTORS)}: fit and save one again")
    if predictor is None and name == COMPLETE:
        predictor = imported("chronas.predictors.complete:CompleteTable")
    if predictor is None and name not in PREDICTORS:
        made_by = f" (class {content['class']})" if content.get("class") else ""
        raise NotRegisteredError(
            f"{path} is by predictor {name!r}{made_by}, which is not registered here: give its class as `predictor=`, "
            f"call `chronas.register(class)` first, or install the package with its entry point in {PREDICTORS.group}"
        )
    return (predictor or predictor_class(name)).restored(path, tensors, content, space)
