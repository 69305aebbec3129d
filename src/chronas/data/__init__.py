"""Data sets as uint8 tensors, and shuffled, augmented, normalised batches of them.

dataset = load_dataset("digits")
batches = Batches(dataset.train, 64, Normalisation.of(dataset.train), seed=0, augment=Augment(crop_padding=1))
pixels, labels = next(batches)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chronas.registry import lazily

if TYPE_CHECKING:
    from chronas.data.augment import Augment, ColorJitter, CropScale, Rotation, TrivialAugment
    from chronas.data.datasets import DATASETS, limited_dataset, load_dataset
    from chronas.data.describe import ClassCounts, class_counts, contact_sheet, largest_share
    from chronas.data.images import Dataset, Images, Normalisation, limited, read_torch, split
    from chronas.data.loader import Batches, every_batch, spread_batches
    from chronas.data.shapes import write_photos

__all__ = [
    "DATASETS",
    "Augment",
    "Batches",
    "ColorJitter",
    "CropScale",
    "Rotation",
    "TrivialAugment",
    "ClassCounts",
    "Dataset",
    "Images",
    "Normalisation",
    "class_counts",
    "contact_sheet",
    "every_batch",
    "spread_batches",
    "write_photos",
    "largest_share",
    "limited",
    "limited_dataset",
    "load_dataset",
    "read_torch",
    "split",
]

__getattr__ = lazily(
    __name__,
    {
        "describe": "ClassCounts class_counts contact_sheet largest_share",
        "datasets": "DATASETS limited_dataset load_dataset",
        "images": "Dataset Images Normalisation limited split read_torch",
        "augment": "Augment ColorJitter CropScale Rotation TrivialAugment",
        "shapes": "write_photos",
        "loader": "Batches every_batch spread_batches",
    },
)
