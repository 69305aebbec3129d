"""Input features of predictors: blocks of features, each a sum over a basis of the encoding.

The basis is the encoding in each of its forms (`dead_edges.py`) with its terms (`fusion_terms.py`). Each form has four
blocks: MACs and parameters; counts of each operation by part of the network; the terms; the encoding itself. A block is
shrunk as a whole. So few rows are explained by MACs, and positions matter once there are enough rows to separate them.

Letters: N networks, B batch, W slots of the encoding, P columns of the basis, F features of a block, Q of all blocks.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from chronas.networks import space_counts
from chronas.predictors.dead_edges import forms
from chronas.predictors.fusion_terms import terms
from chronas.spaces import NetworkSize, Space

VARYING = 1e-6  # a feature whose spread is below this share of its largest weight is constant up to rounding


@dataclass(frozen=True)
class Features:
    """Features whose blocks have variance 1 on the networks of a fit.

    Attributes:
        centre: mean of the basis [P].
        projection: features = (basis - centre) @ projection.T [Q, P].
        sizes: number of features of each block; they add up to Q.
        places: whether a feature depends on positions, not only on kinds and amounts [Q].
    """

    centre: Tensor
    projection: Tensor
    sizes: tuple[int, ...]
    places: Tensor

    def of(self, basis_codes: Tensor) -> Tensor:
        """Features [B, Q] from a basis [B, P]."""
        return (basis_codes - self.centre) @ self.projection.T

    def network_inputs(self, places: float) -> Tensor:
        """Weights [Q]: features without positions have variance 1 each, all positions together `places`^2 of theirs."""
        varies = (self.projection != 0).any(dim=1).double()
        counts = torch.zeros(len(self.sizes), dtype=torch.float64).index_add(0, self.blocks, varies)
        others = float((varies * ~self.places).sum())
        encodings = len(set(self.blocks[self.places].tolist()))
        share = places * (max(others, 1.0) / encodings) ** 0.5
        return torch.where(self.places, share, counts[self.blocks].sqrt())

    @property
    def blocks(self) -> Tensor:
        """The index of the block of each feature [Q]."""
        return torch.repeat_interleave(torch.arange(len(self.sizes)), torch.tensor(self.sizes))


@dataclass(frozen=True)
class Basis:
    """The basis [B, P] of encodings, in the parts in which it is computed; products use the parts directly.

    Attributes:
        parts: tensors [B, columns] with P columns in total.
    """

    parts: tuple[Tensor, ...]

    def affine(self, weights: Tensor, bias: Tensor) -> Tensor:
        """Weights [R, P] and bias [R] -> bias + weights @ basis.T [R, B], without a copy of all columns."""
        total = bias[:, None]
        shares = torch.split(weights, [part.shape[1] for part in self.parts], dim=1)
        for share, part in zip(shares, self.parts, strict=True):
            total = torch.addmm(total, share, part.T)
        return total

    def columns(self) -> Tensor:
        """The whole basis [B, P]."""
        return torch.cat([part.T for part in self.parts]).T


def basis_parts(space: Space, size: NetworkSize, codes: Tensor) -> Basis:
    """The basis of encodings [B, W] in parts, differentiable."""
    codes = codes.T.contiguous().T  # transposed once, because everything below works on rows of the batch
    return Basis(tuple(part for form in forms(space, codes) for part in (form, terms(space, size, form))))


def basis(space: Space, size: NetworkSize, codes: Tensor) -> Tensor:
    """The basis [B, P] of encodings [B, W] in one tensor, differentiable."""
    return basis_parts(space, size, codes).columns()


def basis_width(space: Space, size: NetworkSize) -> int:
    """The number of columns P of the basis."""
    return basis(space, size, torch.zeros(1, space.encoding_length, dtype=torch.float64)).shape[1]


def standardised(space: Space, size: NetworkSize, basis_codes: Tensor) -> Features:
    """The features of a space, scaled on the basis [N, P] of the networks of a fit; constant features are zero.

    All features of a block get the same variance, except in an encoding, where rare operations stay small.
    """
    centre = basis_codes.mean(dim=0)
    rows, places = [], []
    for block, is_encoding in _blocks(space, size):
        spread = ((basis_codes - centre) @ block.T).std(dim=0)
        varying = spread > VARYING * block.abs().amax(dim=1)
        count = max(int(varying.sum()), 1)
        scale = spread.square().sum().sqrt().expand_as(spread) if is_encoding else spread * count**0.5
        rows.append(block * (varying / scale.where(varying, 1.0))[:, None])
        places.append(torch.full((len(block),), is_encoding))
    return Features(centre, torch.cat(rows), block_sizes(space, size), torch.cat(places))


def block_sizes(space: Space, size: NetworkSize) -> tuple[int, ...]:
    """The number of features of each block."""
    return tuple(len(block) for block, _ in _blocks(space, size))


def _blocks(space: Space, size: NetworkSize) -> Sequence[tuple[Tensor, bool]]:
    """Each block [F, P], and whether it is an encoding."""
    codes = torch.zeros(1, space.encoding_length, dtype=torch.float64)
    count = len(forms(space, codes))
    of_one = space.encoding_length + terms(space, size, codes).shape[1]
    found = []
    for form in range(count):
        for block, is_encoding in _blocks_of_one(space, size, of_one):
            pad = (form * of_one, (count - form - 1) * of_one)
            found.append((torch.nn.functional.pad(block, pad), is_encoding))
    return found


@functools.cache
def _blocks_of_one(space: Space, size: NetworkSize, width: int) -> tuple[tuple[Tensor, bool], ...]:
    """The blocks of one form over its encoding and terms, with `width` columns; empty ones are left out."""
    form = space_counts(space, size)
    sums = space.feature_map()
    counts = sums[(sums != 0).sum(axis=1) > 1]
    sizes = np.vstack([form.slot_macs, form.slot_parameters])
    eye = torch.eye(width, dtype=torch.float64)
    over_slots = [torch.from_numpy(part) @ eye[: space.encoding_length] for part in (sizes, counts)]
    found = [(part, False) for part in (*over_slots, eye[space.encoding_length :])] + [
        (eye[: space.encoding_length], True)
    ]
    return tuple((part, is_encoding) for part, is_encoding in found if len(part))
