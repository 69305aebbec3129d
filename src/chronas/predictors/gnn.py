"""A graph network over the cells, or the chain of blocks, of a space, so that costs depend on neighbouring edges.

Values pass through the graph as data does: each edge transforms the value of its source by its operation, and a node
sums its incoming edges. A second pass goes backwards, so that an operation also depends on its readers. An operation
has the same weights everywhere in a kind of cell, plus a small part for each position. It follows GATES (arXiv
2004.01899), which gates by operations, and BRP-NAS (arXiv 2007.08668), which sums a graph network's outputs over nodes.
Unlike them it learns the residuals of a ridge regression (`cv_ensemble.py`), so that few measurements are enough.

The encoding weighs the operations of an edge, so the output is smooth in it.

Letters: G networks, N rows, W slots, T kinds of operation, S states of all cells, H hidden units, O options of an edge.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import silu

from chronas.predictors.batched_training import Schedule, Weights, best_stage
from chronas.predictors.cv_ensemble import MemberPredictor, MembersConfig, Rest
from chronas.predictors.features import Basis
from chronas.predictors.predictor import Shape, State
from chronas.spaces import Space

NAMES = ("operations", "places", "starts", "onwards", "back", "readout")
SMALL = 0.1  # initial size of a position's part of the weights


class GraphConfig(MembersConfig):
    """Size and training of the graph network."""

    hidden: int = Field(default=16, ge=1, le=256, description="size of a node's value")
    steps: int = Field(
        default=150, ge=20, le=100_000, description="training steps on few rows, up to four times as many on many"
    )
    batch_rows: int = Field(default=1024, ge=16, le=1_000_000, description="most rows of a training step")
    learning_rate: float = Field(default=0.01, gt=0.0, le=1.0, description="highest learning rate of AdamW")
    weight_decay: float = Field(default=1.0, ge=0.0, le=100.0, description="decoupled weight decay of AdamW")


@dataclass(frozen=True)
class Graph:
    """The graph of a space; the states of all its cells are numbered consecutively.

    Attributes:
        edges: (source, target, first slot, end of slots) of each decision; targets ascend within a cell.
        states: number of states, S.
        kinds: index of the kind of operation of each slot [W].
        names: number of kinds of operation, T.
    """

    edges: tuple[tuple[int, int, int, int], ...]
    states: int
    kinds: Tensor
    names: int


class GraphNetwork(MemberPredictor):
    """Ridge regression plus an ensemble of small graph networks, on costs or their logarithms."""

    name = "graph"
    Config = GraphConfig
    config: GraphConfig

    def _learn_rest(self, rest: Rest, generator: torch.Generator) -> dict[str, Tensor]:
        config = self.config
        initial = initial_weights(space_graph(self.space), config.members, config.hidden, generator)
        schedule = Schedule(config.steps, config.batch_rows, config.learning_rate, config.weight_decay)
        stage = best_stage(initial, self._outputs, rest.codes[None], rest, schedule, generator)
        *others, readout = (each.double() for each in stage.weights)
        return dict(zip(NAMES, (*others, stage.share * readout), strict=True))

    def _outputs(self, weights: Weights, codes: Tensor) -> Tensor:
        return outputs(space_graph(self.space), weights, codes)

    def _rest(self, codes: Tensor, inputs: Basis, state: State) -> Tensor:  # noqa: ARG002 - it reads the graph itself
        shared = codes.expand(self.config.members, *codes.shape)
        return self._outputs(tuple(state[name] for name in NAMES), shared)

    def _rest_shapes(self) -> dict[str, Shape]:
        weights = initial_weights(space_graph(self.space), self.config.members, self.config.hidden, torch.Generator())
        return {name: tuple(each.shape) for name, each in zip(NAMES, weights, strict=True)}


@functools.cache
def space_graph(space: Space) -> Graph:
    """The graph of a space's cells, or of its chain of blocks."""
    ends: dict[int, tuple[int, int, str]] = {}
    states = 0
    for cell in space.topology.cells:
        for edge, (source, target) in enumerate(cell.edges):
            ends[cell.decision(edge)] = (states + source, states + target, cell.name)
        states += cell.inputs + cell.nodes
    if not ends:
        ends = {decision: (decision, decision + 1, "") for decision in range(len(space.decisions))}
        states = len(ends) + 1
    edges = []
    for decision, (source, target, _) in sorted(ends.items(), key=lambda each: each[1][1]):
        first = space.offsets[decision]
        edges.append((source, target, first, first + len(space.decisions[decision].options)))
    named = [(ends[decision][2], space.decisions[decision].options[option]) for decision, option in space.slots]
    numbers = {name: number for number, name in enumerate(dict.fromkeys(named))}
    return Graph(tuple(edges), states, torch.tensor([numbers[name] for name in named]), len(numbers))


def initial_weights(graph: Graph, count: int, hidden: int, generator: torch.Generator) -> Weights:
    """Weights of `count` random networks whose output is zero."""
    operations = torch.randn(count, graph.names, hidden, generator=generator)
    places = SMALL * torch.randn(count, len(graph.kinds), hidden, generator=generator)
    onwards, back = (torch.randn(count, hidden, hidden, generator=generator) / hidden**0.5 for _ in range(2))
    starts = torch.zeros(count, 1, 2 * graph.states * hidden)
    return operations, places, starts, onwards, back, torch.zeros(count, 2 * hidden, 1)


def outputs(graph: Graph, weights: Weights, codes: Tensor) -> Tensor:
    """Outputs [G, N] of networks for encodings [G, N, W]."""
    operations, places, starts, onwards, back, readout = weights
    by_slot = operations[:, graph.kinds] + places
    gates = [codes[..., first:last] @ by_slot[:, first:last] for _, _, first, last in graph.edges]
    down, up = starts.view(len(starts), 1, 2, graph.states, -1).unbind(dim=2)
    forth = [(source, target, gate) for (source, target, _, _), gate in zip(graph.edges, gates, strict=True)]
    reverse = [(target, source, gate) for source, target, gate in sorted(forth, key=lambda e: -e[0])]
    total = torch.cat([_passed(forth, down, onwards), _passed(reverse, up, back)], dim=-1)
    return (total @ readout).squeeze(-1)


def _passed(edges: list[tuple[int, int, Tensor]], starts: Tensor, message: Tensor) -> Tensor:
    """Pass values from source to target of each (source, target, gate [G, N, H]); the sum over all reached states.

    Args:
        edges: in an order in which all edges to a state come before the edges from it.
        starts: [G, 1, S, H].
        message: [G, H, H].
    """
    entering: dict[int, Tensor] = {}
    values: dict[int, Tensor] = {}
    for source, target, gate in edges:
        if source not in values:
            values[source] = silu(starts[:, :, source] + entering.get(source, torch.zeros_like(gate)))
        term = gate * (1 + values[source] @ message)
        entering[target] = entering[target] + term if target in entering else term
    reached = [silu(starts[:, :, state] + total) for state, total in entering.items()]
    return torch.stack(reached).sum(dim=0)
