from __future__ import annotations

import pytest

from chronas.errors import ParseError
from chronas.spaces import make_space
from chronas.spaces.darts import GENOTYPES, layout

SPACE = make_space("darts")
V2 = GENOTYPES["DARTS_V2"]


def test_size_and_widths_are_those_of_the_paper() -> None:
    assert len(SPACE.decisions) == 28
    assert SPACE.encoding_length == 196
    assert [len(SPACE.assignments(group)) for group in SPACE.groups] == [49, 147, 294, 490] * 2
    assert SPACE.cardinality == (49 * 147 * 294 * 490) ** 2
    assert SPACE.decisions[0].relaxed[0] == "none"


def test_reductions_stand_after_one_and_two_thirds() -> None:
    assert [i for i, name in enumerate(layout(20)) if name == "reduce"] == [6, 13]
    assert [i for i, name in enumerate(layout(14)) if name == "reduce"] == [4, 9]
    assert layout(1) == ("reduce",)


@pytest.mark.parametrize("name", GENOTYPES)
def test_published_genotypes_parse_and_are_written_in_one_order(name: str) -> None:
    architecture = SPACE.parse(GENOTYPES[name])
    assert SPACE.parse(str(architecture)) == architecture
    assert sum(choice is not None for choice in architecture.choices) == 16


def test_the_text_is_the_fields_genotype() -> None:
    assert str(SPACE.parse(V2)) == (
        "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1), "
        "('skip_connect', 0), ('sep_conv_3x3', 1), ('skip_connect', 0), ('dil_conv_3x3', 2)], "
        "normal_concat=range(2, 6), "
        "reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('max_pool_3x3', 1), ('skip_connect', 2), "
        "('max_pool_3x3', 0), ('skip_connect', 2), ('max_pool_3x3', 1), ('skip_connect', 2)], "
        "reduce_concat=range(2, 6))"
    )


def test_operations_stand_on_the_edges_that_the_genotype_names() -> None:
    architecture = SPACE.parse(V2)
    chosen = {d.name: architecture.operation(i) for i, d in enumerate(SPACE.decisions) if architecture.operation(i)}
    assert chosen["normal.5.2"] == "dil_conv_3x3"
    assert chosen["reduce.3.2"] == "skip_connect"
    assert "normal.5.4" not in chosen


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("dil_conv_3x3", "dil_conv_3x33", "did you mean dil_conv_3x3"),
        ("dil_conv_3x3", "none", "unknown operation 'none'"),
        ("('dil_conv_3x3', 2)", "('dil_conv_3x3', 5)", r"node 5 has inputs 0\.\.4, got '5'"),
        ("('dil_conv_3x3', 2)", "('dil_conv_3x3', -1)", "pairs like"),
        ("('dil_conv_3x3', 2)", "('dil_conv_3x3', True)", "pairs like"),
        ("('dil_conv_3x3', 2)", "('dil_conv_3x3', 0)", "input 0 twice"),
        ("('dil_conv_3x3', 2)", "'dil_conv_3x3'", "pairs like"),
        (", ('dil_conv_3x3', 2)", "", "a list of 8 pairs"),
        ("normal_concat=[2, 3, 4, 5]", "normal_concat=[2, 3, 4]", "normal_concat must be"),
        ("normal_concat=[2, 3, 4, 5]", "normal_concat=range(2, 7)", "normal_concat must be"),
        ("normal_concat=[2, 3, 4, 5], ", "", "each once"),
        ("normal_concat=[2, 3, 4, 5], ", "**{}, ", "each once"),
        ("normal_concat", "Normal_concat", "each once"),
        ("Genotype(", "Genotype(1, ", "each once"),
        ("Genotype", "Genome", "expected Genotype"),
        ("normal=", "normal=[", "does not parse"),
    ],
)
def test_malformed_genotypes_are_refused(old: str, new: str, message: str) -> None:
    assert old in V2
    with pytest.raises(ParseError, match=message):
        SPACE.parse(V2.replace(old, new))


@pytest.mark.parametrize(
    "nested",
    [
        "-" * 900 + "1",
        "1" + "+1" * 600,
        "a" + ".b" * 600,
        "a" + "()" * 600,
        "not " * 350 + "1",
        "lambda:" * 200 + "1",
        "[" * 150 + "]" * 150,
        "0x" + "f" * 1400,
        "9" * 1400,
    ],
)
@pytest.mark.parametrize("place", ["normal_concat=[2, 3, 4, 5]", "('dil_conv_3x3', 2)"])
def test_deep_nesting_and_huge_numbers_are_refused_in_a_short_line(nested: str, place: str) -> None:
    there = f"normal_concat={nested}" if "concat" in place else f"('dil_conv_3x3', {nested})"
    for spoilt in (V2.replace(place, there), V2.replace(place, there * 3)):
        with pytest.raises(ParseError) as caught:
            SPACE.parse(spoilt)
        assert len(str(caught.value)) < 400


def test_nothing_in_a_genotype_is_run() -> None:
    with pytest.raises(ParseError, match="normal must be a list"):
        SPACE.parse(V2.replace("normal=[", "normal=exit(1) or ["))


def test_features_count_operations_by_cell_and_stride() -> None:
    features = SPACE.feature_map()
    assert features.shape == (21, 196)
    counts = (SPACE.encode([SPACE.parse(V2)]) @ features.T)[0]
    normal, halving, inner = counts.reshape(3, 7).tolist()
    assert normal == [0, 0, 2, 5, 0, 1, 0]
    assert halving == [5, 0, 0, 0, 0, 0, 0]
    assert inner == [0, 0, 3, 0, 0, 0, 0]
