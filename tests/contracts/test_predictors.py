"""One suite over every predictor: what it promises must hold for all of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pydantic import BaseModel

from chronas.errors import DataError, MismatchError, UsageError
from chronas.networks import load_state, save_state, space_counts
from chronas.predictors import Predictor, load_predictor, make_predictor, predictor_class
from chronas.spaces import NetworkSize, make_space
from predictors_here import EVERY_PREDICTOR

SIZE = NetworkSize(input_shape=(3, 16, 16), outputs=10, width=8, depth=3)
SPACE = make_space("nasbench201")
COUNT = 60


def data(count: int, seed: int, noise: float = 0.05) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Encodings, and costs that follow MACs up to noise: something that every predictor can learn."""
    codes = SPACE.encode(SPACE.sample(count, seed=seed))
    costs = 2.0 + space_counts(SPACE, SIZE).macs(codes) / 1e6
    return codes, costs * (1 + noise * np.random.default_rng(seed).standard_normal(count))


@pytest.fixture(scope="module", params=EVERY_PREDICTOR)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def fitted(name: str) -> Predictor:
    predictor = make_predictor(name, SPACE, SIZE)
    predictor.fit(*data(COUNT, seed=1), seed=0)
    return predictor


@pytest.fixture
def differentiable(fitted: Predictor) -> Predictor:
    if not fitted.differentiable:
        pytest.skip(f"{fitted.name} promises no gradient")
    return fitted


def test_cost_is_refused_by_what_promises_no_gradient(fitted: Predictor) -> None:
    if fitted.differentiable:
        assert fitted.cost(torch.from_numpy(data(2, seed=4)[0]).requires_grad_()).requires_grad
        return
    with pytest.raises(UsageError, match=f"{fitted.name} is not differentiable: choose another"):
        fitted.cost(torch.from_numpy(data(2, seed=4)[0]))


def test_its_name_and_settings_are_described(name: str) -> None:
    found = predictor_class(name)
    assert found.name == name
    assert all(field.description and field.default is not None for field in found.Config.model_fields.values())
    assert found.Config.model_config["frozen"] and found.Config.model_config["extra"] == "forbid"


def test_predictions_follow_costs_and_intervals_hold_most(fitted: Predictor) -> None:
    codes, costs = data(400, seed=2)
    prediction = fitted.predict(codes)
    assert prediction.mean.shape == prediction.std.shape == (400,)
    assert np.corrcoef(prediction.mean, costs)[0, 1] > 0.7
    covered = np.mean(np.abs(prediction.mean - costs) <= 1.645 * prediction.std)
    assert 0.75 <= covered <= 0.99


def test_the_same_seed_gives_the_same_bits_and_leaves_global_randomness_alone(fitted: Predictor) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    again = make_predictor(fitted.name, SPACE, SIZE)
    with torch.no_grad():
        again.fit(*data(COUNT, seed=1), seed=0)
    assert torch.equal(torch.get_rng_state(), before)
    codes, _ = data(50, seed=3)
    assert again.predict(codes).mean.tobytes() == fitted.predict(codes).mean.tobytes()
    writeable = codes.copy()
    fitted.predict(writeable)
    assert np.array_equal(writeable, codes)
    assert again.predict(codes).std.tobytes() == fitted.predict(codes).std.tobytes()


def test_a_saved_predictor_predicts_the_same_bits(fitted: Predictor, tmp_path: Path) -> None:
    fitted.save(tmp_path / "predictor.safetensors")
    loaded = load_predictor(tmp_path / "predictor.safetensors")
    codes, _ = data(50, seed=3)
    assert (type(loaded), loaded.config, loaded.size) == (type(fitted), fitted.config, SIZE)
    assert loaded.space is SPACE and loaded.median == fitted.median
    assert loaded.predict(codes).mean.tobytes() == fitted.predict(codes).mean.tobytes()
    assert loaded.predict(codes).std.tobytes() == fitted.predict(codes).std.tobytes()


def test_the_median_is_that_of_the_fitted_costs(fitted: Predictor) -> None:
    assert fitted.median == np.median(data(COUNT, seed=1)[1])


def test_cost_is_the_prediction_in_the_type_of_its_input(differentiable: Predictor) -> None:
    fitted = differentiable
    codes, _ = data(20, seed=4)
    cost = fitted.cost(torch.from_numpy(codes))
    assert cost.shape == (20,) and cost.dtype == torch.float32 and not cost.requires_grad
    np.testing.assert_allclose(cost.numpy(), fitted.predict(codes).mean, rtol=1e-4)


def test_cost_has_the_gradient_of_finite_differences_far_from_any_valid_encoding(differentiable: Predictor) -> None:
    fitted = differentiable
    generator = torch.Generator().manual_seed(0)
    codes = torch.rand(2, SPACE.encoding_length, generator=generator, dtype=torch.float64) * 3 - 1
    codes.requires_grad_()
    assert torch.autograd.gradcheck(fitted.cost, (codes,))
    (gradient,) = torch.autograd.grad(fitted.cost(codes).sum(), codes)
    assert gradient.abs().sum() > 0


def test_more_multiply_accumulates_cost_more_by_the_gradient(differentiable: Predictor) -> None:
    fitted = differentiable
    codes = torch.from_numpy(data(20, seed=4)[0]).requires_grad_()
    (gradient,) = torch.autograd.grad(fitted.cost(codes).sum(), codes)
    options = SPACE.decisions[0].options
    by_option = gradient.sum(dim=0).reshape(-1, len(options)).sum(dim=0)
    assert by_option[options.index("nor_conv_3x3")] > by_option[options.index("nor_conv_1x1")] > by_option[0]


def test_what_is_not_fitted_says_so(name: str, tmp_path: Path) -> None:
    predictor = make_predictor(name, SPACE, SIZE)
    codes, _ = data(2, seed=0)
    for use in (
        lambda: predictor.predict(codes),
        lambda: predictor.median,
        lambda: predictor.save(tmp_path / "predictor.safetensors"),
    ):
        with pytest.raises(UsageError, match=f"{name} is not fitted yet"):
            use()
    if predictor.differentiable:
        with pytest.raises(UsageError, match=f"{name} is not fitted yet"):
            predictor.cost(torch.from_numpy(codes))


def test_encodings_of_another_space_are_refused(fitted: Predictor) -> None:
    other = make_space("darts")
    codes = other.encode(other.sample(COUNT, seed=0))
    with pytest.raises(MismatchError, match=r"\[N, 30\] of space nasbench201, got \[60, 196\]"):
        fitted.predict(codes)
    if fitted.differentiable:
        with pytest.raises(MismatchError, match="got"):
            fitted.cost(torch.from_numpy(codes))
    with pytest.raises(MismatchError, match="got"):
        fitted.fit(codes, data(COUNT, seed=0)[1], seed=0)


def test_too_few_networks_are_refused_with_the_number_needed(name: str) -> None:
    predictor = make_predictor(name, SPACE, SIZE)
    with pytest.raises(DataError, match=f"{name} needs at least {predictor.minimum} networks"):
        predictor.fit(*data(predictor.minimum - 1, seed=0), seed=0)
    predictor.fit(*data(predictor.minimum, seed=0), seed=0)
    assert np.isfinite(predictor.predict(data(9, seed=1)[0]).std).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, 0.0, -3.0])
def test_costs_that_are_not_positive_numbers_are_refused(name: str, bad: float) -> None:
    codes, costs = data(COUNT, seed=0)
    costs[7] = bad
    with pytest.raises(DataError, match=f"positive numbers in ms, got {bad} for network 7"):
        make_predictor(name, SPACE, SIZE).fit(codes, costs, seed=0)


def test_costs_that_teach_nothing_or_contradict_are_refused(name: str) -> None:
    predictor = make_predictor(name, SPACE, SIZE)
    codes, costs = data(COUNT, seed=0)
    with pytest.raises(DataError, match="all 60 costs are 3 ms"):
        predictor.fit(codes, np.full(COUNT, 3.0), seed=0)
    with pytest.raises(MismatchError, match="one cost for each of 60"):
        predictor.fit(codes, costs[:-1], seed=0)
    with pytest.raises(DataError, match="encodings must be finite"):
        predictor.fit(codes * np.nan, costs, seed=0)
    with pytest.raises(DataError, match="all 60 networks are one architecture"):
        predictor.fit(np.tile(codes[:1], (COUNT, 1)), costs, seed=0)
    codes[5], costs[5] = codes[2], 4 * costs[2]
    with pytest.raises(DataError, match="networks 2, 5 are one architecture"):
        predictor.fit(codes, costs, seed=0)


def test_arrays_that_cannot_be_written_are_read_and_left_alone(fitted: Predictor) -> None:
    codes, costs = data(COUNT, seed=1)
    codes.flags.writeable = costs.flags.writeable = False
    again = make_predictor(fitted.name, SPACE, SIZE)
    again.fit(codes, costs, seed=0)
    assert again.predict(codes).mean.tobytes() == fitted.predict(codes).mean.tobytes()


def test_a_config_of_another_class_is_refused(name: str) -> None:
    class Other(BaseModel):
        pass

    with pytest.raises(UsageError, match=f"predictor {name} takes a"):
        make_predictor(name, SPACE, SIZE, Other())


def test_a_foreign_or_damaged_file_is_refused(fitted: Predictor, tmp_path: Path) -> None:
    path = tmp_path / "predictor.safetensors"
    fitted.save(path)
    tensors, content = load_state(path)
    key = next(iter(tensors))
    for wrong_tensors, wrong_content in [
        ({}, content),
        (tensors | {"more": torch.zeros(1)}, content),
        (tensors | {key: torch.zeros(3, 3, 3, 3)}, content),
        (tensors | {key: tensors[key] * torch.nan}, content),
        (tensors, {}),
        (tensors, content | {"predictor": 3}),
        (tensors, content | {"schema": "chronas.predictor/0"}),
        (tensors, content | {"space": None}),
        (tensors, content | {"size": {"width": 0}}),
        (tensors, content | {"config": {"unknown": 1}}),
    ]:
        save_state(path, wrong_tensors, wrong_content)
        with pytest.raises(DataError, match="again"):
            load_predictor(path)
    fitted.save(path)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DataError):
        load_predictor(path)


def test_an_unknown_predictor_is_refused_with_the_nearest_names() -> None:
    with pytest.raises(UsageError, match="did you mean lookup"):
        make_predictor("lookups", SPACE, SIZE)
