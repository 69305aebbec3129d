"""The input scaling of a trained network, and the names of its classes."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Preprocessing:
    """Facts about a network's training images that users of the network need.

    Attributes:
        mean: mean of each channel, for pixels in 0..1; it is subtracted first.
        std: standard deviation of each channel; the difference is divided by it.
        class_names: the name of each class, in the order of the logits.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    class_names: tuple[str, ...]

    def metadata(self) -> dict[str, str]:
        """The same as texts by name, with values as JSON; ONNX files store these."""
        return {name: json.dumps(value) for name, value in asdict(self).items()}
