"""Sentences of a report: the verdict, comparisons of networks, and the quality of the predictor."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from chronas.predictors import CompleteTable, PredictorReport, Scores
from chronas.records import Estimate, GivenResult, NetworkOnBoth, TrainedNetwork, TwoDevices
from chronas.reports.data import Verdict
from chronas.units import cost_word, duration_text, unit_of

MOST_INT8_LOSS = 1.0  # points of accuracy
NORMAL_975 = 1.959964  # the normal distribution's 0.975 quantile
AS_WELL = (
    0.03  # Kendall's tau within this of the repeatability counts as equal: about one standard error at 400 networks
)
SOURCE_WORDS: dict[str, str] = {
    "table": "not measured here, as the device is not on this machine: the costs are the table's own",
    "predicted": "not measured here, as the device is not on this machine, nor in its table: the costs are predicted",
}
ROLE_WORDS = {
    "weight-0": "the network searched for accuracy alone",
    "latency-term": "the network searched with a weight on costs",
    "limit": "the network searched within the limit",
    "random": "a random network of about equal latency",
    "random-search": "the best of random search",
}


def number_text(value: float) -> str:
    """Three significant digits, never an exponent: `0.512`, `4.21`, `12.3`, `1234`."""
    digits = 2 if value == 0 else max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:.{digits}f}"


def interval_text(latency: Estimate) -> str:
    """The 95 % interval of a latency: `2.37 to 2.51 ms`."""
    return f"{number_text(latency.low)} to {number_text(latency.high)} ms"


def cost_text(cost: str, value: float) -> str:
    """A cost with its unit: `2.4 mJ`."""
    return f"{number_text(value)} {unit_of(cost)}"


def cost_interval_text(cost: str, found: Estimate) -> str:
    """The 95 % interval of a cost: `2.37 to 2.51 mJ`."""
    return f"{number_text(found.low)} to {number_text(found.high)} {unit_of(cost)}"


def count_text(value: float) -> str:
    """A large count: `412 k`, `3.35 M`, `1.20 G`."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{number_text(value / size)} {unit}"
    return f"{value:g}"


def chance_points(network: TrainedNetwork, other: TrainedNetwork, test_images: int) -> float:
    """Half-width in points of the 95 % interval of an accuracy difference on `test_images` images each."""
    shares = [n.accuracy_percent / 100 for n in (network, other)]
    return 100 * NORMAL_975 * math.sqrt(sum(p * (1 - p) for p in shares) / test_images)


def compare_latency(network: TrainedNetwork, other: TrainedNetwork) -> str:
    """`31 % faster than`, `4 % slower than`, or `as fast as` if the intervals overlap."""
    a, b = network.latency, other.latency
    if a.low <= b.high and b.low <= a.high:
        return "as fast as"
    change = 100 * (1 - a.value / b.value)
    return f"{abs(change):.0f} % {'faster' if change > 0 else 'slower'} than"


def compare_accuracy(network: TrainedNetwork, other: TrainedNetwork, test_images: int | None) -> str:
    """`0.3 points less accurate`, with a remark if the difference is within chance."""
    difference = network.accuracy_percent - other.accuracy_percent
    if abs(difference) < 0.005:
        return "equally accurate"
    text = f"{abs(difference):.2f} points {'more' if difference > 0 else 'less'} accurate"
    if test_images is not None and abs(difference) <= chance_points(network, other, test_images):
        text += " (within chance)"
    return text


def verdict_on(
    networks: Sequence[TrainedNetwork],
    found: str,
    limits: Mapping[str, float] | None = None,
    test_images: int | None = None,
    *,
    statistic: str = "",
    longer: str = "--recipe.epochs",
) -> Verdict:
    """The verdict on the network named `found`: limits, accuracy and costs, compared with the other networks.

    A limit is met if the upper end of the cost's interval is within it.

    Args:
        networks: all trained networks.
        found: the name of one of them.
        limits: limits by cost, in its unit.
        test_images: number of test images; None if unknown.
        statistic: the statistic of a round that latencies are medians of: "minimum" or "median".
        longer: the flag that makes the training longer, for advice.
    """
    network = next(n for n in networks if n.name == found)
    limits = limits or {}
    met = [cost for cost, limit in limits.items() if network.costs[cost].high <= limit]
    missed = [cost for cost in limits if cost not in met]
    limited = [
        f"limit of {' and '.join(cost_text(cost, limits[cost]) for cost in costs)} {word}"
        for costs, word in ((met, "met"), (missed, "missed"))
        if costs
    ]
    start = " and ".join(limited) if limited else "Found"
    costs = [
        f"{cost_text(cost, each.value)} ({', '.join([*_statistic_words(each, statistic), _interval(cost, each)])})"
        for cost, each in network.costs.items()
    ]
    accuracy = f"{network.accuracy_percent:.2f} % test accuracy{_beside_accuracy(network)}"
    parts = [f"{start[0].upper()}{start[1:]}: {accuracy} at {' and '.join(costs)}"]
    parts += [SOURCE_WORDS[network.source]] if network.source in SOURCE_WORDS else []
    if network.int8_latency_share is not None:
        parts.append(f"in int8 it takes {network.int8_latency_share:.2f} times its latency in float32")
    for role in ("weight-0", "random-search"):
        for other in networks:
            if other.role == role and other is not network:
                parts.append(
                    f"{compare_latency(network, other)} {ROLE_WORDS[role]} "
                    f"and {compare_accuracy(network, other, test_images)}"
                )
    warnings = tuple(warnings_about(network, test_images, longer))
    return Verdict(not missed if limits else None, "; ".join(parts) + ".", warnings)


def _interval(cost: str, found: Estimate) -> str:
    return f"95 % interval {cost_interval_text(cost, found)}"


def _statistic_words(found: Estimate, statistic: str) -> list[str]:
    """The statistic of a latency, which limits are on, and what single runs take: their median and 95th percentile."""
    words = {"minimum": ["fastest run of a round"], "median": ["median run of a round"]}.get(statistic, [])
    if found.median is None or found.p95 is None:
        return []
    return [*words, f"single runs {number_text(found.median)}, 95 % of them below {number_text(found.p95)}"]


def _beside_accuracy(network: TrainedNetwork) -> str:
    """The numbers to compare an accuracy with: before quantisation, the mean over classes, and guessing."""
    known, before, parts = network.confusion, network.float32_accuracy_percent, []
    if before is not None:
        parts.append(f"{before:.2f} % in float32")
    if known is not None:
        parts.append(f"balanced {known.balanced_accuracy_percent:.2f} %")
        parts.append(f"always naming the largest class gives {known.largest_class_percent:.2f} %")
    return ("" if before is None else " in int8") + (f" ({'; '.join(parts)})" if parts else "")


def warnings_about(network: TrainedNetwork, test_images: int | None, longer: str) -> list[str]:
    """Reasons not to trust a network yet, each with what to do; empty if there are none.

    It hardly guesses if it gains less than a tenth of what guessing leaves, or less than chance on the test images. It
    names one class if its balanced accuracy is that of guessing among K classes.
    """
    found, known = [], network.confusion
    more = f"train longer ({longer})"
    if known is not None:
        guess, accuracy = known.largest_class_percent, network.accuracy_percent
        images = test_images or sum(known.images)
        chance = 100 * NORMAL_975 * math.sqrt(guess / 100 * (1 - guess / 100) / images)
        even = 100 / len(known.class_names)
        if accuracy - guess <= max(chance, (100 - guess) / 10):
            found.append(
                f"This is hardly better than guessing: always naming the largest class is right in {guess:.1f} %. "
                f"{more[0].upper()}{more[1:]}, give more images of each class, or a larger network (--size.width)."
            )
        elif known.balanced_accuracy_percent <= even + (100 - even) / 10:
            found.append(
                f"It names nearly every image alike: its mean accuracy over classes is "
                f"{known.balanced_accuracy_percent:.1f} %. Give more images of the rare classes."
            )
    if network.int8_loss is not None and network.int8_loss > MOST_INT8_LOSS:
        found.append(
            f"int8 costs {network.int8_loss:.2f} points of accuracy: {more}, take a larger network (--size.width), or "
            "float32 (--device.dtype float32)."
        )
    if network.int8_latency_share is not None and network.int8_latency_share > 1:
        found.append(
            f"int8 does not pay here: the network takes {network.int8_latency_share:.2f} times its latency in float32. "
            "Take float32 (--device.dtype float32), a wider network (--size.width), or another runtime."
        )
    if network.still_learning:
        found.append(f"Its training ended while its loss was still falling: {more}.")
    return found


def predictor_words(predictor: PredictorReport) -> list[str]:
    """The meaning of a predictor's scores, each compared with a suitable reference."""
    scores = predictor.scores
    if predictor.predictor == CompleteTable.name:
        return ["The table has every architecture, so nothing is predicted: each cost is the table's own."]
    sentences = [
        ranking_words(scores.kendall, predictor.repeatability.kendall),
        *baseline_words(scores.kendall, predictor.baselines),
        error_words(scores, predictor.repeatability.median_difference_percent),
        f"Intervals that should hold 90 % of measured costs hold {predictor.coverage_90_percent:.0f} %.",
    ]
    if predictor.curve:
        sentences.append(curve_words(predictor))
    if predictor.degenerate:
        count = len(predictor.degenerate)
        sentences.append(f"{count} degenerate architectures (next to no cost) are left out of these scores.")
    return sentences


def curve_words(predictor: PredictorReport) -> str:
    """The errors with fewer networks."""
    points = [f"{point.mape_percent:.1f} % with {point.networks}" for point in predictor.curve]
    return f"Fitted on fewer networks it is off by {', '.join(points)}."


def ranking_words(kendall: float, again: float | None) -> str:
    """The quality of the predictor's ranking, compared with a second measurement."""
    if again is None:
        return (
            f"Kendall's tau is {kendall:.2f}; too few networks were measured twice to say what measuring again gives."
        )
    word = against(kendall, again, ("better than", "as well as", "not as well as"))
    return (
        f"It ranks architectures {word} measuring them again would: Kendall's tau {kendall:.2f} against the measured "
        f"costs, {again:.2f} between two halves of the measurements (first and last rounds)."
    )


def baseline_words(kendall: float, baselines: Mapping[str, Scores]) -> list[str]:
    """One sentence on the best-ranking baseline; empty without baselines."""
    if not baselines:
        return []
    name, best = max(baselines.items(), key=lambda item: item[1].kendall)
    word = against(kendall, best.kendall, ("better than", "no better than", "worse than"))
    return [f"It ranks {word} the best simple baseline ({name}, {best.kendall:.2f})."]


def error_words(scores: Scores, difference_percent: float | None) -> str:
    """The error of predictions, compared with the difference of two measurements."""
    again = ""
    if difference_percent is not None:
        again = f"; two halves of the measurements differ by {difference_percent:.1f} % (median)"
    return (
        f"A prediction is off by {scores.mape_percent:.1f} % on average{again}. {scores.within_5_percent:.0f} % of "
        f"predictions are within 5 %, {scores.within_10_percent:.0f} % within 10 %."
    )


def against(value: float, other: float, words: tuple[str, str, str]) -> str:
    """The word for above, about equal (within `AS_WELL`) or below."""
    difference = value - other
    return words[0] if difference > AS_WELL else words[1] if difference >= -AS_WELL else words[2]


# ----
# The comparison of two devices in words and rows: networks found from the same trained weights or trials.

TWO_COLUMNS = ("found for", "test accuracy", "on", "cost", "value", "95 % interval", "limit", "kept", "known from")
KNOWN = {"measured": "measured", "table": "the device's table", "predicted": "predicted"}


def two_rows(two: TwoDevices) -> list[list[str]]:
    """Each cost of both networks on each device, as texts for `TWO_COLUMNS`."""
    return [
        [
            found_for.name,
            "not trained" if network.accuracy_percent is None else f"{network.accuracy_percent:.2f} %",
            device.name,
            cost_word(cost),
            *_cost_row(cost, known, device.limits.get(cost)),
            KNOWN[source],
        ]
        for found_for, network in zip(two.devices, two.networks, strict=True)
        for device, costs, source in zip(two.devices, network.costs, network.sources, strict=True)
        for cost, known in costs.items()
    ]


def _cost_row(cost: str, known: Estimate, limit: float | None) -> list[str]:
    return [
        cost_text(cost, known.value),
        cost_interval_text(cost, known),
        "none" if limit is None else cost_text(cost, limit),
        "" if limit is None else "yes" if known.high <= limit else "no",
    ]


def two_words(two: TwoDevices) -> list[str]:
    """Sentences on the networks' costs on each device, the devices' rankings, and the time of the searches."""
    return [*_networks_words(two), *_order_words(two), *_time_words(two)]


def _networks_words(two: TwoDevices) -> list[str]:
    if two.networks[0].architecture == two.networks[1].architecture:
        return ["The same network was found for both devices."]
    words = []
    for number, device in enumerate(two.devices):
        own, other = two.networks[number], two.networks[1 - number]
        for cost in own.costs[number]:
            change = _change(own, other, number, cost)
            words.append(
                f"On {device.name} the network found for {two.devices[1 - number].name} has {change} the "
                f"{cost_word(cost)} of the one that was found for it."
            )
    return words


def _change(own: NetworkOnBoth, other: NetworkOnBoth, number: int, cost: str) -> str:
    """`1.31 times`, or `about` if the intervals overlap."""
    mine, theirs = own.costs[number][cost], other.costs[number][cost]
    if mine.low <= theirs.high and theirs.low <= mine.high:
        return "about"
    return f"{theirs.value / mine.value:.2f} times"


def _order_words(two: TwoDevices) -> list[str]:
    first, second = two.devices
    if two.pairs_percent is None:
        return [f"The tables of {first.name} and {second.name} have too few networks in common to compare the devices."]
    kendall = "" if two.kendall is None else f" (Kendall's tau {two.kendall:.2f})"
    words = [
        f"{first.name} and {second.name} rank {two.pairs_percent:.1f} % of all pairs of {two.architectures:,} random "
        f"networks the same way{kendall}; chance alone would give 50 %."
    ]
    again = [f"{device.name} {device.kendall_again:.2f}" for device in two.devices if device.kendall_again is not None]
    return words + ([f"Measured again, a device's ranks agree with its own by: {', '.join(again)}."] if again else [])


def _time_words(two: TwoDevices) -> list[str]:
    first, second = (device.search_s for device in two.devices)
    if first is None or second is None:
        return []
    return [
        f"The search for {two.devices[0].name}, which also trained, took {duration_text(first)}; the one for "
        f"{two.devices[1].name} took {duration_text(second)}."
    ]


# ---- networks of the user beside the found one

BESIDE = "The found network beside others, measured in the same rounds"
BESIDE_COLUMNS = (
    *("network", "test accuracy", "balanced", "latency", "95 % interval", "median of single runs", "p95"),
    *("MACs", "parameters"),
)


def beside_rows(networks: Sequence[GivenResult]) -> list[list[str]]:
    """A row for each network, fastest first."""
    return [
        [
            each.name,
            f"{each.accuracy_percent:.2f} %",
            f"{each.balanced_accuracy_percent:.2f} %",
            f"{number_text(each.latency.value)} ms",
            interval_text(each.latency),
            *("not known" if ms is None else f"{number_text(ms)} ms" for ms in (each.latency.median, each.latency.p95)),
            "not known" if each.macs is None else count_text(each.macs),
            count_text(each.parameters),
        ]
        for each in sorted(networks, key=lambda each: each.latency.value)
    ]
