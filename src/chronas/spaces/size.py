"""The size of a network: the properties that a space leaves open and that the task and its data fix."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class NetworkScale(BaseModel):
    """The part of a network's size that does not depend on its data."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    width: int = Field(default=36, ge=1, le=1024, description="channels of the first cells (C), or of the stem")
    depth: int = Field(
        default=20,
        ge=1,
        le=200,
        description="number of cells (nasbench201: cells in each stage; chains of layers: repetitions of each block)",
    )
    stem: str = Field(
        default="cifar",
        min_length=1,
        description="kind of first layers, one that the space has; cifar keeps the image's size",
    )

    def for_data(self, input_shape: tuple[int, int, int], outputs: int) -> NetworkSize:
        """The size for data with this input shape [C, H, W] and number of classes."""
        return NetworkSize(
            input_shape=input_shape, outputs=outputs, **self.model_dump(include={"width", "depth", "stem"})
        )


class NetworkSize(NetworkScale):
    """The size at which an architecture is built; `space.sizes` has published sizes by name."""

    input_shape: tuple[int, int, int] = Field(description="channels, height, width of one image, in pixels")
    outputs: int = Field(ge=2, description="number of outputs, for classification the number of classes")
    width: int = Field(ge=1, le=1024, description="channels of the first cells (C), or of the stem")
    depth: int = Field(
        ge=1,
        le=200,
        description="number of cells (nasbench201: cells in each stage; chains of layers: repetitions of each block)",
    )

    def __str__(self) -> str:
        shape = "x".join(map(str, self.input_shape))
        return f"{self.stem} stem, width {self.width}, depth {self.depth}, {shape} -> {self.outputs} classes"
