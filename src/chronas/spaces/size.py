"""What a space leaves open and a task fixes: input shape, classes, stem, width, depth."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class NetworkSize(BaseModel):
    """The frame into which an architecture is built; `space.sizes` has the published ones by name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    input_shape: tuple[int, int, int] = Field(description="channels, height, width of one image, in pixels")
    outputs: int = Field(ge=2, description="numbers that a network gives: the number of classes")
    width: int = Field(ge=1, le=1024, description="channels of the first cells (C), or of the stem (fbnet)")
    depth: int = Field(
        ge=1, le=200, description="cells (darts), cells a stage (nasbench201), times each block stands in a row (fbnet)"
    )
    stem: Literal["cifar", "imagenet"] = Field(
        default="cifar", description="cifar keeps the image's size, imagenet divides it by 8 (fbnet: by 4)"
    )

    def __str__(self) -> str:
        shape = "x".join(map(str, self.input_shape))
        return f"{self.stem} stem, width {self.width}, depth {self.depth}, {shape} -> {self.outputs} classes"
