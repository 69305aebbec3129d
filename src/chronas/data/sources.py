"""What a reader of images gives, before the test split is made and checked."""

from __future__ import annotations

from dataclasses import dataclass

from chronas.data.images import Images


@dataclass(frozen=True)
class Source:
    """What a source of images holds.

    Attributes:
        train: the images to learn from, or all images where the source has no test split.
        test: its own test split, or None.
        class_names: the name of each class, by its number.
    """

    train: Images
    test: Images | None
    class_names: tuple[str, ...]
