"""Texts, depths and sizes of the MobileNetV3 spaces, and OFA's architectures in them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from chronas.errors import ParseError, UsageError
from chronas.networks import build, count, efficientnet_lite0
from chronas.search.feasible import neighbours
from chronas.spaces import ElasticTopology, NetworkSize, make_space
from chronas.spaces.mobilenetv3 import from_ofa

SPACE = make_space("mobilenetv3")
TEXT = "r100 w75 | k3_e3 k5_e4 | k3_e6 k3_e3 k7_e4 | k3_e3 k3_e3 | k3_e3 k3_e3 | k7_e6 k7_e6 k7_e6 k7_e6"
DEPTH = 2  # fewest blocks of a stage
LITE = make_space("efficientnet-lite")


def test_there_are_two_to_four_blocks_of_nine_kinds_in_five_stages() -> None:
    assert SPACE.cardinality == 4 * 3 * (9**2 + 9**3 + 9**4) ** 5
    assert str(SPACE.parse(TEXT)) == TEXT


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (TEXT.replace("w75", "w80"), "width has the options"),
        (TEXT.replace("k5_e4", "k5_e5"), "has the options"),
        (TEXT.replace("k3_e3 k5_e4", "k3_e3"), "stage 0 has 2 to 4 blocks, got 1"),
        (TEXT.rpartition(" |")[0], "expected 5 stages, got 4"),
        (TEXT.replace("r100 ", ""), "expected a text like r100"),
    ],
)
def test_other_texts_are_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(ParseError, match=why):
        SPACE.parse(text)


def test_only_the_last_blocks_of_a_stage_can_be_left_out() -> None:
    choices = list(SPACE.parse(TEXT).choices)
    skip = SPACE.decisions[4].options.index("skip")
    choices[4], choices[5] = skip, 0
    with pytest.raises(UsageError, match=r"no architecture with .*stage0.2=skip, stage0.3=k3_e3"):
        SPACE.architecture(choices)
    around = neighbours(SPACE.parse(TEXT))
    assert all(SPACE.architecture(each.choices) == each for each in around)
    assert len(set(around)) == len(around) > 100


def test_samples_have_uniform_depths() -> None:
    texts = [str(each).split(" | ")[1:] for each in SPACE.sample(600, seed=0)]
    depths = np.bincount([len(stage.split()) for stages in texts for stage in stages])[DEPTH:]
    assert (np.abs(depths / depths.sum() - 1 / 3) < 0.03).all()


def test_efficientnet_lite0_is_the_largest_network_of_its_space() -> None:
    topology, size = LITE.topology, LITE.sizes["imagenet"]
    assert isinstance(topology, ElasticTopology)
    smallest, largest = topology.ends(LITE)
    assert topology.plan(largest, size) == efficientnet_lite0()
    assert str(smallest) == "r50 w50 | k3_e3 | k3_e3 | k3_e3 | k3_e3 | k3_e3 | k3_e3"


def test_a_depth_in_the_size_is_refused_because_it_is_a_decision() -> None:
    size = NetworkSize(input_shape=(3, 32, 32), outputs=10, width=16, depth=2)
    with pytest.raises(UsageError, match="chooses its depth itself: give depth 1, got 2"):
        build(SPACE.parse(TEXT), size)


def test_ofas_architectures_are_read_with_their_resolution(shared_data: Path) -> None:
    rows = pl.read_parquet(shared_data / "ofa" / "latency_help.parquet")["arch_json"]
    seen = [from_ofa(text) for text in rows]
    assert len({(str(architecture), size.input_shape) for architecture, size in seen}) == len(rows) == 5000
    architecture, size = seen[0]  # {"ks": [7, 5, ...], "e": [6, 4, ...], "d": [2, 2, 2, 2, 3], "r": 204}
    assert str(architecture).startswith("r100 w100 | k7_e6 k5_e4 | k7_e6 k7_e3 |")
    assert size.input_shape == (3, 204, 204)
    assert 100e6 < count(build(architecture, size), size.input_shape).macs < 400e6


@pytest.mark.parametrize("text", ["", "[]", '{"ks": [3]}', '{"ks": [9], "e": [3], "d": [2], "r": 128}', "{" * 9000])
def test_other_json_is_refused(text: str) -> None:
    with pytest.raises(ParseError):
        from_ofa(text)
