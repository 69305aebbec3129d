"""The base class of search spaces, and the architecture: one valid assignment of all decisions.

A space is pure data: decisions in groups, a topology, a text form. Everything derived from these (counting, uniform
sampling, encodings) is implemented here for all spaces.

    space = make_space("darts")
    architecture = space.sample(1, seed=0)[0]
    assert space.parse(str(architecture)) == architecture
"""

from __future__ import annotations

import functools
import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from chronas.arguments import whole
from chronas.errors import UsageError
from chronas.progress import Displayed
from chronas.spaces.operations import NOTHING
from chronas.spaces.topologies.reachability import passes, reached_states

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from chronas.spaces.topologies import Cell, Topology

Choice = int | None  # the number of an option, or None if the decision is not kept
LISTABLE = 2**17  # spaces up to this size are sampled by one shuffle, so that the last ones come quickly too


@dataclass(frozen=True)
class Decision:
    """One categorical choice.

    Attributes:
        name: unique in the space, for example "normal.3.0".
        options: names of the operations that an architecture can have here.
        unselectable: names that take part in a supernet's softmax, before the options, and are never derived
            (DARTS's `none`).
    """

    name: str
    options: tuple[str, ...]
    unselectable: tuple[str, ...] = ()

    @property
    def relaxed(self) -> tuple[str, ...]:
        """The columns of the alphas: the unselectable operations, then the options."""
        return self.unselectable + self.options


@dataclass(frozen=True)
class Group:
    """Decisions of which an architecture keeps exactly `keep`: the incoming edges of a DARTS node, or a single
    NAS-Bench-201 edge.

    Attributes:
        decisions: their indices in the space, ascending.
        keep: how many of them an architecture keeps.
    """

    decisions: tuple[int, ...]
    keep: int


@dataclass(frozen=True, eq=False)
class Architecture(Displayed):
    """One valid assignment of all decisions of a space; made by `Space.architecture`, `parse` or `sample`.

    Attributes:
        space: the space that it belongs to.
        choices: for each decision, the number of its option, or None if the decision is not kept.
    """

    space: Space
    choices: tuple[Choice, ...]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Architecture) and (self.space.name, self.choices) == (other.space.name, other.choices)

    def __hash__(self) -> int:
        return hash((self.space.name, self.choices))

    def __str__(self) -> str:
        return self.space.text(self)

    def __repr__(self) -> str:
        return f"Architecture({self.space.name}: {self})"

    def operation(self, decision: int) -> str | None:
        """The name of the operation chosen for a decision, or None if the decision is not kept."""
        choice = self.choices[decision]
        return None if choice is None else self.space.decisions[decision].options[choice]

    def connected(self) -> bool:
        """Whether the output of every cell depends on its inputs."""
        return all(passes(cell, self.present(cell)) for cell in self.space.topology.cells)

    def reached(self, cell: Cell) -> set[int]:
        """The states of a cell of the topology that depend on the cell's inputs, including the inputs themselves."""
        return {state for state, there in enumerate(reached_states(cell, self.present(cell))) if there}

    def present(self, cell: Cell) -> list[int]:
        """For each edge of a cell, 1 if it passes something on, else 0 [E]."""
        return [int(self.operation(cell.decision(edge)) not in (None, NOTHING)) for edge in range(len(cell.edges))]

    def canonical(self) -> Architecture:
        """The representative of all architectures that compute the same function; see `Space.canonical`."""
        return self.space.canonical(self)

    def pruned(self) -> Architecture:
        """The representative of all architectures with the same graph; see `Space.pruned`."""
        return self.space.pruned(self)


class Space(ABC):
    """Decisions in groups, a topology, a text form, a canonical form, features.

    A subclass sets the attributes and writes `parse` and `text`; the other methods have defaults.

    Attributes:
        name: the key in `SPACES`.
        decisions: all decisions, in the order of an architecture's choices.
        groups: a partition of the decisions.
        topology: turns decisions into a graph.
        sizes: published sizes by name, the default first.
    """

    name: str
    decisions: tuple[Decision, ...]
    groups: tuple[Group, ...]
    topology: Topology
    sizes: Mapping[str, NetworkSize]

    def __repr__(self) -> str:
        return f"Space({self.name}: {len(self.decisions)} decisions, {self.cardinality:.3g} architectures)"

    @abstractmethod
    def parse(self, text: str) -> Architecture:
        """The architecture of a text form.

        Raises:
            ParseError: the text is malformed, or names an operation or edge that the space does not have.
        """

    @abstractmethod
    def text(self, architecture: Architecture) -> str:
        """The published text form, on one line; `parse` gives the architecture back."""

    def canonical(self, architecture: Architecture) -> Architecture:
        """The representative of an architecture's isomorphism class; by default the architecture itself."""
        return architecture

    def pruned(self, architecture: Architecture) -> Architecture:
        """The representative of the architectures with the same graph once unneeded parts are removed.

        Their costs are the same on a device that declares `prunes_dead_nodes`. By default, this is the architecture
        itself.
        """
        return architecture

    def index(self, architecture: Architecture) -> int | None:  # noqa: ARG002 - for spaces that number theirs
        """The architecture's official number; None if the space has none."""
        return None

    def from_index(self, index: int) -> Architecture:
        """The architecture of an official number.

        Raises:
            UsageError: there is no such number, or the space has no numbers.
        """
        raise UsageError(f"{self.name} has no official numbers, got {index}: give an architecture's text")

    def feature_map(self) -> NDArray[np.float64]:
        """Structure-aware features as a matrix [F, W]: features = encoding @ matrix.T. Each is a sum over slots.

        The default is the encoding itself (F = W).
        """
        return np.eye(self.encoding_length)

    def allows(self, group: Group, choices: Sequence[Choice]) -> bool:  # noqa: ARG002 - for spaces that forbid some
        """Whether choices of a group's decisions, each possible by itself, are possible together; True by default."""
        return True

    def shares(self, group: Group) -> NDArray[np.float64] | None:  # noqa: ARG002 - for spaces that draw otherwise
        """The probability of each assignment of a group in random samples [N]; None, the default: all alike."""
        return None

    # ---- derived from the data above, for every space

    @property
    def cardinality(self) -> int:
        """The number of valid architectures."""
        return math.prod(len(self.assignments(group)) for group in self.groups)

    @property
    def listable(self) -> bool:
        """Whether the space is small enough to list all of its architectures."""
        return self.cardinality <= LISTABLE

    @functools.cached_property
    def slots(self) -> tuple[tuple[int, int], ...]:
        """(decision, option) of each of the W slots of the encoding, ascending."""
        return tuple((d, o) for d, decision in enumerate(self.decisions) for o in range(len(decision.options)))

    @property
    def encoding_length(self) -> int:
        """W, the length of the encoding: DARTS 196, NAS-Bench-201 30."""
        return len(self.slots)

    @functools.cached_property
    def offsets(self) -> tuple[int, ...]:
        """The first slot of each decision."""
        lengths = [len(decision.options) for decision in self.decisions]
        return tuple(itertools.accumulate(lengths[:-1], initial=0))

    @functools.cache  # noqa: B019 - spaces are singletons and live as long as the process
    def assignments(self, group: Group) -> tuple[tuple[Choice, ...], ...]:
        """All valid choices of a group's decisions, in a fixed order; a DARTS node has at most 490."""
        found: list[tuple[Choice, ...]] = []
        for kept in itertools.combinations(group.decisions, group.keep):
            ranges: list[Sequence[Choice]] = [
                range(len(self.decisions[d].options)) if d in kept else (None,) for d in group.decisions
            ]
            found.extend(each for each in itertools.product(*ranges) if self.allows(group, each))
        return tuple(found)

    def architecture(self, choices: Sequence[Choice]) -> Architecture:
        """The architecture with these choices, one for each decision.

        Raises:
            UsageError: the wrong number of choices, an option that does not exist, or a group with too few or many.
        """
        if not isinstance(choices, Sequence) or isinstance(choices, str):
            raise UsageError(f"choices should be one number for each decision, got {choices!r}")
        if len(choices) != len(self.decisions):
            raise UsageError(f"{self.name} has {len(self.decisions)} decisions, got {len(choices)} choices")
        for decision, choice in zip(self.decisions, choices, strict=True):
            if choice is not None and not (
                isinstance(choice, int | np.integer) and 0 <= choice < len(decision.options)
            ):
                raise UsageError(f"decision {decision.name} has options 0..{len(decision.options) - 1}, got {choice!r}")
        for group in self.groups:
            kept = sum(choices[d] is not None for d in group.decisions)
            if kept != group.keep:
                names = ", ".join(self.decisions[d].name for d in group.decisions)
                raise UsageError(f"of {names} exactly {group.keep} must be kept, got {kept}")
            here = [choices[d] for d in group.decisions]
            if not self.allows(group, here):
                given = zip(group.decisions, here, strict=True)
                text = ", ".join(f"{self.decisions[d].name}={self.decisions[d].options[c or 0]}" for d, c in given)
                raise UsageError(f"{self.name} has no architecture with {text} together")
        return Architecture(self, tuple(choices))

    def sample(self, count: int, seed: int, exclude: frozenset[Architecture] = frozenset()) -> list[Architecture]:
        """Architectures as `draw` gives them, distinct, in an order that depends on `seed` alone.

        A larger `count` with the same seed continues the same list.

        Raises:
            UsageError: more architectures are asked for than the space has.
        """
        count, seed = whole(count, "count"), whole(seed, "seed")
        if count + len(exclude) > self.cardinality:
            asked = count + len(exclude)
            raise UsageError(f"{self.name} has {self.cardinality} architectures, asked for {asked}: ask for fewer")
        found: dict[Architecture, None] = {}
        stream = self._stream(np.random.default_rng(seed))
        while len(found) < count:
            architecture = next(stream)
            if architecture not in exclude:
                found.setdefault(architecture)
        return list(found)

    def every(self) -> Iterator[Architecture]:
        """All architectures, once each, in a fixed order.

        Raises:
            UsageError: the space has too many architectures.
        """
        if not self.listable:
            raise UsageError(
                f"{self.name} has {self.cardinality:.1e} architectures, too many to list: take a sample of them"
            )
        return map(self._numbered, range(self.cardinality))

    def first(self) -> Architecture:
        """The architecture made of the first assignment of every group."""
        return self._picked([0] * len(self.groups))

    def _stream(self, generator: np.random.Generator) -> Iterator[Architecture]:
        """Architectures in random order: each once if the space is small enough to shuffle, else independent draws."""
        if self.listable:
            yield from (self._numbered(int(number)) for number in generator.permutation(self.cardinality))
        while True:
            yield self.draw(generator)

    def _numbered(self, number: int) -> Architecture:
        """The architecture of a number in 0..cardinality - 1; its digits are the groups' assignments."""
        picks = []
        for group in self.groups:
            number, pick = divmod(number, len(self.assignments(group)))
            picks.append(pick)
        return self._picked(picks)

    def _picked(self, picks: Sequence[int]) -> Architecture:
        """The architecture with these assignments, one index for each group."""
        choices: list[Choice] = [None] * len(self.decisions)
        for group, pick in zip(self.groups, picks, strict=True):
            for decision, choice in zip(group.decisions, self.assignments(group)[pick], strict=True):
                choices[decision] = choice
        return Architecture(self, tuple(choices))

    def draw(self, generator: np.random.Generator) -> Architecture:
        """One architecture: each group's assignment is drawn uniformly, or by its `shares`."""
        return self._picked([self._pick(group, generator) for group in self.groups])

    def _pick(self, group: Group, generator: np.random.Generator) -> int:
        count, shares = len(self.assignments(group)), self.shares(group)
        if shares is None:
            return int(generator.integers(count))
        return min(int(np.searchsorted(np.cumsum(shares), generator.random(), side="right")), count - 1)

    def encode(self, architectures: Sequence[Architecture]) -> NDArray[np.float32]:
        """Encodings [N, W]: one at the chosen option of each decision; all zeros for a decision that is not kept."""
        codes = np.zeros((len(architectures), self.encoding_length), dtype=np.float32)
        for row, architecture in enumerate(architectures):
            for offset, choice in zip(self.offsets, architecture.choices, strict=True):
                if choice is not None:
                    codes[row, offset + choice] = 1.0
        return codes


# ----
# The size of a network: the properties that a space leaves open and that the task and its data fix.


MOST_PIXELS = 64 * 1024 * 1024  # values of one image in all channels; a network needs many times their memory
Extent = Annotated[int, Field(ge=1, le=65_536)]


class NetworkScale(BaseModel):
    """The part of a network's size that does not depend on its data."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    width: int = Field(default=36, ge=1, le=1024, description="channels of the first cells (C), or of the stem")
    depth: int = Field(
        default=20,
        ge=1,
        le=200,
        description="number of cells (nasbench201: cells in each stage; chains of layers: repetitions of each block)",
    )
    stem: str = Field(
        default="cifar",
        min_length=1,
        description="kind of first layers, one that the space has; cifar keeps the image's size",
    )

    def for_data(self, input_shape: tuple[int, int, int], outputs: int) -> NetworkSize:
        """The size for data with this input shape [C, H, W] and number of classes."""
        return NetworkSize(
            input_shape=input_shape, outputs=outputs, **self.model_dump(include={"width", "depth", "stem"})
        )


class NetworkSize(NetworkScale):
    """The size at which an architecture is built; `space.sizes` has published sizes by name."""

    input_shape: tuple[Extent, Extent, Extent] = Field(description="channels, height, width of one image, in pixels")
    outputs: int = Field(ge=2, le=1_000_000, description="number of outputs, for classification the number of classes")
    width: int = Field(ge=1, le=1024, description="channels of the first cells (C), or of the stem")
    depth: int = Field(
        ge=1,
        le=200,
        description="number of cells (nasbench201: cells in each stage; chains of layers: repetitions of each block)",
    )

    @model_validator(mode="after")
    def _check_extent(self) -> NetworkSize:
        if math.prod(self.input_shape) > MOST_PIXELS:
            raise ValueError(f"an image should have at most {MOST_PIXELS:,} values, got {self.input_shape}")
        return self

    def __str__(self) -> str:
        shape = "x".join(map(str, self.input_shape))
        return f"{self.stem} stem, width {self.width}, depth {self.depth}, {shape} -> {self.outputs} classes"
