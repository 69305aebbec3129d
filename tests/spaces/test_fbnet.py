"""FBNet's texts, layers and strides, against HW-NAS-Bench's published rows."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronas.errors import ParseError
from chronas.spaces import LayerTopology
from chronas.spaces.fbnet import BLOCKS, STAGE_OF_LAYER, FBNet

SPACE = FBNet()
TEXT = str([0] * 21 + [8])


def test_there_are_nine_blocks_in_each_of_22_layers() -> None:
    assert SPACE.cardinality == 9**22
    assert SPACE.encoding_length == 198
    assert not SPACE.listable
    assert len(BLOCKS) == 9 and BLOCKS[8] == "skip"


def test_strides_and_channels_are_hw_nas_benchs() -> None:
    topology = SPACE.topology
    assert isinstance(topology, LayerTopology)
    assert topology.widths[0] == 16 and topology.widths[-1] == 352
    assert [topology.widths.count(width) for width in (16, 24, 32, 64, 112, 184, 352)] == [1, 4, 4, 4, 4, 4, 1]
    halving = {
        stem: [place for place, stride in enumerate(topology.strides[stem]) if stride == 2] for stem in topology.stems
    }
    assert halving == {"cifar": [6, 10, 18], "imagenet": [0, 2, 6, 10, 18]}


def test_texts_of_the_field_are_read_and_written(shared_data: Path) -> None:
    frame = pl.read_parquet(shared_data / "fbnet" / "latency_help.parquet").head(200)
    for numbers in frame["arch"]:
        assert str(SPACE.parse(f"[{numbers}]")) == f"[{numbers.replace(',', ', ')}]"


@given(numbers=st.lists(st.integers(-1, 10), max_size=25))
def test_lists_of_22_numbers_below_9_are_architectures_and_no_others(numbers: list[int]) -> None:
    if len(numbers) == 22 and all(0 <= number <= 8 for number in numbers):
        assert SPACE.parse(str(numbers)).choices == tuple(numbers)
        return
    with pytest.raises(ParseError, match=r"a list of 22 numbers 0\.\.8"):
        SPACE.parse(str(numbers))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param(TEXT[:-1], id="no end"),
        pytest.param(TEXT + TEXT, id="two"),
        pytest.param(TEXT.replace("8", "9"), id="a block that there is not"),
        pytest.param(TEXT.replace("8", "08"), id="two digits"),
        pytest.param(TEXT.replace("8", "\N{ARABIC-INDIC DIGIT EIGHT}"), id="another script"),
        pytest.param(TEXT.replace(",", ";"), id="another separator"),
        pytest.param(" " * 2000 + TEXT, id="too long"),
    ],
)
def test_malformed_texts_are_refused(text: str) -> None:
    with pytest.raises(ParseError, match="a list of 22"):
        SPACE.parse(text)


def test_helps_form_has_no_brackets() -> None:
    assert SPACE.parse(TEXT[1:-1].replace(" ", "")) == SPACE.parse(TEXT)


def test_features_count_blocks_by_stage() -> None:
    architecture = SPACE.parse(TEXT)
    features = SPACE.feature_map() @ SPACE.encode([architecture])[0]
    assert sorted(features[: 7 * 9][features[: 7 * 9] > 0].tolist()) == [1, 1, 4, 4, 4, 4, 4]
    assert features[7 * 9 :].tolist() == SPACE.encode([architecture])[0].tolist()
    assert len(STAGE_OF_LAYER) == 22
