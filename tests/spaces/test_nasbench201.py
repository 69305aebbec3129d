from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronas.errors import ParseError, UsageError
from chronas.spaces import Architecture
from chronas.spaces.nasbench201 import NasBench201, layout

SPACE = NasBench201()
TEXT = "|nor_conv_3x3~0|+|nor_conv_1x1~0|none~1|+|skip_connect~0|avg_pool_3x3~1|skip_connect~2|"


def test_index_text_and_canonical_form_are_the_official_ones(shared_data: Path) -> None:
    table = pl.read_parquet(shared_data / "nasbench201" / "accuracy.parquet").sort("arch_idx")
    every = [SPACE.from_index(index) for index in range(15_625)]
    assert [str(architecture) for architecture in every] == table["arch_str"].to_list()
    assert [SPACE.index(SPACE.parse(text)) for text in table["arch_str"]] == table["arch_idx"].to_list()
    assert [SPACE.index(architecture.canonical()) for architecture in every] == table["rep_arch_idx"].to_list()


def test_there_are_6466_classes_of_cells() -> None:
    every = [SPACE.from_index(index) for index in range(SPACE.cardinality)]
    assert len({architecture.canonical() for architecture in every}) == 6466


def test_cells_that_differ_by_a_skip_and_a_zero_are_one() -> None:
    one = SPACE.parse("|skip_connect~0|+|none~0|nor_conv_3x3~1|+|none~0|none~1|skip_connect~2|")
    other = SPACE.parse("|none~0|+|nor_conv_3x3~0|none~1|+|none~0|none~1|skip_connect~2|")
    third = SPACE.parse("|none~0|+|nor_conv_1x1~0|none~1|+|none~0|none~1|skip_connect~2|")
    assert one.canonical() == other.canonical() != third.canonical()


def test_cells_are_of_8747_graphs_each_told_by_its_smallest_index() -> None:
    pruned = [SPACE.index(SPACE.from_index(index).pruned()) for index in range(SPACE.cardinality)]
    assert len(set(pruned)) == 8747
    assert all(found <= index for index, found in enumerate(pruned))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        pytest.param("1|30|330", "2|30|330", False, id="a node that is used"),
        pytest.param("2|30|003", "4|30|003", True, id="an edge that does not reach the output"),
        pytest.param("1|30|000", "4|13|000", True, id="nothing reaches the output"),
        pytest.param("1|03|001", "0|30|001", True, id="an identity in the way"),
        pytest.param("3|40|011", "4|30|011", True, id="the inner nodes swapped"),
        pytest.param("3|20|011", "2|30|011", False, id="a sum of convolutions in another order"),
        pytest.param("3|10|030", "3|10|020", False, id="another operation"),
        pytest.param("3|00|330", "3|00|300", False, id="two convolutions of one input are not one"),
        pytest.param("0|02|300", "0|03|300", True, id="what a zero node feeds, unused"),
        pytest.param("0|32|001", "0|33|001", False, id="what a zero node feeds, used"),
    ],
)
def test_cells_are_the_same_graph_or_not(one: str, other: str, same: bool) -> None:  # noqa: FBT001 - a parameter
    def cell(digits: str) -> Architecture:
        return SPACE.architecture([int(digit) for digit in digits.replace("|", "")])

    assert (cell(one).pruned() == cell(other).pruned()) is same


def test_the_whole_space_is_sampled_evenly() -> None:
    every = SPACE.sample(SPACE.cardinality, seed=0)
    assert len(set(every)) == SPACE.cardinality
    assert SPACE.sample(1, seed=0, exclude=frozenset(every[:-1])) == every[-1:]


def test_layout_has_residual_blocks_between_three_stages() -> None:
    assert layout(2) == ("cell", "cell", "residual", "cell", "cell", "residual", "cell", "cell")


def test_features_are_counts_and_the_encoding() -> None:
    architecture = SPACE.parse(TEXT)
    code = SPACE.encode([architecture])
    features = (code @ SPACE.feature_map().T)[0]
    assert features[:5].tolist() == [1, 2, 1, 1, 1]
    assert features[5:].tolist() == code[0].tolist()


@pytest.mark.parametrize("index", [-1, 15_625])
def test_an_index_outside_the_table_is_refused(index: int) -> None:
    with pytest.raises(UsageError, match=rf"0\.\.15624, got {index}"):
        SPACE.from_index(index)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected three nodes"),
        ("|none~0|+|none~0|none~1|", "expected three nodes"),
        (TEXT.replace("nor_conv_1x1", "nor_conv_1x2"), "did you mean nor_conv_1x1"),
        (TEXT.replace("none~1", "none~2"), r"node 2 must have the inputs 0\.\.1"),
        (TEXT.replace("|none~1", ""), r"node 2 must have the inputs 0\.\.1"),
        (TEXT.replace("|nor_conv_3x3~0|", "|none~0|none~0|"), r"node 1 must have the inputs 0\.\.0"),
        (TEXT.replace("none~1", "none"), "an operation and a node"),
        (TEXT.replace("none~1", "none~01"), "an operation and a node"),
        (TEXT.replace("none~1", "none~\N{ARABIC-INDIC DIGIT ONE}"), "an operation and a node"),
        (TEXT[1:], "between bars"),
        (TEXT * 100, "expected three nodes"),
    ],
)
def test_malformed_texts_are_refused(text: str, message: str) -> None:
    with pytest.raises(ParseError, match=message):
        SPACE.parse(text)


@given(index=st.integers(0, 15_624))
def test_indices_and_architectures_are_a_bijection(index: int) -> None:
    architecture = SPACE.from_index(index)
    assert SPACE.index(architecture) == index
    assert SPACE.index(SPACE.parse(str(architecture))) == index
    canonical = architecture.canonical()
    assert SPACE.index(canonical) <= index
    assert canonical.canonical() == canonical


def _computed(architecture: Architecture, prime: int) -> int:
    """What a cell computes on the number 12345, with a polynomial without constant term for each operation."""
    slopes = {"nor_conv_1x1": (3, 7), "nor_conv_3x3": (11, 5), "avg_pool_3x3": (2, 13), "skip_connect": (1, 0)}
    states = [12_345]
    operations = iter(architecture.operation(d) for d in range(6))
    for target in range(1, 4):
        total = 0
        for x in states[:target]:
            linear, cubic = slopes.get(next(operations) or "none", (0, 0))
            total += linear * x + cubic * x**3
        states.append(total % prime)
    return states[-1]


def test_cells_that_are_called_isomorphic_compute_the_same() -> None:
    """Merging cells that differ would give a network another one's measurement."""
    values: dict[Architecture, set[int]] = {}
    for index in range(SPACE.cardinality):
        architecture = SPACE.from_index(index)
        values.setdefault(architecture.canonical(), set()).add(_computed(architecture, 2**61 - 1))
    assert len(values) == 6466
    assert all(len(found) == 1 for found in values.values())


def test_what_is_not_connected_is_what_has_learnt_nothing_in_the_benchmark(shared_data: Path) -> None:
    """341 cells end at 10.0 % of test accuracy, all others above 46 %."""
    table = pl.read_parquet(shared_data / "nasbench201" / "accuracy.parquet").sort("arch_idx")
    severed = [not SPACE.from_index(index).connected() for index in range(SPACE.cardinality)]
    assert sum(severed) == 341
    assert severed == (table["cifar10_test_acc_200_nb201v10"] < 10.5).to_list()
