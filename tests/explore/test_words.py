from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chronas.explore.catalogue import cost_words, device_name, distinct
from chronas.tables import COST_COLUMNS


def test_only_what_is_unusual_about_a_device_is_told() -> None:
    plain = {"name": "onnxruntime-cpu", "hardware": "AMD EPYC", "threads": 1, "batch": 1, "dtype": "float32"}
    assert device_name(plain) == "AMD EPYC, onnxruntime-cpu"
    unusual = plain | {"threads": 4, "batch": 32, "dtype": "int8"}
    assert device_name(unusual) == "AMD EPYC, onnxruntime-cpu, 4 threads, 32 images at once, in int8"
    assert device_name(plain | {"hardware": "AMD EPYC (family 26, model 2)"}) == device_name(plain)
    assert device_name({}) == "a device without a name"


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("xy")), max_size=8))
def test_names_become_distinct(pairs: list[tuple[str, str]]) -> None:
    found = distinct([name for name, _ in pairs], [origin for _, origin in pairs])
    assert len(set(found)) == len(found) == len(pairs)
    assert all(text.startswith(name) for text, (name, _) in zip(found, pairs, strict=True))


def test_every_cost_of_a_table_has_plain_words() -> None:
    for cost in COST_COLUMNS:
        words = cost_words(cost)
        assert "_" not in words.name and words.hint.endswith(".") and "column" not in words.hint
    assert cost_words("arithmetic_intensity").name == "Arithmetic intensity"
