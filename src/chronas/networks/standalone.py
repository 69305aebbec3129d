"""Parts of an exported model.py besides the network's classes: reading weights without a package, and input scaling.

This file needs only torch; an exported model.py contains it unchanged.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import torch

DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


def read_safetensors(path: str | Path) -> dict[str, torch.Tensor]:
    """The tensors of a safetensors file: 8 bytes with the length of a JSON header, the header, raw numbers.

    Raises:
        OSError: the file cannot be read.
        ValueError: the file is cut off or has another form.
    """
    data = Path(path).read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    if len(data) < max(start, 8):
        raise ValueError(f"{path} is cut off or no safetensors file: its header should end at byte {start}")
    tensors = {}
    for name, entry in json.loads(data[8:start]).items():
        if name == "__metadata__":
            continue
        dtype, shape, (begin, end) = DTYPES.get(entry["dtype"]), entry["shape"], entry["data_offsets"]
        if dtype is None or start + end > len(data) or end - begin != math.prod(shape) * dtype.itemsize:
            raise ValueError(f"{path} is cut off or damaged: {name} should be {shape} of {entry['dtype']}")
        numbers = bytearray(data[start + begin : start + end])
        flat = torch.frombuffer(numbers, dtype=dtype) if numbers else torch.empty(0, dtype=dtype)
        tensors[name] = flat.reshape(shape)
    return tensors


def normalised(pixels: torch.Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> torch.Tensor:
    """Float32 [B, C, H, W] scaled as in training, from uint8 pixels; mean and std are for pixels in 0..1."""
    scale = torch.tensor(std, dtype=torch.float64, device=pixels.device).reciprocal() / 255
    shift = torch.tensor(mean, dtype=torch.float64, device=pixels.device) * 255 * scale
    return pixels.float().mul(scale.float().view(-1, 1, 1)).sub(shift.float().view(-1, 1, 1))
