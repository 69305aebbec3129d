"""ProxylessNAS: weights are trained on one sampled path, alphas on two (Cai et al., arXiv 1812.00332).

A step of the weights trains one block of each layer, drawn from the alphas. A step of the alphas draws two blocks of
each layer without replacement, and one of the two from their softmax as the active one. Both are computed, and the
gradient with respect to the binary gates passes to the two alphas through that softmax. After the step both alphas are
shifted by one amount, so that the probabilities of all other blocks stay the same. So no step holds more than two paths
in memory.

Facts are from the paper and from mode "two" of https://github.com/mit-han-lab/proxylessnas (search/modules/mix_op.py,
search/nas_manager.py). As there, expected costs are over the same two blocks of each layer, exactly if costs are linear
in the encoding, as those of a look-up table. Limits apply to the most probable architecture.

We differ in some points. The weights and limits of `objective` replace a power of log latency. Each step of the weights
has a step of the alphas (as in the paper's text; in the code every fifth). Warm-up and search share one cosine of the
learning rate; momentum is not Nesterov's and labels are not smoothed. Alphas that were not drawn stay unchanged even
with momentum or decay. For cells, edges take the place of layers.

Letters: `D` decisions, `O` relaxed options.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from chronas.search.gradient.darts import Darts
from chronas.search.gradient.loop import Batch, BilevelConfig, BilevelLoop, Mixture
from chronas.search.relaxation import PADDING, Relaxation

TINY = 1e-30  # smallest probability: softmax may round one to zero, and two options must be drawn


class ProxylessConfig(BilevelConfig):
    """Settings of ProxylessNAS for FBNet on 32x32 images.

    Sources: epochs, warm-up, batch and learning rate are those of HW-NAS-Bench for this space (arXiv 2103.10584,
    appendix); the optimiser of alphas and the decay of weights are those of
    https://github.com/mit-han-lab/proxylessnas.
    """

    epochs: int = Field(default=120, ge=1, le=10_000, description="passes over the search's training images")
    batch: int = Field(default=128, ge=2, le=65_536, description="images of a step, of weights and of alphas")
    depth: int = Field(default=1, ge=1, le=200, description="repetitions of each block; cells of the supernet")
    warmup_epochs: int = Field(default=30, ge=0, le=10_000, description="first epochs, in which the alphas stay")
    learning_rate: float = Field(default=0.05, gt=0, le=10, description="of SGD on the weights, at first")
    final_learning_rate: float = Field(default=0.0, ge=0, le=10, description="of SGD on the weights, at last; cosine")
    weight_decay: float = Field(default=4e-5, ge=0, le=1, description="of the weights")
    alphas_learning_rate: float = Field(default=1e-3, gt=0, le=10, description="of Adam on the alphas")
    alphas_beta_1: float = Field(default=0.0, ge=0, lt=1, description="of Adam on the alphas")
    alphas_weight_decay: float = Field(default=0.0, ge=0, le=1, description="of the alphas")


class ProxylessLoop(BilevelLoop):
    """DARTS's steps, on one path for weights and two for alphas."""

    _pair: Tensor
    _open: Tensor

    def draw(self) -> None:
        """Draw two paths, and the active one of them."""
        self._pair = two_paths(self.operation_alphas, self.generator)
        self._open = one_path(self._among(), self.generator)

    def mixture(self) -> Mixture:
        """The gates of two paths."""
        return Mixture(gates(self._among(), self._open), self.relaxation().edge_weights(), self._pair)

    def weights_loss(self, batch: Batch) -> Tensor:
        """[] the loss of one path."""
        with torch.no_grad():
            edges = self.relaxation().edge_weights()
        return self.loss(batch, Mixture(one_path(self.operation_alphas, self.generator), edges), "train")

    def costs_term(self) -> Tensor:
        """[] the cost term over two paths."""
        among = Relaxation(self.task.space, self._among(), *self.alphas[1:])
        return self.objective.term(among, self.generator, limited=self.relaxation())

    def update(
        self, optimiser: torch.optim.Optimizer, parameters: Sequence[Tensor], gradients: Sequence[Tensor | None]
    ) -> None:
        """One step of an optimiser; afterwards, alphas that were not drawn have their previous probabilities."""
        before = self.alphas[0].detach().clone()
        super().update(optimiser, parameters, gradients)
        if optimiser is self.alphas_optimiser:
            with torch.no_grad():
                self.alphas[0].copy_(shifted(self.alphas[0], before, self._pair))

    def _step_weights(self, batch: Batch) -> None:
        """One step of the weights; blocks that were not drawn have no gradient, so they have no decay or momentum."""
        own = torch.autograd.grad(self.weights_loss(batch), self.weights, allow_unused=True)
        gradients = self.task.group.mean(own)
        self.update(self.weights_optimiser, self.weights, gradients)

    def _among(self) -> Tensor:
        """[D, O] the alphas of the two paths, minus infinity elsewhere."""
        return self.operation_alphas.masked_fill(~self._pair, -torch.inf)


class Proxyless(Darts):
    """DARTS's loop on sampled paths."""

    name: ClassVar[str] = "proxyless"
    Config: ClassVar[type[BilevelConfig]] = ProxylessConfig
    loop: ClassVar[type[BilevelLoop]] = ProxylessLoop


def one_path(alphas: Tensor, generator: torch.Generator) -> Tensor:
    """[D, O] one-hot rows, drawn from the softmax of alphas [D, O]; no gradient passes."""
    chances = alphas.detach().softmax(dim=1)
    return torch.zeros_like(chances).scatter_(1, torch.multinomial(chances, 1, generator=generator), 1.0)


def two_paths(alphas: Tensor, generator: torch.Generator) -> Tensor:
    """[D, O] True for two options in each row, drawn without replacement from the softmax of alphas [D, O]."""
    chances = alphas.detach().softmax(dim=1).clamp_min(TINY)
    absent = alphas.detach() <= PADDING
    chances = chances.masked_fill(absent & ((~absent).sum(dim=1, keepdim=True) > 1), 0.0)
    drawn = torch.multinomial(chances, 2, generator=generator)
    return torch.zeros_like(chances).scatter_(1, drawn, 1.0).bool()


def gates(alphas: Tensor, path: Tensor) -> Tensor:
    """[D, O] the path [D, O] with the gradient of the softmax of alphas [D, O]."""
    soft = alphas.softmax(dim=1)
    return path + (soft - soft.detach())


def shifted(alphas: Tensor, before: Tensor, pair: Tensor) -> Tensor:
    """Alphas [D, O] with the softmax of `before`, except for the division within the pair [D, O].

    Within the pair, shares are those of `alphas` after the step.
    """
    old, new = (each.masked_fill(~pair, -torch.inf).logsumexp(dim=1, keepdim=True) for each in (before, alphas))
    return torch.where(pair, alphas - new + old, before)
