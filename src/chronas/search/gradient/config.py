"""Settings of the bilevel searchers; the defaults are those of the papers."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field

from chronas.search.searcher import SearcherConfig

AGAIN = 3  # with trained weights, a search takes a third of the epochs; benchmarks/another_device.py tries other shares


class BilevelConfig(SearcherConfig):
    """Settings of a search that alternates steps of weights and alphas; the defaults are DARTS's for CIFAR-10.

    Source: https://github.com/quark0/darts, cnn/train_search.py.
    """

    epochs: int = Field(default=50, ge=1, le=10_000, description="passes over the search's training images")
    batch: int = Field(default=64, ge=2, le=65_536, description="images of a step, of weights and of alphas")
    width: int = Field(default=16, ge=2, le=1024, description="channels of the supernet's first cells (C)")
    depth: int = Field(default=8, ge=1, le=200, description="cells of the supernet (nasbench201: cells in each stage)")
    order: Literal[1, 2] = Field(
        default=1, description="2 looks ahead by one step of the weights; about three times slower"
    )
    partial_channels: int = Field(default=1, ge=1, le=64, description="one in this many channels enters operations")
    edge_normalisation: bool = Field(default=False, description="learn a weight for each edge of a node")
    warmup_epochs: int = Field(default=0, ge=0, le=10_000, description="first epochs, in which the alphas stay fixed")
    learning_rate: float = Field(default=0.025, gt=0, le=10, description="of SGD on the weights, initial")
    final_learning_rate: float = Field(default=0.001, ge=0, le=10, description="of SGD on the weights, final; cosine")
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
        """Settings with trained shared weights: a third of the epochs, and no warm-up, which is not needed then."""
        return self.model_copy(update={"epochs": -(-self.epochs // AGAIN), "warmup_epochs": 0})


class PCDartsConfig(BilevelConfig):
    """Settings of PC-DARTS; the defaults are the paper's for CIFAR-10.

    Source: https://github.com/yuhuixu1993/PC-DARTS, train_search.py.
    """

    batch: int = Field(default=256, ge=2, le=65_536, description="images of a step, of weights and of alphas")
    partial_channels: int = Field(default=4, ge=1, le=64, description="one in this many channels enters operations")
    edge_normalisation: bool = Field(default=True, description="learn a weight for each edge of a node")
    warmup_epochs: int = Field(default=15, ge=0, le=10_000, description="first epochs, in which the alphas stay fixed")
    learning_rate: float = Field(default=0.1, gt=0, le=10, description="of SGD on the weights, initial")
    final_learning_rate: float = Field(default=0.0, ge=0, le=10, description="of SGD on the weights, final; cosine")
    alphas_learning_rate: float = Field(default=6e-4, gt=0, le=10, description="of Adam on the alphas")
