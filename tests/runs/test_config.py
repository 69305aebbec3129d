from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from chronas.devices import DEVICES
from chronas.errors import DataError, UsageError
from chronas.predictors import PREDICTORS
from chronas.runs import LIMITS, PRESETS, RunConfig, make_preset
from chronas.runs.settings import WEIGHTS
from chronas.search import SEARCHERS
from chronas.spaces import SPACES, NetworkScale
from chronas.units import COST_UNITS
from tiny_run import tiny_config

NOTHING = {"latency_weight": 0.0}
KINDS = {"space": SPACES, "device": DEVICES, "searcher": SEARCHERS, "predictor": PREDICTORS}


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("space", SPACES)
def test_every_preset_with_every_name_reads_back_from_json(space: str, preset: str) -> None:
    for chosen in itertools.product([space], DEVICES, SEARCHERS, PREDICTORS):
        names = dict(zip(KINDS, chosen, strict=True))
        config = make_preset(preset, names)
        assert {kind: getattr(config, kind) for kind in KINDS} == names
        again = RunConfig.from_json(json.loads(json.dumps(config.model_dump(mode="json"), allow_nan=False)))
        assert again == config
        for part in ("device_config", "searcher_config", "predictor_config"):
            assert type(getattr(again, part)) is type(getattr(config, part))


@given(
    limit_ms=st.none() | st.floats(1e-6, 1e6),
    weight=st.floats(0, 100),
    networks=st.integers(10, 10**6),
    seed=st.integers(0, 2**31),
)
def test_numbers_read_back_exactly(limit_ms: float | None, weight: float, networks: int, seed: int) -> None:
    config = tiny_config(limit_ms=limit_ms, latency_weight=weight, networks=networks, seed=seed)
    assert RunConfig.from_json(json.loads(json.dumps(config.model_dump(mode="json")))) == config


def test_every_cost_can_have_a_limit_and_a_weight_which_have_it_measured() -> None:
    assert set(LIMITS) == set(WEIGHTS) == set(COST_UNITS)
    for cost in COST_UNITS:
        limited, weighted = (
            tiny_config(**NOTHING, **{LIMITS[cost]: 2.5}),
            tiny_config(**{**NOTHING, WEIGHTS[cost]: 0.5}),
        )
        assert (limited.limits, limited.weights) == ({cost: 2.5}, {})
        assert (weighted.limits, weighted.weights) == ({}, {cost: 0.5})
        beside = [] if cost == "latency_ms" else [cost]
        assert limited.costs == weighted.costs == beside
        assert limited.objective.asked == weighted.objective.asked == [cost]


def test_the_config_of_a_run_of_before_there_were_other_costs_still_reads() -> None:
    content = tiny_config(limit_ms=3.0).model_dump(mode="json")
    for field in ("limit_energy_mj", "limit_peak_memory_mib", "energy_weight", "peak_memory_weight", "rerank"):
        del content[field]
    assert RunConfig.from_json(content) == tiny_config(limit_ms=3.0)


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("limit_energy_mj", -1, "limit_energy_mj: input should be greater than 0"),
        ("rerank", {"candidates": 0}, "rerank.candidates: input should be greater than or equal to 1"),
        ("networks", 9, "networks: input should be greater than or equal to 10"),
        ("limit_ms", 0, "limit_ms: input should be greater than 0"),
        ("validation_share", 1, "validation_share: input should be less than 0.9"),
        ("surprise", 1, "surprise: extra inputs are not permitted"),
        ("size", {"width": 0}, "size.width: input should be greater than or equal to 1"),
        ("device_config", {"noise": -1}, "noise: input should be greater than or equal to 0"),
        ("searcher_config", {"epochs": "many"}, "epochs: input should be a valid integer"),
        ("recipe", None, "recipe: input should be"),
    ],
)
def test_a_config_that_does_not_fit_names_the_field(field: str, value: object, expected: str) -> None:
    content = {**tiny_config().model_dump(mode="json"), field: value}
    with pytest.raises(DataError, match="not one of this version of chronas") as error:
        RunConfig.from_json(content)
    assert expected in str(error.value)


@pytest.mark.parametrize("field", ["device", "device_config", "predictor_config"])
def test_a_config_without_a_field_names_it(field: str) -> None:
    content = tiny_config().model_dump(mode="json")
    del content[field]
    with pytest.raises(DataError, match=field):
        RunConfig.from_json(content)


@pytest.mark.parametrize("kind", ["device", "searcher", "predictor"])
def test_a_name_of_another_version_is_refused_with_the_valid_ones(kind: str) -> None:
    content = {**tiny_config().model_dump(mode="json"), kind: "abacus"}
    with pytest.raises(UsageError, match=f"unknown {kind} 'abacus'.*valid names are"):
        RunConfig.from_json(content)


@pytest.mark.parametrize(
    "change", [{"limit_ms": float("inf")}, {"latency_weight": float("inf")}, {"latency_weight": float("nan")}]
)
def test_numbers_that_no_file_can_hold_are_refused(change: dict[str, float]) -> None:
    content = {**dict(tiny_config()), **change}
    with pytest.raises(ValidationError, match="finite number|greater than"):
        RunConfig(**content)


def test_the_objective_is_the_weight_and_the_limit() -> None:
    objective = tiny_config(latency_weight=0.25, limit_ms=3.5).objective
    assert (objective.weights, objective.limits) == ({"latency_ms": 0.25}, {"latency_ms": 3.5})


def test_a_scale_becomes_a_size_for_the_datas_shape_and_classes() -> None:
    size = NetworkScale(width=8, depth=4, stem="imagenet").for_data((1, 64, 32), 7)
    assert (size.width, size.depth, size.stem) == (8, 4, "imagenet")
    assert (size.input_shape, size.outputs) == ((1, 64, 32), 7)
