"""What a report says of two devices: how the networks compare, how alike the devices rank, what it took."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chronas.records import Estimate, NetworkOnBoth, SearchedDevice, Source, TwoDevices
from chronas.reports import TWO_COLUMNS, two_rows, two_words

FIRST = "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"
SECOND = "|skip_connect~0|+|none~0|none~1|+|none~0|none~1|none~2|"


def cost(value: float, source: Source = "measured") -> dict[str, Estimate]:
    return {"latency_ms": Estimate(value, value - 0.01, value + 0.01, "ms", source=source)}


def network(text: str, here: float, there: float, accuracy: float | None = 90.0) -> NetworkOnBoth:
    return NetworkOnBoth(text, accuracy, [cost(here), cost(there, "table")])


TWO = TwoDevices(
    space="nasbench201",
    devices=[SearchedDevice("cpu", {"latency_ms": 2.0}, 90.0, 0.95), SearchedDevice("board", {}, 30.0, None)],
    networks=[network(FIRST, 1.0, 6.0), network(SECOND, 3.0, 4.0, None)],
    architectures=200,
    pairs_percent=69.5,
    kendall=0.39,
)


def test_a_row_for_each_network_on_each_device_says_how_its_cost_is_known_and_whether_the_limit_is_kept() -> None:
    rows = [dict(zip(TWO_COLUMNS, row, strict=True)) for row in two_rows(TWO)]
    keys = ("found for", "on", "value", "limit", "kept", "known from")
    assert [tuple(row[key] for key in keys) for row in rows] == [
        ("cpu", "cpu", "1.00 ms", "2.00 ms", "yes", "measured"),
        ("cpu", "board", "6.00 ms", "none", "", "the device's table"),
        ("board", "cpu", "3.00 ms", "2.00 ms", "no", "measured"),
        ("board", "board", "4.00 ms", "none", "", "the device's table"),
    ]
    assert [row["test accuracy"] for row in rows] == ["90.00 %", "90.00 %", "not trained", "not trained"]


def test_the_words_compare_what_was_found_for_each_device_on_both() -> None:
    text = "\n".join(two_words(TWO))
    assert "On cpu the network found for board has 3.00 times the latency" in text
    assert "On board the network found for cpu has 1.50 times the latency" in text
    assert "cpu and board rank 69.5 % of all pairs of 200 random networks the same way (Kendall's tau 0.39)" in text
    assert "agree with its own by: cpu 0.95." in text
    assert "took 1 min 30 s; the one for board took 30 s" in text


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"networks": [TWO.networks[0], TWO.networks[0]]}, "The same network was found for both devices."),
        ({"pairs_percent": None, "kendall": None}, "too few networks in common"),
        ({"networks": [network(FIRST, 1.0, 6.0), network(SECOND, 1.01, 4.0)]}, "found for board has about the latency"),
    ],
    ids=["same network", "no pairs", "within the intervals"],
)
def test_what_cannot_be_told_apart_is_said(changes: dict[str, object], expected: str) -> None:
    assert expected in "\n".join(two_words(replace(TWO, **changes)))  # type: ignore[arg-type]


def test_without_a_search_of_its_own_nothing_is_said_of_time() -> None:
    devices = [replace(TWO.devices[0], search_s=None), TWO.devices[1]]
    assert not [word for word in two_words(replace(TWO, devices=devices)) if "took" in word]
