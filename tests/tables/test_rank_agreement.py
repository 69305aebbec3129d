"""How alike two tables rank the architectures that both have."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chronas.spaces import NetworkSize, make_space
from chronas.tables import CostTable, Provenance, RankAgreement, rank_agreement

SPACE = make_space("nasbench201")
SIZE = NetworkSize(input_shape=(3, 32, 32), outputs=10, width=16, depth=5)
TEXTS = [str(architecture) for architecture in SPACE.sample(60, seed=0)]


def table(costs: Sequence[float], first: int = 0) -> CostTable:
    frame = pl.DataFrame({"architecture": TEXTS[first : first + len(costs)], "latency_ms": costs})
    return CostTable.from_values(frame, Provenance(SPACE.name, SIZE, {"name": "board"}))


def test_equal_orders_and_turned_ones() -> None:
    costs = [1.0, 2.0, 3.0, 4.0]
    assert rank_agreement(table(costs), table([10.0, 20.0, 30.0, 400.0])) == RankAgreement(4, 100.0, pytest.approx(1.0))
    assert rank_agreement(table(costs), table(costs[::-1])) == RankAgreement(4, 0.0, pytest.approx(-1.0))


def test_pairs_that_a_device_finds_equal_are_not_counted() -> None:
    order = rank_agreement(table([1.0, 1.0, 2.0]), table([1.0, 2.0, 1.5]))
    assert order.pairs_percent == 50.0


def test_only_what_both_hold_is_compared_whatever_the_order_of_rows() -> None:
    first, second = table([1.0, 2.0, 3.0, 4.0]), table([40.0, 30.0, 2.0, 1.0], first=2)
    assert rank_agreement(first, second) == RankAgreement(2, 0.0, None)
    shuffled = CostTable(first.frame.reverse(), first.provenance)
    assert rank_agreement(shuffled, first) == RankAgreement(4, 100.0, pytest.approx(1.0))


def test_tables_without_a_pair_in_common_have_no_share() -> None:
    assert rank_agreement(table([1.0, 2.0]), table([3.0, 4.0], first=10)) == RankAgreement(0, None, None)
    assert rank_agreement(table([1.0, 2.0]), table([3.0], first=1)) == RankAgreement(1, None, None)
    assert rank_agreement(table([1.0, 1.0]), table([1.0, 2.0])) == RankAgreement(2, None, None)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(1, 5), st.integers(1, 5)), min_size=2, max_size=20))
def test_the_share_is_that_of_counting_pair_by_pair(costs: list[tuple[int, int]]) -> None:
    first, second = (table([float(pair[side]) for pair in costs]) for side in (0, 1))
    products = [(a[0] - b[0]) * (a[1] - b[1]) for n, a in enumerate(costs) for b in costs[n + 1 :]]
    ranked = [product for product in products if product]
    share = rank_agreement(first, second).pairs_percent
    assert share == (pytest.approx(100 * sum(p > 0 for p in ranked) / len(ranked)) if ranked else None)


def test_published_devices_agree_less_than_with_themselves(shared_data: Path) -> None:
    frame = pl.read_parquet(shared_data / "nasbench201" / "latency_help.parquet").sample(500, seed=0)
    costs = {name: frame[name].to_list() for name in ("gold_6240_ms", "raspi4_ms", "eyeriss_ms")}

    def of(name: str) -> CostTable:
        known = pl.DataFrame({"architecture": frame["arch_str"], "latency_ms": costs[name]})
        return CostTable.from_values(known, Provenance(SPACE.name, SIZE, {"name": name}))

    cpu, board = of("gold_6240_ms"), of("raspi4_ms")
    order = rank_agreement(cpu, board)
    assert order.architectures == 500
    assert order.pairs_percent is not None
    assert 60 < order.pairs_percent < 95
    assert rank_agreement(cpu, cpu).pairs_percent == 100
