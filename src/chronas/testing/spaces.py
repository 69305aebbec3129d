"""The contract of a search space: texts, sampling, encodings, canonical forms, networks, work and supernet."""

from __future__ import annotations

import random
from typing import ClassVar

import numpy as np
import pytest
import torch
from scipy import stats

from chronas.errors import ParseError, UsageError
from chronas.networks import build, count, space_counts
from chronas.spaces import Architecture, NetworkSize, Space
from chronas.supernets import build_supernet, discrete_weights

HOSTILE = ("(" * 4000, "[" * 100_000, "\0", "|" * 2000, "-" * 90_000, "x" * 3000, "", "\n", "é")


class SpaceContract:
    """Checks of one space.

    Attributes:
        space: the space to check.
        size: size of the networks; None: the first of the space's sizes.
    """

    space: ClassVar[Space]
    size: ClassVar[NetworkSize | None] = None

    def test_groups_are_a_partition_of_the_decisions(self) -> None:
        """Each decision is in one group, and names are unique."""
        space = self.space
        assert sorted(d for group in space.groups for d in group.decisions) == list(range(len(space.decisions)))
        assert len({decision.name for decision in space.decisions}) == len(space.decisions)
        assert all(decision.relaxed[-len(decision.options) :] == decision.options for decision in space.decisions)

    @pytest.mark.parametrize("seed", range(10))
    def test_text_and_parse_are_inverse(self, seed: int) -> None:
        """Texts are one line, and are read back with white space around."""
        architecture = self.space.sample(1, seed)[0]
        text = str(architecture)
        assert "\n" not in text
        assert self.space.parse(f"  {text}\n") == architecture
        assert hash(self.space.parse(text)) == hash(architecture)
        assert self.space.architecture(architecture.choices) == architecture

    def test_a_text_with_a_hole_parses_to_a_valid_architecture_or_is_refused(self) -> None:
        """Cut texts are read or refused, and never anything else."""
        generator = random.Random(0)
        for architecture in self.space.sample(min(20, self.space.cardinality), seed=0):
            text = str(architecture)
            start, length = generator.randrange(len(text)), generator.randrange(1, 40)
            try:
                parsed = self.space.parse(text[:start] + text[start + length :])
            except ParseError:
                continue
            assert self.space.architecture(parsed.choices) == parsed

    @pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
    def test_hostile_texts_are_refused_in_a_short_line(self, text: str) -> None:
        """The error of any other text is one short line."""
        with pytest.raises(ParseError) as caught:
            self.space.parse(text)
        assert len(str(caught.value)) < 400
        assert "\n" not in str(caught.value)

    def test_samples_are_distinct_and_continue_with_the_count(self) -> None:
        """A larger sample of a seed begins with the smaller one."""
        count = min(500, self.space.cardinality)
        many, few = self.space.sample(count, seed=3), count // 5
        assert len(set(many)) == count
        assert self.space.sample(few, seed=3) == many[:few]
        assert self.space.sample(few, seed=4) != many[:few]
        assert self.space.sample(count - few, seed=3, exclude=frozenset(many[:few])) == many[few:]

    def test_samples_have_the_shares_of_the_assignments_of_each_group(self) -> None:
        """A chi-square test of each group's assignments; a small space is drawn whole, in another order each time."""
        if self.space.cardinality < 20_000:
            samples = [each for seed in range(200) for each in self.space.sample(1, seed)]
        else:
            samples = self.space.sample(5000, seed=0)
        for group in self.space.groups:
            options = self.space.assignments(group)
            position = {option: number for number, option in enumerate(options)}
            seen = [position[tuple(each.choices[d] for d in group.decisions)] for each in samples]
            if len(options) > 1:
                shares, counts = self.space.shares(group), np.bincount(seen, minlength=len(options))
                assert stats.chisquare(counts, None if shares is None else shares * counts.sum()).pvalue > 1e-5

    def test_more_than_there_are_cannot_be_sampled(self) -> None:
        """The error says how many there are."""
        with pytest.raises(UsageError, match=f"has {self.space.cardinality} architectures"):
            self.space.sample(self.space.cardinality + 1, seed=0)

    def test_an_encoding_has_a_one_for_each_kept_decision(self) -> None:
        """Encodings are float32 [N, W] of zeros and ones."""
        samples = self.space.sample(min(50, self.space.cardinality), seed=1)
        codes = self.space.encode(samples)
        assert codes.shape == (len(samples), self.space.encoding_length)
        assert codes.dtype == np.float32
        for architecture, code in zip(samples, codes, strict=True):
            ones = [self.space.slots[slot] for slot in np.flatnonzero(code)]
            assert ones == [(d, o) for d, o in enumerate(architecture.choices) if o is not None]
        assert self.space.encode([]).shape == (0, self.space.encoding_length)

    def test_features_are_sums_over_slots(self) -> None:
        """Each slot has a part in some feature."""
        features = self.space.feature_map()
        assert features.shape[1] == self.space.encoding_length
        assert np.isfinite(features).all()
        assert (np.abs(features).sum(axis=0) > 0).all()

    @pytest.mark.parametrize("form", ["canonical", "pruned"])
    def test_the_canonical_and_the_pruned_form_are_in_the_space_and_stay(self, form: str) -> None:
        """Both are idempotent."""
        for architecture in self.space.sample(min(50, self.space.cardinality), seed=5):
            reduced: Architecture = getattr(architecture, form)()
            assert getattr(reduced, form)() == reduced
            assert self.space.parse(str(reduced)) == reduced

    def test_all_architectures_are_listed_or_said_to_be_too_many(self) -> None:
        """Official numbers, where there are any, count through the space."""
        if not self.space.listable:
            with pytest.raises(UsageError, match="too many to list"):
                self.space.every()
            return
        every = list(self.space.every())
        assert len(set(every)) == len(every) == self.space.cardinality
        indices = [index for index in map(self.space.index, every) if index is not None]
        assert sorted(indices) in ([], list(range(self.space.cardinality)))

    def test_choices_that_are_no_architecture_are_refused(self) -> None:
        """The error names the decision."""
        architecture = self.space.sample(1, seed=0)[0]
        kept = next(d for d, choice in enumerate(architecture.choices) if choice is not None)

        def changed(choice: int | None) -> list[int | None]:
            return [choice if d == kept else each for d, each in enumerate(architecture.choices)]

        with pytest.raises(UsageError, match="decisions"):
            self.space.architecture(architecture.choices[1:])
        for wrong in (99, -1):
            with pytest.raises(UsageError, match=self.space.decisions[kept].name):
                self.space.architecture(changed(wrong))
        with pytest.raises(UsageError, match="exactly"):
            self.space.architecture(changed(None))

    def test_sizes_have_stems_that_the_topology_has(self) -> None:
        """A published size can be built."""
        assert self.space.sizes
        for size in self.space.sizes.values():
            assert size.stem in self.space.topology.stems
            assert str(size.outputs) in str(size)

    # ---- networks

    @property
    def built(self) -> NetworkSize:
        """The size of the networks."""
        return self.size or next(iter(self.space.sizes.values()))

    def test_networks_give_finite_logits_and_are_counted_alike_one_by_one_and_by_encoding(self) -> None:
        """The work of a space is that of its networks."""
        counts = space_counts(self.space, self.built)
        for architecture in self.space.sample(min(3, self.space.cardinality), seed=7):
            network = build(architecture, self.built, seed=0).eval()
            with torch.no_grad():
                logits = network(torch.zeros(2, *self.built.input_shape))
            assert logits.shape == (2, self.built.outputs)
            assert torch.isfinite(logits).all()
            codes = self.space.encode([architecture])
            found = count(network, self.built.input_shape)
            assert counts.macs(codes)[0] == pytest.approx(found.macs)
            assert counts.parameters(codes)[0] == pytest.approx(found.parameters)

    def test_a_supernet_computes_one_architecture_and_learns(self) -> None:
        """Weights of one architecture give finite logits with a gradient; a space without a supernet says so."""
        try:
            supernet = build_supernet(self.space, self.built, seed=0)
        except UsageError as error:
            assert "supernet" in str(error)  # noqa: PT017 - either is right
            return
        operation_weights, edge_weights = discrete_weights(self.space.sample(1, seed=2)[0])
        logits = supernet(torch.rand(4, *self.built.input_shape), operation_weights, edge_weights)
        assert logits.shape == (4, self.built.outputs)
        assert torch.isfinite(logits).all()
        logits.sum().backward()
        assert any(each.grad is not None and each.grad.abs().sum() > 0 for each in supernet.parameters())
