"""What goes into a trained network and what comes out, beside shapes: how pixels are scaled, and the classes."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Preprocessing:
    """What whoever runs a trained network has to know of its training images.

    Attributes:
        mean: what is taken off each channel of pixels in 0..1.
        std: what each channel is divided by then.
        class_names: the name of each class, by its number among the logits.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    class_names: tuple[str, ...]

    def metadata(self) -> dict[str, str]:
        """The same as texts by name, numbers and names as JSON: what an ONNX file keeps of it."""
        return {name: json.dumps(value) for name, value in asdict(self).items()}
