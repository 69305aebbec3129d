"""Alphas as a distribution over valid architectures, whose mode is DARTS's derivation (DARTS: arXiv 1806.09055).

p(a) is proportional to exp(sum of the scores of the options of a), over *valid* architectures only. The score of an
option is its log-softmax on its edge, with the unselectable `none` in the softmax; PC-DARTS (arXiv 1907.05737) adds log
beta, the log-softmax of its edge among the incoming edges of the node. Groups are independent and small (a DARTS node
has at most 490 valid choices), so probabilities and marginals are exact by enumeration. LA-DARTS (arXiv 2001.06392)
also samples from p, but does not say how gradients pass; here each code is hard + (q - q.detach()) with the exact
marginals q, which makes the gradient of a linear cost exact for every sample.

Letters: `D` decisions, `O` the largest number of relaxed options of a decision, `W` slots of the encoding, `G` groups,
`N` choices of a group (padded), `K` kept, `M` architectures.
"""

from __future__ import annotations

import functools
import heapq
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from chronas.errors import UsageError
from chronas.spaces import Architecture, Choice, Space

PADDING = -1e4  # alpha of a column that a decision with fewer options does not have: its softmax is exactly zero


@dataclass(frozen=True)
class Choices:
    """All valid choices of all groups of a space as index tensors; slot W means nothing and has score zero.

    Attributes:
        slots: [G, N, K] the slots that a choice of a group sets.
        valid: [G, N] False for choices that a group does not have.
        columns: [D, O] False for relaxed options that a decision does not have.
        decision_of: [W] decision of each slot.
        column_of: [W] column in the alphas of each slot.
        group_of: [D] group of each decision.
        position: for each group, its choices -> their index.
    """

    slots: Tensor
    valid: Tensor
    columns: Tensor
    decision_of: Tensor
    column_of: Tensor
    group_of: Tensor
    position: tuple[dict[tuple[Choice, ...], int], ...]


@functools.cache
def choices_of(space: Space) -> Choices:
    """The index tensors of a space, created once."""
    assignments = [space.assignments(group) for group in space.groups]
    longest, kept = max(map(len, assignments)), max(group.keep for group in space.groups)
    slots = torch.full((len(space.groups), longest, kept), space.encoding_length)
    for g, group in enumerate(space.groups):
        for n, choices in enumerate(assignments[g]):
            chosen = [space.offsets[d] + c for d, c in zip(group.decisions, choices, strict=True) if c is not None]
            slots[g, n, : len(chosen)] = torch.tensor(chosen)
    widths = torch.tensor([len(decision.relaxed) for decision in space.decisions])
    group_of = {d: g for g, group in enumerate(space.groups) for d in group.decisions}
    return Choices(
        slots=slots,
        valid=torch.arange(longest) < torch.tensor([[len(each)] for each in assignments]),
        columns=torch.arange(int(widths.max())) < widths[:, None],
        decision_of=torch.tensor([d for d, _ in space.slots]),
        column_of=torch.tensor([len(space.decisions[d].unselectable) + o for d, o in space.slots]),
        group_of=torch.tensor([group_of[d] for d in range(len(space.decisions))]),
        position=tuple({choices: n for n, choices in enumerate(each)} for each in assignments),
    )


def padded(space: Space, alphas: Tensor) -> Tensor:
    """Alphas [D, O] with `PADDING` in the columns that a decision does not have.

    Raises:
        UsageError: the alphas have another shape.
    """
    columns = choices_of(space).columns
    if alphas.shape != columns.shape:
        raise UsageError(f"alphas of {space.name} have shape {tuple(columns.shape)}, got {tuple(alphas.shape)}")
    return alphas if bool(columns.all()) else alphas.masked_fill(~columns, PADDING)


def listed(space: Space, alphas: Tensor) -> list[Any]:
    """Alphas [D, O] as nested lists, where each row has only its decision's options."""
    rows: list[Any] = alphas.tolist()
    if bool(choices_of(space).columns.all()):
        return rows
    return [row[: len(decision.relaxed)] for row, decision in zip(rows, space.decisions, strict=True)]


class Relaxation:
    """Alphas as weights for the supernet, and as a distribution over architectures to sample and to rank."""

    def __init__(self, space: Space, alphas: Tensor, edge_alphas: Tensor | None = None) -> None:
        """Enumerate every group once.

        Args:
            space: the space of the alphas' decisions.
            alphas: [D, O] one row for each decision, columns as in `Decision.relaxed`; columns that a decision lacks
                are ignored.
            edge_alphas: [D] PC-DARTS's edge normalisation, or None.

        Raises:
            UsageError: the alphas have another shape.
        """
        self.space = space
        self.alphas = alphas = padded(space, alphas)
        self.edge_alphas = edge_alphas
        self._choices = choices_of(space)
        scores = alphas.log_softmax(dim=1)[self._choices.decision_of, self._choices.column_of]
        if edge_alphas is not None:
            scores = scores + self._log_edge_weights(edge_alphas)[self._choices.decision_of]
        joint = torch.cat([scores, scores.new_zeros(1)])[self._choices.slots].sum(dim=2)
        self._log_p = joint.masked_fill(~self._choices.valid, -torch.inf).log_softmax(dim=1)  # [G, N]

    def operation_weights(self) -> Tensor:
        """[D, O] the weight of each operation on its edge; each row sums to one."""
        return self.alphas.softmax(dim=1)

    def edge_weights(self) -> Tensor | None:
        """[D] the weight of each edge, summing to one in each group; None without edge normalisation."""
        return None if self.edge_alphas is None else self._log_edge_weights(self.edge_alphas).exp()

    def _log_edge_weights(self, edge_alphas: Tensor) -> Tensor:
        among = torch.arange(len(self.space.groups))[:, None] == self._choices.group_of  # [G, D]
        return (
            edge_alphas.expand(among.shape)
            .masked_fill(~among, -torch.inf)
            .log_softmax(dim=1)[self._choices.group_of, torch.arange(len(edge_alphas))]
        )

    def marginals(self) -> Tensor:
        """[W] the exact probability q that an architecture from p has a slot, differentiable in the alphas."""
        slots = self._choices.slots
        spread = self._log_p.exp()[:, :, None].expand(slots.shape)
        return spread.new_zeros(self.space.encoding_length + 1).index_add(0, slots.flatten(), spread.flatten())[:-1]

    def entropy(self) -> Tensor:
        """[] the entropy of p in nats."""
        return -(self._log_p.exp() * self._log_p.masked_fill(~self._choices.valid, 0.0)).sum()

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        """[M, W] encodings of `count` independent exact samples from p; each carries the gradient of q."""
        marginals = self.marginals()
        return self.codes(self.draw(count, generator)) + (marginals - marginals.detach())

    def mode(self) -> Architecture:
        """The most probable architecture: DARTS's derivation."""
        return self.architecture(self.mode_numbers().tolist())

    def best(self, count: int) -> list[tuple[Architecture, float]]:
        """The `count` most probable architectures with their log-probability, best first; fewer in a smaller space."""
        return [(self.architecture(numbers), log_p) for numbers, log_p in itertools.islice(self.ranked(), count)]

    def log_probability(self, architecture: Architecture) -> float:
        """The natural logarithm of p for an architecture of this space."""
        numbers = [
            positions[tuple(architecture.choices[d] for d in group.decisions)]
            for group, positions in zip(self.space.groups, self._choices.position, strict=True)
        ]
        return float(self.log_probabilities(torch.tensor([numbers]))[0].detach())

    # ---- architectures as numbers [G]: the index of each group's choice among its valid ones

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """[M, G] the numbers of `count` independent samples from p."""
        return torch.multinomial(self._log_p.detach().exp(), count, replacement=True, generator=generator).T

    def mode_numbers(self) -> Tensor:
        """[G] the numbers of the most probable architecture."""
        return self._log_p.detach().argmax(dim=1)

    def architecture(self, numbers: Sequence[int]) -> Architecture:
        """The architecture with numbers [G]."""
        choices: dict[int, Choice] = {}
        for group, number in zip(self.space.groups, numbers, strict=True):
            choices.update(zip(group.decisions, self.space.assignments(group)[number], strict=True))
        return Architecture(self.space, tuple(choices[d] for d in range(len(choices))))

    def codes(self, numbers: Tensor) -> Tensor:
        """[M, W] encodings of the architectures with numbers [M, G]."""
        slots = self._choices.slots[torch.arange(numbers.shape[1]), numbers]  # [M, G, K]
        codes = self.alphas.new_zeros(len(numbers), self.space.encoding_length + 1)
        return codes.scatter_(1, slots.flatten(1), 1.0)[:, :-1]

    def log_probabilities(self, numbers: Tensor) -> Tensor:
        """[M] the natural logarithm of p for the architectures with numbers [M, G], differentiable in the alphas."""
        return self._log_p[torch.arange(numbers.shape[1]), numbers].sum(dim=1)

    def neighbours(self, numbers: Tensor) -> Tensor:
        """[V, G] all architectures that differ from numbers [G] in one group: 1,960 in DARTS, 24 in NAS-Bench-201."""
        others = self._choices.valid.clone()
        others[torch.arange(len(numbers)), numbers] = False
        group, number = others.nonzero(as_tuple=True)
        around = numbers.repeat(len(group), 1)
        around[torch.arange(len(group)), group] = number
        return around

    def ranked(self) -> Iterator[tuple[tuple[int, ...], float]]:
        """Numbers [G] of all architectures with their log-probability, most probable first, exactly and lazily.

        A tuple of ranks, one for each group, is pushed only by the tuple whose last non-zero rank is one less. So each
        tuple is pushed once, and always after one that is at least as probable.
        """
        ordered = self._log_p.detach().double().sort(dim=1, descending=True, stable=True)
        values, numbers = ordered.values.tolist(), ordered.indices.tolist()
        sizes = self._choices.valid.sum(dim=1).tolist()
        heap = [(-sum(row[0] for row in values), (0,) * len(sizes))]
        while heap:
            cost, ranks = heapq.heappop(heap)
            yield tuple(numbers[g][rank] for g, rank in enumerate(ranks)), -cost
            last = max((g for g, rank in enumerate(ranks) if rank), default=0)
            for g in range(last, len(ranks)):
                if ranks[g] + 1 < sizes[g]:
                    step = values[g][ranks[g]] - values[g][ranks[g] + 1]
                    heapq.heappush(heap, (cost + step, (*ranks[:g], ranks[g] + 1, *ranks[g + 1 :])))
