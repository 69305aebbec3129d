"""The contract of a predictor: what it learns, its intervals and gradients, determinism, and its file."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pydantic import BaseModel

from chronas.errors import DataError, MismatchError, UsageError
from chronas.networks import load_state, save_state, space_counts
from chronas.predictors import Predictor, load_predictor, make_predictor
from chronas.spaces import NetworkSize, Space, make_space

COUNT = 60


class PredictorContract:
    """Checks of one predictor, on costs that follow the MACs of networks with up to 5 % noise.

    Attributes:
        predictor: the predictor class to check.
        space: space of the networks.
        size: size of the networks.
        least_correlation: smallest correlation of predictions with noisy costs.
    """

    predictor: ClassVar[type[Predictor]]
    space: ClassVar[Space] = make_space("nasbench201")
    size: ClassVar[NetworkSize] = NetworkSize(input_shape=(3, 16, 16), outputs=10, width=8, depth=3)
    least_correlation: ClassVar[float] = 0.7

    @classmethod
    def data(cls, count: int, seed: int, noise: float = 0.05) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """Encodings [N, W] and costs [N] of random architectures."""
        codes = cls.space.encode(cls.space.sample(count, seed=seed))
        macs = space_counts(cls.space, cls.size).macs(codes)
        costs = 2.0 + macs / np.abs(macs).max()
        return codes, costs * (1 + noise * np.random.default_rng(seed).standard_normal(count))

    def made(self) -> Predictor:
        """An unfitted predictor."""
        return make_predictor(self.predictor, self.space, self.size)

    @pytest.fixture(scope="class")
    @classmethod
    def fitted(cls) -> Predictor:
        """A predictor that has learned 60 networks."""
        predictor = make_predictor(cls.predictor, cls.space, cls.size)
        predictor.fit(*cls.data(COUNT, seed=1), seed=0)
        return predictor

    @pytest.fixture
    def differentiable(self, fitted: Predictor) -> Predictor:
        """The same predictor; the test is skipped if it has no gradient."""
        if not fitted.differentiable:
            pytest.skip(f"{fitted.name} promises no gradient")
        return fitted

    def test_cost_is_refused_without_a_promised_gradient(self, fitted: Predictor) -> None:
        """A predictor without a gradient says so."""
        codes = torch.from_numpy(self.data(2, seed=4)[0])
        if fitted.differentiable:
            assert fitted.cost(codes.requires_grad_()).requires_grad
            return
        with pytest.raises(UsageError, match=f"{fitted.name} is not differentiable: choose another"):
            fitted.cost(codes)

    def test_its_settings_are_described(self) -> None:
        """Settings become flags, so each has a description and a default."""
        config = self.predictor.Config
        assert all(field.description and not field.is_required() for field in config.model_fields.values())
        assert config.model_config.get("frozen")
        assert config.model_config.get("extra") == "forbid"

    def test_predictions_follow_costs_and_intervals_hold_most(self, fitted: Predictor) -> None:
        """The 90 % interval holds between 75 and 99 % of unseen costs."""
        codes, costs = self.data(400, seed=2)
        prediction = fitted.predict(codes)
        assert prediction.mean.shape == prediction.std.shape == (400,)
        assert np.corrcoef(prediction.mean, costs)[0, 1] > self.least_correlation
        covered = np.mean(np.abs(prediction.mean - costs) <= 1.645 * prediction.std)
        assert 0.75 <= covered <= 0.99

    def test_the_same_seed_gives_the_same_bits_and_leaves_global_randomness_alone(self, fitted: Predictor) -> None:
        """Neither torch's random state nor the encodings are changed."""
        torch.manual_seed(5)
        before = torch.get_rng_state()
        again = self.made()
        with torch.no_grad():
            again.fit(*self.data(COUNT, seed=1), seed=0)
        assert torch.equal(torch.get_rng_state(), before)
        codes, _ = self.data(50, seed=3)
        writeable = codes.copy()
        assert again.predict(writeable).mean.tobytes() == fitted.predict(codes).mean.tobytes()
        assert again.predict(codes).std.tobytes() == fitted.predict(codes).std.tobytes()
        assert np.array_equal(writeable, codes)

    def test_a_clone_is_unfitted_and_has_the_same_settings(self, fitted: Predictor) -> None:
        """The clone learns anew."""
        clone = fitted.clone()
        assert (type(clone), clone.config, clone.space, clone.size) == (
            *(type(fitted), fitted.config, fitted.space, fitted.size),
        )
        with pytest.raises(UsageError, match="not fitted yet"):
            clone.predict(self.data(2, seed=0)[0])

    def test_a_saved_predictor_predicts_the_same_bits(self, fitted: Predictor, tmp_path: Path) -> None:
        """Space and class are given, as those of a user's own are."""
        fitted.save(tmp_path / "predictor.safetensors")
        loaded = load_predictor(tmp_path / "predictor.safetensors", self.space, self.predictor)
        codes, _ = self.data(50, seed=3)
        assert (type(loaded), loaded.config, loaded.size) == (type(fitted), fitted.config, self.size)
        assert loaded.space is self.space
        assert loaded.median == fitted.median
        assert loaded.predict(codes).mean.tobytes() == fitted.predict(codes).mean.tobytes()
        assert loaded.predict(codes).std.tobytes() == fitted.predict(codes).std.tobytes()

    def test_the_median_is_that_of_the_fitted_costs(self, fitted: Predictor) -> None:
        """A search divides by it."""
        assert fitted.median == np.median(self.data(COUNT, seed=1)[1])

    def test_cost_is_the_prediction_in_the_type_of_its_input(self, differentiable: Predictor) -> None:
        """`cost` and `predict` agree."""
        codes, _ = self.data(20, seed=4)
        cost = differentiable.cost(torch.from_numpy(codes))
        assert cost.shape == (20,)
        assert cost.dtype == torch.float32
        assert not cost.requires_grad
        np.testing.assert_allclose(cost.numpy(), differentiable.predict(codes).mean, rtol=1e-4)

    def test_cost_has_the_gradient_of_finite_differences_far_from_any_valid_encoding(
        self, differentiable: Predictor
    ) -> None:
        """torch.autograd.gradcheck at random points."""
        generator = torch.Generator().manual_seed(0)
        codes = torch.rand(2, self.space.encoding_length, generator=generator, dtype=torch.float64) * 3 - 1
        codes.requires_grad_()
        assert torch.autograd.gradcheck(differentiable.cost, (codes,))

    def test_an_unfitted_one_says_so(self, tmp_path: Path) -> None:
        """Each use is refused."""
        predictor, (codes, _) = self.made(), self.data(2, seed=0)
        for use in (
            lambda: predictor.predict(codes),
            lambda: predictor.median,
            lambda: predictor.save(tmp_path / "predictor.safetensors"),
        ):
            with pytest.raises(UsageError, match=f"{predictor.name} is not fitted yet"):
                use()

    def test_encodings_of_another_width_are_refused(self, fitted: Predictor) -> None:
        """The error gives the shape that was expected."""
        codes = np.zeros((COUNT, self.space.encoding_length + 1), np.float32)
        with pytest.raises(MismatchError, match=rf"\[N, {self.space.encoding_length}\] of space {self.space.name}"):
            fitted.predict(codes)
        with pytest.raises(MismatchError, match="got"):
            fitted.fit(codes, self.data(COUNT, seed=0)[1], seed=0)

    def test_too_few_networks_are_refused_with_the_number_needed(self) -> None:
        """The smallest number gives finite predictions."""
        predictor = self.made()
        with pytest.raises(DataError, match=f"{predictor.name} needs at least {predictor.minimum} networks"):
            predictor.fit(*self.data(predictor.minimum - 1, seed=0), seed=0)
        predictor.fit(*self.data(predictor.minimum, seed=0), seed=0)
        assert np.isfinite(predictor.predict(self.data(9, seed=1)[0]).std).all()

    @pytest.mark.parametrize("bad", [np.nan, np.inf, 0.0, -3.0])
    def test_costs_that_are_not_positive_numbers_are_refused(self, bad: float) -> None:
        """The error names the network."""
        codes, costs = self.data(COUNT, seed=0)
        costs[7] = bad
        with pytest.raises(DataError, match=f"positive numbers in ms, got {bad} for network 7"):
            self.made().fit(codes, costs, seed=0)

    def test_costs_without_information_or_with_contradictions_are_refused(self) -> None:
        """Equal costs, one architecture alone, and two far costs of one architecture."""
        predictor, (codes, costs) = self.made(), self.data(COUNT, seed=0)
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

    def test_arrays_that_cannot_be_written_are_read_and_left_alone(self, fitted: Predictor) -> None:
        """Read-only arrays give the same bits."""
        codes, costs = self.data(COUNT, seed=1)
        codes.flags.writeable = costs.flags.writeable = False
        again = self.made()
        again.fit(codes, costs, seed=0)
        assert again.predict(codes).mean.tobytes() == fitted.predict(codes).mean.tobytes()

    def test_a_config_of_another_class_is_refused(self) -> None:
        """The error names the predictor."""

        class Other(BaseModel):
            pass

        with pytest.raises(UsageError, match=f"predictor {self.predictor.name} takes a"):
            make_predictor(self.predictor, self.space, self.size, Other())

    def test_a_foreign_or_damaged_file_is_refused(self, fitted: Predictor, tmp_path: Path) -> None:
        """Each error says what to do."""
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
                load_predictor(path, self.space, self.predictor)
        fitted.save(path)
        path.write_bytes(path.read_bytes()[:-9])
        with pytest.raises(DataError):
            load_predictor(path, self.space, self.predictor)
