"""The 1,797 handwritten digits of 8x8 grey pixels that come with scikit-learn (UCI ML repository, CC BY 4.0)."""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits

from chronas.data.images import Images
from chronas.data.sources import Source
from chronas.progress import Progress

HIGHEST = 16  # ink levels are 0..16


def read_digits(progress: Progress) -> Source:
    """The digits as 1x8x8 images with ink levels spread over 0..255; they have no test split of their own."""
    bunch = load_digits()
    levels = torch.from_numpy(bunch.images).unsqueeze(1)
    images = Images((levels * 255 / HIGHEST).round().to(torch.uint8), torch.from_numpy(bunch.target).long())
    progress("read", len(images), len(images), "digits")
    return Source(images, None, tuple(str(name) for name in bunch.target_names))
