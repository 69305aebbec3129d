"""Images as uint8 tensors from the start, and shuffled, augmented, normalised batches of them.

dataset = load_dataset("digits")
batches = Batches(dataset.train, 64, Normalisation.of(dataset.train), seed=0, augment=Augment(crop_padding=1))
pixels, labels = next(batches)
"""

from __future__ import annotations

from chronas.data.datasets import DATASETS, limited_dataset, load_dataset
from chronas.data.images import Dataset, Images, Normalisation, limited, split
from chronas.data.loader import Augment, Batches, every_batch
from chronas.data.torch_dataset import read_torch

__all__ = [
    "DATASETS",
    "Augment",
    "Batches",
    "Dataset",
    "Images",
    "Normalisation",
    "every_batch",
    "limited",
    "limited_dataset",
    "load_dataset",
    "read_torch",
    "split",
]
