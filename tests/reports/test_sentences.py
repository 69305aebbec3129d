from __future__ import annotations

from dataclasses import replace

import pytest
from sample import latency, sample_networks, sample_predictor

from chronas.records import Confusion, Estimate
from chronas.reports import Verdict, verdict_on
from chronas.reports.sentences import (
    chance_points,
    compare_accuracy,
    compare_latency,
    count_text,
    number_text,
    predictor_words,
)
from chronas.tables import Repeatability

FOUND, WEIGHT_0, RANDOM_SEARCH, RANDOM = sample_networks("darts", "limit")


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.5123, "0.512"), (4.213, "4.21"), (12.34, "12.3"), (1234.4, "1234"), (0.0, "0.00"), (1.0, "1.00")],
)
def test_numbers_have_three_digits_and_no_exponent(value: float, text: str) -> None:
    assert number_text(value) == text


def told(counts: list[list[int]], **changes: object) -> Verdict:
    names = tuple(f"class {number}" for number in range(len(counts)))
    known = Confusion(names, counts)
    network = replace(FOUND, confusion=known, accuracy_percent=known.accuracy_percent, **changes)  # type: ignore[arg-type]
    images, longer = sum(known.images), "--recipe.epochs, now 6"
    return verdict_on([network], FOUND.name, {"latency_ms": 9.0}, images, statistic="minimum", longer=longer)


def test_beside_the_accuracy_stands_what_guessing_gives_and_beside_the_latency_what_single_runs_take() -> None:
    text = told([[45, 5], [10, 40]]).text
    assert "85.00 % test accuracy (balanced 85.00 %; always naming the largest class gives 50.00 %)" in text
    assert "2.44 ms (fastest run of a round, single runs 2.49, 95 % of them below 2.54, 95 % interval" in text


@pytest.mark.parametrize(
    "counts",
    [
        [[190, 0], [10, 0]],
        [[24, 26, 30, 20, 0]] * 4 + [[20, 20, 20, 16, 24]],
        [[6, 54, 40], [10, 50, 40], [4, 52, 44]],
    ],
    ids=["one class alone", "24 % of five classes", "chance"],
)
def test_a_network_that_guesses_is_no_success(counts: list[list[int]]) -> None:
    verdict = told(counts)
    assert verdict.met is True, "the limit is met all the same"
    assert len(verdict.warnings) == 1
    assert verdict.warnings[0].startswith("This is hardly better than guessing: always naming the largest class is")
    assert "Train longer (--recipe.epochs, now 6), give more images of each class" in verdict.warnings[0]


def test_a_network_that_sees_only_frequent_classes_is_told() -> None:
    counts = [[0] * 20 for _ in range(20)]
    for number, row in enumerate(counts):
        row[number if number < 2 else 0] = 100 if number < 2 else 1
    (warning,) = told(counts).warnings
    assert warning == (
        "It names nearly every image alike: its mean accuracy over classes is 10.0 %. Give more images of the rare "
        "classes."
    )


def test_a_training_that_ended_too_early_is_told() -> None:
    assert told([[45, 5], [10, 40]], still_learning=True).warnings == (
        "Its training ended while its loss was still falling: train longer (--recipe.epochs, now 6).",
    )


def test_counts_have_a_unit() -> None:
    assert [count_text(n) for n in (12, 118_000, 3_349_342, 1.2e9)] == ["12", "118 k", "3.35 M", "1.20 G"]


def test_a_limit_is_met_by_the_upper_end_of_the_interval() -> None:
    high = FOUND.latency.high
    assert verdict_on([FOUND], FOUND.name, {"latency_ms": high}) == Verdict(
        True,
        "Limit of 2.51 ms met: 98.33 % test accuracy at 2.44 ms (single runs 2.49, 95 % of them below 2.54, "
        "95 % interval 2.37 to 2.51 ms).",
    )
    missed = verdict_on([FOUND], FOUND.name, {"latency_ms": (high + FOUND.latency.value) / 2})
    assert missed.met is False
    assert missed.text.startswith("Limit of 2.47 ms missed:")
    assert verdict_on([FOUND], FOUND.name).met is None


def test_the_verdict_compares_with_weight_zero_and_random_search() -> None:
    text = verdict_on(
        [FOUND, WEIGHT_0, RANDOM_SEARCH, RANDOM], FOUND.name, {"latency_ms": 2.6}, test_images=10_000
    ).text
    assert "; 28 % faster than the network searched for accuracy alone and 0.28 points less accurate" in text
    assert "; as fast as the best of random search and 0.55 points more accurate." in text
    assert "a random network" not in text


def test_comparisons_say_slower_equal_and_within_chance() -> None:
    assert compare_latency(WEIGHT_0, FOUND) == "40 % slower than"
    assert compare_latency(FOUND, RANDOM) == "as fast as"
    assert compare_accuracy(FOUND, FOUND, None) == "equally accurate"
    assert compare_accuracy(FOUND, WEIGHT_0, 360) == "0.28 points less accurate (within chance)"
    assert compare_accuracy(FOUND, WEIGHT_0, 100_000) == "0.28 points less accurate"


def test_chance_is_the_binomial_interval_of_a_difference() -> None:
    half = replace(FOUND, accuracy_percent=50.0)
    assert chance_points(half, half, 10_000) == pytest.approx(1.386, abs=1e-3)


@pytest.mark.parametrize(
    ("kendall", "words"),
    [(0.95, "not as well as measuring"), (0.87, " as well as measuring"), (0.7, "better than measuring")],
)
def test_the_predictor_is_judged_by_the_repeatability(kendall: float, words: str) -> None:
    again = Repeatability(kendall=kendall, spearman=0.9, median_difference_percent=2.0, networks=300)
    sentences = predictor_words(replace(sample_predictor("darts"), repeatability=again))
    assert words in sentences[0]
    assert "better than the best simple baseline (lookup" in sentences[1]
    assert "differ by 2.0 % (median)" in sentences[2]


def test_what_is_not_known_of_a_predictor_is_not_claimed() -> None:
    nothing = Repeatability(kendall=None, spearman=None, median_difference_percent=None, networks=0)
    predictor = replace(sample_predictor("darts"), repeatability=nothing, baselines={}, degenerate=("a", "b"))
    text = " ".join(predictor_words(predictor))
    assert "too few networks were measured twice" in text
    assert "baseline" not in text
    assert "halves" not in text
    assert "2 degenerate architectures" in text


def test_latency_of_the_sample_has_an_interval_around_its_value() -> None:
    sample = latency(2.0)
    assert sample.low < sample.value == 2.0 < sample.high


ENERGY = {"energy_mj": Estimate(3.0, 2.9, 3.2, "mJ", predicted=3.1)}


@pytest.mark.parametrize(
    ("limits", "met", "start"),
    [
        ({"latency_ms": 9.0, "energy_mj": 4.0}, True, "Limit of 9.00 ms and 4.00 mJ met: "),
        ({"latency_ms": 9.0, "energy_mj": 3.1}, False, "Limit of 9.00 ms met and limit of 3.10 mJ missed: "),
        ({"energy_mj": 3.2}, True, "Limit of 3.20 mJ met: "),
    ],
    ids=["both", "one", "energy alone"],
)
def test_each_limit_is_judged_by_the_upper_end_of_its_own_cost(limits: dict[str, float], met: bool, start: str) -> None:
    verdict = verdict_on([replace(FOUND, costs={**FOUND.costs, **ENERGY})], FOUND.name, limits)
    assert verdict.met is met
    assert verdict.text.startswith(start)
    assert "and 3.00 mJ (95 % interval 2.90 to 3.20 mJ)" in verdict.text


@pytest.mark.parametrize(("source", "words"), [("table", "the table's own"), ("predicted", "costs are predicted")])
def test_what_was_not_measured_here_is_said_in_the_verdict(source: str, words: str) -> None:
    text = verdict_on([replace(FOUND, costs={"latency_ms": replace(FOUND.latency, source=source)})], FOUND.name).text
    assert "not measured here, as the device is not on this machine" in text
    assert words in text
    assert "not measured" not in verdict_on([FOUND], FOUND.name).text
