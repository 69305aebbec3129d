"""Settings of the bilevel searchers, with the papers' as defaults."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field

from chronas.search.searcher import SearcherConfig

AGAIN = 3  # a search over trained weights takes one in so many epochs; benchmarks/another_device.py tries others


class BilevelConfig(SearcherConfig):
    """Settings of a search that descends on weights and alphas in turn; the defaults are DARTS's for CIFAR-10.

    Source: https://github.com/quark0/darts, cnn/train_search.py.
    """

    epochs: int = Field(default=50, ge=1, le=10_000, description="passes over the search's training images")
    batch: int = Field(default=64, ge=2, le=65_536, description="images of a step, of weights and of alphas")
    width: int = Field(default=16, ge=2, le=1024, description="channels of the supernet's first cells (C)")
    depth: int = Field(default=8, ge=1, le=200, description="cells of the supernet (nasbench201: cells a stage)")
    order: Literal[1, 2] = Field(
        default=1, description="2 looks one step of the weights ahead; about three times slower"
    )
    partial_channels: int = Field(default=1, ge=1, le=64, description="one in so many channels goes through operations")
    edge_normalisation: bool = Field(default=False, description="learn a weight for each edge of a node")
    warmup_epochs: int = Field(default=0, ge=0, le=10_000, description="first epochs, in which the alphas stay")
    learning_rate: float = Field(default=0.025, gt=0, le=10, description="of SGD on the weights, at first")
    final_learning_rate: float = Field(default=0.001, ge=0, le=10, description="of SGD on the weights, at last; cosine")
    momentum: float = Field(default=0.9, ge=0, lt=1, description="of SGD on the weights")
    weight_decay: float = Field(default=3e-4, ge=0, le=1, description="of the weights")
    gradient_clip: float = Field(default=5.0, gt=0, le=1e6, description="largest norm of the weights' gradient")
    alphas_learning_rate: float = Field(default=3e-4, gt=0, le=10, description="of Adam on the alphas")
    alphas_beta_1: float = Field(default=0.5, ge=0, lt=1, description="of Adam on the alphas")
    alphas_beta_2: float = Field(default=0.999, ge=0, lt=1, description="of Adam on the alphas")
    alphas_weight_decay: float = Field(default=1e-3, ge=0, le=1, description="of the alphas")
    crop_padding: int = Field(default=4, ge=0, le=64, description="pixels around an image before a random crop")
    flip: bool = Field(default=True, description="mirror every second image")

    def for_warm_start(self) -> Self:
        """For shared weights that are trained: a third of the epochs, and no warm-up, as there is nothing to warm."""
        return self.model_copy(update={"epochs": -(-self.epochs // AGAIN), "warmup_epochs": 0})


class PCDartsConfig(BilevelConfig):
    """Settings of PC-DARTS; the defaults are the paper's for CIFAR-10.

    Source: https://github.com/yuhuixu1993/PC-DARTS, train_search.py.
    """

    batch: int = Field(default=256, ge=2, le=65_536, description="images of a step, of weights and of alphas")
    partial_channels: int = Field(default=4, ge=1, le=64, description="one in so many channels goes through operations")
    edge_normalisation: bool = Field(default=True, description="learn a weight for each edge of a node")
    warmup_epochs: int = Field(default=15, ge=0, le=10_000, description="first epochs, in which the alphas stay")
    learning_rate: float = Field(default=0.1, gt=0, le=10, description="of SGD on the weights, at first")
    final_learning_rate: float = Field(default=0.0, ge=0, le=10, description="of SGD on the weights, at last; cosine")
    alphas_learning_rate: float = Field(default=6e-4, gt=0, le=10, description="of Adam on the alphas")
