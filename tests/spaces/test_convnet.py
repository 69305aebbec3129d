"""The texts, layers and strides of the space of small convolutional networks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronas.errors import ParseError
from chronas.networks import build, space_counts
from chronas.spaces import LayerTopology, NetworkSize
from chronas.spaces.convnet import BLOCKS, ConvNet

SPACE = ConvNet()
TEXT = "conv_3x3 skip | conv_3x3 sep_5x5 skip | conv_5x5 k3_e3 sep_3x3 | conv_3x3 skip"
SMALL = NetworkSize(input_shape=(3, 40, 40), outputs=4, width=12, depth=1, stem="small")


def test_ten_layers_of_six_blocks_halve_the_image_where_a_stage_begins() -> None:
    topology = SPACE.topology
    assert isinstance(topology, LayerTopology)
    assert SPACE.cardinality == 6**10
    assert topology.strides["small"] == (2, 1, 1, 2, 1, 1, 2, 1, 1, 2, 1)
    assert [topology.reduction(SMALL.model_copy(update={"stem": stem})) for stem in topology.stems] == [8, 16, 32]
    assert topology.widths == (24, 24, 48, 48, 48, 96, 96, 96, 128, 128)


@given(choices=st.lists(st.integers(0, len(BLOCKS) - 1), min_size=10, max_size=10))
def test_texts_are_read_as_they_are_written(choices: list[int]) -> None:
    architecture = SPACE.architecture(choices)
    assert SPACE.parse(str(architecture)) == architecture
    assert SPACE.parse(str(architecture).replace(" | ", "|")) == architecture


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected stages of 2, 3, 3, 2 blocks"),
        (TEXT.replace(" skip | conv_3x3 sep", " | conv_3x3 sep"), "expected stages of 2, 3, 3, 2 blocks"),
        (f"{TEXT} | skip", "expected stages of 2, 3, 3, 2 blocks"),
        (TEXT.replace("conv_5x5", "conv_7x7"), "expected blocks of conv_3x3, .*, got 'conv_7x7'"),
        (TEXT * 20, "expected stages of 2, 3, 3, 2 blocks"),
    ],
)
def test_other_texts_are_refused_with_the_reason(text: str, message: str) -> None:
    with pytest.raises(ParseError, match=message):
        SPACE.parse(text)


def test_a_block_has_the_parameters_of_its_convolutions() -> None:
    def parameters(first: str) -> float:
        text = TEXT.replace("conv_3x3", first, 1)
        found = sum(each.numel() for each in build(SPACE.parse(text), SMALL).parameters())
        assert space_counts(SPACE, SMALL).parameters(SPACE.encode([SPACE.parse(text)]))[0] == found
        return found

    skip, channels = parameters("skip"), 12
    assert parameters("conv_3x3") - skip == 9 * channels**2 + 2 * channels
    assert parameters("conv_5x5") - skip == 25 * channels**2 + 2 * channels
    assert parameters("sep_3x3") - skip == 9 * channels + channels**2 + 4 * channels
    assert parameters("sep_5x5") - skip == 25 * channels + channels**2 + 4 * channels
    assert parameters("k3_e3") - skip == 6 * channels**2 + 27 * channels + 14 * channels
