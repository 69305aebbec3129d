"""The published presets against the papers' settings, written down by hand from the authors' scripts."""

from __future__ import annotations

import pytest

from chronas.errors import UsageError
from chronas.runs import PRESETS, make_preset
from chronas.search import searcher_class
from chronas.search.blackbox.bayesian import BayesianConfig
from chronas.spaces import make_space

SIZE = make_space("nasbench201").sizes["cifar10"]

SHARED_SEARCH = {  # cnn/train_search.py of quark0/darts and train_search.py of yuhuixu1993/PC-DARTS
    "epochs": 50,
    "depth": 8,
    "width": 16,
    "momentum": 0.9,
    "weight_decay": 3e-4,
    "gradient_clip": 5.0,
    "alphas_beta_1": 0.5,
    "alphas_beta_2": 0.999,
    "alphas_weight_decay": 1e-3,
    "order": 1,
    "crop_padding": 4,
    "flip": True,
}
DARTS_SEARCH = {
    "batch": 64,
    "learning_rate": 0.025,
    "final_learning_rate": 0.001,
    "alphas_learning_rate": 3e-4,
    "warmup_epochs": 0,
    "partial_channels": 1,
    "edge_normalisation": False,
}
PC_DARTS_SEARCH = {
    "batch": 256,
    "learning_rate": 0.1,
    "final_learning_rate": 0.0,
    "alphas_learning_rate": 6e-4,
    "warmup_epochs": 15,
    "partial_channels": 4,
    "edge_normalisation": True,
}
TRAINING = {  # train.py of both, with --auxiliary --cutout
    "epochs": 600,
    "batch": 96,
    "learning_rate": 0.025,
    "final_learning_rate": 0.0,
    "momentum": 0.9,
    "weight_decay": 3e-4,
    "gradient_clip": 5.0,
    "auxiliary_weight": 0.4,
    "crop_padding": 4,
    "flip": True,
    "cutout": 16,
    "label_smoothing": 0.0,
}
OFF = {"optimizer": "sgd", "warmup": 0.0, "ema": 0.0, "mixup": 0.0, "patience": 0} | {
    "distill_weight": 0.5, "temperature": 4.0, "crop_scale": 1.0, "rotation": 0.0, "color_jitter": 0.0,
    "trivial_augment": False,
}  # fmt: skip


@pytest.mark.parametrize(
    ("preset", "searcher", "search", "drop_path"),
    [("darts-cifar10", "darts", DARTS_SEARCH, 0.2), ("pcdarts-cifar10", "pc-darts", PC_DARTS_SEARCH, 0.3)],
)
def test_published_presets_have_the_papers_settings(
    preset: str, searcher: str, search: dict[str, object], drop_path: float
) -> None:
    config = make_preset(preset)
    assert (config.space, config.searcher, config.data, config.data_limit) == ("darts", searcher, "cifar10", None)
    assert config.searcher_config.model_dump() == {**SHARED_SEARCH, **search}
    assert config.recipe.model_dump() == {**TRAINING, **OFF, "drop_path": drop_path}
    assert (config.size.width, config.size.depth, config.size.stem) == (36, 20, "cifar")
    assert (config.latency_weight, config.limit_ms) == (0.0, None)
    assert config.search_images is None


def test_nasbench201_has_the_networks_and_the_training_of_its_paper() -> None:
    config = make_preset("nasbench201-cifar10")
    assert config.size.for_data((3, 32, 32), 10) == SIZE
    assert (config.space, config.searcher, config.data) == ("nasbench201", "bayesian", "cifar10")
    assert (config.data_limit, config.search_images) == (None, None)
    assert (config.latency_weight, config.limit_ms, config.baseline) == (0.0, None, False)
    assert (
        config.recipe.model_dump()
        == OFF
        | {  # arXiv 2001.00326, table 2, but for Nesterov's momentum and the clipping
            "epochs": 200,
            "batch": 256,
            "learning_rate": 0.1,
            "final_learning_rate": 0.0,
            "momentum": 0.9,
            "weight_decay": 5e-4,
            "gradient_clip": 5.0,
            "auxiliary_weight": 0.0,
            "drop_path": 0.0,
            "crop_padding": 4,
            "flip": True,
            "cutout": 0,
            "label_smoothing": 0.0,
        }
    )
    search = config.searcher_config
    assert isinstance(search, BayesianConfig)
    assert min(search.macs_weight, search.synflow_weight) > 0  # 200 epochs are enough for size to pay
    judged = round(config.search_validation_share * 45_000)
    assert (judged, search.images) == (5_000, 25_600)  # as benchmarks/truth_nasbench201.py has them
    assert make_preset("nasbench201-cifar10", {"searcher": "darts"}).search_validation_share == 0.5


@pytest.mark.parametrize("preset", ["digits-cpu", "cifar10-cpu"])
def test_presets_for_a_cpu_are_smaller_than_the_papers_and_compare(preset: str) -> None:
    config, published = make_preset(preset), make_preset("darts-cifar10")
    assert config.recipe.epochs < published.recipe.epochs / 10
    assert config.size.width * config.size.depth < published.size.width * published.size.depth / 5
    assert config.networks < published.networks
    assert config.latency_weight > 0
    assert config.baseline is True
    assert config.threads == {"digits-cpu": 1, "cifar10-cpu": 2}[preset]


@pytest.mark.parametrize(
    ("searcher", "images", "weight"),
    [("bayesian", None, 0.05), ("random", None, 0.05), ("evolution", 5_000, 0.05), ("darts", 5_000, 0.5)],
)
def test_depth_images_and_weight_are_those_of_the_kind_of_searcher(
    searcher: str, images: int | None, weight: float
) -> None:
    config = make_preset("cifar10-cpu", {"searcher": searcher})
    assert (config.search_images, config.latency_weight) == (images, weight)
    if images is None:  # trained alone: networks of fewer cells are good for other reasons (docs/log.md)
        assert config.searcher_config.depth is None


@pytest.mark.parametrize("preset", PRESETS)
def test_another_searcher_brings_its_own_settings(preset: str) -> None:
    config = make_preset(preset, {"searcher": "random", "device": "simulated"})
    assert type(config.searcher_config) is searcher_class("random").Config
    assert (config.searcher, config.device, config.predictor) == ("random", "simulated", "lpm")


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("searcher", ["proxyless", "darts", "random"])
def test_layers_stand_once_in_a_row(preset: str, searcher: str) -> None:
    """A depth of 20 cells would make 440 blocks of FBNet's 22."""
    config = make_preset(preset, {"space": "fbnet", "searcher": searcher})
    assert config.size.depth == 1
    assert getattr(config.searcher_config, "depth", 1) == 1
    assert config.size.width == make_preset(preset).size.width


def test_an_unknown_preset_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="unknown preset 'digit-cpu': did you mean digits-cpu"):
        make_preset("digit-cpu")


def test_an_unknown_name_in_a_preset_is_refused() -> None:
    with pytest.raises(UsageError, match="unknown device 'simulate': did you mean simulated"):
        make_preset("digits-cpu", {"device": "simulate"})
