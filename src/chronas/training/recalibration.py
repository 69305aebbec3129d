"""Batch norms' running statistics anew, for networks whose weights come from a supernet.

A part of a supernet has other activations than the whole, so the statistics of its batch norms are measured on training
images before it is used (Once-for-All, https://arxiv.org/abs/1908.09791; BigNAS, https://arxiv.org/abs/2003.11142).
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from chronas.data import Images, Normalisation, spread_batches
from chronas.training.checkpoints import save_best
from chronas.training.evaluation import evaluate
from chronas.training.trainer import Training

IMAGES, BATCH = 2048, 128  # training images at most, as in OFA's code, and at once


def recalibrate(network: nn.Module, images: Images, normalisation: Normalisation) -> None:
    """Set the running statistics of all batch norms to their means over some training images, in place.

    Args:
        network: images [B, C, H, W] -> logits; its mode and its weights do not change.
        images: training images, of which evenly spread ones are used.
        normalisation: normalisation of the network's training images.
    """
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    usual, mode = [norm.momentum for norm in norms], network.training
    step = -(-len(images) // IMAGES)
    some = images.subset(torch.arange(0, len(images), step))
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a mean over all batches
    network.train()
    try:
        with torch.no_grad():
            for pixels, _ in spread_batches(some, BATCH, normalisation):
                network(pixels)
    finally:
        network.train(mode)
        for norm, momentum in zip(norms, usual, strict=True):
            norm.momentum = momentum


def keep_recalibrated(
    network: nn.Module, images: Images, validation: Images, normalisation: Normalisation, folder: Path
) -> Training:
    """Recalibrate a network and write its weights as those of a training without steps.

    Args:
        network: the network with its weights.
        images: training images.
        validation: images for the accuracy.
        normalisation: normalisation of the training images.
        folder: gets `best.safetensors`.
    """
    recalibrate(network, images, normalisation)
    save_best(folder, network, 0)
    return Training([], 0, evaluate(network, validation, normalisation), steps=0, epochs=0)
