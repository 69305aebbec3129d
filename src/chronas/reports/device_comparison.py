"""The comparison of two devices in words and rows: networks found from the same trained weights or trials."""

from __future__ import annotations

from chronas.records import Estimate, NetworkOnBoth, TwoDevices
from chronas.reports.sentences import cost_interval_text, cost_text
from chronas.units import cost_word, duration_text

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
