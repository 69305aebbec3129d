"""A network written by hand beside a run's own: what one would try first, trained like the found network.

network = five_convolutions(classes=5)
beside_by_hand(run)  # trains it, and writes beside.json, which the report shows
"""

from __future__ import annotations

import torch
from torch import nn

from chronas.networks import Preprocessing
from chronas.progress import Progress, silent
from chronas.runs.beside import BESIDE_FILE, compare_with
from chronas.runs.exported import export_network
from chronas.runs.given_networks import GivenNetwork
from chronas.runs.run import Run
from chronas.training import train

FOLDER, NAME = "by-hand", "five convolutions by hand"
CHANNELS = ((32, 2), (64, 2), (96, 2), (128, 2), (128, 1))  # of each convolution, and its stride


def five_convolutions(classes: int, channels: int = 3, times: int = 1) -> nn.Sequential:
    """Five convolutions of 3 x 3 with batch norm and ReLU, a mean over the image, and a classifier.

    Args:
        classes: number of logits.
        channels: channels of an image.
        times: how many times wider than usual each convolution is.
    """
    layers: list[nn.Module] = []
    before = channels
    for usual, stride in CHANNELS:
        after = usual * times
        layers += [nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
        before = after
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, classes))


def beside_by_hand(run: Run, progress: Progress = silent) -> None:
    """Train the five convolutions by the run's recipe, on the same images and for as long, and compare; once.

    Args:
        run: a finished run whose device is here.
        progress: called after each step.
    """
    if (run.folder / BESIDE_FILE).exists():
        return
    data, folder = run.data, run.folder / FOLDER
    torch.manual_seed(run.config.seed)
    network = five_convolutions(data.classes, data.shape[0])
    with run.timed("train by hand", progress) as shown:
        train(
            network,
            *run.training_split,
            run.normalisation,
            run.config.recipe,
            folder=folder / "training",
            seed=run.config.seed,
            budget=run.config.budget,
            progress=lambda step, done, total, note: shown(f"{step} by hand", done, total, note),
        )
    scaling = Preprocessing(run.normalisation.mean, run.normalisation.std, data.class_names)
    export_network(network.eval(), folder, data.shape, preprocessing=scaling)
    compare_with(run, [GivenNetwork(NAME, network, data.shape, scaling)], progress)
