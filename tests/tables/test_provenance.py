"""Provenance comes back from its text whole, and a text that lacks something is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chronas.errors import DataError
from chronas.spaces import SPACES, NetworkSize
from chronas.tables import Provenance
from chronas.tables.provenance import LATER

DEVICE = {"name": "raspi4"}
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
numbers = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
sizes = st.builds(
    NetworkSize,
    input_shape=st.tuples(st.integers(1, 4), st.integers(1, 300), st.integers(1, 300)),
    outputs=st.integers(2, 1000),
    width=st.integers(1, 1024),
    depth=st.integers(1, 200),
    stem=st.sampled_from(["cifar", "imagenet"]),
)
provenances = st.builds(
    Provenance,
    space=st.sampled_from(sorted(SPACES)),
    size=sizes,
    device=st.dictionaries(texts, texts | numbers, max_size=4).map(lambda known: known | {"name": "树莓派 4B @1.5GHz"}),
    plan=st.dictionaries(texts, texts | numbers, max_size=4),
    cost=st.sampled_from(["latency_ms", "energy_mj", "carbon_g"]),
    created=texts,
    version=texts,
    source=texts,
    drift_percent=st.none() | st.floats(0, 100),
)


@settings(max_examples=60, deadline=None)
@given(provenance=provenances)
def test_provenance_comes_back_from_one_line_of_json(provenance: Provenance) -> None:
    text = provenance.to_json()
    assert "\n" not in text
    assert Provenance.from_json(text) == provenance
    assert isinstance(Provenance.from_json(text).size, NetworkSize)


@settings(max_examples=20, deadline=None)
@given(provenance=provenances, data=st.data())
def test_a_field_that_is_missing_is_refused(provenance: Provenance, data: st.DataObject) -> None:
    content = json.loads(provenance.to_json())
    del content[data.draw(st.sampled_from(sorted(content.keys() - LATER)))]
    with pytest.raises(DataError, match="the provenance should be an object of"):
        Provenance.from_json(json.dumps(content))


def test_a_table_from_before_a_field_was_there_is_read() -> None:
    size = NetworkSize(input_shape=(3, 8, 8), outputs=2, width=4, depth=1)
    provenance = Provenance("darts", size, DEVICE, background_cores=1.5, priority="real-time")
    content = json.loads(provenance.to_json())
    for name in LATER:
        del content[name]
    assert Provenance.from_json(json.dumps(content)) == replace(provenance, background_cores=None, priority=None)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "null", '{"space": 1}', '{"size": {"width": 0}}', "\ud800"])
def test_other_texts_are_refused_as_damaged(text: str) -> None:
    with pytest.raises(DataError, match="provenance"):
        Provenance.from_json(text)


@pytest.mark.parametrize(
    "change",
    [
        *({"space": 3}, {"space": ""}, {"size": {"width": -1}}, {"size": None}, {"cost": "carbon"}, {"device": {}}),
        *({"device": {"name": text}} for text in ("", " ", "a\x1b[2J", "a\nb", "x" * 121, None, 3)),
        *({"checks": [{}]}, {"background_cores": "many"}, {"additivity": []}),
    ],
)
def test_values_that_cannot_be_are_refused(change: dict[str, Any]) -> None:
    size = NetworkSize(input_shape=(3, 8, 8), outputs=2, width=4, depth=1)
    content = json.loads(Provenance("darts", size, DEVICE).to_json())
    with pytest.raises(DataError, match="provenance"):
        Provenance.from_json(json.dumps(content | change))
