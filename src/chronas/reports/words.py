"""What the numbers of a report mean, in sentences: the verdict, comparisons of networks, quality of the predictor."""

from __future__ import annotations

import math
from collections.abc import Sequence

from chronas.predictors import PredictorReport
from chronas.reports.report import TrainedNetwork, Verdict

NORMAL_975 = 1.959964  # the normal distribution's 0.975 quantile
AS_WELL = 0.03  # Kendall's tau within this of the repeatability counts as equal: about one standard error at 400 networks
ROLE_WORDS = {
    "weight-0": "the network searched without a latency term",
    "latency-term": "the network searched with the latency term",
    "limit": "the network searched within the limit",
    "random": "a random network of about equal latency",
    "random-search": "the best of random search",
}


def number_text(value: float) -> str:
    """Three significant digits, never an exponent: `0.512`, `4.21`, `12.3`, `1234`."""
    digits = 2 if value == 0 else max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:.{digits}f}"


def count_text(value: float) -> str:
    """A large count: `412 k`, `3.35 M`, `1.20 G`."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{number_text(value / size)} {unit}"
    return f"{value:g}"


def chance_points(network: TrainedNetwork, other: TrainedNetwork, test_images: int) -> float:
    """Half-width of the 95 % interval of an accuracy difference in points, by sampling `test_images` images for each."""
    shares = [n.accuracy_percent / 100 for n in (network, other)]
    return 100 * NORMAL_975 * math.sqrt(sum(p * (1 - p) for p in shares) / test_images)


def compare_latency(network: TrainedNetwork, other: TrainedNetwork) -> str:
    """`31 % faster than`, `4 % slower than`, or `as fast as` where the intervals overlap."""
    a, b = network.measured, other.measured
    if a.low_ms <= b.high_ms and b.low_ms <= a.high_ms:
        return "as fast as"
    change = 100 * (1 - a.value_ms / b.value_ms)
    return f"{abs(change):.0f} % {'faster' if change > 0 else 'slower'} than"


def compare_accuracy(network: TrainedNetwork, other: TrainedNetwork, test_images: int | None) -> str:
    """`0.3 points less accurate`, with a word where the difference is within chance of the test images."""
    difference = network.accuracy_percent - other.accuracy_percent
    if abs(difference) < 0.005:
        return "equally accurate"
    text = f"{abs(difference):.2f} points {'more' if difference > 0 else 'less'} accurate"
    if test_images is not None and abs(difference) <= chance_points(network, other, test_images):
        text += " (within chance)"
    return text


def judge(
    networks: Sequence[TrainedNetwork], found: str, limit_ms: float | None = None, test_images: int | None = None
) -> Verdict:
    """The verdict on the network called `found`: limit, accuracy, latency, against weight 0 and random search.

    The limit is met if the upper end of the measured interval is within it (DESIGN 8).
    """
    network = next(n for n in networks if n.name == found)
    measured = network.measured
    met = None if limit_ms is None else measured.high_ms <= limit_ms
    start = "Found" if met is None else f"Limit of {number_text(limit_ms or 0)} ms {'met' if met else 'missed'}"
    parts = [
        f"{start}: {network.accuracy_percent:.2f} % test accuracy at {number_text(measured.value_ms)} ms "
        f"(95 % interval {number_text(measured.low_ms)} to {number_text(measured.high_ms)} ms)"
    ]
    for role in ("weight-0", "random-search"):
        for other in networks:
            if other.role == role and other is not network:
                parts.append(
                    f"{compare_latency(network, other)} {ROLE_WORDS[role]} "
                    f"and {compare_accuracy(network, other, test_images)}"
                )
    return Verdict(met, "; ".join(parts) + ".")


def predictor_words(predictor: PredictorReport) -> list[str]:
    """What a predictor's scores mean, each beside what it must be compared with."""
    scores, again = predictor.scores, predictor.repeatability
    difference = scores.kendall - again.kendall
    rank = (
        "better than" if difference > AS_WELL else "as well as" if difference >= -AS_WELL else "not as well as"
    )
    sentences = [
        f"It ranks architectures {rank} measuring them again would: Kendall's tau {scores.kendall:.2f} against measured "
        f"latencies, {again.kendall:.2f} between two halves of the measurements (odd and even rounds).",
        f"A prediction is off by {scores.mape_percent:.1f} % on average; two measurements of one network differ by "
        f"{again.median_difference_percent:.1f} % (median). {scores.within_5_percent:.0f} % of predictions are within 5 %, "
        f"{scores.within_10_percent:.0f} % within 10 %.",
        f"Intervals that should hold 90 % of measured latencies hold {predictor.coverage_90_percent:.0f} %.",
    ]
    if predictor.baselines:
        name, best = max(predictor.baselines.items(), key=lambda item: item[1].kendall)
        gain = scores.kendall - best.kendall
        word = "better than" if gain > AS_WELL else "no better than" if gain >= -AS_WELL else "worse than"
        sentences.insert(1, f"It ranks {word} the best simple baseline ({name}, {best.kendall:.2f}).")
    if predictor.degenerate:
        sentences.append(f"{len(predictor.degenerate)} degenerate architectures are in the table and flagged, not clamped.")
    return sentences
