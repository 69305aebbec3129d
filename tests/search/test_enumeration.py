"""The relaxation of small spaces of any shape against all their architectures, written down one by one."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor

from chronas.search import Cost, Relaxation, candidates
from chronas.spaces import Architecture
from toy_space import ToySpace, toy_spaces

few = settings(max_examples=25, deadline=None)
seeds = st.integers(0, 2**32)


def alphas_of(space: ToySpace, seed: int, spread: float = 2.0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    shape = len(space.decisions), len(space.decisions[0].relaxed)
    alphas = spread * torch.randn(shape, generator=generator, dtype=torch.float64)
    edges = spread * torch.randn(shape[0], generator=generator, dtype=torch.float64)
    return alphas.requires_grad_(), edges.requires_grad_()


def score(space: ToySpace, architecture: Architecture, alphas: Tensor, edges: Tensor | None) -> Tensor:
    """The definition: the sum of the chosen log-softmax scores, plus log beta."""
    total = alphas.new_zeros(())
    for group in space.groups:
        for d in group.decisions:
            choice = architecture.choices[d]
            if choice is not None:
                column = len(space.decisions[d].unselectable) + choice
                total = total + alphas[d].exp()[column].log() - alphas[d].exp().sum().log()
                if edges is not None:
                    total = total + edges[d] - edges[list(group.decisions)].exp().sum().log()
    return total


def enumerated(space: ToySpace, alphas: Tensor, edges: Tensor | None) -> tuple[list[Architecture], Tensor]:
    everything = space.everything()
    scores = torch.stack([score(space, architecture, alphas, edges) for architecture in everything])
    return everything, (scores - scores.exp().sum().log()).exp()


@few
@given(space=toy_spaces(), seed=seeds, normalised=st.booleans())
def test_probabilities_are_those_of_the_definition_and_sum_to_one(space: ToySpace, seed: int, normalised: bool) -> None:
    alphas, edges = alphas_of(space, seed)
    beta = edges if normalised else None
    everything, p = enumerated(space, alphas, beta)
    relaxation = Relaxation(space, alphas, beta)
    found = torch.tensor([relaxation.log_probability(each) for each in everything], dtype=torch.float64).exp()
    torch.testing.assert_close(found, p.detach(), rtol=1e-9, atol=1e-12)
    assert float(found.sum()) == pytest.approx(1.0)
    torch.testing.assert_close(relaxation.entropy(), -(p * p.log()).sum())


@few
@given(space=toy_spaces(), seed=seeds, normalised=st.booleans())
def test_marginals_and_the_gradient_of_a_linear_cost_are_exact(space: ToySpace, seed: int, normalised: bool) -> None:
    alphas, edges = alphas_of(space, seed)
    beta = edges if normalised else None
    everything, p = enumerated(space, alphas, beta)
    codes = torch.from_numpy(space.encode(everything)).double()
    relaxation = Relaxation(space, alphas, beta)
    torch.testing.assert_close(relaxation.marginals(), p @ codes)
    slope = torch.randn(space.encoding_length, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    wanted = torch.autograd.grad(p @ (codes @ slope), [alphas, edges], allow_unused=True)
    sampled = (relaxation.sample(3, torch.Generator().manual_seed(seed)) @ slope).mean()
    found = torch.autograd.grad(sampled, [alphas, edges], allow_unused=True)
    torch.testing.assert_close(found[0], wanted[0], rtol=1e-5, atol=1e-9)
    assert (found[1] is None) == (not normalised)
    if normalised:
        torch.testing.assert_close(found[1], wanted[1], rtol=1e-5, atol=1e-9)


@few
@given(space=toy_spaces(), seed=seeds)
def test_the_whole_ranking_is_the_sorted_enumeration(space: ToySpace, seed: int) -> None:
    alphas, edges = alphas_of(space, seed)
    everything, p = enumerated(space, alphas, edges)
    ranked = Relaxation(space, alphas, edges).best(space.cardinality + 5)
    assert len(ranked) == space.cardinality
    assert {architecture for architecture, _ in ranked} == set(everything)
    assert [value for _, value in ranked] == pytest.approx(sorted(p.log().tolist(), reverse=True))


@few
@given(space=toy_spaces(), seed=seeds)
def test_the_mode_is_the_most_probable_of_all(space: ToySpace, seed: int) -> None:
    alphas, edges = alphas_of(space, seed)
    everything, p = enumerated(space, alphas, edges)
    assert Relaxation(space, alphas, edges).mode() == everything[int(p.argmax())]


@few
@given(space=toy_spaces(), seed=seeds)
def test_numbers_codes_and_architectures_name_the_same_thing(space: ToySpace, seed: int) -> None:
    relaxation = Relaxation(space, *alphas_of(space, seed))
    numbers = relaxation.draw(8, torch.Generator().manual_seed(seed))
    architectures = [relaxation.architecture(row) for row in numbers.tolist()]
    assert torch.equal(relaxation.codes(numbers).float(), torch.from_numpy(space.encode(architectures)))
    expected = [relaxation.log_probability(each) for each in architectures]
    assert relaxation.log_probabilities(numbers).tolist() == pytest.approx(expected)


@few
@given(space=toy_spaces(), seed=seeds)
def test_neighbours_are_all_that_differ_in_one_group(space: ToySpace, seed: int) -> None:
    relaxation = Relaxation(space, *alphas_of(space, seed))
    (numbers,) = relaxation.draw(1, torch.Generator().manual_seed(seed))
    here = relaxation.architecture(numbers.tolist())
    found = [relaxation.architecture(row) for row in relaxation.neighbours(numbers).tolist()]

    def distance(other: Architecture) -> int:
        return sum(any(here.choices[d] != other.choices[d] for d in group.decisions) for group in space.groups)

    assert len(found) == len(set(found))
    assert set(found) == {other for other in space.everything() if distance(other) == 1}


def test_samples_follow_the_joint_distribution() -> None:
    """Marginals alone would not see a node whose two edges are drawn one by one."""
    space = ToySpace(((3, 2), (1, 1)), options=2, with_none=True)
    alphas, edges = alphas_of(space, seed=3, spread=0.7)
    everything, p = enumerated(space, alphas, edges)
    relaxation = Relaxation(space, alphas, edges)
    place = {architecture: number for number, architecture in enumerate(everything)}
    drawn = relaxation.draw(20_000, torch.Generator().manual_seed(0))
    counts = torch.zeros(len(everything))
    for row in drawn.tolist():
        counts[place[relaxation.architecture(row)]] += 1
    assert stats.chisquare(counts.numpy(), (p.detach() * len(drawn)).numpy()).pvalue > 1e-3


@few
@given(space=toy_spaces(), seed=seeds, share=st.floats(0.0, 1.0))
def test_candidates_are_exactly_what_is_inside_a_limit_best_first(space: ToySpace, seed: int, share: float) -> None:
    alphas, edges = alphas_of(space, seed)
    slope = torch.rand(space.encoding_length, generator=torch.Generator().manual_seed(seed)).double() + 0.1
    everything, p = enumerated(space, alphas, edges)
    costs = torch.from_numpy(space.encode(everything)).double() @ slope
    limit_ms = float(costs.min()) + share * float(costs.max() - costs.min()) + 1e-9
    latency = {"latency_ms": Cost(lambda codes: codes @ slope, 1.0)}
    found = list(candidates(Relaxation(space, alphas, edges), latency, {"latency_ms": limit_ms}))
    inside = [number for number in range(len(everything)) if float(costs[number]) <= limit_ms]
    assert {each.architecture for each in found} == {everything[number] for number in inside}
    assert len(found) == len(inside)
    wanted = p.detach()[inside].log().sort(descending=True).values.tolist()
    assert [each.log_probability for each in found] == pytest.approx(wanted)


def test_candidates_without_a_limit_are_lazy() -> None:
    """Each chunk is predicted when it is reached, not the whole of a large space before the first answer."""
    space = ToySpace(((3, 2), (2, 1)), options=3, with_none=False)
    asked: list[int] = []

    def cost(codes: Tensor) -> Tensor:
        asked.append(len(codes))
        return codes.sum(dim=1)

    found = candidates(Relaxation(space, *alphas_of(space, 0)), {"latency_ms": Cost(cost, 1.0)}, {})
    assert asked == []
    assert len(list(itertools.islice(found, 3))) == 3
    assert asked == [space.cardinality]
